"""Per-image numbers of one run: packed data, split and predictions in; scores.parquet and metrics.json out.

Masks are counted at 256 x 256 whatever the side `px` of their logits, and once more at px where that is another, in
columns that end in `_at_{px}`. Class logits and targets are kept as they are, a reconstruction as its error. Every
protocol, interval and test is computed from scores.parquet (see `protocols`); metrics.json holds the headline
numbers for `dvc metrics diff`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit
from threadpoolctl import ThreadpoolController

from covidqu.config.data import PX
from covidqu.config.evaluation import Evaluate
from covidqu.cores import cores
from covidqu.data.index import Packed, open_packed, unpack_mask
from covidqu.evaluate import classification, protocols, quality
from covidqu.evaluate.boundary import boundary_scores
from covidqu.evaluate.lesions import lesion_scores
from covidqu.evaluate.predictions import Predictions, checked, open_predictions
from covidqu.evaluate.statistics import bootstrap_mean, bootstrap_ratio
from covidqu.files import write_text
from covidqu.stored import as_frame, read_parquet, read_table, reading, write_table

SCORES, METRICS = "scores.parquet", "metrics.json"
META_KEY = b"meta"
AGAIN = "run `score` again"
BLOCK = 16  # images: float32 temporaries of a few MB
MASKS = ("lung", "infection")
OF_HALF = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)  # looked up faster than converted
CLASS_INDEX = {"Normal": 0, "Non-COVID": 1, "COVID-19": 2}  # of three class logits (paper 000)


def score(name: str, packed: Path, split: Path, predictions: Path, out: Path, config: Evaluate) -> None:
    """Write out/scores.parquet (one row per test image, row order) and out/metrics.json.

    ValueError if the predictions are of another run, other data, or not of exactly the run's test images.
    """
    data, found = open_packed(packed), open_predictions(predictions)
    splits = read_parquet(split, "run `split` again")
    check(name, found, data, splits, split)
    scores = image_columns(data, splits, found.rows)
    for task in masks(found):
        scores = scores.assign(**mask_columns(data, found, task))
    if found.class_logits is not None:
        scores = scores.assign(**class_columns(found, scores["label"]))
    if "reconstruction" in found.meta["tasks"]:
        scores = scores.assign(**reconstruction_columns(data, found))
    metrics: dict[str, Mapping[str, float | None]] = {**headline(scores, masks(found), config)}
    if found.class_logits is not None:
        metrics["class"] = class_headline(scores, found.meta.get("classes", CLASS_INDEX))
    if "reconstruction" in found.meta["tasks"]:
        metrics["reconstruction"] = reconstruction_headline(scores)
    write_scores(out / SCORES, scores, found.meta)
    write_text(out / METRICS, json.dumps(metrics, indent=2, allow_nan=False) + "\n")


def read_scores(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The frame and its meta (run, data_hash, weights_sha256, roi, subset, split, tasks; px and classes if known)."""
    table = read_table(path, AGAIN)
    stored = table.schema.metadata or {}
    if META_KEY not in stored:
        raise ValueError(f"{path}: no '{META_KEY.decode()}' in the file's metadata; {AGAIN}")
    with reading(path, AGAIN):
        frame, meta = as_frame(table), json.loads(stored[META_KEY])
    of_baseline = isinstance(meta, dict) and "baseline" in meta  # which has no weights
    return frame, meta if of_baseline else checked(meta, path, AGAIN)


def write_scores(path: Path, scores: pd.DataFrame, meta: dict[str, Any]) -> None:
    """Parquet with `meta` as JSON in the schema's metadata."""
    table = pa.Table.from_pandas(scores, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), META_KEY: json.dumps(meta).encode()})
    write_table(path, table)


def check(name: str, found: Predictions, data: Packed, splits: pd.DataFrame, split: Path) -> None:
    """Do these predictions belong to this run, these data and this split? ValueError says which does not."""
    meta, path = found.meta, found.path
    if meta["run"] != name:
        raise ValueError(f"{path}: made by run '{meta['run']}', not '{name}'; name that run's predictions")
    if meta["data_hash"] != data.data_hash:
        raise ValueError(
            f"{path}: predicted on other data (data_hash {meta['data_hash'][:12]}, packed {data.data_hash[:12]}); "
            "run `predict` on these data"
        )
    if len(splits) != len(data.index) or not np.array_equal(splits["row"], np.arange(len(data.index))):
        raise ValueError(f"{split}: {len(splits)} rows do not fit the index ({len(data.index)}); run `split` again")
    if meta["split"] not in splits.columns:
        raise ValueError(f"{split}: no split '{meta['split']}', which {path} was made with; run `split` again")
    test = (data.index["subset"] == meta["subset"]).to_numpy() & (splits[meta["split"]] == "Test").to_numpy()
    if not np.array_equal(found.rows, np.flatnonzero(test)):
        raise ValueError(
            f"{path}: its {len(found.rows)} rows are not the {int(test.sum())} Test images of subset "
            f"'{meta['subset']}' in split '{meta['split']}', in order; run `predict` again"
        )


def image_columns(data: Packed, splits: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """What is known of each image without the predictions."""
    known = data.index.iloc[rows]
    return pd.DataFrame(
        {
            "row": rows.astype(np.int32),
            "id": known["id"].to_numpy(),
            "subset": known["subset"].to_numpy(),
            "label": known["label"].to_numpy(),
            "name": known["name"].to_numpy(),
            "near_duplicate": splits["near_duplicate"].to_numpy(bool)[rows],
            "n_px": np.full(len(rows), PX * PX, np.int32),
            "lung_area_px": known["lung_px"].to_numpy(np.int32),
        }
    )


def masks(found: Predictions) -> list[str]:
    """The tasks whose output is a mask."""
    return [task for task in found.meta["tasks"] if task in MASKS]


def mask_columns(data: Packed, found: Predictions, task: str) -> dict[str, np.ndarray]:
    """(n,) per column of one task: `task_scores` at 256 px and, of logits at another px, `block_scores_at` there."""
    parts = []
    for rows, logits in zip(_blocks(found.rows), found.logits(task, BLOCK), strict=True):
        truth = truth_masks(data, task, rows)
        shown = logits if found.px == PX else resized(logits, PX)
        part = task_scores(task, shown, truth)
        if found.px != PX:
            there = block_scores_at(logits, resized_masks(truth, found.px))
            part |= {f"{column}_at_{found.px}": values for column, values in there.items()}
        parts.append(part)
    return {f"{task}_{column}": np.concatenate([part[column] for part in parts]) for column in parts[0]}


def task_scores(task: str, logits: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """`block_scores`, and of infection its lesions."""
    lesions = lesion_scores(logits > 0, truth) if task == "infection" else {}
    return block_scores(logits, truth) | lesions


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK))


def resized(logits: np.ndarray, px: int) -> np.ndarray:
    """(b, h, w) -> (b, px, px) float32, bilinear between pixel centres, as torch does with `align_corners=False`."""
    return np.stack([cv2.resize(z, (px, px), interpolation=cv2.INTER_LINEAR) for z in logits.astype(np.float32)])


def resized_masks(masks: np.ndarray, px: int) -> np.ndarray:
    """(b, h, w) bool -> (b, px, px) bool: each pixel takes what lies under its centre."""
    return np.stack([cv2.resize(m, (px, px), interpolation=cv2.INTER_NEAREST_EXACT) for m in masks.view(np.uint8)]) > 0


def truth_masks(data: Packed, task: str, rows: np.ndarray) -> np.ndarray:
    """(n, 256, 256) bool; ValueError for infection in the lung subset, which has no such annotation."""
    masks = {"lung": data.lung_masks, "infection": data.infection_masks}[task]
    if rows.max() >= len(masks):
        raise ValueError(f"row {rows.max()} has no {task} mask; score {task} on the infection subset only")
    return unpack_mask(masks[rows])


def block_scores(logits: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """(b, 256, 256) float16 or float32 logits and bool masks -> (b,) per column, names without the task.

    Threshold logit > 0. `bce`: mean over pixels, natural logarithm, max(z, 0) - z t + log(1 + exp(-|z|)), which
    neither overflows nor takes the logarithm of a rounded probability.
    """
    with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(cores()) as pool:
        images = list(pool.map(_image_scores, logits, truth))
    return {column: np.array([image[column] for image in images]) for column in images[0]}


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS that is loaded: products of one image are too small for threads of their own."""
    return ThreadpoolController()


def _image_scores(logits: np.ndarray, truth: np.ndarray) -> dict[str, np.number | float]:
    z = OF_HALF[logits.view(np.uint16)] if logits.dtype == np.float16 else logits.astype(np.float32)
    positive = z > 0  # in float16 it takes forty times as long
    decay = np.exp(-np.abs(z))
    probability = np.exp(np.minimum(z, 0))
    probability /= 1 + decay
    loss = np.maximum(z, 0)
    loss -= z * truth
    loss += np.log1p(decay, out=decay)
    hd95, nsd2 = boundary_scores(positive, truth)
    return {
        **{name: count[0] for name, count in _counts(positive.reshape(1, -1), truth.reshape(1, -1)).items()},
        "soft_intersection": (probability * truth).sum(dtype=np.float64),
        "soft_prediction": probability.sum(dtype=np.float64),
        "bce": loss.mean(dtype=np.float64),
        "hd95": hd95,
        "nsd2": nsd2,
    }


def block_scores_at(logits: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """(b, px, px) logits and bool masks -> (b,) per column: counts, and `mse` and `ssim` of probability and mask."""
    probability = expit(logits.astype(np.float64))
    flat = len(logits), -1
    return {
        **_counts(logits.reshape(flat) > 0, truth.reshape(flat)),
        "mse": quality.mse(probability, truth),
        "ssim": quality.ssim(probability, truth),
    }


def _counts(positive: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """(b, pixels) bool twice -> (b,) int32 each."""
    tp = np.count_nonzero(positive & truth, axis=1)
    fp, fn = np.count_nonzero(positive, axis=1) - tp, np.count_nonzero(truth, axis=1) - tp
    found = {"tp": tp, "fp": fp, "fn": fn, "tn": positive.shape[1] - tp - fp - fn}
    return {name: count.astype(np.int32) for name, count in found.items()}


def reconstruction_columns(data: Packed, found: Predictions) -> dict[str, np.ndarray]:
    """(n,) `reconstruction_mse` and `_ssim` of the prediction, clipped to 0..1, and the image as intensities 0..1."""
    parts = []
    for rows, values in zip(_blocks(found.rows), found.reconstruction(BLOCK), strict=True):
        image, made = data.images[rows] / 255.0, np.clip(values.astype(np.float64), 0, 1)
        parts.append((quality.mse(made, image), quality.ssim(made, image)))
    errors, similarities = (np.concatenate(column) for column in zip(*parts, strict=True))
    return {"reconstruction_mse": errors, "reconstruction_ssim": similarities}


def class_columns(found: Predictions, labels: Iterable[str]) -> dict[str, np.ndarray]:
    """`class_logit_{k}` and `class_target`; -1 for a label that the head does not know.

    `meta["classes"]` (label -> k) names the classes, else they are the three; a single logit is that of class 1
    against class 0. ValueError when names and logits do not fit.
    """
    assert found.class_logits is not None
    index = found.meta.get("classes", CLASS_INDEX)
    width = found.class_logits.shape[1]
    if set(index.values()) != set(range(max(width, 2))) or "COVID-19" not in index:
        raise ValueError(
            f"{found.path}: {width} class logits, meta names {index}; write `classes` (label -> k) in meta"
        )
    columns = {f"class_logit_{k}": found.class_logits[:, k] for k in range(width)}
    return columns | {"class_target": np.array([index.get(label, -1) for label in labels], np.int32)}


def headline(scores: pd.DataFrame, tasks: Iterable[str], config: Evaluate) -> dict[str, dict[str, float | None]]:
    """Mask task -> flat numbers; a protocol for which no image qualifies has no key."""
    return {task: _task_headline(scores, task, config) for task in tasks}


def class_headline(scores: pd.DataFrame, classes: dict[str, int]) -> dict[str, float]:
    """Over images whose label is in `classes`; `auc` is that of COVID-19 against the others, where both are there."""
    found, target = classification.of_scores(scores)
    names = ("accuracy", "balanced_accuracy", "auc") if len(np.unique(target)) > 1 else ("accuracy",)
    values = {name: classification.measure(name, found, target, positive=classes["COVID-19"]) for name in names}
    return {"n": len(target)} | {name: value for name, value in values.items() if not np.isnan(value)}


def reconstruction_headline(scores: pd.DataFrame) -> dict[str, float]:
    """Means over images; `psnr_pooled` from the mean MSE, `psnr_img` over images with an error (see `quality`)."""
    errors = scores["reconstruction_mse"].to_numpy()
    mean, perfect = quality.psnr_img(errors)
    values = {"psnr_pooled": quality.psnr_pooled(errors), "psnr_img": mean}
    found = {"n": len(scores), "mse": float(errors.mean()), "ssim": float(scores["reconstruction_ssim"].mean())}
    return found | {key: v for key, v in values.items() if np.isfinite(v)} | {"psnr_img_perfect": perfect}


def _task_headline(scores: pd.DataFrame, task: str, config: Evaluate) -> dict[str, float | None]:
    out: dict[str, float | None] = {"n": len(scores)}
    images = protocols.per_image("img_covid", scores, task)
    if len(images):
        dice = images["dice"].to_numpy()
        mean, low, high = bootstrap_mean(dice, config.bootstrap)
        out |= {"img_covid_n": len(dice), "img_covid_dice": mean, "img_covid_dice_ci_low": low}
        out |= {"img_covid_dice_ci_high": high, "img_covid_dice_median": float(np.median(dice))}
        if len(dice) > 1:
            out["img_covid_dice_sd"] = float(dice.std(ddof=1))
        out["img_covid_iou"] = float(images["iou"].mean())
        out |= _boundaries(scores.loc[images.index], task)
        out |= without_near_duplicates(scores, images)
        table = protocols.pooled("pooled_covid", scores, task)
        pooled = bootstrap_ratio(table, protocols.pooled_measure("dice"), config.bootstrap)
        out |= dict(
            zip(("pooled_covid_dice", "pooled_covid_dice_ci_low", "pooled_covid_dice_ci_high"), pooled, strict=True)
        )
    for protocol in ("pooled_all", "img_smooth1", "batch8_seq", "img_all_e1", "img_all_e0"):
        value = protocols.summary(protocol, scores, task, config.protocol_batch)["dice"]
        out |= {} if np.isnan(value) else {f"{protocol}_dice": value}
    for protocol in protocols.FALSE_INFECTION:
        if len(protocols.select(protocol, scores, task)):
            values = protocols.summary(protocol, scores, task)
            out |= {f"{protocol}_{key}": value for key, value in values.items() if not np.isnan(value)}
    return out


def without_near_duplicates(scores: pd.DataFrame, images: pd.DataFrame) -> dict[str, float | None]:
    """Number and mean Dice of those `images` (`per_image`) that have no copy in an earlier split; empty without any."""
    apart = images["dice"][~scores.loc[images.index, "near_duplicate"]]
    if not len(apart):
        return {}
    return {
        "img_covid_n_no_near_duplicate": len(apart),
        "img_covid_dice_no_near_duplicate": float(apart.mean()),
    }


def _boundaries(scores: pd.DataFrame, task: str) -> dict[str, float]:
    """Over images with an annotated mask; hd95 exists only where something was predicted, so its n is given."""
    hd95 = scores[f"{task}_hd95"].dropna()
    found = {"nsd2_mean": float(scores[f"{task}_nsd2"].mean()), "hd95_n": len(hd95)}
    return found | ({"hd95_median": float(hd95.median())} if len(hd95) else {})
