"""Logits of one run, one forward pass per image: packed data, lung masks and weights in, one .npz out."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from covidqu.config.data import PX
from covidqu.config.training import Run
from covidqu.data.batches import Batch, Batches, Loader, in_sequence
from covidqu.data.examples import Examples, Inputs, RunData, Statistics
from covidqu.data.index import pack_mask
from covidqu.files import keep, replacing, sha256, take_back
from covidqu.gpus import one_device
from covidqu.locks import only_writer
from covidqu.systems.base import System, build, load_weights, prepare
from covidqu.training.card import identity
from covidqu.training.memory import keep_freed_memory

AGREEMENT = 0.999  # Dice of masks in bfloat16 with those of 32 bit
FAR = 60_000.0  # float16 ends at 65,504; a sigmoid is 0 or 1 long before


def predict(name: str, run: Run, inputs: Inputs, *, weights: Path, out: Path, roi_masks: bool = False) -> None:
    """Write what the network gives for the Test images, those included that its class head was not trained on.

    `row` (n,), `{lung,infection}_logits` (n, P, P) float16 with P = `run.evaluate_px`, `class_logits` (n, K) float32,
    `reconstruction` (n, 256, 256) float16 of 0..1, whichever the run has; with `roi_masks` the predicted lungs of all
    M infection images as packed bits (M, 8192). In 32 bit, the same on every device, unless the run says otherwise.
    They keep a second name beside `out`: asked for again, the same predictions are taken from there.
    """
    data = RunData.open(run, inputs)
    known = f"{identity('predict', run, data.packed.data_hash, weights, inputs.roi, inputs.split)} {roi_masks}"
    kept = out.with_name(f".{out.stem}.kept")
    with only_writer(out):
        if not take_back(kept, known, [out]):
            _predict(name, run, data, weights, out, roi_masks)
            keep(kept, known, [out])


def _predict(name: str, run: Run, data: RunData, weights: Path, out: Path, roi_masks: bool) -> None:
    test, infected = data.parts["Test"], np.arange(len(data.packed.infection_masks))
    model, device = ready(run, weights)
    rows = np.union1d(test, infected) if roi_masks else test
    examples = data.of(rows)
    arrays: dict[str, np.ndarray] = {}
    lungs = np.zeros((len(infected) if roi_masks else 0, PX * PX // 8), np.uint8)
    for places, found in outcomes(f"{name} predict", examples, run, model, device, data.statistics):
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
    """The trained network and the device that it is on; sets the run's threads."""
    device = one_device(run.accelerator)
    torch.backends.cudnn.allow_tf32 = False
    if run.threads:
        torch.set_num_threads(run.threads)
    if device.type == "cpu":
        keep_freed_memory()
    model = build(run.model, run.tasks, run.image_px)
    load_weights(model, weights)
    return model.to(device, memory_format=torch.channels_last).eval(), device


def outcomes(
    what: str, some: Examples, run: Run, model: System, device: torch.device, statistics: Statistics | None
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Rows (b,) and the arrays of `predict` for them, batch after batch; ValueError where bfloat16 changes masks."""
    order = in_sequence(len(some), 2 * run.batch)
    for number, batch in enumerate(tqdm(Loader(Batches(some))(order), desc=what, total=len(order), mininterval=2)):
        found = forward(model, batch, statistics, device, run)
        if not number and run.test_precision != "32-true":
            check_agreement(found, forward(model, batch, statistics, device, run, exact=True))
        yield batch.rows.numpy(), found


def check_agreement(found: dict[str, np.ndarray], exact: dict[str, np.ndarray]) -> None:
    """ValueError where the masks of one batch have a Dice below `AGREEMENT` with those of 32 bit."""
    for key in (key for key in found if key.endswith("_logits") and found[key].ndim == 3):
        positive, wanted = found[key] > 0, exact[key] > 0
        dice = 2 * (positive & wanted).sum() / max(positive.sum() + wanted.sum(), 1)
        if (positive | wanted).any() and dice < AGREEMENT:
            raise ValueError(
                f"test_precision: {key.removesuffix('_logits')} masks in bfloat16 have a Dice of {dice:.4f} with those "
                f"of 32 bit, below {AGREEMENT}; set test_precision: 32-true"
            )


@torch.inference_mode()
def forward(
    model: System,
    batch: Batch,
    statistics: Statistics | None,
    device: torch.device,
    run: Run,
    *,
    exact: bool = False,
) -> dict[str, np.ndarray]:
    """The arrays of `predict` for a batch, bilinear from the run's resolution; `exact`: in 32 bit in any case."""
    x = prepare(batch.to(device).seen(), model.channels, statistics)
    low = run.test_precision == "bf16-mixed" and not exact
    with torch.autocast(device.type, torch.bfloat16, enabled=low):
        logits, mirrored = model(x), model(x.flip(-1)) if run.flip_test else {}
    logits = {task: values.float() for task, values in logits.items()}
    if run.flip_test:
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
