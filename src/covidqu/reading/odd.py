"""Pictures that a reading must not be trusted on: things that are no frontal chest X-ray, and X-rays that were changed.

Drawn from a seed, taken from the photographs and pages that come with scikit-image, or made of chest X-rays. What is
drawn here (CT-like slices, lateral-like views, hands, pages, tables) is a rough likeness, no radiograph.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import cv2
import numpy as np
from PIL import Image

from covidqu.config.data import PX, Phantom
from covidqu.ingest.sources.phantom import cloud, grid
from covidqu.ingest.sources.phantom import write as write_phantom

Draw = Callable[[np.random.Generator], np.ndarray]
Change = Callable[[np.random.Generator, np.ndarray], np.ndarray]
PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
    "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg",
    "rocket.jpg", "microaneurysms.png", "motorcycle_right.png",
)  # fmt: skip
PAGES = ("page.png", "text.png")
WORDS = ("patient", "study", "series", "image", "exposure", "time", "name", "date", "view", "number", "of", "report")


def drawn(kind: str, count: int, seed: int) -> np.ndarray:
    """(count, 256, 256) uint8 of one of `DRAWN`, the same for the same seed."""
    return np.stack([DRAWN[kind](_random(kind, seed, number)) for number in range(count)])


def changed(kind: str, pictures: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Chest X-rays (n, 256, 256) uint8 changed as one of `CHANGED` says."""
    return np.stack([CHANGED[kind](_random(kind, seed, n), np.asarray(one)) for n, one in enumerate(pictures)])


def photographs(seed: int) -> np.ndarray:
    """(n, 256, 256) uint8: two parts of each photograph of scikit-image; odd seeds the second half of them."""
    half = len(PHOTOGRAPHS) // 2
    names = PHOTOGRAPHS[half:] if seed % 2 else PHOTOGRAPHS[:half]
    parts = [_part(_random(name, seed, number), stored(name)) for name in names for number in range(2)]
    return np.stack(parts)


def phantoms(count: int, seed: int) -> np.ndarray:
    """(count, 256, 256) uint8 of the synthetic data set of this project, which draws frontal chests."""
    each = -(-count // 3)
    few = {"Train": (1, 1, 1), "Val": (1, 1, 1), "Test": (1, 1, 1)}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "phantom.zip"
        write_phantom(path, Phantom(seed=seed, lung=few, infection=few | {"Test": (each, each, each)}))
        with ZipFile(path) as archive:
            names = [name for name in archive.namelist() if "/infection" in name.lower() and "/Test/" in name]
            names = [name for name in names if "/images/" in name][:count]
            return np.stack([np.asarray(Image.open(archive.open(name))) for name in names])


def stored(name: str) -> np.ndarray:
    """A picture that comes with scikit-image, grey uint8; nothing is downloaded."""
    import skimage

    path = Path(skimage.__file__).parent / "data" / name
    if not path.is_file():
        raise ValueError(f"{path}: scikit-image no longer comes with it; take it out of `PHOTOGRAPHS` or `PAGES`")
    return np.asarray(Image.open(path).convert("L"))


def _random(kind: str, seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, number, *kind.encode()])


def _part(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """A square part of an image, at least half of its shorter side, at 256 pixels."""
    side = int(min(image.shape) * rng.uniform(0.5, 1))
    top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape)
    return _resized(image[top : top + side, left : left + side])


def _resized(image: np.ndarray) -> np.ndarray:
    shrinks = max(image.shape) > PX
    return cv2.resize(image, (PX, PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def _inside(x: float, y: float, width: float, height: float, turn: float = 0.0, edge: float = 0.04) -> np.ndarray:
    """Opacity 0..1 of an ellipse with a soft edge; half axes and place in the coordinates of `grid`."""
    gx, gy = grid()
    u = (gx - x) * np.cos(turn) + (gy - y) * np.sin(turn)
    v = (gy - y) * np.cos(turn) - (gx - x) * np.sin(turn)
    return 1 / (1 + np.exp(np.clip((np.hypot(u / width, v / height) - 1) * min(width, height) / edge * 4, -30, 30)))


def _grained(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.normal(0, 1, image.shape), (0, 0), 0.7)
    return _bytes(image + noise * rng.uniform(2, 6) + 4 * cloud(rng, 24) * (image > 20))


def noise(rng: np.random.Generator) -> np.ndarray:
    """Noise of one grain, from single pixels to large clouds."""
    return _bytes(rng.uniform(90, 160) + rng.uniform(20, 60) * cloud(rng, int(rng.choice([8, 16, 32, 64, 128, 256]))))


def one_grey(rng: np.random.Generator) -> np.ndarray:
    """An empty picture with at most a little noise."""
    return _bytes(rng.integers(0, 256) + rng.choice([0.0, 1.0, 2.0]) * rng.normal(size=(PX, PX)))


def text_page(rng: np.random.Generator) -> np.ndarray:
    """Lines of words, black on white or white on black; every third a part of a scanned page of scikit-image."""
    if rng.random() < 1 / 3:
        return _part(rng, stored(str(rng.choice(PAGES))))
    page, step = np.full((PX, PX), 245, np.uint8), int(rng.integers(11, 20))
    for baseline in range(step, PX, step):
        line = " ".join(rng.choice(WORDS, 8))
        cv2.putText(page, line, (8, baseline), cv2.FONT_HERSHEY_SIMPLEX, step / 42, 30, 1, cv2.LINE_AA)
    return page if rng.random() < 0.7 else 255 - page


def table(rng: np.random.Generator) -> np.ndarray:
    """A ruled table of numbers."""
    page, rows, columns = np.full((PX, PX), 255, np.uint8), int(rng.integers(6, 14)), int(rng.integers(3, 6))
    for row in range(rows):
        top = int((row + 1) * PX / (rows + 1))
        cv2.line(page, (4, top), (PX - 4, top), 120, 1)
        for column in range(columns):
            place = (8 + column * PX // columns, top - 3)
            cv2.putText(page, f"{rng.uniform(0, 1):.3f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.32, 20, 1, cv2.LINE_AA)
    return page


def ct_slice(rng: np.random.Generator) -> np.ndarray:
    """Like an axial slice of the chest: oval body, two dark lungs beside the heart, bright spine and ribs, table."""
    wide, tall = rng.uniform(0.75, 0.92), rng.uniform(0.5, 0.68)
    image = 130 * _inside(0, 0, wide, tall)
    for side in (-1, 1):
        size = rng.uniform(0.85, 1.1)
        image -= 105 * _inside(
            side * wide * 0.48, 0, 0.36 * wide * size, 0.68 * tall * size, side * rng.uniform(0, 0.3)
        )
        for _ in range(6):
            image += 60 * _inside(side * wide * rng.uniform(0.3, 0.6), rng.uniform(-0.3, 0.3), 0.025, 0.025, 0, 0.02)
        for angle in np.linspace(-1.1, 1.1, 6):
            x, y = side * wide * 0.93 * np.cos(angle), tall * 0.93 * np.sin(angle)
            image += 110 * _inside(x, y, 0.03, 0.07, angle * side, 0.02)
    image += 40 * _inside(rng.uniform(0.02, 0.15), -0.15, 0.28, 0.25)
    image += 110 * _inside(0, tall * 0.62, 0.13, 0.11) - 60 * _inside(0, tall * 0.78, 0.04, 0.04)
    image += 50 * (np.abs(grid()[1] - tall - 0.08) < 0.015)
    return _grained(rng, image)


def lateral(rng: np.random.Generator) -> np.ndarray:
    """Like a lateral view of the chest: one air space between sternum and spine, heart in front, slanting diaphragm."""
    x, y = grid()
    depth = rng.uniform(0.55, 0.7)
    image = 150 * _inside(0, 0.1, depth + 0.2, 1.2, 0, 0.1)
    air = _inside(0.05, -0.05, depth * 0.85, 0.85, rng.uniform(-0.1, 0.1), 0.12)
    air *= 1 / (1 + np.exp(np.clip((y - 0.45 - rng.uniform(0.1, 0.35) * x) * 30, -30, 30)))
    image -= 95 * air
    image += 60 * _inside(-0.22, 0.22, 0.3, 0.34, 0.4, 0.1)
    spine = np.exp(-(((x - depth * 0.75 + 0.12 * np.cos(y * 2)) / 0.12) ** 2))
    image += spine * (45 + 18 * np.sin(y * rng.uniform(24, 32)))
    image += 35 * np.exp(-(((x + depth * 0.9 - 0.15 * y) / 0.05) ** 2)) * (y < 0.6)
    image += 12 * np.cos((y + 0.45 * x + rng.uniform(0, 1)) * 34) * air
    image = image if rng.random() < 0.5 else image[:, ::-1]
    return _grained(rng, image * rng.uniform(0.9, 1.2) + 8)


def hand(rng: np.random.Generator) -> np.ndarray:
    """Like an X-ray of a hand: soft tissue around the bones of wrist, palm and five fingers."""
    soft, bones = np.zeros((PX, PX), np.uint8), np.zeros((PX, PX), np.uint8)
    wrist = np.array([128 + rng.uniform(-10, 10), 235.0])
    cv2.ellipse(soft, (int(wrist[0]), 165), (48, 52), 0, 0, 360, 70, -1)
    cv2.line(soft, (int(wrist[0]), 175), (int(wrist[0]), 256), 70, 62)
    for finger, angle in enumerate(np.deg2rad([-52, -20, -4, 12, 28]) + rng.uniform(-0.05, 0.05)):
        length = (0.62, 0.92, 1.0, 0.95, 0.78)[finger] * rng.uniform(180, 205)
        towards = np.array([np.sin(angle), -np.cos(angle)])
        joints = [wrist + towards * length * share for share in (0.18, 0.5, 0.72, 0.87, 1.0)]
        cv2.line(soft, joints[0].astype(int).tolist(), joints[-1].astype(int).tolist(), 70, 22)
        for start, end in pairwise(joints):
            near, far = (start + (end - start) * share for share in (0.08, 0.92))
            cv2.line(bones, near.astype(int).tolist(), far.astype(int).tolist(), 110, 9)
    for _ in range(8):
        place = wrist + rng.uniform(-24, 24, 2) * [1, 0.5]
        cv2.circle(bones, (int(place[0]), int(place[1])), 9, 110, -1)
    for side in (-14, 14):
        cv2.line(bones, (int(wrist[0]) + side, 245), (int(wrist[0]) + side, 256), 110, 16)
    image = cv2.GaussianBlur(soft.astype(np.float64) + bones, (0, 0), 1.5)
    return _grained(rng, image * rng.uniform(0.9, 1.2) + 6)


def inverted(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    return 255 - image


def upside_down(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    return image[::-1, ::-1]


def turned_left(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    return np.rot90(image, 1)


def turned_right(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    return np.rot90(image, -1)


def mirrored(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    return image[:, ::-1]


def one_lung(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The left or right half, a little less, at full size."""
    half = image[:, : PX * 12 // 25] if rng.random() < 0.5 else image[:, PX * 13 // 25 :]
    return _resized(half)


def shifted(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """By 30 to 45 % sideways; what comes in is black."""
    by = int(rng.choice([-1, 1]) * rng.uniform(0.3, 0.45) * PX)
    out = np.zeros_like(image)
    out[:, max(by, 0) : PX + min(by, 0)] = image[:, max(-by, 0) : PX - max(by, 0)]
    return out


def small_in_black(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """At half its size, somewhere on black."""
    out, side = np.zeros_like(image), PX // 2
    top, left = rng.integers(0, PX - side, 2)
    out[top : top + side, left : left + side] = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return out


def heavy_blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(4, 8))


def from_32_px(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Shrunk to 32 pixels a side, and back."""
    return _resized(cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA))


def heavy_contrast(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    return _bytes((image - np.median(image)) * rng.uniform(4, 6) + 128.0)


def heavy_noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    return _bytes(image + rng.normal(0, rng.uniform(30, 50), image.shape))


DRAWN: dict[str, Draw] = {
    "noise": noise,
    "one grey": one_grey,
    "page of text": text_page,
    "table": table,
    "CT-like slice, drawn": ct_slice,
    "lateral-like view, drawn": lateral,
    "hand, drawn": hand,
}
CHANGED: dict[str, Change] = {
    "inverted": inverted,
    "turned by 180°": upside_down,
    "turned left by 90°": turned_left,
    "turned right by 90°": turned_right,
    "mirrored": mirrored,
    "one lung only": one_lung,
    "shifted by 30 to 45 %": shifted,
    "at half size on black": small_in_black,
    "heavily blurred": heavy_blur,
    "from 32 pixels": from_32_px,
    "heavy contrast": heavy_contrast,
    "heavy noise": heavy_noise,
}
