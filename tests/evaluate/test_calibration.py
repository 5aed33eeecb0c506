"""Calibration of class heads against torchmetrics, scikit-learn and hand-computed bins."""

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate.calibration import BINS, MEASURES, by_chance, interval, measure, reliability

CONFIG = Bootstrap(resamples=200, confidence=0.95, seed=0)


def head(k: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(k)
    target = rng.integers(0, k, n)
    logits = rng.normal(0, 1, (n, k)) + 1.5 * np.eye(k)[target]
    found = np.exp(2 * logits)
    return found / found.sum(axis=1, keepdims=True), target


@pytest.mark.parametrize("k", [2, 3])
def test_measures_against_libraries(k: int) -> None:
    found, target = head(k)
    library = multiclass_calibration_error(torch.tensor(found), torch.tensor(target), k, n_bins=BINS, norm="l1")
    assert measure("ece", found, target) == pytest.approx(float(library), abs=1e-6)
    assert measure("log_loss", found, target) == pytest.approx(log_loss(target, found))
    brier = brier_score_loss(target, found[:, 1] if k == 2 else found)
    assert measure("brier", found, target) == pytest.approx(float(brier))


def test_errors_by_hand() -> None:
    """Two bins of two images: |1/2 - 0.65| and |1 - 0.9|; of equal size in another order of the same."""
    p = np.array([0.64, 0.66, 0.89, 0.91])
    found, target = np.column_stack([1 - p, p]), np.array([0, 1, 1, 1])
    assert measure("ece", found, target) == pytest.approx((2 * 0.15 + 2 * 0.1) / 4)
    bins = reliability(found, target)
    assert bins.images.tolist() == [2, 2]
    assert (bins.confidence, bins.right) == (pytest.approx([0.65, 0.9]), pytest.approx([0.5, 1.0]))
    alone = np.abs(np.array([0, 1, 1, 1]) - p)  # fewer images than bins: one in each
    assert measure("adaptive_ece", found, target) == pytest.approx(alone.mean())


def test_adaptive_bins_hold_the_same_number_of_images() -> None:
    found, target = head(3, 15 * 20)
    order = np.argsort(found.max(axis=1))
    right = found.argmax(axis=1) == target
    gaps = [abs(right[i].mean() - found.max(axis=1)[i].mean()) for i in order.reshape(BINS, 20)]
    assert measure("adaptive_ece", found, target) == pytest.approx(np.mean(gaps))


@pytest.mark.parametrize("name", MEASURES)
def test_intervals_hold_what_they_should(name: str) -> None:
    found, target = head(3)
    value, low, high = interval(name, found, target, CONFIG)
    assert value == measure(name, found, target)
    assert 0 <= low < high < 2
    rows = np.random.default_rng(CONFIG.seed).integers(0, len(target), (CONFIG.resamples, len(target)))
    if name != "adaptive_ece":  # its bins are those of the sample
        loop = np.quantile([measure(name, found[i], target[i]) for i in rows], [0.025, 0.975])
        wanted = np.maximum(0, 2 * value - loop[::-1]) if name == "ece" else loop
        assert (low, high) == pytest.approx(tuple(wanted))


@pytest.mark.parametrize("name", ["ece", "adaptive_ece"])
def test_chance_alone_makes_an_error(name: str) -> None:
    """Truths drawn from the probabilities themselves: the error is chance, and its interval goes far below it."""
    found, _ = head(2, 300)
    rng = np.random.default_rng(0)
    truths = (rng.random((400, 300)) < found[:, 1]).astype(int)
    errors = [measure(name, found, target) for target in truths]
    mean, low, high = by_chance(name, found, truths[0], CONFIG.model_copy(update={"resamples": 4000}))
    assert mean == pytest.approx(np.mean(errors), rel=0.03)
    assert (low, high) == pytest.approx(tuple(np.quantile(errors, [0.025, 0.975])), rel=0.1)
    bounds = np.array([interval(name, found, target, CONFIG)[1:] for target in truths[:40]])
    assert bounds[:, 0].mean() < 0.25 * mean  # a percentile interval would begin at about the value
    assert (bounds[:, 0] == 0).mean() > 0.4


def test_extremes_are_finite_and_nothing_is_refused() -> None:
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert measure("ece", certain, np.array([0, 1])) == 0
    assert np.isfinite(measure("log_loss", certain, np.array([1, 0])))
    assert measure("brier", certain, np.array([1, 0])) == 1
    with pytest.raises(ValueError, match="no measure"):
        measure("x", certain, np.array([0, 1]))
    with pytest.raises(ValueError, match="0 with a class"):
        measure("ece", certain, np.array([], int))
