"""Percentile bootstrap over images: values or counts per image in, (value, low, high) out.

The image is the unit of resampling (one patient may have several; the data set names none). The same seed, n and
resamples give the same resamples, so two quantities over the same images are resampled together. nan is refused:
the caller drops such images and so states how many there were.
"""

from collections.abc import Callable

import numpy as np

from covidqu.config.evaluation import Bootstrap

Interval = tuple[float, float, float]
BLOCK = 2**20  # resampled images that are held at a time
UNDEFINED_SHARE = 0.01  # of the resamples


def resampled_sums(table: np.ndarray, config: Bootstrap) -> np.ndarray:
    """(n, k) -> (resamples, k): sums over n rows drawn with replacement; ValueError for nan or no rows."""
    table = np.asarray(table, np.float64)
    assert table.ndim == 2, table.shape
    if not len(table):
        raise ValueError("no images to resample; report the value as not available")
    if np.isnan(table).any():
        raise ValueError(f"{int(np.isnan(table).any(axis=1).sum())} of {len(table)} images are nan; drop them first")
    n, columns = len(table), np.ascontiguousarray(table.T)
    generator = np.random.default_rng(config.seed)
    step = max(1, BLOCK // n)
    parts = []
    for start in range(0, config.resamples, step):
        rows = min(step, config.resamples - start)
        drawn = generator.integers(0, n, (rows, n))
        parts.append(np.stack([column[drawn].sum(axis=1) for column in columns], axis=1))
    return np.concatenate(parts)


def bootstrap_mean(values: np.ndarray, config: Bootstrap) -> Interval:
    """Mean of (n,) values with its percentile interval; ValueError for nan or n = 0."""
    values = np.asarray(values, np.float64)
    means = resampled_sums(values[:, None], config)[:, 0] / len(values)
    return _interval(float(values.mean()), means, config)


def bootstrap_difference(a: np.ndarray, b: np.ndarray, config: Bootstrap) -> Interval:
    """Mean of a - b over the same n images in the same order: the interval of a paired comparison."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} images are not paired; keep the rows that both runs have")
    return bootstrap_mean(a - b, config)


def bootstrap_ratio(counts: np.ndarray, ratio: Callable[[np.ndarray], np.ndarray], config: Bootstrap) -> Interval:
    """A function of summed counts, such as pooled Dice: images are resampled, counts added, `ratio` taken again.

    `counts` (n, k), `ratio` (..., k) -> (...). ValueError if the value is nan, or that of more than 1 % of the
    resamples; fewer are left out. For a paired difference put both runs' counts side by side (n, 2 k).
    """
    counts = np.asarray(counts, np.float64)
    sums = resampled_sums(counts, config)
    value, found = float(ratio(counts.sum(axis=0))), np.asarray(ratio(sums))
    undefined = np.isnan(found)
    if np.isnan(value) or undefined.mean() > UNDEFINED_SHARE:
        raise ValueError(f"the ratio is undefined in the sample or in {undefined.mean():.1%} of the resamples")
    return _interval(value, found[~undefined], config)


def _interval(value: float, resampled: np.ndarray, config: Bootstrap) -> Interval:
    tail = (1 - config.confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return value, float(low), float(high)
