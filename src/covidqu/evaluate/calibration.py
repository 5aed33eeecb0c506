"""Do probabilities mean what they say? Probabilities and targets of images in; calibration measures out.

Expected calibration error is that of the decided class (Guo et al. 2017): images are put in bins by the probability of
the class that is decided, and |share that is right - mean probability| is averaged with the bins' images as weights.
`ece`: 15 bins of equal width; `adaptive_ece`: 15 bins with the same number of images (Nguyen and O'Connor 2015).
`brier`: mean squared error of probabilities, of class 1 for two classes, summed over the classes for more (Brier 1950).
`log_loss`: mean of -log(probability of the true class), natural logarithm.
"""

from dataclasses import dataclass

import numpy as np

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate.statistics import BLOCK, Interval, bootstrap_mean, bootstrap_ratio

BINS = 15
MEASURES = ("ece", "adaptive_ece", "brier", "log_loss")


@dataclass(frozen=True)
class Bins:
    """Per bin that is not empty: images, mean probability of the decided class, share that is decided rightly."""

    images: np.ndarray
    confidence: np.ndarray
    right: np.ndarray


def measure(name: str, probabilities: np.ndarray, target: np.ndarray) -> float:
    """One of `MEASURES` from (n, K) probabilities and (n,) targets 0..K-1; ValueError for no images."""
    probabilities, target = _checked(name, probabilities, target)
    if name in ("brier", "log_loss"):
        return float(_per_image(name, probabilities, target).mean())
    return float(_error(_binned(name, probabilities, target).sum(axis=0)))


def interval(name: str, probabilities: np.ndarray, target: np.ndarray, config: Bootstrap) -> Interval:
    """The measure with its percentile interval over images.

    Bins are those of the sample. A calibration error is a mean of absolute values: chance makes it larger, in the
    sample and about as much again in the resamples. Its interval is therefore the basic one (Davison and Hinkley 1997,
    section 5.2), which takes most of this bias out and may end below the value. Near 0 no bootstrap interval holds
    what it promises, and that of a calibrated head need not reach 0: compare the value with `by_chance`.
    """
    probabilities, target = _checked(name, probabilities, target)
    if name in ("brier", "log_loss"):
        return bootstrap_mean(_per_image(name, probabilities, target), config)
    value, low, high = bootstrap_ratio(_binned(name, probabilities, target), _error, config)
    if low is None or high is None:
        return value, None, None
    return value, max(0.0, 2 * value - high), max(0.0, 2 * value - low)


def by_chance(name: str, probabilities: np.ndarray, target: np.ndarray, config: Bootstrap) -> Interval:
    """What `ece` or `adaptive_ece` would be were these probabilities calibrated: mean and range over simulated truths.

    Each image is decided rightly as often as its probability says (consistency resampling, Broecker and Smith 2007).
    """
    assert name in ("ece", "adaptive_ece"), f"{name} is no mean of absolute values"
    probabilities, target = _checked(name, probabilities, target)
    images, confidence, _ = np.split(_binned(name, probabilities, target), 3, axis=1)
    generator, parts, step = np.random.default_rng(config.seed), [], max(1, BLOCK // len(target))
    for start in range(0, config.resamples, step):
        drawn = generator.random((min(step, config.resamples - start), len(target)))
        right = (drawn < confidence.sum(axis=1)).astype(np.float64) @ images
        parts.append(np.abs(right - confidence.sum(axis=0)).sum(axis=1) / len(target))
    found = np.concatenate(parts)
    tail = (1 - config.confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(found.mean()), float(low), float(high)


def reliability(probabilities: np.ndarray, target: np.ndarray) -> Bins:
    """The bins of equal width behind `ece`, those that hold images."""
    probabilities, target = _checked("ece", probabilities, target)
    images, confidence, right = _binned("ece", probabilities, target).sum(axis=0).reshape(3, BINS)
    there = images > 0
    return Bins(images[there].astype(int), confidence[there] / images[there], right[there] / images[there])


def _per_image(name: str, probabilities: np.ndarray, target: np.ndarray) -> np.ndarray:
    of_truth = probabilities[np.arange(len(target)), target]
    if name == "log_loss":
        return -np.log(np.maximum(of_truth, np.finfo(np.float64).tiny))
    squares = ((probabilities - np.eye(probabilities.shape[1])[target]) ** 2).sum(axis=1)
    return squares / 2 if probabilities.shape[1] == 2 else squares  # of two classes both squares are the same


def _binned(name: str, probabilities: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(n, 3 BINS): image, probability of the decided class, decided rightly; each in the column of its bin."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == target
    if name == "ece":
        bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    else:
        bins = np.empty(len(confidence), int)
        bins[np.argsort(confidence, kind="stable")] = np.arange(len(confidence)) * BINS // len(confidence)
    place = np.eye(BINS)[bins]
    return np.hstack([place, place * confidence[:, None], place * right[:, None]])


def _error(sums: np.ndarray) -> np.ndarray:
    """(..., 3 BINS) -> (...)."""
    images, confidence, right = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, BINS), -2, 0)
    return np.abs(right - confidence).sum(axis=-1) / images.sum(axis=-1)


def _checked(name: str, probabilities: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if name not in MEASURES:
        raise ValueError(f"no measure '{name}'; use {', '.join(MEASURES)}")
    probabilities, target = np.asarray(probabilities, np.float64), np.asarray(target)
    if not len(target) or target.shape != probabilities.shape[:1]:
        raise ValueError(f"{len(probabilities)} images with probabilities, {len(target)} with a class; want the same")
    return probabilities, target
