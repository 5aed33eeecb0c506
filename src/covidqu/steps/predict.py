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
from covidqu.data.batches import Batch, Batches, Loader, in_sequence
from covidqu.data.examples import Inputs, RunData, Statistics
from covidqu.data.index import pack_mask
from covidqu.files import replacing, sha256
from covidqu.systems.base import System, build, load_weights, prepare
from covidqu.training.memory import keep_freed_memory

FAR = 60_000.0  # float16 ends at 65,504; a sigmoid is 0 or 1 long before


def predict(name: str, run: Run, inputs: Inputs, *, weights: Path, out: Path, roi_masks: bool = False) -> None:
    """Write what the network gives for the Test images, those included that its class head was not trained on.

    `row` (n,), `{lung,infection}_logits` (n, P, P) float16 with P = `run.evaluate_px`, `class_logits` (n, K) float32,
    `reconstruction` (n, 256, 256) float16 of 0..1, whichever the run has; with `roi_masks` the predicted lungs of all
    M infection images as packed bits (M, 8192). Always in 32 bit: the same on every device.
    """
    data = RunData.open(run, inputs)
    test, infected = data.parts["Test"], np.arange(len(data.packed.infection_masks))
    model, device = ready(run, weights)
    rows = np.union1d(test, infected) if roi_masks else test
    examples = data.of(rows)
    arrays: dict[str, np.ndarray] = {}
    lungs = np.zeros((len(infected) if roi_masks else 0, PX * PX // 8), np.uint8)
    order = in_sequence(len(rows), 2 * run.batch)
    for batch in tqdm(Loader(Batches(examples))(order), desc=f"{name} predict", total=len(order), mininterval=2):
        found, places = forward(model, batch, data.statistics, device, run), batch.rows.numpy()
        wanted = np.isin(places, test)
        for key, values in found.items():
            if key not in arrays:
                arrays[key] = np.zeros((len(test), *values.shape[1:]), values.dtype)
            arrays[key][np.searchsorted(test, places[wanted])] = values[wanted]
        if roi_masks:
            inside = places < len(infected)
            lungs[places[inside]] = pack_mask(found["lung_logits"][inside] > 0)
    meta = {
        "run": name,
        "weights_sha256": sha256(weights),
        "data_hash": data.packed.data_hash,
        "roi": run.roi,
        "subset": run.subset,
        "split": run.split,
        "tasks": list(run.tasks),
        "px": run.evaluate_px,
        "classes": run.class_map,
    }
    arrays |= {"row": test.astype(np.int32)} | ({"roi_masks": lungs} if roi_masks else {})
    with replacing(out) as part, part.open("wb") as file:
        np.savez(file, meta=np.array(json.dumps(meta)), **arrays)
    print(f"{name}: logits of {len(test)} test images", file=sys.stderr)


def ready(run: Run, weights: Path) -> tuple[System, torch.device]:
    """The trained network, for use in 32 bit, and the device that it is on; sets the run's threads."""
    device = torch.device("cuda" if run.accelerator != "cpu" and torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.allow_tf32 = False
    if run.threads:
        torch.set_num_threads(run.threads)
    if device.type == "cpu":
        keep_freed_memory()
    model = build(run.model, run.tasks, run.image_px)
    load_weights(model, weights)
    return model.to(device, memory_format=torch.channels_last).eval(), device


@torch.inference_mode()
def forward(
    model: System, batch: Batch, statistics: Statistics | None, device: torch.device, run: Run
) -> dict[str, np.ndarray]:
    """The arrays of `predict` for a batch, bilinear from the run's resolution."""
    x = prepare(batch.to(device).seen(), model.channels, statistics)
    logits = model(x)
    if run.flip_test:
        mirrored = model(x.flip(-1))
        logits = {t: (v + (mirrored[t] if v.ndim == 2 else mirrored[t].flip(-1))) / 2 for t, v in logits.items()}
    out = {}
    for task, values in logits.items():
        if task == "class":
            out["class_logits"] = values.float().cpu().numpy()
        else:
            key, side = (task, PX) if task == "reconstruction" else (f"{task}_logits", run.evaluate_px)
            within = resized(values.float(), side).clamp(-FAR, FAR)
            out[key] = within[:, 0].cpu().numpy().astype(np.float16)
    return out


def resized(values: torch.Tensor, px: int) -> torch.Tensor:
    """(B, 1, h, h) -> (B, 1, px, px), bilinear."""
    if values.shape[-1] == px:
        return values
    return F.interpolate(values, (px, px), mode="bilinear", align_corners=False)
