"""What a bundle's networks find on pictures: lungs, infection, shares, classes, and where its seeds disagree.

Input: pictures and a model; output: one `Reading` per picture. Logits of the seeds are averaged, then decided; what
each seed says alone is kept as their disagreement.
"""

import functools
import math
from dataclasses import dataclass
from importlib.metadata import version
from itertools import combinations
from typing import Any

import numpy as np

from covidqu.reading import geometry, trust
from covidqu.reading.bundle import NOTICE, Bundle
from covidqu.reading.model import Model
from covidqu.reading.pictures import Picture
from covidqu.reading.trust import Warning

MASKS = ("lung", "infection")
SIDES = ("both", "image_left", "image_right")
VALLEY = 0.5  # of the lungs' greatest height: where columns between them have less, two lungs are told apart
PACKAGES = ("covidqu", "numpy", "onnxruntime", "opencv-python-headless", "pillow", "pydicom")


@dataclass(frozen=True, repr=False)
class Reading:
    """Of one picture, (H, W) pixels.

    `masks`: task -> (H, W) bool; `pixels` and `shares`: side -> pixels of each mask, and the share of the lung's pixels
    that are infected, None without a lung; `probabilities`: class -> probability; `seeds`: what each member says alone,
    and Dice between their masks.
    """

    picture: Picture
    masks: dict[str, np.ndarray]
    pixels: dict[str, dict[str, int]]
    shares: dict[str, float | None]
    probabilities: dict[str, float]
    seeds: dict[str, Any]
    warnings: tuple[Warning, ...]
    model: dict[str, Any]

    def __repr__(self) -> str:
        """Numbers and warnings; no pixels."""
        height, width = self.picture.size
        codes = [warning.code for warning in self.warnings]
        return (
            f"Reading({width} x {height}, shares={self.shares}, probabilities={self.probabilities}, warnings={codes})"
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but pixels, ready for JSON. No element of a DICOM header is in it."""
        height, width = self.picture.size
        return {
            "use": NOTICE,
            "input": {
                "sha256": self.picture.sha256,
                "kind": self.picture.kind,
                "height": height,
                "width": width,
                "read": dict(zip(("top", "left", "bottom", "right"), self.picture.box, strict=True)),
                "notes": list(self.picture.notes),
            },
            "warnings": [{key: known(value) for key, value in w._asdict().items()} for w in self.warnings],
            "infected_share_of_lung": self.shares,
            "pixels": self.pixels,
            "probabilities": self.probabilities,
            "seeds": self.seeds,
            "model": self.model,
            "versions": versions(),
        }


def known(value: str | float) -> str | float | None:
    """For JSON, which has no nan: a warning of a header has neither value nor limit."""
    return value if isinstance(value, str) or math.isfinite(value) else None


def read(picture: Picture, model: Model) -> Reading:
    """The reading of one picture; ValueError where a network gives what is no number."""
    about, square = model.bundle.metadata, geometry.as_data(picture)
    outputs = model.outputs(geometry.as_input(square, about.filters, about.image_px)[None])
    own = [{key: values[0] for key, values in member.items()} for member in outputs]
    refuse_nan(own, picture)
    return reading(picture, square, own, model.bundle)


def reading(picture: Picture, square: np.ndarray, outputs: list[dict[str, np.ndarray]], bundle: Bundle) -> Reading:
    """Of one picture, from the outputs of every member for it."""
    mean = {key: np.mean([member[key] for member in outputs], axis=0) for key in outputs[0]}
    masks = {task: geometry.as_mask(mean[task], picture) for task in MASKS if task in mean}
    pixels, shares = measured(masks)
    return Reading(
        picture=picture,
        masks=masks,
        pixels=pixels,
        shares=shares,
        probabilities=probabilities([member["class"] for member in outputs], bundle) if "class" in mean else {},
        seeds=disagreement(outputs, bundle),
        warnings=doubts(picture, square, outputs, bundle),
        model=described(bundle),
    )


def refuse_nan(outputs: list[dict[str, np.ndarray]], picture: Picture) -> None:
    """ValueError where a network gives what is no number."""
    if bad := sorted({key for member in outputs for key, values in member.items() if not np.isfinite(values).all()}):
        raise ValueError(f"{picture.path}: the network gives nan or infinity ({', '.join(bad)}); its weights are bad")


def measured(masks: dict[str, np.ndarray]) -> tuple[dict[str, dict[str, int]], dict[str, float | None]]:
    """Pixels of each mask by side, and the share of the lung's pixels that are infected, inside the lungs only."""
    some = next(iter(masks.values()), None)
    if some is None:
        return {}, {}
    middle = midline(masks.get("lung", masks.get("infection", some)))
    parts = dict(zip(SIDES, (slice(None), slice(None, middle), slice(middle, None)), strict=True))
    pixels = {task: {side: int(mask[:, part].sum()) for side, part in parts.items()} for task, mask in masks.items()}
    if not set(MASKS) <= masks.keys():
        return pixels, {}
    inside = masks["lung"] & masks["infection"]
    pixels["infection_in_lung"] = {side: int(inside[:, part].sum()) for side, part in parts.items()}
    shares = {}
    for side in SIDES:
        lung = pixels["lung"][side]
        shares[side] = pixels["infection_in_lung"][side] / lung if lung else None
    return pixels, shares


def midline(lung: np.ndarray) -> int:
    """(H, W) bool -> the column where the lung at the image's left ends and that at its right begins.

    Between two lungs the column with the fewest pixels of lung, the middle one of several; where there is no such
    valley (one lung, none), the middle of the picture.
    """
    width = lung.shape[1]
    heights = lung.sum(axis=0)
    there = np.flatnonzero(heights)
    if not len(there):
        return width // 2
    first, last = int(there[0]), int(there[-1]) + 1
    start, end = first + (last - first) // 4, last - (last - first) // 4
    inner = heights[start:end]
    lowest = np.flatnonzero(inner == inner.min())
    beside = min(heights[first:start].max(initial=0), heights[end:last].max(initial=0))
    return start + int(lowest[len(lowest) // 2]) if inner.min() < VALLEY * beside else width // 2


def probabilities(logits: list[np.ndarray], bundle: Bundle) -> dict[str, float]:
    """(k,) class logits of each member -> class -> mean probability, at the bundle's temperature.

    Labels that share a place in the head are one class.
    """
    found = trust.probabilities(np.stack(logits)[:, None], bundle.metadata.temperature)[0]
    classes = bundle.metadata.classes
    names = [" or ".join(label for label, at in classes.items() if at == place) for place in range(len(found))]
    return dict(zip(names, found.tolist(), strict=True))


def doubts(
    picture: Picture, square: np.ndarray, outputs: list[dict[str, np.ndarray]], bundle: Bundle
) -> tuple[Warning, ...]:
    """What speaks against the reading: in the file's header, then in its pixels and the outputs."""
    said = [Warning(code, text, math.nan, math.nan) for code, text in picture.doubts]
    if not bundle.metadata.trust:
        text = "this model comes without limits, so nothing else is said about when not to trust it"
        return (*said, Warning("no-limits", text, math.nan, math.nan))
    top, left, bottom, right = picture.box
    return (*said, *trust.warnings(square, outputs, bundle, (bottom - top, right - left)))


def disagreement(outputs: list[dict[str, np.ndarray]], bundle: Bundle) -> dict[str, Any]:
    """What each member says alone, of its own masks (P, P): shares, probabilities, and Dice between them.

    `dice`: task -> the smallest Dice of two members' masks, 1 if both are empty; None for a single member.
    """
    masks = [{task: member[task] > 0 for task in MASKS if task in member} for member in outputs]
    shares = [measured(own)[1].get("both") for own in masks]
    pairs = list(combinations(masks, 2))
    return {
        "seed": [member.seed for member in bundle.metadata.members],
        "infected_share_of_lung": shares if set(MASKS) <= masks[0].keys() else [],
        "probabilities": [probabilities([member["class"]], bundle) for member in outputs if "class" in member],
        "dice": {task: min((dice(a[task], b[task]) for a, b in pairs), default=None) for task in masks[0]},
    }


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Of two bool masks; 1 if both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def described(bundle: Bundle) -> dict[str, Any]:
    """What made a reading."""
    about = bundle.metadata
    members = [{"seed": m.seed, "sha256": m.sha256, "weights_sha256": m.weights_sha256} for m in about.members]
    return {"name": about.name, "run": about.run, "system": about.system, "sha256": about.sha256, "members": members}


@functools.cache
def versions() -> dict[str, str]:
    """Distribution -> version, of those that a number may depend on."""
    return {name: version(name) for name in PACKAGES}
