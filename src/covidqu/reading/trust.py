"""When not to trust a reading: what a picture and its outputs are held against, and the warnings that follow.

Enters: the `Signs` of the images of Train and Val; leaves: arrays and limits for a bundle (`fit`). Enters: a picture,
its outputs and a bundle; leaves: warnings. A limit is a quantile of Val, so a known share of Val images lies beyond.
Nothing is put right: a picture that is turned or inverted is said to be so, and read as it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from covidqu.reading.signs import BLOCKS, Outputs, Signs, signs, two_or_more

DIRECTIONS = 32  # principal directions of a vector; what lies outside of them counts as one more
LEAST = 1e-3  # spread below which a direction does not count as less, in units of the widest
RIDGE = 0.1  # share of the mean variance that is added to each, where turned thumbnails are told apart
COPY_BITS = 32  # of 256: docs/when_not_to_trust.md has its precision on the copies that the audit knows
COLDEST, HOTTEST = 0.05, 20.0  # temperatures that are tried


class Warning(NamedTuple):
    """`value` is beyond `limit`; `text` says what that means."""

    code: str
    text: str
    value: float
    limit: float


class Limit(NamedTuple):
    """What the value of a check is held against, and the share of Val images that lie beyond."""

    limit: float
    val_share: float


class Known(NamedTuple):
    """What a bundle holds for the warnings: arrays by name, limits by code."""

    arrays: dict[str, np.ndarray]
    limits: dict[str, Limit]


class Held(Protocol):
    """What `bundle.Bundle` has of it: `metadata.trust` are the limits."""

    @property
    def arrays(self) -> Mapping[str, np.ndarray]: ...
    @property
    def metadata(self) -> Any: ...


class Check(NamedTuple):
    """A value of `measured` and the side on which it warns. `share`: of Val images that may lie beyond the limit;
    None: the limit is `bound`. A quantile does not go nearer to the usual than `bound`.
    """

    value: str
    side: Literal["above", "below"]
    share: float | None
    bound: float | None
    text: str


RARE, OFTEN = 0.005, 0.02  # shares of Val images beyond a limit: of what is odd, of what is doubtful
CHECKS = {  # in the order in which they are told
    "no-chest": Check("foreign", "above", None, 1.5, "this does not look like a frontal chest X-ray"),
    "inverted": Check("inverted", "above", RARE, 0, "black and white look exchanged; it was read as it is"),
    "upside-down": Check("upside_down", "above", RARE, 0, "it looks upside down; it was read as it is"),
    "turned-left": Check("turned_left", "above", RARE, 0, "turned left by 90°, it seems; it was read as it is"),
    "turned-right": Check("turned_right", "above", RARE, 0, "turned right by 90°, it seems; it was read as it is"),
    "mirrored": Check("mirrored", "above", RARE, 0, "left and right look exchanged; sides may be wrong"),
    "unlike-features": Check("far_features", "above", RARE, None, "the network sees it unlike its training images"),
    "unlike-picture": Check("far_picture", "above", RARE, None, "its layout is unlike that of the training images"),
    "unlike-lungs": Check("far_lungs", "above", RARE, None, "the lungs found have an unusual shape or place"),
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
FAR = {"features": "unlike-features", "picture": "unlike-picture", "lungs": "unlike-lungs"}
TURNS = ("inverted", "upside_down", "turned_left", "turned_right", "mirrored")


def fit(train: Sequence[Signs], val: Sequence[Signs], names: Sequence[str]) -> Known:
    """What to hold a picture against; `names`: those of the Train images.

    `arrays`: of each vector of Train `{vector}_mean` (d,), `_directions` (d, 32), `_spreads` (33,); `turns` (257, 5);
    `hashes` (n, 32) uint8; `names` (n,). `limits`: of each check that all Val images have a value for.
    ValueError with fewer than 2 images in a part.
    """
    if min(len(train), len(val)) < 2 or len(names) != len(train):
        raise ValueError(
            f"{len(train)} images of Train, {len(names)} names, {len(val)} of Val; want 2 and as many names"
        )
    arrays = {"hashes": np.stack([one.hash for one in train]), "names": np.array(names, np.str_)}
    for name in train[0].vectors:
        arrays |= _principal(name, np.stack([one.vectors[name] for one in train]))
    arrays["turns"] = _turns(np.stack([one.vectors["picture"] for one in train]))
    values = [_far(one, arrays) for one in val]
    limits: dict[str, Limit] = {}
    for code, check in CHECKS.items():
        if code == "no-chest":
            continue
        found = np.array([one[check.value] for one in values if check.value in one])
        if check.share is None or len(found) == len(val) or (len(found) and check.value.startswith("lung_")):
            limits[code] = _limit(check, found)
    foreign = np.array([_foreign(one, limits) for one in values])
    return Known(arrays, {"no-chest": _limit(CHECKS["no-chest"], foreign)} | limits)


def warnings(
    picture: np.ndarray, outputs: Sequence[Outputs], bundle: Held, size: tuple[int, int] | None = None
) -> list[Warning]:
    """What speaks against the reading of a picture: see `signs` for the arguments, `CHECKS` for the kinds."""
    return judged(signs(picture, outputs, size), bundle.arrays, bundle.metadata.trust)


def judged(found: Signs, arrays: Mapping[str, np.ndarray], limits: Mapping[str, Any]) -> list[Warning]:
    """The warnings of measured signs, in the order of `CHECKS`; `limits` have a `limit` each."""
    values, out = measured(found, arrays, limits), []
    for code, check in CHECKS.items():
        if code in limits and check.value in values:
            value, limit = values[check.value], float(limits[code].limit)
            if value > limit if check.side == "above" else value < limit:
                out.append(Warning(code, check.text, value, limit))
    return out


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
    if not len(target) or logits.shape[1] != len(target):
        raise ValueError(f"logits of {logits.shape[1]} images, {len(target)} with a class; want the same, and some")

    def loss(log_temperature: float) -> float:
        chosen = probabilities(logits, float(np.exp(log_temperature)))[np.arange(len(target)), target]
        return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log([COLDEST, HOTTEST]), method="bounded").x))


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Class logits (seeds, n, k) -> probabilities (n, k), the mean over seeds; one logit is that of class 1 of two."""
    return softmax(two_or_more(logits) / temperature, axis=-1).mean(axis=0)


def distance(vector: np.ndarray, name: str, arrays: Mapping[str, np.ndarray]) -> float:
    """How far a vector lies from the training images: root of the mean square, in units of their spread.

    Along each principal direction, and what is left outside of them as one more; near 1 for a training image.
    """
    rest = np.asarray(vector, np.float64) - arrays[f"{name}_mean"]
    along = rest @ arrays[f"{name}_directions"]
    left = np.sqrt(max(float(rest @ rest - along @ along), 0.0))
    return float(np.sqrt(np.mean((np.append(along, left) / arrays[f"{name}_spreads"]) ** 2)))


def _principal(name: str, vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, principal directions and spreads along them and outside of them."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    rest = vectors - mean
    variances, directions = np.linalg.eigh(rest.T @ rest / len(rest))
    kept = directions[:, ::-1][:, :DIRECTIONS]
    outside = max(float(variances.sum() - variances[::-1][:DIRECTIONS].sum()), 0.0)
    spreads = np.sqrt(np.append(np.maximum(variances[::-1][:DIRECTIONS], 0), outside))
    found = {"mean": mean, "directions": kept, "spreads": np.maximum(spreads, max(LEAST * spreads[0], 1e-6))}
    return {f"{name}_{key}": values.astype(np.float32) for key, values in found.items()}


def turned(thumbnails: np.ndarray) -> dict[str, np.ndarray]:
    """(n, 256) thumbnails -> for each of `TURNS` the thumbnails of the pictures changed in that way."""
    squares = thumbnails.reshape(-1, BLOCKS, BLOCKS)
    changed = {
        "inverted": -squares,
        "upside_down": squares[:, ::-1, ::-1],
        "turned_left": np.rot90(squares, 1, (1, 2)),
        "turned_right": np.rot90(squares, -1, (1, 2)),
        "mirrored": squares[:, :, ::-1],
    }
    return {name: changed[name].reshape(thumbnails.shape) for name in TURNS}


def _turns(thumbnails: np.ndarray) -> np.ndarray:
    """(257, 5): weights and offset of a linear discriminant (Fisher) between images as they are and changed.

    A value above 0 is nearer to the changed ones.
    """
    mean, columns = thumbnails.mean(axis=0), []
    spread = np.cov(thumbnails.T)
    for other in turned(thumbnails).values():
        shared = (spread + np.cov(other.T)) / 2
        shared[np.diag_indices_from(shared)] += RIDGE * np.trace(shared) / len(shared)
        weights = np.linalg.solve(shared, other.mean(axis=0) - mean)
        columns.append(np.append(weights, -weights @ (other.mean(axis=0) + mean) / 2))
    return np.stack(columns, axis=1).astype(np.float32)


def _far(found: Signs, arrays: Mapping[str, np.ndarray]) -> dict[str, float]:
    values = dict(found.values)
    for name, vector in found.vectors.items():
        if f"{name}_mean" in arrays:
            values[f"far_{name}"] = distance(vector, name, arrays)
    turns = np.append(found.vectors["picture"], 1) @ arrays["turns"]
    values |= {name: float(value) for name, value in zip(TURNS, turns, strict=True)}
    return values | {"copy_bits": float(_bits(found.hash, arrays["hashes"]).min())}


def _foreign(values: Mapping[str, float], limits: Mapping[str, Any]) -> int:
    """How many of the three kinds of unlikeness lie beyond their limits."""
    return sum(values[f"far_{name}"] > limits[code].limit for name, code in FAR.items() if code in limits)


def _bits(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Bits in which a hash (32,) differs from each of (n, 32)."""
    return np.bitwise_count(many ^ one).sum(axis=1)


def _limit(check: Check, values: np.ndarray) -> Limit:
    above, limit = check.side == "above", check.bound
    if check.share is not None:
        ends = (1 - check.share, "higher") if above else (check.share, "lower")
        found = [float(np.quantile(values, ends[0], method=ends[1]))] + ([] if limit is None else [limit])
        limit = max(found) if above else min(found)
    assert limit is not None, "a check without a share has a bound"
    beyond = values > limit if above else values < limit
    return Limit(float(limit), float(beyond.mean()) if len(beyond) else 0.0)
