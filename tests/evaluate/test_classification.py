"""Measures of the class head against scikit-learn, torchmetrics and counts by hand; their bootstrap against loops."""

import math
import time

import numpy as np
import pandas as pd
import pytest
import torch
import torchmetrics.functional.classification as tm
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate import classification
from covidqu.evaluate.classification import (
    MEASURES,
    auc_interval,
    confusion,
    difference,
    from_confusion,
    interval,
    measure,
    of_scores,
    probabilities,
    resampled,
)

FEW = Bootstrap(resamples=300, confidence=0.9, seed=3)


def problem(k: int, n: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and targets of a classifier that is right more often than not."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, max(k, 2), n)
    logits = rng.normal(0, 1, (n, k))
    if k == 1:
        logits[:, 0] += 2 * target - 1
    else:
        logits[np.arange(n), target] += 1
    return probabilities(logits), target


def test_probabilities_against_torch() -> None:
    logits = np.random.default_rng(0).normal(0, 4, (20, 3))
    np.testing.assert_allclose(probabilities(logits), torch.from_numpy(logits).softmax(1), rtol=1e-12)
    one = torch.from_numpy(logits[:, :1]).sigmoid()
    np.testing.assert_allclose(probabilities(logits[:, :1]), torch.cat([1 - one, one], 1), rtol=1e-9)
    extreme = probabilities(np.array([[-800, 800], [900, 900]], np.float32))
    assert extreme.tolist() == [[0, 1], [0.5, 0.5]]
    assert probabilities(np.array([[-2000.0], [2000]])).tolist() == [[1, 0], [0, 1]]
    assert probabilities(logits.astype(np.float32)).dtype == np.float64
    with pytest.raises(ValueError, match="want"):
        probabilities(logits[:, 0])


def test_confusion_by_hand_and_against_scikit_learn() -> None:
    target, decided = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 2, 1, 2, 2, 0])
    assert confusion(target, decided, 3).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 2]]
    assert confusion(target, decided, 4).sum() == 6
    assert confusion(target[:0], decided[:0], 2).tolist() == [[0, 0], [0, 0]]
    p, t = problem(3)
    np.testing.assert_array_equal(confusion(t, p.argmax(1), 3), metrics.confusion_matrix(t, p.argmax(1)))


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("positive", [0, 1])
def test_two_classes_against_torchmetrics(k: int, positive: int) -> None:
    p, target = problem(k)
    score, truth = torch.from_numpy(p[:, positive]), torch.from_numpy((target == positive).astype(int))
    wanted = {
        "accuracy": tm.binary_accuracy(score, truth),
        "balanced_accuracy": tm.multiclass_accuracy(torch.from_numpy(p), torch.from_numpy(target), 2, average="macro"),
        "sensitivity": tm.binary_recall(score, truth),
        "specificity": tm.binary_specificity(score, truth),
        "auc": tm.binary_auroc(score, truth),
        "precision": tm.binary_precision(score, truth),
        "f1": tm.binary_f1_score(score, truth),
        "mcc": tm.binary_matthews_corrcoef(score, truth),
    }
    assert set(wanted) == set(MEASURES)
    found = {name: measure(name, p, target, positive=positive) for name in MEASURES}
    assert found == pytest.approx({name: value.item() for name, value in wanted.items()}, abs=1e-6)
    assert len({round(value, 6) for value in found.values()}) > 5  # no measure stands in for another


@pytest.mark.parametrize("positive", [0, 1, 2])
def test_three_classes_against_scikit_learn(positive: int) -> None:
    p, target = problem(3)
    decided = p.argmax(axis=1)
    truth, found = target == positive, decided == positive
    tn, fp, fn, tp = metrics.confusion_matrix(truth, found).ravel()
    wanted = {
        "accuracy": metrics.accuracy_score(target, decided),
        "balanced_accuracy": metrics.balanced_accuracy_score(target, decided),
        "sensitivity": tp / (tp + fn),
        "specificity": tn / (tn + fp),
        "auc": metrics.roc_auc_score(truth, p[:, positive]),
        "precision": tp / (tp + fp),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "mcc": metrics.matthews_corrcoef(truth, found),
    }
    assert {name: measure(name, p, target, positive=positive) for name in MEASURES} == pytest.approx(wanted)


def test_counts_by_hand() -> None:
    """tp 3, fn 1, fp 2, tn 4."""
    target = np.array([1] * 4 + [0] * 6)
    p1 = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.55, 0.5, 0.4, 0.1, 0.1])  # exactly 0.5 is not positive
    p = np.stack([1 - p1, p1], axis=1)
    found = {name: measure(name, p, target) for name in MEASURES}
    wanted = {"accuracy": 0.7, "sensitivity": 0.75, "specificity": 4 / 6, "precision": 0.6, "f1": 6 / 9}
    wanted |= {"balanced_accuracy": (0.75 + 4 / 6) / 2, "mcc": (12 - 2) / math.sqrt(5 * 4 * 6 * 5)}
    wanted |= {"auc": (6 + 6 + 6 + 2) / 24}
    assert found == pytest.approx(wanted)


def test_undefined_is_nan_not_zero() -> None:
    sure = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])  # never positive
    mixed, negative, positive = np.array([0, 1, 1]), np.zeros(3, int), np.ones(3, int)

    def undefined(target: np.ndarray) -> set[str]:
        return {name for name in MEASURES if math.isnan(measure(name, sure, target))}

    assert undefined(mixed) == {"precision", "mcc"}
    assert measure("f1", sure, mixed) == 0
    assert undefined(negative) == {"sensitivity", "auc", "precision", "f1", "mcc"}
    assert undefined(positive) == {"specificity", "auc", "precision", "mcc"}


def test_nothing_to_measure_is_nan() -> None:
    nothing = np.zeros((0, 2)), np.zeros(0, int)
    assert all(math.isnan(measure(name, *nothing)) for name in MEASURES)


def test_a_class_that_is_absent_does_not_count_in_balanced_accuracy() -> None:
    p = np.eye(3)[[0, 1, 2, 2]]
    assert measure("balanced_accuracy", p, np.array([0, 0, 2, 2])) == pytest.approx(0.75)


def test_auc_sees_order_where_probabilities_round_to_one() -> None:
    logits = np.array([[0, 50], [0, 60], [0, 45], [0, 40.0]])
    target = np.array([1, 1, 0, 0])
    p = probabilities(logits)
    assert p[:, 1].tolist() == [1, 1, 1, 1]
    assert metrics.roc_auc_score(target, p[:, 1]) == 0.5
    assert measure("auc", p, target) == 1
    assert measure("auc", p, target, positive=0) == 1
    hard = np.eye(2)[[1, 0, 1, 0]]  # infinite odds are ranked, too
    assert measure("auc", hard, target) == 0.5


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("name", MEASURES)
def test_resamples_against_a_loop_of_library_calls(k: int, name: str) -> None:
    p, target = problem(k, n=25)
    drawn = np.random.default_rng(FEW.seed).integers(0, 25, (FEW.resamples, 25))
    loop = [measure(name, p[rows], target[rows], positive=0) for rows in drawn]
    found = resampled(name, p, target, FEW, positive=0)
    np.testing.assert_allclose(found, loop, rtol=1e-12, atol=1e-12)
    value, low, high = interval(name, p, target, FEW, positive=0)
    assert value == measure(name, p, target, positive=0)
    assert (low, high) == pytest.approx(tuple(np.nanquantile(loop, [0.05, 0.95])))
    assert low < value < high


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=30))
def test_rank_sums_with_ties_against_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    score, positive = np.array([a for a, _ in pairs], float), np.array([b for _, b in pairs])
    few = Bootstrap(resamples=100, confidence=0.9, seed=1)
    drawn = np.random.default_rng(1).integers(0, len(pairs), (100, len(pairs)))
    found = classification._resampled_auc(score, positive, few)
    for rows, value in list(zip(drawn, found, strict=True))[:25]:
        if positive[rows].all() or not positive[rows].any():
            assert math.isnan(value)
        else:
            assert value == pytest.approx(metrics.roc_auc_score(positive[rows], score[rows]), abs=1e-12)


def test_auc_interval_against_hanley_and_mcneil() -> None:
    """Normal scores 1 SD apart: the standard error of 10.1148/radiology.143.1.7063747 from the AUC alone."""
    rng = np.random.default_rng(0)
    positive = np.arange(1166) < 583
    value, low, high = auc_interval(rng.normal(0, 1, 1166) + positive, positive, FEW.model_copy(update={"seed": 0}))
    assert value == pytest.approx(0.76, abs=0.03)
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    error = math.sqrt((value * (1 - value) + 582 * (q1 - value**2 + q2 - value**2)) / 583**2)
    assert (high - low) / 2 == pytest.approx(1.645 * error, rel=0.15)


def test_blocks_of_resamples_go_on_with_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    p, target = problem(2, n=60)
    whole = resampled("auc", p, target, FEW)
    assert len(whole) == FEW.resamples
    monkeypatch.setattr(classification, "BLOCK", 60 * 7)  # seven resamples at a time
    np.testing.assert_array_equal(resampled("auc", p, target, FEW), whole)


def test_paired_difference() -> None:
    p, target = problem(2, n=200)
    rng = np.random.default_rng(1)
    worse = probabilities(np.log(p) + rng.normal(0, 0.5, p.shape))
    for name in MEASURES:
        assert difference(name, p, p, target, FEW) == (0, 0, 0)
        value, low, high = difference(name, p, worse, target, FEW)
        assert value == pytest.approx(measure(name, p, target) - measure(name, worse, target))
        assert low < value < high
        alone = [interval(name, q, target, FEW) for q in (p, worse)]
        assert high - low < sum(up - down for _, down, up in alone)  # what unpaired bounds would allow
    a, b = resampled("auc", p, target, FEW), resampled("auc", worse, target, FEW)
    assert difference("auc", p, worse, target, FEW)[1:] == pytest.approx(tuple(np.quantile(a - b, [0.05, 0.95])))
    with pytest.raises(ValueError, match="not paired"):
        difference("auc", p, worse[1:], target, FEW)


def test_faults() -> None:
    p, target = problem(2)
    with pytest.raises(ValueError, match="no measure 'kappa'"):
        measure("kappa", p, target)
    with pytest.raises(ValueError, match="drop -1"):
        measure("auc", p, np.where(target == 0, -1, 1))
    with pytest.raises(ValueError, match="drop -1"):
        measure("auc", p, target[1:])
    with pytest.raises(ValueError, match="class 2 is none"):
        measure("auc", p, target, positive=2)
    rare = np.arange(80) == 0
    with pytest.raises(ValueError, match=r"sensitivity is undefined in the sample or in 3\d\.\d% of the resamples"):
        interval("sensitivity", p, rare.astype(int), Bootstrap(resamples=3000, confidence=0.9, seed=0))
    with pytest.raises(ValueError, match="auc is undefined in the sample"):
        interval("auc", p, np.ones(80, int), FEW)
    with pytest.raises(ValueError, match="no images"):
        auc_interval(np.array([]), np.array([], bool), FEW)


def test_from_confusion_of_many_tables() -> None:
    tables = np.random.default_rng(0).integers(1, 30, (4, 5, 3, 3))
    found = from_confusion("balanced_accuracy", tables)
    assert found.shape == (4, 5)
    assert found[1, 2] == pytest.approx(np.mean([tables[1, 2, c, c] / tables[1, 2, c].sum() for c in range(3)]))
    with pytest.raises(AssertionError, match="mcc of a"):
        from_confusion("mcc", tables)


def test_images_of_other_classes_are_left_out() -> None:
    scores = pd.DataFrame({"class_logit_0": [3.0, 0, 1], "class_logit_1": [0, 2.0, 9], "class_target": [0, 1, -1]})
    p, target = of_scores(scores)
    np.testing.assert_allclose(p, torch.tensor([[3.0, 0], [0, 2]]).softmax(1), rtol=1e-6)
    assert target.tolist() == [0, 1]
    assert of_scores(scores[:0])[0].shape == (0, 2)
    with pytest.raises(ValueError, match="no class_target"):
        of_scores(scores[["class_logit_0"]])


@pytest.mark.parametrize("name", ["auc", "accuracy", "mcc"])
def test_fast_enough_for_every_cell_of_a_table(name: str) -> None:
    p, target = problem(3, n=1166)
    start = time.process_time()
    interval(name, p, target, Bootstrap(resamples=10_000, confidence=0.95, seed=0))
    assert time.process_time() - start < 6  # about 1 s; the margin is for a busy machine
