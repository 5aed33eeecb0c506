"""The packed data set: three arrays and an index, one row per image, read through memory maps.

Row order is the data set's own: infection subset before lung subset; Train, Val, Test; COVID-19, Non-COVID, Normal;
names in natural order. The infection subset comes first so that `infection_masks.npy` needs no rows for the lung
subset: row i of every array is row i of the index.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from covidqu.config.data import CLASSES, PX, SPLITS, SUBSETS
from covidqu.cores import cores
from covidqu.stored import read_array, read_parquet, reading

IMAGES, LUNG_MASKS, INFECTION_MASKS, INDEX = "images.npy", "lung_masks.npy", "infection_masks.npy", "index.parquet"
MASK_BYTES = PX * PX // 8
SHOWN = 3
TEXTS = ("id", "subset", "split", "label", "name", "image_sha256", "masks_sha256", "phash")  # columns of the index
AREAS = ("lung_px", "infection_px")
AGAIN = "delete the folder and run `pack` again"


@dataclass(frozen=True)
class Packed:
    """`images` (N, 256, 256) uint8; `lung_masks` (N, 8192) and `infection_masks` (M, 8192) packed bits, M <= N."""

    index: pd.DataFrame
    images: np.ndarray
    lung_masks: np.ndarray
    infection_masks: np.ndarray
    folder: Path = Path()

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over the index, which holds the hashes of pixels and masks: the identity of the data behind a result.

        What a step reads of the arrays is compared with it by `verify`.
        """
        return hashlib.sha256(self.index.to_csv(index=False, lineterminator="\n").encode()).hexdigest()

    def verify(self, rows: np.ndarray) -> None:
        """Compare pixels and masks of some rows with the hashes in the index; some 3,000 images per second and core.

        ValueError names the first rows that differ.
        """
        known = self.index[["image_sha256", "masks_sha256"]].to_numpy(dtype=object)[rows]
        with ThreadPoolExecutor(cores()) as pool:
            found = list(pool.map(self.hashes, rows.tolist()))
        wrong = [row for row, now, then in zip(rows, found, known, strict=True) if now != tuple(then)]
        if wrong:
            ids = ", ".join(self.index["id"].iloc[wrong[:SHOWN]]) + (", ..." if len(wrong) > SHOWN else "")
            raise ValueError(
                f"{self.folder}: pixels or masks of {len(wrong)} images are not those that were packed ({ids}); "
                "delete the folder and run `pack` again"
            )

    def hashes(self, row: int) -> tuple[str, str]:
        """SHA-256 of the pixels and of both masks of one row, as `pack` writes them into the index."""
        infected = row < len(self.infection_masks)
        infection = self.infection_masks[row] if infected else np.zeros(MASK_BYTES, np.uint8)
        masks = np.concatenate([self.lung_masks[row], infection])
        return hashlib.sha256(self.images[row]).hexdigest(), hashlib.sha256(masks).hexdigest()

    def rows(self, subset: str) -> np.ndarray:
        """Row numbers of one subset; ValueError names the subsets that are there."""
        rows = np.flatnonzero(self.index["subset"].to_numpy() == subset)
        if not len(rows):
            present = ", ".join(s for s in SUBSETS if (self.index["subset"] == s).any())
            raise ValueError(
                f"the packed data hold no '{subset}' subset, only: {present}; "
                f"set `subset: {present}` for this run (or get the whole archive)"
            )
        return rows


def open_packed(folder: Path) -> Packed:
    """Open what `pack` wrote; ValueError when a file is missing, damaged, or not of the length of the others."""
    missing = [n for n in (IMAGES, LUNG_MASKS, INFECTION_MASKS, INDEX) if not (folder / n).is_file()]
    if missing:
        raise ValueError(f"{folder}: {', '.join(missing)} missing; run the `pack` step")
    index = read_parquet(folder / INDEX, AGAIN)
    with reading(folder / INDEX, AGAIN):
        index = checked(index)
    infected = int((index["subset"] == "infection").sum())
    shapes = {
        IMAGES: (len(index), PX, PX),
        LUNG_MASKS: (len(index), MASK_BYTES),
        INFECTION_MASKS: (infected, MASK_BYTES),
    }
    images, lung, infection = (mapped(folder / name, shape) for name, shape in shapes.items())
    return Packed(index, images, lung, infection, folder)


def checked(index: pd.DataFrame) -> pd.DataFrame:
    """The columns of an index, if they hold what `pack` writes; ValueError says which one does not."""
    index = index[[*TEXTS, *AREAS]]
    for column in TEXTS:
        if pd.api.types.infer_dtype(index[column], skipna=False) not in ("string", "empty"):
            raise ValueError(f"column '{column}' holds other things than text")
    for column in AREAS:
        if index[column].dtype != np.int32 or not index[column].between(0, PX * PX).all():
            raise ValueError(f"column '{column}' holds other things than areas")
    for column, valid in (("subset", SUBSETS), ("split", SPLITS), ("label", CLASSES)):
        if wrong := set(index[column]) - set(valid):
            raise ValueError(f"column '{column}' holds {min(wrong)!r}; valid: {', '.join(valid)}")
    if not index["subset"].map(SUBSETS.index).is_monotonic_increasing:
        raise ValueError("infection rows do not come first")
    return index


def mapped(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A memory map of uint8; ValueError for a file of another shape or type, cut or damaged."""
    found = read_array(path, AGAIN)
    if found.shape != shape or found.dtype != np.uint8:
        raise ValueError(f"{path}: holds {found.dtype} {found.shape}, the index {shape}; {AGAIN}")
    return found


def pack_mask(mask: np.ndarray) -> np.ndarray:
    """(..., 256, 256) bool -> (..., 8192) packed bits."""
    return np.packbits(mask.reshape(*mask.shape[:-2], PX * PX), axis=-1)


def unpack_mask(bits: np.ndarray) -> np.ndarray:
    """(..., 8192) packed bits -> (..., 256, 256) bool."""
    return np.unpackbits(bits, axis=-1).reshape(*bits.shape[:-1], PX, PX).astype(bool)
