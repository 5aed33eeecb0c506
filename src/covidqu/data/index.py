"""The packed data set: three arrays and an index, one row per image, read through memory maps.

Row order is the data set's own: infection subset before lung subset; Train, Val, Test; COVID-19, Non-COVID, Normal;
names in natural order. The infection subset comes first so that `infection_masks.npy` needs no rows for the lung
subset: row i of every array is row i of the index.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from covidqu.config.data import PX, SUBSETS

IMAGES, LUNG_MASKS, INFECTION_MASKS, INDEX = "images.npy", "lung_masks.npy", "infection_masks.npy", "index.parquet"
MASK_BYTES = PX * PX // 8


@dataclass(frozen=True)
class Packed:
    """`images` (N, 256, 256) uint8; `lung_masks` (N, 8192) and `infection_masks` (M, 8192) packed bits, M <= N."""

    index: pd.DataFrame
    images: np.ndarray
    lung_masks: np.ndarray
    infection_masks: np.ndarray

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over ids, pixels and masks of all rows: the identity of the data behind a result."""
        columns = ["id", "image_sha256", "masks_sha256"]
        text = "\n".join(" ".join(row) for row in self.index[columns].itertuples(index=False))
        return hashlib.sha256(text.encode()).hexdigest()

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
    """Open what `pack` wrote; ValueError when a file is missing or lengths disagree."""
    missing = [n for n in (IMAGES, LUNG_MASKS, INFECTION_MASKS, INDEX) if not (folder / n).is_file()]
    if missing:
        raise ValueError(f"{folder}: {', '.join(missing)} missing; run the `pack` step")
    index = pd.read_parquet(folder / INDEX)
    images, lung, infection = (np.load(folder / n, mmap_mode="r") for n in (IMAGES, LUNG_MASKS, INFECTION_MASKS))
    infected = int((index["subset"] == "infection").sum())
    if not (len(index) == len(images) == len(lung) and infected == len(infection)):
        raise ValueError(f"{folder}: arrays and index differ in length; delete the folder and run `pack` again")
    return Packed(index, images, lung, infection)


def pack_mask(mask: np.ndarray) -> np.ndarray:
    """(..., 256, 256) bool -> (..., 8192) packed bits."""
    return np.packbits(mask.reshape(*mask.shape[:-2], PX * PX), axis=-1)


def unpack_mask(bits: np.ndarray) -> np.ndarray:
    """(..., 8192) packed bits -> (..., 256, 256) bool."""
    return np.unpackbits(bits, axis=-1).reshape(*bits.shape[:-1], PX, PX).astype(bool)
