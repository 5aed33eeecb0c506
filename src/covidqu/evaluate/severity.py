"""Agreement of two measurements of the same images, such as the infected share of the lung: predicted, annotated.

Input: (n,) predicted and (n,) annotated values; output: bias, limits of agreement, errors and correlations, each with
its bootstrap interval over images. All are functions of sums over images, so resamples cost one matrix product.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate.statistics import Interval, bootstrap_ratio

NORMAL = float(stats.norm.ppf(0.975))  # 95 % of the differences lie within this many SD of the bias, if normal


def _variance(total: np.ndarray, squares: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Unbiased, from sums; rounding can make it a little negative."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.maximum(squares - total**2 / n, 0) / (n - 1)


def _sd(sums: np.ndarray) -> np.ndarray:
    return np.sqrt(_variance(sums[..., 1], sums[..., 2], sums[..., 0]))


def _bias(sums: np.ndarray) -> np.ndarray:
    return sums[..., 1] / sums[..., 0]


def _moments(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Variances of both and covariance, all divided by n, and the difference of the means."""
    n, x, y, xx, yy, xy = np.moveaxis(sums[..., [0, 4, 5, 6, 7, 8]], -1, 0)
    return (
        np.maximum(xx / n - (x / n) ** 2, 0),
        np.maximum(yy / n - (y / n) ** 2, 0),
        xy / n - x * y / n**2,
        (x - y) / n,
    )


def _pearson(sums: np.ndarray) -> np.ndarray:
    x, y, both, _ = _moments(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        return both / np.sqrt(x * y)


def _lin(sums: np.ndarray) -> np.ndarray:
    x, y, both, shift = _moments(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * both / (x + y + shift**2)


MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bias": _bias,
    "SD of differences": _sd,
    "lower limit of agreement": lambda sums: _bias(sums) - NORMAL * _sd(sums),
    "upper limit of agreement": lambda sums: _bias(sums) + NORMAL * _sd(sums),
    "mean absolute error": lambda sums: sums[..., 3] / sums[..., 0],
    "Pearson correlation": _pearson,
    "Lin's concordance": _lin,
}


def sums_per_image(predicted: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """(n,) twice -> (n, 9): what `MEASURES` are computed from once it is summed over images.

    Both are moved by the mean annotated value first: none of the measures depends on it, and no digits cancel.
    """
    x, y = np.asarray(predicted, np.float64), np.asarray(annotated, np.float64)
    if x.shape != y.shape or not len(x):
        raise ValueError(f"{len(x)} and {len(y)} images are not paired; keep the images that have both values")
    x, y = x - y.mean(), y - y.mean()
    d = x - y
    return np.column_stack([np.ones(len(x)), d, d**2, np.abs(d), x, y, x**2, y**2, x * y])


def agreement(predicted: np.ndarray, annotated: np.ndarray) -> dict[str, float]:
    """Each of `MEASURES` of predicted minus annotated, in their unit; nan where undefined (one image, no spread).

    Limits of agreement: bias -+ 1.96 SD (Bland and Altman 1986); concordance: Lin 1989, variances divided by n.
    """
    sums = sums_per_image(predicted, annotated).sum(axis=0)
    return {name: float(of(sums)) for name, of in MEASURES.items()}


def interval(measure: str, predicted: np.ndarray, annotated: np.ndarray, config: Bootstrap) -> Interval:
    """One of `MEASURES` with its percentile interval over images; ValueError where it is undefined."""
    if measure not in MEASURES:
        raise ValueError(f"no measure '{measure}'; use {', '.join(MEASURES)}")
    return bootstrap_ratio(sums_per_image(predicted, annotated), MEASURES[measure], config)
