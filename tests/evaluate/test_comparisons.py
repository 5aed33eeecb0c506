"""Paired tests against hand-computed values, other libraries and the bootstrap; the table of all pairs of systems."""

from math import comb, inf

import numpy as np
import pytest
from confidenceinterval.delong import delong_roc_variance
from scipy import stats
from sklearn.metrics import roc_auc_score

from covidqu.evaluate.comparisons import FLIPS, auc_covariance, delong, holm, mcnemar, sign_flip, wilcoxon


def scores(seed: int, n: int = 400, decimals: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two correlated scores and what they look for."""
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    shared = positive + rng.normal(size=n)
    return (shared + rng.normal(size=n)).round(decimals), (shared + 2 * rng.normal(size=n)).round(decimals), positive


@pytest.mark.parametrize("decimals", [0, 9])  # with and without ties
def test_delong_variance_is_that_of_confidenceinterval(decimals: int) -> None:
    a, _, positive = scores(0, decimals=decimals)
    area, variance = delong_roc_variance(positive.astype(int), a)
    areas, covariance = auc_covariance(np.stack([a, a]), positive)
    assert areas[0] == pytest.approx(roc_auc_score(positive, a), abs=1e-12)
    assert (areas[0], covariance[0, 0]) == (pytest.approx(float(area)), pytest.approx(float(variance), rel=1e-4))
    assert covariance[0, 1] == pytest.approx(covariance[0, 0])


def test_delong_covariance_by_hand() -> None:
    """Structural components counted pair by pair, two of each class."""
    a, b = np.array([3.0, 1.0, 2.0, 0.0]), np.array([1.0, 1.0, 1.0, 0.0])
    positive = np.array([True, True, False, False])
    # a: positives 3, 1 beat (2, 0) in shares 1, 1/2; b: 1, 1 against (1, 0): 3/4, 3/4
    areas, covariance = auc_covariance(np.stack([a, b]), positive)
    assert areas == pytest.approx([0.75, 0.75])
    # a: variance of (1, 1/2) is 1/8, of negatives (1/2, 1) is 1/8; b: 0 and of (1/2, 1) 1/8
    assert covariance == pytest.approx(np.array([[1 / 8 + 1 / 8, 1 / 8], [1 / 8, 1 / 8]]) / 2)
    found = delong(a, b, positive)
    assert (found.error, found.p) == (pytest.approx((1 / 16) ** 0.5), 1.0)


def test_delong_agrees_with_a_paired_bootstrap() -> None:
    a, b, positive = scores(1)
    found, rng, n = delong(a, b, positive), np.random.default_rng(0), len(a)
    drawn = [rng.integers(0, n, n) for _ in range(600)]
    differences = [roc_auc_score(positive[i], a[i]) - roc_auc_score(positive[i], b[i]) for i in drawn]
    assert found.error == pytest.approx(np.std(differences), rel=0.1)
    value, low, high = found.interval(0.95)
    assert value == pytest.approx(roc_auc_score(positive, a) - roc_auc_score(positive, b))
    assert (low, high) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])), abs=0.15 * (high - low))
    assert found.p == pytest.approx(2 * stats.norm.sf(value / found.error))
    assert delong(a, a, positive).p == 1.0


def test_sign_flips_by_hand_and_against_scipy() -> None:
    """Of (1, 2, 3) two of eight choices of signs reach the sum 6."""
    assert sign_flip(np.array([1.0, 2, 3]), np.zeros(3), seed=0) == pytest.approx(0.25, abs=0.015)
    a = np.random.default_rng(0).normal(0.02, 0.1, 200)
    wanted = stats.permutation_test(
        (a,), np.mean, permutation_type="samples", vectorized=True, n_resamples=20_000, rng=np.random.default_rng(1)
    )
    assert sign_flip(a, np.zeros(200), seed=0) == pytest.approx(wanted.pvalue, abs=0.01)
    assert sign_flip(np.ones(60), np.zeros(60), seed=0) == pytest.approx(1 / (FLIPS + 1))
    assert sign_flip(a, a, seed=0) == 1.0
    tied = np.array([0.1, 0.2, 0.3])  # 0.1 + 0.2 + 0.3 in another order is another number
    assert sign_flip(tied, np.zeros(3), seed=0) == sign_flip(10 * tied, np.zeros(3), seed=0)
    with pytest.raises(ValueError, match="3 and 2 images are not paired"):
        sign_flip(np.zeros(3), np.zeros(2), seed=0)


def test_mcnemar_is_exact_for_few_and_corrected_for_many() -> None:
    a = np.array([True] * 8 + [False] * 2 + [True] * 30)
    b = np.array([False] * 8 + [True] * 2 + [True] * 30)
    few = mcnemar(a, b)
    assert (few.only_a, few.only_b, few.exact) == (8, 2, True)
    assert few.p == pytest.approx(2 * sum(comb(10, k) for k in range(3)) / 2**10)
    many = mcnemar(np.tile(a, 4), np.tile(b, 4))
    assert (many.only_a, many.only_b, many.exact) == (32, 8, False)
    assert many.p == pytest.approx(stats.chi2.sf((32 - 8 - 1) ** 2 / 40, 1))
    assert mcnemar(a, a).p == 1.0


@pytest.mark.parametrize(("b", "c", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 6, 2 / 64), (8, 1, 20 / 512), (40, 20, None)])
def test_mcnemar_is_exact_for_as_many_as_is_asked(b: int, c: int, p: float | None) -> None:
    one = np.array([True] * b + [False] * c + [True, False])
    other = np.array([False] * b + [True] * c + [True, False])
    exact = stats.binomtest(b, b + c).pvalue if p is None else p
    assert mcnemar(one, other, exact_below=inf) == (b, c, True, pytest.approx(exact))


def test_wilcoxon_sees_a_shift_and_keeps_ties() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(60)
    assert wilcoxon(a, a) == 1.0
    assert wilcoxon(a, a - 0.01 + rng.normal(0, 0.02, 60)) < 0.01
    few = np.array([1.0, 2.0, 3.0, 4.0, 5.0])  # all five signs the same: 2 / 2 ** 5
    assert wilcoxon(few, np.zeros(5)) == pytest.approx(2 / 2**5)
    tied = np.concatenate([few, np.zeros(40)])  # zeros take the low ranks, so the five hold the largest
    ranks = np.arange(41, 46)
    z = ranks.sum() / 2 / np.sqrt((ranks.astype(float) ** 2).sum() / 4)
    assert wilcoxon(tied, np.zeros(45)) == pytest.approx(2 * stats.norm.sf(z), rel=1e-6)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_unpaired_images_are_refused() -> None:
    with pytest.raises(ValueError, match="not paired"):
        wilcoxon(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="1 of 2 pairs are nan"):
        wilcoxon(np.array([np.nan, 1.0]), np.zeros(2))
    with pytest.raises(ValueError, match="1 positive and 2 negative"):
        delong(np.zeros(3), np.ones(3), np.array([True, False, False]))
