"""Logits of one run, one forward pass per image: packed data, lung masks and weights in, one .npz out."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from covidqu.config.data import PX
from covidqu.config.training import Run
from covidqu.data.dataset import Examples, batches, in_sequence, load_roi, split_rows
from covidqu.data.index import open_packed, pack_mask
from covidqu.files import replacing, sha256
from covidqu.systems.base import System, build, load_weights, prepare


def predict(
    name: str, run: Run, packed: Path, split: Path, roi: Path, weights: Path, out: Path, *, roi_masks: bool
) -> None:
    """Write `row` (n,), `{task}_logits` (n, 256, 256) float16 for the Test images and, with `roi_masks`, the
    predicted lungs of all M infection images as packed bits (M, 8192). Always in 32 bit: the same on every device.
    """
    data = open_packed(packed)
    test = split_rows(data, split, run.subset, run.split)["Test"]
    device = torch.device("cuda" if run.accelerator != "cpu" and torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.allow_tf32 = False
    if run.threads:
        torch.set_num_threads(run.threads)
    model = build(run.model, run.tasks)
    load_weights(model, weights)
    model = model.to(device, memory_format=torch.channels_last).eval()
    infected = np.arange(len(data.infection_masks))
    rows = np.union1d(test, infected) if roi_masks else test
    examples = Examples(data, rows, load_roi(roi, data), run.image_px)
    logits = {task: np.zeros((len(test), PX, PX), np.float16) for task in run.tasks}
    lungs = np.zeros((len(infected) if roi_masks else 0, PX * PX // 8), np.uint8)
    positions = in_sequence(len(rows), 2 * run.batch)
    for batch in tqdm(batches(examples, positions), desc=f"{name} predict", total=len(positions), mininterval=2):
        found = forward(model, batch.image, run.normalise, device)
        wanted = np.isin(batch.rows, test)
        for task, values in found.items():
            logits[task][np.searchsorted(test, batch.rows[wanted])] = values[wanted]
        if roi_masks:
            inside = batch.rows < len(infected)
            lungs[batch.rows[inside]] = pack_mask(found["lung"][inside] > 0)
    meta = {
        "run": name,
        "weights_sha256": sha256(weights),
        "data_hash": data.data_hash,
        "roi": run.roi,
        "subset": run.subset,
        "split": run.split,
        "tasks": list(run.tasks),
    }
    arrays = {"row": test.astype(np.int32), **{f"{task}_logits": values for task, values in logits.items()}}
    if roi_masks:
        arrays["roi_masks"] = lungs
    with replacing(out) as part, part.open("wb") as file:
        np.savez(file, meta=np.array(json.dumps(meta)), **arrays)
    print(f"{name}: logits of {len(test)} test images", file=sys.stderr)


@torch.inference_mode()
def forward(model: System, image: np.ndarray, normalise: str, device: torch.device) -> dict[str, np.ndarray]:
    """(B, px, px) uint8 -> task -> (B, 256, 256) float16 logits, bilinear from the run's resolution."""
    x = prepare(torch.from_numpy(image).to(device), model.channels, normalise)
    out = {}
    for task, logits in model(x).items():
        full = logits.float()
        if full.shape[-1] != PX:
            full = F.interpolate(full, (PX, PX), mode="bilinear", align_corners=False)
        out[task] = full[:, 0].cpu().numpy().astype(np.float16)
    return out
