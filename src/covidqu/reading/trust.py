"""When not to trust a reading: what a picture and its outputs are held against, and the warnings that follow.

Input: the `Signs` of the images of Train and Val; output: arrays and limits for a bundle (`fit`). Input: a picture,
its outputs and a bundle; output: warnings. A limit is a quantile of Val, so a known share of Val images lies beyond.
Nothing is put right: a picture that is turned or inverted is said to be so, and read as it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from covidqu.config.data import PX
from covidqu.reading.signs import BLOCKS, Outputs, Signs, signs, two_or_more

SHRUNK = 0.03  # share of the mean variance in each variance: Train has some ten images per value of a vector
RIDGE = 0.1  # share of the mean variance that is added to each, where turned thumbnails are told apart
COPY_BITS = 32  # of 256: docs/when_not_to_trust.md has its precision on the copies that the audit knows
COLDEST, HOTTEST = 0.05, 20.0  # temperatures that are tried


class Warning(NamedTuple):
    """`value` is beyond `limit`; `text` says what that means."""

    code: str
    text: str
    value: float
    limit: float


Side = Literal["above", "below"]


class Limit(NamedTuple):
    """What the value `of` a check is held against: it warns on this `side`; share of Val images that lie beyond."""

    of: str
    side: Side
    limit: float
    val_share: float


class Known(NamedTuple):
    """What a bundle holds for the warnings: arrays by name, limits by code."""

    arrays: dict[str, np.ndarray]
    limits: dict[str, Limit]


class Held(Protocol):
    """What `Known` and `bundle.Bundle` both have; limits have the fields of `Limit`."""

    @property
    def arrays(self) -> Mapping[str, np.ndarray]: ...
    @property
    def limits(self) -> Mapping[str, Any]: ...


class Check(NamedTuple):
    """A value of `measured` and the side on which it warns. `share`: of Val images that may lie beyond the limit;
    None: the limit is `bound`. A quantile does not go nearer to the usual than `bound`.
    """

    value: str
    side: Side
    share: float | None
    bound: float | None
    text: str


RARE, OFTEN = 0.005, 0.02  # shares of Val images beyond a limit: of what is odd, of what is doubtful
CHECKS = {  # in the order in which they are told
    "no-chest": Check("foreign", "above", None, 1.5, "this does not look like an upright frontal chest X-ray"),
    "inverted": Check("inverted", "above", RARE, 0, "black and white look exchanged; it was read as it is"),
    "upside-down": Check("upside_down", "above", RARE, 0, "it looks upside down; it was read as it is"),
    "turned-left": Check("turned_left", "above", RARE, 0, "turned left by 90°, it seems; it was read as it is"),
    "turned-right": Check("turned_right", "above", RARE, 0, "turned right by 90°, it seems; it was read as it is"),
    "mirrored": Check("mirrored", "above", OFTEN, 0, "left and right look exchanged; sides may be wrong"),
    "unlike-features": Check("far_features", "above", RARE, None, "the network sees it unlike its training images"),
    "unlike-layout": Check("far_layout", "above", RARE, None, "its layout or that of its lungs is unusual"),
    "lungs-small": Check("lung_area", "below", RARE, None, "no lungs were found, or very small ones"),
    "lungs-large": Check("lung_area", "above", RARE, None, "the lungs found are very large"),
    "lungs-one-side": Check("lung_sides", "below", RARE, None, "the lungs found lie almost on one side"),
    "lungs-joined": Check("lung_bridge", "above", RARE, None, "the lungs found are not two: the middle is lung, too"),
    "infection-outside": Check("outside", "above", RARE, 0.001, "infection was found outside the lungs"),
    "seeds-lungs": Check("seeds_lungs", "above", OFTEN, None, "trained again, the network finds other lungs"),
    "seeds-infection": Check("seeds_infection", "above", OFTEN, None, "trained again, it finds other infection"),
    "seeds-class": Check("seeds_class", "above", None, 0.5, "trained again, it decides for another class"),
    "empty": Check("spread", "below", RARE, None, "it is almost of one grey"),
    "saturated": Check("extreme", "above", RARE, None, "much of it is only black or white"),
    "blurred": Check("detail", "below", RARE, None, "it has less fine detail than the training images"),
    "noisy": Check("detail", "above", RARE, None, "it has more noise than the training images"),
    "few-pixels": Check("pixels", "below", None, 256, "it is smaller than the images that the network learnt from"),
    "in-training-set": Check("copy_bits", "below", None, COPY_BITS + 0.5, "it is a training image, or a copy of one"),
}  # fmt: skip
FAR = {"features": "unlike-features", "layout": "unlike-layout"}
TURNS = ("inverted", "upside_down", "turned_left", "turned_right", "mirrored")


def fit(train: Sequence[Signs], val: Sequence[Signs], names: Sequence[str]) -> Known:
    """What to hold a picture against; `names`: those of the Train images.

    `arrays`: of each vector of Train `{vector}_mean` (d,) and `{vector}_whitening` (d, d); `turns` (d + 1, 5);
    `hashes` (n, 32) uint8; `names` (n,). `limits`: of each check that Val has values for.
    ValueError with fewer than 2 images in a part.
    """
    if min(len(train), len(val)) < 2 or len(names) != len(train):
        raise ValueError(
            f"{len(train)} images of Train, {len(names)} names, {len(val)} of Val; want 2 and as many names"
        )
    arrays = {"hashes": np.stack([one.hash for one in train]), "names": np.array(names, np.str_)}
    for name in train[0].vectors:
        arrays |= _whitening(name, np.stack([one.vectors[name] for one in train]))
    arrays["turns"] = _turns(np.stack([one.vectors["layout"] for one in train]))
    values = [{"pixels": float(PX)} | _far(one, arrays) for one in val]
    limits: dict[str, Limit] = {}
    for code, check in CHECKS.items():
        found = np.array([one[check.value] for one in values if check.value in one])
        if len(found):
            limits[code] = _limit(check, found)
    if all(code in limits for code in FAR.values()):
        limits["no-chest"] = _limit(CHECKS["no-chest"], np.array([_foreign(one, limits) for one in values]))
    return Known(arrays, limits)


def warnings(
    picture: np.ndarray, outputs: Sequence[Outputs], bundle: Held, size: tuple[int, int] | None = None
) -> list[Warning]:
    """What speaks against the reading of a picture: see `signs` for the arguments, `CHECKS` for the kinds."""
    return judged(signs(picture, outputs, size), bundle.arrays, bundle.limits)


def judged(found: Signs, arrays: Mapping[str, np.ndarray], limits: Mapping[str, Any]) -> list[Warning]:
    """The warnings of measured signs, in the order of `CHECKS`; `limits` have a `limit` each.

    Of inverted, turned and mirrored only what is plainest: a picture of one kind looks a little like the others.
    """
    values, out = measured(found, arrays, limits), []
    for code, check in CHECKS.items():
        if code in limits and check.value in values:
            value, limit = values[check.value], float(limits[code].limit)
            if value > limit if check.side == "above" else value < limit:
                out.append(Warning(code, check.text, value, limit))
    changed = [one for one in out if CHECKS[one.code].value in TURNS]
    plainest = max(changed, key=lambda one: one.value - one.limit, default=None)
    return [one for one in out if one not in changed or one is plainest]


def measured(found: Signs, arrays: Mapping[str, np.ndarray], limits: Mapping[str, Any]) -> dict[str, float]:
    """All values of a picture: its own, and those that follow from the training images."""
    values = _far(found, arrays)
    return values | {"foreign": float(_foreign(values, limits))}


def nearest(found: Signs, arrays: Mapping[str, np.ndarray]) -> str:
    """Name of the training image with the most similar hash."""
    return str(arrays["names"][_bits(found.hash, arrays["hashes"]).argmin()])


def temperature(logits: np.ndarray, target: np.ndarray) -> float:
    """The temperature with the least log loss of `probabilities` (Guo et al. 2017).

    `logits` (seeds, n, k) and true classes (n,) 0..k-1 of Val. ValueError for no images.
    """
    from scipy.optimize import minimize_scalar  # a reading does without it

    if not len(target) or logits.shape[1] != len(target):
        raise ValueError(f"logits of {logits.shape[1]} images, {len(target)} with a class; want the same, and some")

    def loss(log_temperature: float) -> float:
        chosen = probabilities(logits, float(np.exp(log_temperature)))[np.arange(len(target)), target]
        return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log([COLDEST, HOTTEST]), method="bounded").x))


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Class logits (seeds, n, k) -> probabilities (n, k), the mean over seeds; one logit is that of class 1 of two."""
    scaled = two_or_more(logits) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).mean(axis=0)


def distance(vector: np.ndarray, name: str, arrays: Mapping[str, np.ndarray]) -> float:
    """How far a vector lies from the training images: Mahalanobis, root of the mean square; near 1 for one of them."""
    whitened = (np.asarray(vector, np.float64) - arrays[f"{name}_mean"]) @ arrays[f"{name}_whitening"]
    return float(np.sqrt(np.mean(whitened**2)))


def _whitening(name: str, vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Mean of (n, d) vectors and the lower triangular (d, d) that makes their shrunken covariance the unit matrix."""
    covariance = np.cov(vectors.T.astype(np.float64))
    mean_variance = max(np.trace(covariance) / len(covariance), 1e-12)
    shrunken = (1 - SHRUNK) * covariance + SHRUNK * mean_variance * np.eye(len(covariance))
    whitening = np.linalg.cholesky(np.linalg.inv(shrunken))
    found = {"mean": vectors.mean(axis=0, dtype=np.float64), "whitening": whitening}
    return {f"{name}_{key}": values.astype(np.float32) for key, values in found.items()}


def turned(layouts: np.ndarray) -> dict[str, np.ndarray]:
    """(n, 256 or 512) layouts -> for each of `TURNS` those of the pictures changed in that way.

    Of the picture alone (n, 256) where the lungs would be found elsewhere; a mirror image has the mirrored lungs.
    """
    squares = layouts.reshape(len(layouts), -1, BLOCKS, BLOCKS)
    picture = squares[:, :1]
    changed = {
        "inverted": -picture,
        "upside_down": picture[..., ::-1, ::-1],
        "turned_left": np.rot90(picture, 1, (2, 3)),
        "turned_right": np.rot90(picture, -1, (2, 3)),
        "mirrored": squares[..., ::-1],
    }
    return {name: changed[name].reshape(len(layouts), -1) for name in TURNS}


def _turns(layouts: np.ndarray) -> np.ndarray:
    """(d + 1, 5): weights and offsets of linear discriminants (Fisher) between images as they are and changed.

    A value above 0 is nearer to the changed ones. Those of the picture alone have one spread and can be compared.
    """
    changed, found = turned(layouts), np.zeros((layouts.shape[1] + 1, len(TURNS)))
    for names in (TURNS[:-1], TURNS[-1:]):
        same = layouts[:, : changed[names[0]].shape[1]]
        spread = np.mean([np.cov(one.T) for one in (same, *(changed[name] for name in names))], axis=0)
        spread[np.diag_indices_from(spread)] += max(RIDGE * np.trace(spread) / len(spread), 1e-12)
        for name in names:
            here, there, column = same.mean(axis=0), changed[name].mean(axis=0), TURNS.index(name)
            weights = np.linalg.solve(spread, there - here)
            found[: len(weights), column], found[-1, column] = weights, -weights @ (there + here) / 2
    return found.astype(np.float32)


def _far(found: Signs, arrays: Mapping[str, np.ndarray]) -> dict[str, float]:
    values = dict(found.values)
    for name, vector in found.vectors.items():
        if f"{name}_mean" in arrays:
            values[f"far_{name}"] = distance(vector, name, arrays)
    turns = np.append(found.vectors["layout"], 1) @ arrays["turns"]
    values |= {name: float(value) for name, value in zip(TURNS, turns, strict=True)}
    return values | {"copy_bits": float(_bits(found.hash, arrays["hashes"]).min())}


def _foreign(values: Mapping[str, float], limits: Mapping[str, Any]) -> int:
    """How many of the two kinds of unlikeness lie beyond their limits."""
    return sum(values[f"far_{name}"] > limits[code].limit for name, code in FAR.items() if code in limits)


def _bits(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Bits in which a hash (32,) differs from each of (n, 32)."""
    return np.bitwise_count(many ^ one).sum(axis=1)


def _limit(check: Check, values: np.ndarray) -> Limit:
    above, limit = check.side == "above", check.bound
    if check.share is not None:
        share = 1 - check.share if above else check.share
        found = [float(np.quantile(values, share, method="higher" if above else "lower"))]
        found += [] if limit is None else [limit]
        limit = max(found) if above else min(found)
    assert limit is not None, "a check without a share has a bound"
    beyond = values > limit if above else values < limit
    return Limit(check.value, check.side, float(limit), float(beyond.mean()) if len(beyond) else 0.0)
