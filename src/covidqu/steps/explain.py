"""What a class head looks at: packed data, lung masks and weights in, Grad-CAM and classes from bare masks out.

Grad-CAM (Selvaraju et al. 2017) of the logit that speaks for COVID-19, at the layer that the system names, for every
Test image. A class head that sees masks only is asked again with thresholded and with annotated masks: what it still
knows then, it has from the shape of the masks and not from grey values that they carry.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from torch import Tensor, nn
from tqdm import tqdm

from covidqu.config.data import PX
from covidqu.config.training import Run
from covidqu.data.batches import Batch, Batches, Loader, in_sequence
from covidqu.data.examples import Inputs, RunData, Statistics
from covidqu.data.index import Packed, unpack_mask
from covidqu.files import replacing, sha256
from covidqu.steps.predict import ready
from covidqu.stored import write_parquet
from covidqu.systems.base import System, prepare

INFECTED = "COVID-19"


def explain(name: str, run: Run, inputs: Inputs, *, weights: Path, out: Path) -> None:
    """Write `explain.parquet` and `cam.npz` for the Test images of one run.

    explain.parquet: row, id, label, name; cam_lung_share and cam_infection_share (of the map's sum at 256 x 256, nan
    without such a mask or with an empty map); `class_logit_{k}_hard` and `_annotated` where the class head sees masks
    only. cam.npz: row (n,), cam (n, h, w) float16 >= 0 with maximum 1 (or all 0), meta. Always in 32 bit.
    ValueError for a run without a class head and for a system that names no layer.
    """
    model, device = ready(run, weights)
    layer = explained(name, run, model.requires_grad_(False))
    data = RunData.open(run, inputs)
    test, cams, lines = data.examples("Test"), [], []
    order = in_sequence(len(test), run.batch)
    for batch in tqdm(Loader(Batches(test))(order), desc=f"{name} explain", total=len(order), mininterval=2):
        cam, found = grad_cam(model, layer, batch, data.statistics, run.class_map[INFECTED], device)
        cams.append(scaled(cam))
        lines.append(shares(data.packed, batch.rows.numpy(), cam) | bare_masks(model, batch, found, device))
    columns = {key: np.concatenate([line[key] for line in lines]) for key in lines[0]}
    write(out, name, run, weights, data.packed, test.rows, np.concatenate(cams), columns)


def explained(name: str, run: Run, model: System) -> nn.Module:
    """The layer of the map; ValueError when there is nothing to explain or nowhere to look."""
    if "class" not in run.tasks:
        raise ValueError(f"explain: run {name} has no class head (its tasks: {', '.join(run.tasks)}); remove it")
    layer = model.cam_layer()
    if layer is None:
        raise ValueError(f"explain: run {name}: {type(model).__name__} names no layer for Grad-CAM; remove it")
    return layer


def grad_cam(
    model: System, layer: nn.Module, batch: Batch, statistics: Statistics | None, infected: int, device: torch.device
) -> tuple[np.ndarray, dict[str, Tensor]]:
    """Maps (B, h, w) float32 >= 0 of the logit of class `infected`, and the logits of the same forward pass."""
    found: dict[str, Tensor] = {}

    def logit(x: Tensor) -> Tensor:
        found.update(model(x))
        return found["class"][:, infected if found["class"].shape[1] > 1 else 0]  # a single logit is that of COVID-19

    x = prepare(batch.to(device).seen(), model.channels, statistics).requires_grad_()
    cam = LayerGradCam(logit, layer).attribute(x, relu_attributions=True)
    return cam[:, 0].detach().cpu().numpy(), {task: values.detach() for task, values in found.items()}


def scaled(cam: np.ndarray) -> np.ndarray:
    """(B, h, w) -> float16 with maximum 1 for each image, all 0 where the map is empty."""
    top = cam.max((1, 2), keepdims=True)
    return np.divide(cam, top, out=np.zeros_like(cam), where=top > 0).astype(np.float16)


def shares(data: Packed, rows: np.ndarray, cam: np.ndarray) -> dict[str, np.ndarray]:
    """Parts (B,) of the map's sum that lie inside the annotated lung and infection at 256 x 256."""
    full = F.interpolate(torch.from_numpy(cam)[:, None], (PX, PX), mode="bilinear", align_corners=False)[:, 0].numpy()
    whole = full.sum((1, 2), dtype=np.float64)
    out = {}
    for task, bits in (("lung", data.lung_masks), ("infection", data.infection_masks)):
        share = np.full(len(rows), np.nan)
        for i, row in enumerate(rows):
            mask = unpack_mask(np.asarray(bits[row])) if row < len(bits) else np.zeros((PX, PX), bool)
            if whole[i] > 0 and mask.any():
                share[i] = full[i][mask].sum(dtype=np.float64) / whole[i]
        out[f"cam_{task}_share"] = share
    return out


@torch.inference_mode()
def bare_masks(model: System, batch: Batch, found: dict[str, Tensor], device: torch.device) -> dict[str, np.ndarray]:
    """Class logits (B,) from 0/1 masks at the network's resolution; empty for a head that sees more than masks."""
    tasks = [task for task in ("lung", "infection") if task in found]
    if not tasks:
        return {}
    hard = torch.cat([found[task] > 0 for task in tasks], 1).float()
    annotated = torch.stack([batch.target(task) for task in tasks], 1).to(device).float()
    out: dict[str, np.ndarray] = {}
    for how, masks in (("hard", hard), ("annotated", annotated)):
        logits = model.classify_masks(masks)
        if logits is None:
            return {}
        out |= {f"class_logit_{k}_{how}": logits[:, k].float().cpu().numpy() for k in range(logits.shape[1])}
    return out


def write(
    folder: Path,
    name: str,
    run: Run,
    weights: Path,
    data: Packed,
    rows: np.ndarray,
    cam: np.ndarray,
    columns: dict[str, np.ndarray],
) -> None:
    """Both files, each whole or not at all."""
    meta: dict[str, Any] = {
        "run": name,
        "weights_sha256": sha256(weights),
        "data_hash": data.data_hash,
        "subset": run.subset,
        "split": run.split,
    }
    table = data.index[["id", "label", "name"]].iloc[rows].reset_index(drop=True)
    table.insert(0, "row", rows.astype(np.int32))
    table = pd.concat([table, pd.DataFrame(columns)], axis=1)
    table.attrs.update(meta)
    write_parquet(folder / "explain.parquet", table)
    with replacing(folder / "cam.npz") as part, part.open("wb") as file:
        np.savez(file, meta=np.array(json.dumps(meta)), row=rows.astype(np.int32), cam=cam)
    print(f"{name}: Grad-CAM of {len(rows)} test images", file=sys.stderr)
