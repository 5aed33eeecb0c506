"""Step `baseline`: one baseline, fitted on Train, chosen on Val, and scored on Test like a run.

Input: packed data, split and settings. Output: out/scores.parquet with the columns that `score` writes for a run with
an infection mask or a class head, so that every protocol and measure applies, and out/card.json with what was fitted.
A reference mask is all or nothing in each pixel: it has no cross-entropy (`infection_bce` is nan).
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidqu.config.baselines import SPLIT, SUBSET, Baseline, MaskBaseline, MeanMap
from covidqu.config.data import PX, SPLITS
from covidqu.data.index import Packed, open_packed, unpack_mask
from covidqu.evaluate.protocols import measures
from covidqu.evaluate.scores import (
    SCORES,
    block_scores,
    block_scores_at,
    image_columns,
    resized_masks,
    truth_masks,
    write_scores,
)
from covidqu.files import write_text
from covidqu.steps.shortcuts import Parts, classify
from covidqu.stored import read_parquet

CARD = "card.json"
BLOCK = 16  # images: float32 temporaries of a few MB
CERTAIN = 1000.0  # a logit whose probability is 1 in any float, and 0 when it is negative
PACKAGES = ("numpy", "scikit-learn")


def baseline(name: str, config: Baseline, packed: Path, split: Path, out: Path) -> None:
    """Write out/scores.parquet (one row per Test image of the infection subset, row order) and out/card.json.

    ValueError when the split does not fit the data or one of its parts is empty.
    """
    data, splits = open_packed(packed), read_parquet(split)
    parts = official_rows(data, splits, split)
    scores = image_columns(data, splits, parts["Test"])
    if isinstance(config, MaskBaseline):
        columns, fitted = mask_columns(data, parts, config)
    else:
        columns, fitted = classify(data, parts, config)
    meta = {"baseline": name, "data_hash": data.data_hash, "subset": SUBSET, "split": SPLIT, "tasks": [config.gives]}
    card = {
        **meta,
        "config": config.model_dump(mode="json"),
        "images": {part: len(rows) for part, rows in parts.items()},
        "fitted": fitted,
        "versions": {package: version(package) for package in PACKAGES},
    }
    write_scores(out / SCORES, scores.assign(**columns), meta)
    write_text(out / CARD, json.dumps(card, indent=2) + "\n")


def official_rows(data: Packed, splits: pd.DataFrame, path: Path) -> Parts:
    """Rows of Train, Val and Test; ValueError when one is empty or the split is of other data."""
    if len(splits) != len(data.index):
        raise ValueError(f"{path}: {len(splits)} rows, the data have {len(data.index)}; run `split` again")
    rows = data.rows(SUBSET)
    parts = {part: rows[splits[SPLIT].to_numpy()[rows] == part] for part in SPLITS}
    empty = [part for part, found in parts.items() if not len(found)]
    if empty:
        raise ValueError(f"{path}: no {SUBSET} images in {', '.join(empty)}; a baseline needs all three parts")
    return parts


def mask_columns(data: Packed, parts: Parts, config: MaskBaseline) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(n Test,) `infection_*` columns at 256 px and at each of `also_px`, and the facts of the fit."""
    constant = np.zeros((PX, PX), bool)
    fitted: dict[str, Any] = {}
    if isinstance(config, MeanMap):
        constant, fitted = mean_map(data, parts, config.thresholds)
    blocks = []
    for start in range(0, len(parts["Test"]), BLOCK):
        rows = parts["Test"][start : start + BLOCK]
        lungs = config.kind == "lungs"
        mask = truth_masks(data, "lung", rows) if lungs else np.broadcast_to(constant, (len(rows), PX, PX))
        blocks.append(score_masks(np.ascontiguousarray(mask), truth_masks(data, "infection", rows), config.also_px))
    return {f"infection_{c}": np.concatenate([block[c] for block in blocks]) for c in blocks[0]}, fitted


def score_masks(masks: np.ndarray, truth: np.ndarray, also_px: list[int]) -> dict[str, np.ndarray]:
    """(b, 256, 256) bool predicted and annotated -> (b,) per column of `block_scores` and `block_scores_at`."""
    found = block_scores(_logits(masks), truth) | {"bce": np.full(len(masks), np.nan)}
    for px in also_px:
        there = block_scores_at(_logits(resized_masks(masks, px)), resized_masks(truth, px))
        found |= {f"{column}_at_{px}": values for column, values in there.items()}
    return found


def _logits(masks: np.ndarray) -> np.ndarray:
    return np.where(masks, np.float32(CERTAIN), np.float32(-CERTAIN))


def mean_map(data: Packed, parts: Parts, thresholds: list[float]) -> tuple[np.ndarray, dict[str, Any]]:
    """(256, 256) bool: where more than a share of the infected Train images is infected, and the facts.

    The share is the one of `thresholds` with the largest mean Dice over the infected images of Val; at a tie, the
    smallest. ValueError when Train or Val has no infected image.
    """
    train, val = (_infected(data, parts[part]) for part in ("Train", "Val"))
    total = np.zeros((PX, PX), np.int64)
    for start in range(0, len(train), BLOCK):
        total += truth_masks(data, "infection", train[start : start + BLOCK]).sum(axis=0)
    shares, dice = total / len(train), {}
    for threshold in sorted(thresholds):
        mask = shares > threshold
        dice[threshold] = float(np.mean([_dice(mask, unpack_mask(data.infection_masks[row])) for row in val]))
    best = max(dice, key=dice.__getitem__)
    facts = {"threshold": best, "area_px": int((shares > best).sum()), "train_images": len(train)}
    return shares > best, facts | {
        "val_images": len(val),
        "val_dice": {f"{threshold:g}": round(value, 6) for threshold, value in dice.items()},
    }


def _infected(data: Packed, rows: np.ndarray) -> np.ndarray:
    found = rows[data.index["infection_px"].to_numpy()[rows] > 0]
    if not len(found):
        raise ValueError("baselines: Train or Val holds no infected image; a mean map needs some in both")
    return found


def _dice(mask: np.ndarray, truth: np.ndarray) -> float:
    tp = np.count_nonzero(mask & truth)
    return float(measures(np.array([tp, mask.sum() - tp, truth.sum() - tp, 0]))["dice"])
