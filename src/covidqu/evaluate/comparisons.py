"""Paired tests of two runs on the same images: values, decisions or scores per image in, p values out.

All tests are two-sided, and the image is the unit. They say how much the choice of test images matters, nothing of what
another training would give. Intervals of differences are in `statistics` and `classification`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_test
from statsmodels.stats.multitest import multipletests

ROUNDING = 1e-12  # sums of the same numbers in another order differ by less than this share of them
FLIPS = 10_000  # sign flips: the least p that they can give is a ten-thousandth
FEW_DISCORDANT = 25  # below it McNemar's test is the exact binomial one


class McNemar(NamedTuple):
    """`only_a`, `only_b`: images on which only that run is right; `p` is exact or with continuity correction."""

    only_a: int
    only_b: int
    exact: bool
    p: float


@dataclass(frozen=True)
class DeLong:
    """Two areas under ROC curves over the same images, the standard error of `a - b`, and p of the normal test."""

    a: float
    b: float
    error: float
    p: float

    def interval(self, confidence: float) -> tuple[float, float, float]:
        """(a - b, low, high), normal approximation."""
        half = float(stats.norm.ppf((1 + confidence) / 2)) * self.error
        return self.a - self.b, self.a - self.b - half, self.a - self.b + half


def wilcoxon(a: np.ndarray, b: np.ndarray) -> float:
    """p of the signed-rank test of (n,) a against b; pairs without a difference keep their ranks (Pratt 1959).

    1 when no pair differs. ValueError for other shapes, no images or nan.
    """
    _paired(a, b)
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if np.isnan(difference).any():
        raise ValueError(f"{int(np.isnan(difference).sum())} of {len(difference)} pairs are nan; drop them first")
    return float(stats.wilcoxon(difference, zero_method="pratt").pvalue) if difference.any() else 1.0


def sign_flip(a: np.ndarray, b: np.ndarray, seed: int, flips: int = FLIPS) -> float:
    """p of the mean difference of (n,) a and b: the share of `flips` random changes of its images' signs that reach it.

    Where both runs are alike, a difference has either sign with equal chance (Fisher 1935). The sample itself counts as
    one of the flips, so p is never 0. ValueError for other shapes or no images.
    """
    _paired(a, b)
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    turned = np.random.default_rng(seed).integers(0, 2, (flips, len(difference)), np.uint8)
    sums = difference.sum() - 2 * (turned @ difference)
    reached = np.abs(sums) >= np.abs(difference.sum()) - ROUNDING * np.abs(difference).sum()
    return float((1 + reached.sum()) / (1 + flips))


def mcnemar(a: np.ndarray, b: np.ndarray, exact_below: float = FEW_DISCORDANT) -> McNemar:
    """Test of (n,) bool a against b on the images where exactly one is true (McNemar 1947; Edwards' correction).

    Exact (binomial) where there are fewer than `exact_below` of them. ValueError for other shapes or no images.
    """
    _paired(a, b)
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    exact = only_a + only_b < exact_below
    table = [[int((a & b).sum()), only_a], [only_b, int((~a & ~b).sum())]]
    p = mcnemar_test(table, exact=exact, correction=True).pvalue
    return McNemar(only_a, only_b, exact, min(1.0, float(p)))


def delong(a: np.ndarray, b: np.ndarray, positive: np.ndarray) -> DeLong:
    """Areas under the ROC curves of (n,) scores a and b, larger for (n,) bool `positive`, and their paired test.

    DeLong, DeLong and Clarke-Pearson 1988, from midranks (Sun and Xu 2014). p is 1 where the areas are equal and so is
    every image's share in them. ValueError for other shapes, or fewer than two images of either class.
    """
    _paired(a, b)
    areas, covariance = auc_covariance(np.stack([a, b]), positive)
    variance = max(0.0, float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))
    difference, error = float(areas[0] - areas[1]), variance**0.5
    p = 2 * float(stats.norm.sf(abs(difference) / error)) if error > 0 else float(difference == 0)
    return DeLong(float(areas[0]), float(areas[1]), error, p)


def auc_covariance(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(r, n) scores of r classifiers -> (r,) areas and their (r, r) covariance; see `delong`."""
    positive = np.asarray(positive, bool)
    m, n = int(positive.sum()), int((~positive).sum())
    if positive.shape != scores.shape[1:] or min(m, n) < 2:
        raise ValueError(f"{m} positive and {n} negative of {scores.shape[1]} images: wanted two of each class")
    ranks = stats.rankdata(scores, axis=1)
    above = (ranks[:, positive] - stats.rankdata(scores[:, positive], axis=1)) / n  # share of negatives below it
    below = 1 - (ranks[:, ~positive] - stats.rankdata(scores[:, ~positive], axis=1)) / m  # of positives above it
    return above.mean(axis=1), np.atleast_2d(np.cov(above)) / m + np.atleast_2d(np.cov(below)) / n


def holm(p: list[float]) -> list[float]:
    """p values of one family, adjusted for all its tests (Holm 1979), in the same order."""
    return [float(v) for v in multipletests(p, method="holm")[1]] if p else []


def _paired(a: np.ndarray, b: np.ndarray) -> None:
    if np.shape(a) != np.shape(b) or not len(a):
        raise ValueError(f"{len(a)} and {len(b)} images are not paired; keep the rows that both runs have")
