"""What of one picture tells whether its reading can be trusted, in plain numbers: sums, differences, block means.

Input: a picture as the data set has them, and what the networks of all seeds give for it; output: `Signs`. The page
repeats this arithmetic, so it stays simple.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from covidqu.config.data import PX

BLOCKS = 16  # a thumbnail has 16 x 16 block means
HASH_PX, HASH_SIDE = 64, 16  # the 16 x 16 lowest DCT terms of 64 x 64 block means
BLACK, WHITE = 3, 252  # grey levels below and above which nothing is told apart
FLAT = 1e-3  # norm of a thumbnail below which it shows nothing
Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Signs:
    """Of one picture. What the networks do not give is left out.

    `vectors`: `layout` (512,) thumbnails of the picture and of the lungs found in it ((256,) where a run finds none),
    `features` (C,) of the first seed, root of each, with its sign: their spread then depends less on their size.
    `hash` (32,) uint8, 256 packed bits. `values`: name -> number, see `_of_picture`, `_of_lungs`, `_of_seeds`.
    """

    vectors: dict[str, np.ndarray]
    hash: np.ndarray
    values: dict[str, float]


def signs(picture: np.ndarray, outputs: Sequence[Outputs], size: tuple[int, int] | None = None) -> Signs:
    """The signs of a picture (256, 256) uint8, before the run's filters, and of one dictionary of outputs per seed.

    Of this picture alone: `lung`, `infection` (P, P) and `class` (k,) logits, `features` (C,). `size`: height and
    width of the picture as it came. ValueError for other shapes.
    """
    if picture.shape != (PX, PX) or picture.dtype != np.uint8:
        raise ValueError(f"picture: {picture.dtype} {picture.shape}; want uint8 ({PX}, {PX})")
    vectors = {"layout": thumbnail(picture)}
    values = _of_picture(picture)
    if size is not None:
        values["pixels"] = float(min(size))
    lungs = [_mask(found["lung"]) for found in outputs if "lung" in found]
    infections = [_mask(found["infection"]) for found in outputs if "infection" in found]
    if lungs:
        lung = mean_mask([found["lung"] for found in outputs])
        vectors["layout"] = np.append(vectors["layout"], thumbnail(lung))
        values |= _of_lungs(lung)
        if infections:
            outside = mean_mask([found["infection"] for found in outputs]) & ~lung
            values["outside"] = float(outside.mean())
    if outputs and "features" in outputs[0]:
        features = np.asarray(outputs[0]["features"], np.float32)
        vectors["features"] = np.sign(features) * np.sqrt(np.abs(features))
    if len(outputs) > 1:
        values |= _of_seeds(lungs, infections, [found["class"] for found in outputs if "class" in found])
    return Signs(vectors, picture_hash(picture), values)


def block_means(image: np.ndarray, blocks: int) -> np.ndarray:
    """(P, P) -> (blocks, blocks) float32; ValueError where P is no multiple of `blocks`."""
    side = len(image) // blocks
    if image.shape != (side * blocks, side * blocks):
        raise ValueError(f"masks of {image.shape}; a side must be a multiple of {blocks}")
    return image.reshape(blocks, side, blocks, side).mean(axis=(1, 3), dtype=np.float32)


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """(P, P) uint8 or bool -> (256,) float32: 16 x 16 block means, mean-free, unit norm; zeros for a uniform picture.

    Blind to brightness and contrast.
    """
    small = block_means(picture, BLOCKS).ravel()
    small -= small.mean()
    norm = np.linalg.norm(small)
    return small / norm if norm > FLAT else np.zeros_like(small)


def picture_hash(picture: np.ndarray) -> np.ndarray:
    """(256, 256) uint8 -> (32,) uint8, packed bits: each of the 256 lowest DCT terms against their median.

    Another size, brightness, contrast or file format of the same picture changes few bits; a crop changes more.
    """
    low = (COSINES @ block_means(picture, HASH_PX) @ COSINES.T).ravel()
    return np.packbits(low > np.median(low[1:]))


def _cosines() -> np.ndarray:
    """(16, 64): the lowest terms of the orthonormal DCT-II."""
    k, x = np.arange(HASH_SIDE)[:, None], np.arange(HASH_PX)[None]
    terms = np.cos(np.pi * k * (2 * x + 1) / (2 * HASH_PX)) * np.sqrt(2 / HASH_PX)
    terms[0] /= np.sqrt(2)
    return terms


COSINES = _cosines()


def mean_mask(logits: Sequence[np.ndarray]) -> np.ndarray:
    """(P, P) logits of each seed -> (P, P) bool: where their mean is above 0."""
    return np.greater(np.mean(logits, axis=0, dtype=np.float32), 0)


def _mask(logits: np.ndarray) -> np.ndarray:
    return np.asarray(logits) > 0


def _of_picture(picture: np.ndarray) -> dict[str, float]:
    """`spread`: deviation of the grey levels. `extreme`: share of pixels that are black or white. `detail`: mean second
    difference of neighbours over their mean first difference; blur takes it to 0, noise above 1.
    """
    grey = picture.astype(np.float32)
    first = np.abs(grey[:, 2:] - grey[:, :-2]).mean() + np.abs(grey[2:] - grey[:-2]).mean()
    second = np.abs(grey[:, 2:] - 2 * grey[:, 1:-1] + grey[:, :-2]).mean()
    second += np.abs(grey[2:] - 2 * grey[1:-1] + grey[:-2]).mean()
    return {
        "spread": float(grey.std()),
        "extreme": float(((picture < BLACK) | (picture > WHITE)).mean()),
        "detail": float(second / first) if first > 0 else 0.0,
    }


def _of_lungs(lung: np.ndarray) -> dict[str, float]:
    """`lung_area`: share of the picture. Of the box around them: `lung_sides`, the smaller half over the larger, left
    and right of its middle; `lung_bridge`, how much of its middle tenth is lung (between two lungs little is).
    """
    columns, area = lung.sum(axis=0), int(lung.sum())
    if not area:
        return {"lung_area": 0.0}
    left, right = np.flatnonzero(columns)[[0, -1]]
    height = int(np.flatnonzero(lung.any(axis=1))[[0, -1]] @ [-1, 1]) + 1
    middle, tenth = (left + right + 1) // 2, max(1, (right - left + 1) // 20)
    halves = int(columns[:middle].sum()), int(columns[middle:].sum())
    between = columns[middle - min(tenth, middle) : middle + tenth]
    return {
        "lung_area": area / lung.size,
        "lung_sides": min(halves) / max(halves),
        "lung_bridge": float(between.sum() / (len(between) * height)),
    }


def _of_seeds(lungs: list[np.ndarray], infections: list[np.ndarray], classes: list[np.ndarray]) -> dict[str, float]:
    """`seeds_lungs`: share of the lungs of any seed that are not those of all. `seeds_infection`: pixels infected in
    some seeds but not in all, over the pixels of lung of any (of the picture without lungs). `seeds_class`: number of
    other classes that the seeds decide for.
    """
    values = {}
    any_lung = np.any(lungs, axis=0) if lungs else np.zeros(0, bool)
    if lungs:
        differ = int(any_lung.sum()) - int(np.all(lungs, axis=0).sum())
        values["seeds_lungs"] = differ / max(int(any_lung.sum()), 1)
    if infections:
        differ = int(np.any(infections, axis=0).sum()) - int(np.all(infections, axis=0).sum())
        values["seeds_infection"] = differ / (int(any_lung.sum()) or infections[0].size)
    if classes:
        values["seeds_class"] = float(len({int(two_or_more(logits).argmax()) for logits in classes}) - 1)
    return values


def two_or_more(logits: np.ndarray) -> np.ndarray:
    """(..., k) -> (..., max(k, 2)) float64: beside a single logit, that of class 1, the 0 of the other class."""
    logits = np.asarray(logits, np.float64)
    return logits if logits.shape[-1] > 1 else np.concatenate([np.zeros_like(logits), logits], axis=-1)
