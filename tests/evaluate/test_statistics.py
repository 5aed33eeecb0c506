"""The bootstrap against a plain loop, known distributions and its own promises."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate.classification import auc_interval
from covidqu.evaluate.protocols import pooled_measure
from covidqu.evaluate.statistics import (
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_median,
    bootstrap_ratio,
    bootstrap_strata,
    bootstrap_unpaired,
    multiplicities,
    resampled_sums,
)

CONFIG = Bootstrap(resamples=10_000, confidence=0.95, seed=0)
FEW = Bootstrap(resamples=500, confidence=0.9, seed=3)


def test_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(5).normal(0.75, 0.2, 583)
    mean, low, high = bootstrap_mean(values, CONFIG)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert mean == pytest.approx(values.mean())
    assert low == pytest.approx(mean - half, abs=0.05 * half)
    assert high == pytest.approx(mean + half, abs=0.05 * half)


def test_confidence_and_seed_matter_and_the_rest_is_deterministic() -> None:
    values = np.random.default_rng(0).random(60)
    assert bootstrap_mean(values, FEW) == bootstrap_mean(values, FEW)
    other = FEW.model_copy(update={"seed": 4})
    assert bootstrap_mean(values, FEW) != bootstrap_mean(values, other)
    wide = FEW.model_copy(update={"confidence": 0.99})
    assert bootstrap_mean(values, wide)[1] < bootstrap_mean(values, FEW)[1]
    assert bootstrap_mean(values, wide)[2] > bootstrap_mean(values, FEW)[2]


def test_sums_against_a_loop() -> None:
    table = np.random.default_rng(0).random((7, 2))
    drawn = np.random.default_rng(FEW.seed).integers(0, 7, (FEW.resamples, 7))
    wanted = [sum(table[i] for i in row) for row in drawn]
    np.testing.assert_allclose(resampled_sums(table, FEW), wanted)


def test_resamples_are_counted_once_per_number_of_images() -> None:
    times = multiplicities(7, FEW)
    assert times is multiplicities(7, FEW.model_copy(update={"confidence": 0.8}))
    assert times is not multiplicities(7, FEW.model_copy(update={"seed": 9}))
    assert (times.sum(axis=1) == 7).all() and times.shape == (FEW.resamples, 7)
    with pytest.raises(ValueError, match="read-only"):
        times[0, 0] = 3


def test_infinity_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 images are nan or infinite"):
        bootstrap_mean(np.array([0.1, np.inf]), FEW)


def test_blocks_are_independent_draws() -> None:
    """More resampled images than fit one block: the blocks must not repeat the same draws."""
    table = np.random.default_rng(0).random((3000, 1))
    sums = resampled_sums(table, Bootstrap(resamples=800, confidence=0.95, seed=0))
    assert len(sums) == 800
    assert len(np.unique(sums)) > 790


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_interval_lies_within_the_values(values: list[float]) -> None:
    mean, low, high = bootstrap_mean(np.array(values), Bootstrap(resamples=100, confidence=0.95, seed=0))
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert mean == pytest.approx(np.mean(values))


def test_paired_difference_sees_what_two_intervals_hide() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(200)
    b = a - 0.02 + rng.normal(0, 0.02, 200)
    value, low, high = bootstrap_difference(a, b, CONFIG)
    assert value == pytest.approx((a - b).mean())
    assert 0 < low < value < high
    assert bootstrap_mean(a, CONFIG)[1] < bootstrap_mean(b, CONFIG)[2]  # unpaired, the intervals overlap
    with pytest.raises(ValueError, match="not paired"):
        bootstrap_difference(a, b[:-1], CONFIG)


def test_groups_of_different_images_are_resampled_apart() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 0.2, 300), rng.normal(0, 0.3, 300)
    value, low, high = bootstrap_unpaired(a, b, CONFIG)
    half = 1.96 * np.sqrt(a.var() / 300 + b.var() / 300)  # variances add: no correlation of the two groups' draws
    assert value == pytest.approx(a.mean() - b.mean())
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.05 * half)


def test_ratio_is_taken_of_summed_counts() -> None:
    counts = np.random.default_rng(0).integers(1, 50, (40, 4)).astype(float)
    dice = pooled_measure("dice")
    value, low, high = bootstrap_ratio(counts, dice, FEW)
    tp, fp, fn, _ = counts.sum(0)
    assert value == pytest.approx(2 * tp / (2 * tp + fp + fn))
    drawn = np.random.default_rng(FEW.seed).integers(0, 40, (FEW.resamples, 40))
    loop = []
    for row in drawn:
        tp, fp, fn, _ = counts[row].sum(0)
        loop.append(2 * tp / (2 * tp + fp + fn))
    assert (low, high) == pytest.approx(tuple(np.quantile(loop, [0.05, 0.95])))


def test_same_images_same_resamples() -> None:
    """Counts of two runs side by side give the paired interval of a pooled measure: zero for equal runs."""
    counts = np.random.default_rng(0).integers(1, 50, (40, 4)).astype(float)
    dice = pooled_measure("dice")
    found = bootstrap_ratio(np.hstack([counts, counts]), lambda t: dice(t[..., :4]) - dice(t[..., 4:]), FEW)
    assert found == (0, 0, 0)


@pytest.mark.parametrize("n", [9, 10])
def test_median_of_resamples_is_that_of_a_loop(n: int) -> None:
    values = np.random.default_rng(0).random(n).round(1)  # with ties
    drawn = np.random.default_rng(FEW.seed).integers(0, n, (FEW.resamples, n))
    loop = [np.median(values[row]) for row in drawn]
    assert bootstrap_median(values, FEW) == pytest.approx((np.median(values), *np.quantile(loop, [0.05, 0.95])))
    with pytest.raises(ValueError, match="1 of 2 images are nan"):
        bootstrap_median(np.array([0.1, np.nan]), FEW)


def test_no_resamples_no_bounds() -> None:
    none = FEW.model_copy(update={"resamples": 0})
    values = np.array([1.0, 2.0, 6.0])
    assert bootstrap_mean(values, none) == (3, None, None)
    assert bootstrap_median(values, none) == (2, None, None)
    assert bootstrap_ratio(np.column_stack([values, values]), lambda t: t[..., 0] / t[..., 1], none) == (1, None, None)
    score, positive = np.array([1.0, 2.0, 3.0]), np.array([False, True, True])
    assert auc_interval(score, positive, none) == (1, None, None)
    with pytest.raises(ValueError, match="undefined in the sample"):
        auc_interval(score, np.ones(3, bool), none)


def test_nan_and_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 3 images are nan"):
        bootstrap_mean(np.array([0.1, np.nan, 0.3]), FEW)
    with pytest.raises(ValueError, match="no images"):
        bootstrap_mean(np.array([]), FEW)
    dice = pooled_measure("dice")
    with pytest.raises(ValueError, match="undefined"):
        bootstrap_ratio(np.array([[0.0, 0, 0, 9]] * 5), dice, FEW)
    with pytest.raises(ValueError, match="undefined"):  # three in four images are blank: 0.75 ** 4 of the resamples
        bootstrap_ratio(np.array([[5.0, 1, 1, 2]] + [[0, 0, 0, 9.0]] * 3), dice, FEW)
    rare = np.array([[5.0, 1, 1, 2]] * 4 + [[0, 0, 0, 9.0]] * 2)  # 0.14 %: left out
    assert np.isfinite(bootstrap_ratio(rare, dice, CONFIG)).all()


def test_one_image_has_no_width() -> None:
    assert bootstrap_mean(np.array([0.4]), FEW) == pytest.approx((0.4, 0.4, 0.4))


def test_fast_enough_for_every_cell_of_a_table() -> None:
    values = np.random.default_rng(0).random(583)
    start = time.process_time()
    bootstrap_mean(values, CONFIG)
    assert time.process_time() - start < 3  # about 0.2 s; the margin is for a busy machine


def test_strata_are_resampled_apart() -> None:
    """Against a plain loop over the same idea; all variance lies between the strata, so that it is left out."""
    config = Bootstrap(resamples=4000, confidence=0.95, seed=3)
    strata = np.array([True] * 30 + [False] * 10)
    assert bootstrap_strata(strata.astype(float), strata, config) == (0.75, 0.75, 0.75)
    rng = np.random.default_rng(0)
    values = rng.random(40) + strata
    drawn = [
        np.mean(np.concatenate([rng.choice(values[strata], 30), rng.choice(values[~strata], 10)])) for _ in range(4000)
    ]
    value, low, high = bootstrap_strata(values, strata, config)
    assert value == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.01)
    assert bootstrap_strata(values, strata, config.model_copy(update={"resamples": 0})) == (values.mean(), None, None)
