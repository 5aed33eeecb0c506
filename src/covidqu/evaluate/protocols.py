"""Evaluation protocols: a frame of per-image counts in, one number per measure out. Nothing is read or written.

The papers average the same counts in ways that differ by more than 0.1 of Dice, because half of the infection test
images have an empty mask. Each protocol therefore states its rule for empty masks. P: predicted, G: annotated pixels,
I: both, at 256 x 256 and probability > 0.5. "COVID" in a name means images in which the task has foreground (G > 0):
for infection the COVID-19 images, for lungs every image, so that `img_covid` of lungs is the plain mean over images.
Precision, recall and F1 are 0 where undefined, and F1 is 2 I / (P + G) wherever I > 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

COUNTS = ("tp", "fp", "fn", "tn")
MEASURES = ("dice", "iou", "precision", "recall", "f1", "accuracy")
FALSE_POSITIVES = ("any", "over_1_percent", "area", "area_of_lung")
FALSE_INFECTION = {"fp_normal": "Normal", "fp_pneumonia": "Non-COVID"}  # protocol: label; false infection, apart
LARGE_AREA = 0.01  # of the image


@dataclass(frozen=True)
class Protocol:
    """`unit`: what is averaged (`image` or `batch`), or `pixel` when the counts of all images are added first.

    `label`: only images of this class, if not None.
    """

    name: str
    unit: str
    images: str  # all | foreground | empty
    empty_masks: str
    measures: tuple[str, ...]
    source: str
    label: str | None = None


PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        Protocol(
            "img_covid", "image", "foreground", "only G > 0 counts; an empty prediction scores 0", MEASURES,
            "headline; paper 001, Table III, row COVID-19",
        ),
        Protocol(
            "pooled_covid", "pixel", "foreground", "only G > 0 counts; no image scores alone", MEASURES,
            "correct counterpart of paper 001, Table II",
        ),
        Protocol(
            "pooled_all", "pixel", "all", "an empty mask adds its false positives; no image scores alone", MEASURES,
            "correct counterpart of paper 001, Table II",
        ),
        *(
            Protocol(
                name, "image", "empty", f"only {label} images with G = 0 count: false positives, no overlap",
                FALSE_POSITIVES, "companion of every infection table", label,
            )
            for name, label in FALSE_INFECTION.items()
        ),
        Protocol(
            "img_smooth1", "image", "all", "1 is added to numerator and denominator: empty and blank scores 1, "
            "a false positive of P pixels 1 / (P + 1)", ("dice", "iou", "accuracy"),
            "paper 000, Tables IV and V",
        ),
        Protocol(
            "batch8_seq", "batch", "all", "Dice = IoU = 1 for a batch with P = G = 0", MEASURES, "paper 001, Table II"
        ),
        Protocol(
            "img_all_e1", "image", "all", "Dice = IoU = 1 for P = G = 0, 0 for a false positive", MEASURES,
            "paper 001, Table III; paper 002, Tables III and IV",
        ),
        Protocol(
            "img_all_e0", "image", "all", "Dice = IoU = 0 for P = G = 0 and for a false positive", MEASURES,
            "sensitivity to the rule only",
        ),
    )
}  # fmt: skip


def counts(scores: pd.DataFrame, task: str) -> np.ndarray:
    """(n, 4) float64: tp, fp, fn, tn per image; ValueError if the run has no such task."""
    columns = [f"{task}_{c}" for c in COUNTS]
    if not set(columns) <= set(scores.columns):
        raise ValueError(f"scores hold no task '{task}' ({', '.join(columns)}); score a run that was trained for it")
    return scores[columns].to_numpy(np.float64)


def select(protocol: str, scores: pd.DataFrame, task: str) -> pd.DataFrame:
    """The images that a protocol looks at, in the same order."""
    known, foreground = _known(protocol), counts(scores, task)[:, [0, 2]].sum(axis=1) > 0
    kept = {"all": np.ones(len(scores), bool), "foreground": foreground, "empty": ~foreground}[known.images]
    return scores[kept if known.label is None else kept & (scores["label"] == known.label).to_numpy()]


def measures(table: np.ndarray, *, if_empty: float = 0.0, smooth: float = 0.0) -> dict[str, np.ndarray]:
    """(..., 4) counts -> each of `MEASURES`, shape (...).

    `if_empty`: Dice and IoU where P = G = 0 and `smooth` is 0; `smooth` is added to their numerators and denominators.
    """
    tp, fp, fn, tn = np.moveaxis(np.asarray(table, np.float64), -1, 0)
    precision, recall = _ratio(tp, tp + fp, 0.0), _ratio(tp, tp + fn, 0.0)
    return {
        "dice": _ratio(2 * tp + smooth, 2 * tp + fp + fn + smooth, if_empty),
        "iou": _ratio(tp + smooth, tp + fp + fn + smooth, if_empty),
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * precision * recall, precision + recall, 0.0),
        "accuracy": _ratio(tp + tn, tp + fp + fn + tn, float("nan")),
    }


def per_image(protocol: str, scores: pd.DataFrame, task: str) -> pd.DataFrame:
    """One row per image that the protocol looks at, one column per measure; index as in `scores`.

    Their means are the protocol's result, so a bootstrap resamples these rows. For `fp_*`: `any` and
    `over_1_percent` (0 or 1), `area` (share of the image) and `area_of_lung` (P / annotated lung pixels; nan without
    lung). ValueError for a protocol that does not average images.
    """
    known = _known(protocol)
    if known.unit != "image":
        raise ValueError(f"{protocol} averages no images (unit: {known.unit}); use {_named('image')}, or `summary`")
    chosen = select(protocol, scores, task)
    table = counts(chosen, task)
    if known.measures is FALSE_POSITIVES:
        values = _false_positives(table, chosen["lung_area_px"].to_numpy(np.float64))
    else:
        rule = {"img_smooth1": {"smooth": 1.0}, "img_all_e1": {"if_empty": 1.0}}.get(protocol, {})
        values = measures(table, **rule)
    return pd.DataFrame({m: values[m] for m in known.measures}, index=chosen.index)


def per_batch(scores: pd.DataFrame, task: str, batch: int) -> pd.DataFrame:
    """`batch8_seq`: one row per batch of `batch` consecutive images (the last may be short), pixels pooled inside.

    Row order is file order: COVID-19, Non-COVID, Normal. The short batch weighs as much as the others, as in the paper.
    """
    return pd.DataFrame(measures(batch_sums(counts(scores, task), batch), if_empty=1.0))


def infected_batches(scores: pd.DataFrame, task: str, batch: int) -> np.ndarray:
    """(batches,) bool: has any of a batch of consecutive images an annotated mask?"""
    return batch_sums(counts(scores, task)[:, [0, 2]], batch).sum(axis=1) > 0


def pooled(protocol: str, scores: pd.DataFrame, task: str) -> np.ndarray:
    """(n, 4) counts of the images that a `pooled_*` protocol adds up: what its bootstrap resamples."""
    if _known(protocol).unit != "pixel":
        raise ValueError(f"{protocol} does not pool pixels; use {_named('pixel')}")
    return counts(select(protocol, scores, task), task)


def pooled_measure(measure: str) -> Callable[[np.ndarray], np.ndarray]:
    """From (..., 4) summed counts to one measure, for the bootstrap; Dice and IoU are nan where P = G = 0."""
    if measure not in MEASURES:
        raise ValueError(f"no measure '{measure}'; use {', '.join(MEASURES)}")
    return lambda table: measures(table, if_empty=float("nan"))[measure]


def summary(protocol: str, scores: pd.DataFrame, task: str, batch: int = 8) -> dict[str, float]:
    """The protocol's number per measure, with `n` (images looked at) and, for `batch8_seq`, `batches`.

    `fp_*` also give medians: `area_median`, `area_of_lung_median`. ValueError if no image qualifies.
    """
    known = _known(protocol)
    chosen = select(protocol, scores, task)
    if not len(chosen):
        raise ValueError(f"{protocol}: none of {len(scores)} images qualifies for {task} ({known.images} masks)")
    found: dict[str, float] = {"n": len(chosen)}
    if known.unit == "pixel":
        values = measures(counts(chosen, task).sum(axis=0), if_empty=float("nan"))
        return found | {m: float(values[m]) for m in known.measures}
    if known.unit == "batch":
        rows = per_batch(chosen, task, batch)
        return found | {"batches": len(rows)} | {str(m): float(mean) for m, mean in rows.mean().items()}
    rows = per_image(protocol, chosen, task)
    found |= rows.mean().to_dict()
    if known.measures is FALSE_POSITIVES:
        found |= {f"{m}_median": float(rows[m].median()) for m in ("area", "area_of_lung")}
    return found


def batch_losses(scores: pd.DataFrame, task: str, batch: int, terms: list[dict[str, Any]]) -> np.ndarray:
    """(batches,) training loss of `batch` consecutive images each; their mean is the "Mean Loss" of paper 002.

    `terms`: {"kind": "bce", "weight"} is the mean over the batch's pixels, {"kind": "dice", "weight", "smooth"} is
    1 - (2 I + smooth) / (P + G + smooth) from probabilities pooled over the batch. ValueError for a `pos_weight`
    other than 1: only the plain cross-entropy is kept per image.
    """
    foreground = counts(scores, task)[:, [0, 2]].sum(axis=1)
    names = ["soft_intersection", "soft_prediction", "bce"]
    soft = scores[[f"{task}_{name}" for name in names]].to_numpy(np.float64)
    columns = np.column_stack([soft, foreground, np.ones(len(scores))])
    inter, predicted, bce, annotated, images = batch_sums(columns, batch).T
    total = np.zeros(len(images))
    for term in terms:
        if term["kind"] == "bce":
            if term.get("pos_weight", 1.0) != 1.0:
                given = term["pos_weight"]
                raise ValueError(f"pos_weight {given!r}: only the unweighted cross-entropy was scored; use 1")
            total += term["weight"] * bce / images
        elif term["kind"] == "dice":
            smooth = term["smooth"]
            total += term["weight"] * (1 - (2 * inter + smooth) / np.maximum(predicted + annotated + smooth, 1e-12))
        else:
            raise ValueError(f"loss term '{term['kind']}' is unknown; use bce or dice")
    return total


def batch_sums(table: np.ndarray, batch: int) -> np.ndarray:
    """(n, k) -> (ceil(n / batch), k): sums over consecutive rows; ValueError for no rows or a batch below 1."""
    if batch < 1 or not len(table):
        raise ValueError(f"{len(table)} images in batches of {batch}: both must be at least 1")
    return np.add.reduceat(table, np.arange(0, len(table), batch), axis=0)


def _false_positives(table: np.ndarray, lung: np.ndarray) -> dict[str, np.ndarray]:
    area = table[:, 1] / table.sum(axis=1)
    return {
        "any": (area > 0).astype(np.float64),
        "over_1_percent": (area > LARGE_AREA).astype(np.float64),
        "area": area,
        "area_of_lung": _ratio(table[:, 1], lung, float("nan")),
    }


def _ratio(numerator: np.ndarray, denominator: np.ndarray, otherwise: float) -> np.ndarray:
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    out = np.full(denominator.shape, otherwise)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)


def _known(protocol: str) -> Protocol:
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol '{protocol}'; use {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]


def _named(unit: str) -> str:
    return ", ".join(p.name for p in PROTOCOLS.values() if p.unit == unit)
