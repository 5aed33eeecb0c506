"""Counts of masks and intervals, against numpy loops."""

import time

import numpy as np
from measuring import Line, in_turns

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate.scores import block_scores
from covidqu.evaluate.statistics import bootstrap_mean

MASKS = 6788  # test images of the lung subset


def by_loops(logits: np.ndarray, truth: np.ndarray) -> list[dict[str, float]]:
    """One image after the other, as one would write it."""
    out = []
    for values, mask in zip(logits, truth, strict=True):
        positive, probability = values > 0, 1 / (1 + np.exp(-values.astype(np.float64)))
        out.append({
            "tp": (positive & mask).sum(), "fp": (positive & ~mask).sum(), "fn": (~positive & mask).sum(),
            "soft": (probability * mask).sum(), "positive": probability.sum(),
            "squares": ((probability - mask) ** 2).sum(),
        })  # fmt: skip
    return out


def measure(place) -> list[Line]:
    rng = np.random.default_rng(0)
    truth = rng.random((64, 256, 256)) > 0.8
    logits = (truth * 4.0 - 2 + rng.normal(size=truth.shape)).astype(np.float16)
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
