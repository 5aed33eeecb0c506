"""A synthetic stand-in for COVID-QU-Ex, so that every step runs without the data set and without a patient's image.

Input: how many images of each class per split and subset, and a seed. Output: one archive in the data set's own
layout, byte for byte the same for the same settings, with a known set of planted defects (`planted`) for the audit.
"""

import io
import zipfile
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from covidqu.config.data import CLASSES, PX, SPLITS, Phantom
from covidqu.files import replacing
from covidqu.imports import digest

FOLDERS = {"infection": "Infection Segmentation Data", "lung": "Lung Segmentation Data"}
NAMES = {"COVID-19": "covid_{}", "Non-COVID": "non_COVID ({})", "Normal": "Normal ({})"}
EPOCH = (2021, 1, 1, 0, 0, 0)
DISTINCT = 0.975  # images that are not planted as a pair stay below this correlation
GOLDEN = 0.6180339887498949

Pair = tuple[str, str]


@dataclass(frozen=True)
class Entry:
    """One image of the archive: `source` is the number of the drawn case, which a planted copy shares."""

    subset: str
    split: str
    label: str
    number: int
    source: int
    retouched: bool = False

    @property
    def name(self) -> str:
        return NAMES[self.label].format(self.number)

    @property
    def id(self) -> str:
        return f"{self.subset}/{self.split}/{self.label}/{self.name}"


@dataclass(frozen=True)
class Case:
    """A drawn image (256, 256) uint8 with its masks (256, 256) bool."""

    image: np.ndarray
    lung: np.ndarray
    infection: np.ndarray


def facts(config: Phantom) -> dict[str, Any]:
    """What the archive is made of: its settings, and this code."""
    return {**config.model_dump(mode="json"), "code": digest("ingest.sources.phantom")}


def write(path: Path, config: Phantom) -> None:
    """Write the synthetic archive to `path` (ZIP_STORED, fixed timestamps)."""
    entries, _ = _plan(config)
    cases = _distinct_cases(config.seed, sorted({(CLASSES.index(e.label), e.source) for e in entries}))
    with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            case = cases[CLASSES.index(entry.label), entry.source]
            image = _retouch(case.image, config.seed, entry.number) if entry.retouched else case.image
            parts = {"images": image, "lung masks": case.lung}
            if entry.subset == "infection":
                parts["infection masks"] = case.infection
            folder = FOLDERS[entry.subset]
            for kind, pixels in parts.items():
                name = f"{folder}/{folder}/{entry.split}/{entry.label}/{kind}/{entry.name}.png"
                archive.writestr(zipfile.ZipInfo(name, EPOCH), _png(pixels))


def planted(config: Phantom) -> dict[str, list[Pair]]:
    """Ids of the planted pairs: `exact`, `near` (within the infection subset), `split_disagreement` (across subsets).

    A defect that a very small configuration has no room for is neither planted nor listed.
    """
    return _plan(config)[1]


def _plan(config: Phantom) -> tuple[list[Entry], dict[str, list[Pair]]]:
    """All entries in the data set's order, and the planted pairs.

    Images of the infection subset also occur in the lung subset, as in the data set, except the members of planted
    pairs: those would otherwise repeat their defect across the subsets.
    """
    defects: dict[str, list[Pair]] = {"exact": [], "near": [], "split_disagreement": []}
    plan: dict[tuple[str, str, str], list[Entry]] = {}
    for position, label in enumerate(CLASSES):
        numbers = count(1)
        amounts = {s: {k: per[k][position] if k in per else 0 for k in SPLITS} for s, per in _subsets(config).items()}
        for split in SPLITS:
            drawn = [next(numbers) for _ in range(amounts["infection"][split])]
            plan["infection", split, label] = [Entry("infection", split, label, n, n) for n in drawn]
        private = _plant_copies(plan, label, defects)
        moved = _moved(plan, label, amounts["lung"], private)
        for split in SPLITS:
            own = [e.number for e in plan["infection", split, label] if e.number not in private and e != moved]
            if moved is not None and split == "Train":
                own.insert(0, moved.number)
            own = own[: amounts["lung"][split]]
            own += [next(numbers) for _ in range(amounts["lung"][split] - len(own))]
            plan["lung", split, label] = [Entry("lung", split, label, n, n) for n in sorted(own)]
        if moved is not None:
            defects["split_disagreement"].append((moved.id, Entry("lung", "Train", label, moved.number, 0).id))
    return [e for s in FOLDERS for k in SPLITS for label in CLASSES for e in plan[s, k, label]], defects


def _subsets(config: Phantom) -> dict[str, dict]:
    return {"infection": config.infection, "lung": config.lung}


def _plant_copies(plan: dict, label: str, defects: dict[str, list[Pair]]) -> set[int]:
    """Turn the last images of a split into copies of Train images; numbers of all that take part."""
    wanted = {
        "COVID-19": [("exact", "Test", 0), ("near", "Test", 1)],
        "Non-COVID": [("near", "Val", 0)],
        "Normal": [],
    }[label]
    private: set[int] = set()
    originals = plan["infection", "Train", label]
    for kind, split, nth in wanted:
        copies = plan["infection", split, label]
        if len(originals) <= nth or len(copies) <= nth:
            continue
        original, place = originals[nth], len(copies) - 1 - nth
        number = copies[place].number
        copies[place] = Entry("infection", split, label, number, original.number, retouched=kind == "near")
        defects[kind].append((original.id, copies[place].id))
        private |= {original.number, number}
    return private


def _moved(plan: dict, label: str, lung: dict[str, int], private: set[int]) -> Entry | None:
    """The Test image that the lung subset files under Train."""
    free = [e for e in plan["infection", "Test", label] if e.number not in private]
    return free[0] if label == "COVID-19" and free and lung["Train"] else None


def _distinct_cases(seed: int, keys: list[tuple[int, int]]) -> dict[tuple[int, int], Case]:
    """Draw the cases (class, number); one that resembles an earlier one is drawn again."""
    cases: dict[tuple[int, int], Case] = {}
    seen = np.empty((0, 32 * 32))
    for label, number in keys:
        for attempt in count():
            case = _draw(np.random.default_rng([seed, label, number, attempt]), CLASSES[label], number)
            thumb = _thumbnail(case.image)
            if not len(seen) or (seen @ thumb).max() < DISTINCT:
                break
        seen = np.vstack([seen, thumb])
        cases[label, number] = case
    return cases


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """(256, 256) -> (1024,) mean-free, unit norm."""
    small = image.reshape(32, 8, 32, 8).mean((1, 3)).ravel()
    small = small - small.mean()
    return small / np.linalg.norm(small)


def _retouch(image: np.ndarray, seed: int, number: int) -> np.ndarray:
    """The same picture after another export: gain, offset, and a grain of noise."""
    rng = np.random.default_rng([seed, number, 77])
    return _to_bytes(image / 255 * 0.95 + 0.02 + rng.normal(0, 0.006, image.shape))


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    grey = pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels
    Image.fromarray(grey).save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def _to_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


@cache
def grid() -> tuple[np.ndarray, np.ndarray]:
    """(256, 256) x and y of the pixels, in [-1, 1]."""
    y, x = np.mgrid[0:PX, 0:PX]
    return (x + 0.5) / PX * 2 - 1, (y + 0.5) / PX * 2 - 1


def cloud(rng: np.random.Generator, cells: int) -> np.ndarray:
    """(256, 256) smooth noise with about `cells` bumps a side: mean 0, standard deviation 1."""
    field = cv2.resize(rng.normal(size=(cells, cells)), (PX, PX), interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / field.std()


def _soft(inside: np.ndarray, width: float) -> np.ndarray:
    """Signed distance-like values (positive inside) -> opacity in [0, 1] with an edge of `width`."""
    return 1 / (1 + np.exp(-np.clip(inside / width * 4, -30, 30)))


def _posed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the chest under a random field of view, tilt and gentle warp."""
    x, y = grid()
    angle, zoom = np.deg2rad(rng.uniform(-9, 9)), rng.uniform(0.86, 1.2)
    x, y = x - rng.uniform(-0.13, 0.13), y - rng.uniform(-0.13, 0.13)
    x, y = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    x, y = x * zoom * rng.uniform(0.9, 1.12), y * zoom
    return x + 0.03 * cloud(rng, 5), y + 0.03 * cloud(rng, 5)


def _lung_depth(rng: np.random.Generator, u: np.ndarray, y: np.ndarray, left: bool) -> np.ndarray:
    """How deep inside one lung a point lies (positive inside); `u` is the distance from the midline."""
    cx, cy = rng.uniform(0.4, 0.47), rng.uniform(-0.08, 0.02)
    rx, ry = rng.uniform(0.27, 0.35), rng.uniform(0.68, 0.8)
    taper = 1 - 0.22 * np.clip(cy - y, 0, 1)  # narrower towards the apex
    a = np.abs((u - cx + 0.1 * np.clip(cy - y, 0, 1)) / (rx * taper))
    b = np.abs((y - cy) / ry)
    depth = 0.3 * (1 - (a**2.4 + b**2.4) ** (1 / 2.4))
    dome = rng.uniform(0.36, 0.52) + (-0.02 if left else -0.06) + rng.uniform(0.9, 1.6) * (u - cx + 0.06) ** 2
    return np.minimum(depth, np.minimum(dome - y, u - rng.uniform(0.1, 0.15)))


def _draw(rng: np.random.Generator, label: str, number: int) -> Case:
    """Draw one frontal chest image; the patient's left is on the right."""
    x, y = _posed(rng)
    across = (x - rng.uniform(0.1, 0.17) - 0.35 * (y - 0.3)) / rng.uniform(0.26, 0.36)
    heart = 1 - np.hypot(across, (y - rng.uniform(0.25, 0.36)) / rng.uniform(0.3, 0.42))
    right, left = _lung_depth(rng, -x, y, False), _lung_depth(rng, x, y, True)
    left = np.minimum(left, -0.3 * heart)
    right = np.minimum(right, -0.3 * heart)
    depth = np.maximum(right, left)
    lung = depth > 0
    image = _anatomy(rng, x, y, depth, heart)
    infection = np.zeros_like(lung)
    if label == "COVID-19":
        # low-discrepancy shares of the lung: also a small set has the data set's mean burden
        infection = _lesions(rng, y, depth, 0.14 + 0.64 * (number * GOLDEN % 1))
        veil = cv2.GaussianBlur(infection.astype(np.float64), (0, 0), 3.5) * _soft(depth + 0.03, 0.06)
        image = image + veil * rng.uniform(0.17, 0.28) * (1 + 0.25 * cloud(rng, 24))
    elif label == "Non-COVID":
        side = right if rng.random() < 0.5 else left
        centre = rng.uniform(-0.4, 0.4)
        haze = _soft(side, 0.1) * np.exp(-(((y - centre) / rng.uniform(0.25, 0.45)) ** 2))
        image = image + haze * rng.uniform(0.12, 0.2) * (1 + 0.15 * cloud(rng, 10))
    return Case(_exposed(rng, image), lung, infection)


def _anatomy(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, depth: np.ndarray, heart: np.ndarray
) -> np.ndarray:
    """Attenuation image of the thorax: body, lungs, mediastinum, heart, diaphragm, ribs, clavicles; about [0, 1]."""
    u = np.abs(x)
    shoulders = y + 0.98 - rng.uniform(0.25, 0.5) * np.clip(u - 0.2, 0, 2) ** 2
    body = _soft(np.minimum(rng.uniform(0.9, 1.05) + 0.12 * np.clip(-y, -1, 1) - u, shoulders), 0.08)
    image = body * (rng.uniform(0.5, 0.6) + 0.14 * _soft(y - rng.uniform(0.4, 0.5), 0.2))
    air = _soft(depth, 0.05)
    image -= air * rng.uniform(0.26, 0.36)
    spine = np.exp(-((u / rng.uniform(0.1, 0.15)) ** 4))
    image += body * spine * (0.13 + 0.03 * np.sin(y * rng.uniform(28, 34)))
    image += _soft(heart, 0.3) * rng.uniform(0.07, 0.13) * body * _soft(0.5 - y, 0.25)
    hilum = np.exp(-(((u - 0.2) / 0.09) ** 2) - ((y + 0.02) / 0.17) ** 2)
    image += hilum * rng.uniform(0.08, 0.14)
    vessels = np.clip(cloud(rng, 40), 0, 3) * np.exp(-(((u - 0.2) / 0.22) ** 2) - ((y - 0.05) / 0.4) ** 2)
    image += air * vessels * 0.03
    image += body * _ribs(rng, u, y)
    for side in (-1, 1):  # clavicles rise outwards from the sternum
        line = y + rng.uniform(0.62, 0.7) + rng.uniform(0.16, 0.34) * (side * x - 0.1)
        reach = _soft(side * x - 0.06, 0.08) * _soft(0.75 - side * x, 0.1)
        image += np.exp(-((line / 0.035) ** 2)) * reach * rng.uniform(0.08, 0.14) * body
    return image


def _ribs(rng: np.random.Generator, u: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Posterior ribs falling and anterior ribs rising towards the midline."""
    spacing = rng.uniform(0.155, 0.19)
    cage = _soft(rng.uniform(0.78, 0.86) - u, 0.06) * _soft(u - 0.1, 0.1) * _soft(0.55 - y, 0.3)
    out = np.zeros_like(u)
    for slope, bend, strength in ((-0.25, 0.75, 0.08), (0.5, 0.2, 0.04)):
        phase = (y - slope * u - bend * (u - 0.15) ** 2 + rng.uniform(0, 1)) / spacing
        out += strength * np.clip(np.cos(2 * np.pi * phase) - 0.1, 0, 1)
    return out * cage


def _lesions(rng: np.random.Generator, y: np.ndarray, depth: np.ndarray, share: float) -> np.ndarray:
    """Blotches that cover `share` of the lung, more often towards the base and the pleura."""
    room = depth > 0.004
    score = cloud(rng, 7) + 0.35 * cloud(rng, 16) + 0.8 * y - 1.5 * depth
    return room & (score > np.quantile(score[room], 1 - share))


def _exposed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Exposure, gradient across the plate, vignetting, tissue texture and noise -> (256, 256) uint8."""
    x, y = grid()
    image = image + rng.uniform(0.03, 0.06) * cloud(rng, 6) * (image > 0.1)
    image = image * (1 + rng.uniform(-0.2, 0.2) * x + rng.uniform(-0.2, 0.2) * y)
    image = image * (1 - rng.uniform(0.05, 0.22) * (x**2 + y**2))
    image = np.clip(image, 0, None) ** rng.uniform(0.8, 1.25) * rng.uniform(0.95, 1.25) + rng.uniform(0.01, 0.06)
    noise = cv2.GaussianBlur(rng.normal(0, 1, image.shape), (0, 0), 0.7)
    return _to_bytes(image + noise * rng.uniform(0.012, 0.025))
