"""Classification of whole images: class logits and targets in, measures with bootstrap intervals out.

scikit-learn does the arithmetic of the measures; their bootstrap over images counts with arrays, because 10,000 calls
of a library take minutes. Resamples are those of `statistics` for the same seed and n. A class is decided by the
largest probability; of two classes that is a probability > 0.5.
"""

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from sklearn import metrics

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate.statistics import BLOCK, UNDEFINED_SHARE, Interval, multiplicities, resampled_sums

MULTI_CLASS = ("accuracy", "balanced_accuracy")  # of all classes at once; the others are of one class against the rest
MEASURES = (*MULTI_CLASS, "sensitivity", "specificity", "auc", "precision", "f1", "mcc")
FARTHEST = 1000.0  # beyond the log-odds of any probability that float64 can hold


def probabilities(logits: np.ndarray) -> np.ndarray:
    """(n, K) logits -> (n, max(K, 2)) float64: softmax over K classes; sigmoid of a single logit, that of class 1."""
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2 or not logits.shape[1]:
        raise ValueError(f"class logits {logits.shape}: want (n, K) with K > 0")
    if logits.shape[1] == 1:
        return np.hstack([expit(-logits), expit(logits)])
    return softmax(logits, axis=1)


def of_scores(scores: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, K) and targets (n,) of the images whose label is a class of the head, in the order of `scores`.

    ValueError for a run without a class head.
    """
    if "class_target" not in scores:
        raise ValueError("scores hold no class_target; score a run that was trained for `class`")
    known = scores[scores["class_target"] >= 0]
    logits = known.filter(regex=r"^class_logit_\d+$").to_numpy()
    return probabilities(logits), known["class_target"].to_numpy()


def confusion(target: np.ndarray, predicted: np.ndarray, k: int) -> np.ndarray:
    """(n,) classes 0..k-1 twice -> (k, k) int: row = target, column = predicted; zeros for n = 0."""
    if not len(target):
        return np.zeros((k, k), int)
    return metrics.confusion_matrix(target, predicted, labels=range(k))


def measure(name: str, probabilities: np.ndarray, target: np.ndarray, *, positive: int = 1) -> float:
    """One of `MEASURES` from (n, K) probabilities and (n,) targets 0..K-1; `positive` is the class that is looked for.

    nan where undefined: no image, sensitivity without a positive, specificity without a negative, precision without a
    positive decision, F1 with neither, MCC with a single class in target or decisions, AUC with one in the target.
    Balanced accuracy is the mean sensitivity of the classes that are in the target.
    """
    target, decided = _checked(name, probabilities, target, positive)
    if not len(target):
        return float("nan")
    truth, found = target == positive, decided == positive
    if name == "accuracy":
        return float(metrics.accuracy_score(target, decided))
    if name == "balanced_accuracy":
        return float(metrics.recall_score(target, decided, labels=np.unique(target), average="macro"))
    if name == "auc":
        return _auc(log_odds(probabilities, positive), truth)
    if name == "mcc":
        varied = 0 < truth.sum() < len(truth) and 0 < found.sum() < len(found)
        return float(metrics.matthews_corrcoef(truth, found)) if varied else float("nan")
    if name == "specificity":
        return float(metrics.recall_score(~truth, ~found, zero_division=np.nan))
    of = {"sensitivity": metrics.recall_score, "precision": metrics.precision_score, "f1": metrics.f1_score}[name]
    return float(of(truth, found, zero_division=np.nan))


def interval(
    name: str, probabilities: np.ndarray, target: np.ndarray, config: Bootstrap, *, positive: int = 1
) -> Interval:
    """The measure with its percentile interval over images; ValueError where `measure` is nan, or `resampled` is
    for more than 1 % of the resamples (fewer are left out).
    """
    value = measure(name, probabilities, target, positive=positive)
    return value, *_bounds(name, value, resampled(name, probabilities, target, config, positive=positive), config)


def difference(
    name: str, a: np.ndarray, b: np.ndarray, target: np.ndarray, config: Bootstrap, *, positive: int = 1
) -> Interval:
    """Measure of `a` minus that of `b`, (n, K) probabilities of the same n images, which are resampled together."""
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} images are not paired; keep the rows that both runs have")
    value = measure(name, a, target, positive=positive) - measure(name, b, target, positive=positive)
    one, other = (resampled(name, p, target, config, positive=positive) for p in (a, b))
    return value, *_bounds(name, value, one - other, config)


def resampled(
    name: str, probabilities: np.ndarray, target: np.ndarray, config: Bootstrap, *, positive: int = 1
) -> np.ndarray:
    """(resamples,) values of a measure over n images drawn with replacement; nan where it is undefined."""
    target, decided = _checked(name, probabilities, target, positive)
    if name == "auc":
        return _resampled_auc(log_odds(probabilities, positive), target == positive, config)
    k = probabilities.shape[1]
    if name not in MULTI_CLASS:
        target, decided, k = (target == positive).astype(int), (decided == positive).astype(int), 2
    tables = resampled_sums(np.eye(k * k)[target * k + decided], config).reshape(-1, k, k)
    return from_confusion(name, tables)


def from_confusion(name: str, tables: np.ndarray) -> np.ndarray:
    """(..., k, k) confusion matrices -> (...) values; k = 2 with class 1 as the positive one but for `MULTI_CLASS`."""
    tables = np.asarray(tables, np.float64)
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        if name == "accuracy":
            return right.sum(axis=-1) / tables.sum(axis=(-2, -1))
        if name == "balanced_accuracy":
            images = tables.sum(axis=-1)
            return np.where(images > 0, right / images, 0).sum(axis=-1) / (images > 0).sum(axis=-1)
        assert tables.shape[-2:] == (2, 2), f"{name} of a {tables.shape[-2:]} table"
        tn, fp, fn, tp = np.moveaxis(tables.reshape(*tables.shape[:-2], 4), -1, 0)
        if name == "mcc":
            return (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        shares = {"sensitivity": (tp, fn), "specificity": (tn, fp), "precision": (tp, fp), "f1": (2 * tp, fp + fn)}
        share, rest = shares[name]
        return share / (share + rest)


def auc_interval(score: np.ndarray, positive: np.ndarray, config: Bootstrap) -> Interval:
    """Area under the ROC curve of (n,) finite scores, larger for (n,) bool `positive`, with its percentile interval.

    ValueError when only one class is there, or is in more than 1 % of the resamples.
    """
    value = _auc(score, positive)
    return value, *_bounds("auc", value, _resampled_auc(score, positive, config), config)


def log_odds(probabilities: np.ndarray, positive: int) -> np.ndarray:
    """(n, K) -> (n,): orders images as the probability of `positive` does, and still where that rounds to 1."""
    rest = np.delete(probabilities, positive, axis=1).sum(axis=1)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(probabilities[:, positive]) - np.log(rest), -FARTHEST, FARTHEST)


def _auc(score: np.ndarray, positive: np.ndarray) -> float:
    return float(metrics.roc_auc_score(positive, score)) if 0 < positive.sum() < len(positive) else float("nan")


def _resampled_auc(score: np.ndarray, positive: np.ndarray, config: Bootstrap) -> np.ndarray:
    """Rank sums (Mann and Whitney): pairs of a positive and a negative image with the larger score, ties one half."""
    order = np.argsort(score, kind="stable")
    above, below = order[positive[order]], order[~positive[order]]
    lower, upper = (np.searchsorted(score[below], score[above], side=side) for side in ("left", "right"))
    times, step = multiplicities(len(score), config), max(1, BLOCK // max(1, len(score)))
    parts = []
    for start in range(0, len(times), step):
        drawn = times[start : start + step]
        found, others = (drawn[:, columns].astype(np.float64) for columns in (above, below))
        beaten = np.pad(others.cumsum(axis=1), ((0, 0), (1, 0)))  # negative images among the first k, for each k
        pairs = np.einsum("ij,ij->i", found, beaten[:, lower] + beaten[:, upper]) / 2
        with np.errstate(invalid="ignore"):
            parts.append(pairs / (found.sum(axis=1) * others.sum(axis=1)))
    return np.concatenate([np.empty(0), *parts])


def _bounds(name: str, value: float, found: np.ndarray, config: Bootstrap) -> tuple[float | None, float | None]:
    undefined = np.isnan(found)
    if np.isnan(value) or undefined.sum() > UNDEFINED_SHARE * len(found):
        share = undefined.sum() / max(1, len(found))
        raise ValueError(f"{name} is undefined in the sample or in {share:.1%} of the resamples")
    if not len(found):
        return None, None
    tail = (1 - config.confidence) / 2
    low, high = np.quantile(found[~undefined], [tail, 1 - tail])
    return float(low), float(high)


def _checked(name: str, probabilities: np.ndarray, target: np.ndarray, positive: int) -> tuple[np.ndarray, np.ndarray]:
    """Target and decision per image; ValueError for an unknown measure or a class that the probabilities lack."""
    if name not in MEASURES:
        raise ValueError(f"no measure '{name}'; use {', '.join(MEASURES)}")
    target = np.asarray(target)
    n, k = probabilities.shape
    if target.shape != (n,) or ((target < 0) | (target >= k)).any():
        raise ValueError(f"{n} images of {k} classes, but targets {target.shape} of {np.unique(target)}; drop -1 first")
    if not 0 <= positive < k:
        raise ValueError(f"class {positive} is none of 0 to {k - 1}")
    return target, probabilities.argmax(axis=1)
