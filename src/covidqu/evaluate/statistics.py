"""Percentile bootstrap over images: values or counts per image in, (value, low, high) out.

The image is the unit of resampling (one patient may have several; the data set names none). The same seed, n and
resamples give the same resamples, so two quantities over the same images are resampled together. nan is refused:
the caller drops such images and so states how many there were. How often each image is in each resample is counted
once per n and kept: a further quantity costs one matrix product. With 0 resamples there are no bounds (None).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from covidqu.config.evaluation import Bootstrap

Interval = tuple[float, float | None, float | None]  # value, lower and upper bound
BLOCK = 2**20  # resampled images that are held at a time
KEPT = 6  # numbers of images; of 10,000 resamples one takes n times 10 kB
UNDEFINED_SHARE = 0.01  # of the resamples


def resampled_sums(table: np.ndarray, config: Bootstrap) -> np.ndarray:
    """(n, k) -> (resamples, k): sums over n rows drawn with replacement; ValueError for nan, infinity or no rows."""
    table = np.asarray(table, np.float64)
    assert table.ndim == 2, table.shape
    bad = ~np.isfinite(table).all(axis=1)
    if bad.any():
        raise ValueError(f"{int(bad.sum())} of {len(table)} images are nan or infinite; drop them first")
    times, step = multiplicities(len(table), config), _rows_at_a_time(len(table))
    blocks = range(0, len(times), step)
    found = [times[start : start + step].astype(np.float64) @ table for start in blocks]
    return np.concatenate([np.empty((0, table.shape[1])), *found])


def multiplicities(n: int, config: Bootstrap) -> np.ndarray:
    """(resamples, n) uint8, read-only: how often each of n images is in each resample; ValueError for n = 0."""
    if not n:
        raise ValueError("no images to resample; report the value as not available")
    return _multiplicities(n, config.resamples, config.seed)


@lru_cache(maxsize=KEPT)
def _multiplicities(n: int, resamples: int, seed: int) -> np.ndarray:
    generator, step = np.random.default_rng(seed), _rows_at_a_time(n)
    times = np.empty((resamples, n), np.uint8)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n)
        assert counts.max() <= np.iinfo(times.dtype).max, "an image is drawn once per resample on average"
        times[start : start + rows] = counts.reshape(rows, n)
    times.flags.writeable = False
    return times


def _rows_at_a_time(n: int) -> int:
    return max(1, BLOCK // n)


def bootstrap_mean(values: np.ndarray, config: Bootstrap) -> Interval:
    """Mean of (n,) values with its percentile interval; ValueError for nan or n = 0."""
    values = np.asarray(values, np.float64)
    means = resampled_sums(values[:, None], config)[:, 0] / len(values)
    return _interval(float(values.mean()), means, config)


def bootstrap_median(values: np.ndarray, config: Bootstrap) -> Interval:
    """Median of (n,) values with its percentile interval; ValueError for nan or n = 0."""
    values = np.asarray(values, np.float64)
    if np.isnan(values).any():
        raise ValueError(f"{int(np.isnan(values).sum())} of {len(values)} images are nan; drop them first")
    times, step = multiplicities(len(values), config), _rows_at_a_time(len(values))
    order, middle = np.argsort(values, kind="stable"), ((len(values) - 1) // 2, len(values) // 2)
    parts = []
    for start in range(0, len(times), step):
        drawn = times[start : start + step][:, order].cumsum(axis=1, dtype=np.int32)
        places = [(drawn > k).argmax(axis=1) for k in middle]  # of the one or two values in the middle of a resample
        parts.append(values[order][np.stack(places)].mean(axis=0))
    return _interval(float(np.median(values)), np.concatenate([np.empty(0), *parts]), config)


def bootstrap_difference(a: np.ndarray, b: np.ndarray, config: Bootstrap) -> Interval:
    """Mean of a - b over the same n images in the same order: the interval of a paired comparison."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} images are not paired; keep the rows that both runs have")
    return bootstrap_mean(a - b, config)


def bootstrap_unpaired(a: np.ndarray, b: np.ndarray, config: Bootstrap) -> Interval:
    """Mean of (n,) a minus mean of (m,) b, of different images: each group is resampled alone, b with the next seed."""
    other = config.model_copy(update={"seed": config.seed + 1})
    parts = [(np.asarray(values, np.float64), drawn) for values, drawn in ((a, config), (b, other))]
    one, two = (resampled_sums(values[:, None], drawn)[:, 0] / len(values) for values, drawn in parts)
    return _interval(float(np.mean(a) - np.mean(b)), one - two, config)


def bootstrap_strata(values: np.ndarray, strata: np.ndarray, config: Bootstrap) -> Interval:
    """Mean of (n,) values; those of each of the (n,) `strata` are resampled among themselves, each with a next seed."""
    values, sums = np.asarray(values, np.float64), np.zeros(config.resamples)
    for place, stratum in enumerate(np.unique(strata)):
        drawn = config.model_copy(update={"seed": config.seed + place})
        sums += resampled_sums(values[strata == stratum][:, None], drawn)[:, 0]
    return _interval(float(values.mean()), sums / len(values), config)


def bootstrap_ratio(counts: np.ndarray, ratio: Callable[[np.ndarray], np.ndarray], config: Bootstrap) -> Interval:
    """A function of summed counts, such as pooled Dice: images are resampled, counts added, `ratio` taken again.

    `counts` (n, k), `ratio` (..., k) -> (...). ValueError if the value is nan, or that of more than 1 % of the
    resamples; fewer are left out. For a paired difference put both runs' counts side by side (n, 2 k).
    """
    counts = np.asarray(counts, np.float64)
    sums = resampled_sums(counts, config)
    value, found = float(ratio(counts.sum(axis=0))), np.asarray(ratio(sums))
    undefined = np.isnan(found)
    if np.isnan(value) or undefined.sum() > UNDEFINED_SHARE * len(found):
        share = undefined.sum() / max(1, len(found))
        raise ValueError(f"the ratio is undefined in the sample or in {share:.1%} of the resamples")
    return _interval(value, found[~undefined], config)


def _interval(value: float, resampled: np.ndarray, config: Bootstrap) -> Interval:
    if not len(resampled):
        return value, None, None
    tail = (1 - config.confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return value, float(low), float(high)
