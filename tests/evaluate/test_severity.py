"""Agreement of areas against numpy, scipy and torchmetrics."""

import numpy as np
import pytest
import torch
from scipy import stats
from torchmetrics.functional.regression import concordance_corrcoef

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate.severity import MEASURES, agreement, interval

CONFIG = Bootstrap(resamples=2000, confidence=0.95, seed=0)


def shares(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    annotated = rng.gamma(2, 15, n)
    return 0.8 * annotated + 6 + rng.normal(0, 7, n), annotated


def test_measures_against_libraries() -> None:
    predicted, annotated = shares()
    found, d = agreement(predicted, annotated), predicted - annotated
    assert found["bias"] == pytest.approx(d.mean())
    assert found["SD of differences"] == pytest.approx(d.std(ddof=1))
    assert found["lower limit of agreement"] == pytest.approx(d.mean() - 1.959964 * d.std(ddof=1), rel=1e-6)
    assert found["upper limit of agreement"] == pytest.approx(d.mean() + 1.959964 * d.std(ddof=1), rel=1e-6)
    assert found["mean absolute error"] == pytest.approx(np.abs(d).mean())
    assert found["Pearson correlation"] == pytest.approx(stats.pearsonr(predicted, annotated).statistic)
    x, y = predicted - predicted.mean(), annotated - annotated.mean()
    lin = 2 * (x * y).mean() / ((x**2).mean() + (y**2).mean() + d.mean() ** 2)  # Lin 1989, equation 4
    assert found["Lin's concordance"] == pytest.approx(lin)
    library = float(concordance_corrcoef(torch.tensor(predicted), torch.tensor(annotated)))
    assert found["Lin's concordance"] == pytest.approx(library, abs=3 / len(x))  # divides variances by n - 1


def test_limits_by_hand() -> None:
    found = agreement(np.array([1.0, 2.0, 6.0]), np.array([0.0, 3.0, 3.0]))  # differences 1, -1, 3
    assert (found["bias"], found["SD of differences"]) == (pytest.approx(1), pytest.approx(2))
    assert found["mean absolute error"] == pytest.approx(5 / 3)
    assert found["upper limit of agreement"] == pytest.approx(1 + 2 * 1.959964, rel=1e-6)


@pytest.mark.parametrize("name", MEASURES)
def test_intervals_are_those_of_a_loop(name: str) -> None:
    predicted, annotated = shares(40)
    few = CONFIG.model_copy(update={"resamples": 100})
    value, low, high = interval(name, predicted, annotated, few)
    rows = np.random.default_rng(few.seed).integers(0, 40, (100, 40))
    loop = [agreement(predicted[i], annotated[i])[name] for i in rows]
    assert value == pytest.approx(agreement(predicted, annotated)[name])
    assert (low, high) == pytest.approx(tuple(np.quantile(loop, [0.025, 0.975])))


def test_interval_of_a_limit_is_that_of_bland_and_altman() -> None:
    """Their standard error of a limit is about sqrt(3 / n) SD for normal differences."""
    annotated = np.linspace(0, 50, 500)
    predicted = annotated + np.random.default_rng(1).normal(0, 5, 500)
    _, low, high = interval("upper limit of agreement", predicted, annotated, CONFIG)
    assert (high - low) / 2 == pytest.approx(1.96 * 5 * np.sqrt(3 / 500), rel=0.15)


def test_what_is_undefined_is_refused() -> None:
    with pytest.raises(ValueError, match="not paired"):
        agreement(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="undefined"):
        interval("Pearson correlation", np.arange(5.0), np.ones(5), CONFIG)
    with pytest.raises(ValueError, match="no measure 'x'; use bias"):
        interval("x", np.zeros(2), np.zeros(2), CONFIG)
    assert np.isnan(agreement(np.ones(1), np.ones(1))["SD of differences"])
