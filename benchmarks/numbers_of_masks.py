"""Counts of masks and intervals, against numpy loops."""

import time

import cv2
import numpy as np
from measuring import Line, in_turns
from scipy.ndimage import binary_erosion, distance_transform_edt

from covidqu.config.evaluation import Bootstrap
from covidqu.data.index import open_packed, unpack_mask
from covidqu.evaluate.scores import block_scores
from covidqu.evaluate.statistics import bootstrap_mean

MASKS = 6788  # test images of the lung subset


def by_loops(logits: np.ndarray, truth: np.ndarray) -> list[dict[str, float]]:
    """The same numbers one image after the other, as one would write it with numpy and scipy."""
    out = []
    for values, mask in zip(logits.astype(np.float64), truth, strict=True):
        positive, probability = values > 0, 1 / (1 + np.exp(-values))
        losses = -np.where(mask, np.log(probability + 1e-12), np.log(1 - probability + 1e-12))
        one, other = positive & ~binary_erosion(positive), mask & ~binary_erosion(mask)
        there, back = distance_transform_edt(~other)[one], distance_transform_edt(~one)[other]
        out.append({
            "tp": (positive & mask).sum(), "fp": (positive & ~mask).sum(), "fn": (~positive & mask).sum(),
            "tn": (~positive & ~mask).sum(), "soft": (probability * mask).sum(), "positive": probability.sum(),
            "bce": losses.mean(), "hd95": max(np.percentile(there, 95), np.percentile(back, 95)),
            "nsd2": ((there <= 2).sum() + (back <= 2).sum()) / (len(there) + len(back)),
        })  # fmt: skip
    return out


def measure(place) -> list[Line]:
    rng = np.random.default_rng(0)
    truth = unpack_mask(open_packed(place.packed).lung_masks[:64])
    rough = [cv2.GaussianBlur(rng.normal(0, 20, mask.shape), (0, 0), 5) for mask in truth]
    logits = np.stack([cv2.GaussianBlur(m * 8.0 - 4, (0, 0), 5) + r for m, r in zip(truth, rough, strict=True)])
    logits = logits.astype(np.float16)
    blocks = [slice(i, i + 16) for i in range(0, 64, 16)]
    loops_ms, ms = in_turns(
        64, lambda: by_loops(logits, truth), lambda: [block_scores(logits[b], truth[b]) for b in blocks]
    )
    config, values = Bootstrap(resamples=10_000, confidence=0.95, seed=0), rng.random(583)

    def drawn() -> np.ndarray:
        draws = np.random.default_rng(0).integers(0, len(values), (config.resamples, len(values)))
        return np.quantile(values[draws].mean(axis=1), [0.025, 0.975])

    started = time.perf_counter()
    bootstrap_mean(values, config)
    first = time.perf_counter() - started
    drawn_ms, kept_ms = in_turns(1, drawn, lambda: bootstrap_mean(values, config))
    return [
        Line(
            f"scores of {MASKS} masks",
            "numpy loops",
            loops_ms * MASKS,
            ms * MASKS,
            ms / loops_ms,
            "<= 0.25",
            0.25,
            True,
        ),
        Line("bootstrap of 10,000, the first", "0.5 s", 500.0, first * 1e3, first / 0.5, "<= 1", 1, True),
        Line("bootstrap of 10,000, each further", "drawn anew", drawn_ms, kept_ms, kept_ms / drawn_ms, "", None, True),
    ]
