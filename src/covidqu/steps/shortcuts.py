"""Shortcut classifiers: what can be told of an image's class from its source, without a look into the lungs.

Input: the packed data, rows of Train, Val and Test, and settings. Output: class logits of the Test rows and what was
fitted. Standardised features, logistic regression, the penalty chosen on Val: a model that has to find nothing in an
image. Maguolo and Nanni (2021) train networks on radiographs with the lungs blanked in the same way.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from covidqu.config.baselines import ClassBaseline, MaskShape
from covidqu.config.data import PX
from covidqu.config.training import CLASS_MAPS
from covidqu.data.index import Packed, unpack_mask

BLOCK = 256  # images: 16 MB of pixels
MOST_STEPS = 5000
LUNGS = 2
Parts = dict[str, np.ndarray]  # Train, Val, Test -> rows of the index


def classify(data: Packed, parts: Parts, config: ClassBaseline) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(n Test,) columns and the facts of the fit, for each label map of `CLASS_MAPS`.

    `class_logit_{k}` and `class_target` are of the three classes, `class_logit_0_{map}` of two. Those of two classes
    are fitted by themselves: the heads that they stand beside were trained on that question, with or without
    Non-COVID images, and a sum of two of three probabilities is not the best answer to it.
    """
    labels = data.index["label"].to_numpy()
    with threadpool_limits(limits=1):  # sums do not depend on the number of cores
        x = {part: features(data, rows, config) for part, rows in parts.items()}
        columns: dict[str, np.ndarray] = {}
        facts: dict[str, Any] = {"features": x["Train"].shape[1], "label_maps": {}}
        for name, classes in CLASS_MAPS.items():
            known = {part: labelled(x[part], labels[parts[part]], classes) for part in ("Train", "Val")}
            model, found = fit(*known["Train"], *known["Val"], config.c)
            logits = model.decision_function(x["Test"]).reshape(len(x["Test"]), -1)
            end = "" if name == "three" else f"_{name}"
            columns |= {f"class_logit_{k}{end}": z.astype(np.float32) for k, z in enumerate(logits.T)}
            facts["label_maps"][name] = found
    target = [CLASS_MAPS["three"][label] for label in labels[parts["Test"]]]
    return columns | {"class_target": np.array(target, np.int32)}, facts


def labelled(x: np.ndarray, labels: np.ndarray, classes: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Features and classes of the images whose label is in `classes` (label -> class)."""
    known = np.isin(labels, list(classes))
    return x[known], np.array([classes[label] for label in labels[known]])


def fit(
    x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, penalties: list[float]
) -> tuple[Pipeline, dict[str, Any]]:
    """The model of Train with the smallest log loss on Val (at a tie the stronger penalty), and the facts.

    ValueError when Train holds a single class, or a penalty is so weak that the solver finds no end.
    """
    if len(np.unique(y)) < 2:
        raise ValueError("Train holds images of a single class; nothing can be told apart")
    losses, models = {}, {}
    for c in sorted(penalties):
        models[c] = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=MOST_STEPS))
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                models[c].fit(x, y)
            except ConvergenceWarning:
                raise ValueError(
                    f"baselines: no solution at c {c:g} in {MOST_STEPS} steps; leave it out of c"
                ) from None
        losses[c] = float(log_loss(y_val, models[c].predict_proba(x_val), labels=models[c].classes_))
    best = min(losses, key=losses.__getitem__)
    facts = {"c": best, "val_log_loss": {f"{c:g}": round(loss, 6) for c, loss in losses.items()}}
    return models[best], {"train_images": len(y), "val_images": len(y_val), **facts}


def features(data: Packed, rows: np.ndarray, config: ClassBaseline) -> np.ndarray:
    """(n, k) float64, one line per row of the index."""
    return np.concatenate([_features(*block, config) for block in _blocks(data, rows)])


def _blocks(data: Packed, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images (b, 256, 256) uint8 and annotated lungs (b, 256, 256) bool."""
    for start in range(0, len(rows), BLOCK):
        chosen = rows[start : start + BLOCK]
        yield data.images[chosen], unpack_mask(data.lung_masks[chosen])


def _features(images: np.ndarray, lungs: np.ndarray, config: ClassBaseline) -> np.ndarray:
    if isinstance(config, MaskShape):
        return np.stack([shape(lung) for lung in lungs])
    seen = np.where(lungs, 0, images) if config.kind == "lungs_blanked" else images
    pictures = averaged(seen, config.picture_px)
    if config.kind == "border":
        inner = np.zeros((config.picture_px, config.picture_px), bool)
        inner[1:-1, 1:-1] = True
        return pictures[:, ~inner]
    return pictures.reshape(len(pictures), -1)


def averaged(images: np.ndarray, px: int) -> np.ndarray:
    """(b, 256, 256) -> (b, px, px) float64: means of squares."""
    square = PX // px
    return images.reshape(-1, px, square, px, square).mean(axis=(2, 4), dtype=np.float64)


def shape(lung: np.ndarray) -> np.ndarray:
    """(256, 256) bool -> (16,): area, number of parts; of the two largest parts, left first in the image, area, box
    (left, top, width, height) and centroid (x, y), in pixels; zeros for a part that is not there.
    """
    count, _, boxes, centroids = cv2.connectedComponentsWithStats(lung.astype(np.uint8), connectivity=8)
    parts = np.hstack([boxes[1:, [cv2.CC_STAT_AREA]], boxes[1:, :4], centroids[1:]]).astype(np.float64)  # 0: outside
    largest = parts[np.argsort(-parts[:, 0], kind="stable")[:LUNGS]]
    found = np.zeros((LUNGS, 7))
    found[: len(largest)] = largest[np.argsort(largest[:, 5], kind="stable")]
    return np.concatenate([[lung.sum(), count - 1], found.ravel()])
