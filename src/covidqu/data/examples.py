"""The images of one run as its network sees them: packed data, split and lung masks in, arrays at the run's size out.

Pixels and masks are compared with the hashes of the index before a step uses them. Filtering and resizing are done once
per step, not once per epoch. The masks of an image are one label image: bit 0 lung, bit 1 infection, bit 2 the region
of interest (ROI) that the network may see.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from covidqu.config.data import PX
from covidqu.config.training import Filter, Run
from covidqu.cores import cores
from covidqu.data import filters
from covidqu.data.index import Packed, open_packed, unpack_mask
from covidqu.stored import read_array, read_parquet

cv2.setNumThreads(1)  # images are shared out to threads and processes here; OpenCV's own threads do not survive a fork

LABELS = ("Normal", "Non-COVID", "COVID-19")  # a class index of this module is a place in these
BITS = {"lung": 0, "infection": 1, "roi": 2}  # of a label image
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation per channel, of intensities 0..1


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Files that every step with a network reads: the packed data, the split, the lung masks of the run's `roi`."""

    packed: Path
    split: Path
    roi: Path


@dataclass(frozen=True)
class Examples:
    """Some rows of the packed data at `px` pixels a side.

    `images` (n, px, px) uint8, filtered, nothing hidden; `masks` (n, px, px) uint8, bits as in `BITS`; `labels` (n,)
    int64, places in `LABELS`. At the data's own size and without filters `images` is the packed array itself, read
    through `places` (n,); else `places` counts from 0.
    """

    rows: np.ndarray
    images: np.ndarray
    places: np.ndarray
    masks: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def px(self) -> int:
        return self.masks.shape[-1]

    def image(self, position: int) -> np.ndarray:
        """(px, px) uint8."""
        return self.images[self.places[position]]

    def with_mask(self, task: str) -> np.ndarray:
        """(n,) bool: whether an image has any foreground of `task`."""
        return np.array([(mask >> BITS[task] & 1).any() for mask in self.masks], bool)


@dataclass(frozen=True)
class RunData:
    """What the steps of one run read; `open` checks it.

    `parts`: Train, Val and Test -> rows. Train and Val hold only images whose label the run's class head knows.
    """

    run: Run
    packed: Packed
    roi: np.ndarray
    parts: dict[str, np.ndarray]
    made: dict[str, Examples] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, run: Run, inputs: Inputs) -> "RunData":
        """ValueError for files that are missing or do not belong together, and for a part without images."""
        packed = open_packed(inputs.packed)
        parts = split_rows(packed, inputs.split, run.subset, run.split)
        for part in ("Train", "Val"):
            parts[part] = trained_on(packed, parts[part], run)
            if not len(parts[part]):
                known = ", ".join(run.class_map)
                raise ValueError(
                    f"{inputs.split}: {part} has no image that the class head knows ({known}); see `classes`"
                )
        return cls(run, packed, load_roi(inputs.roi, packed), parts)

    def examples(self, part: str) -> Examples:
        """The images of Train, Val or Test; made once. ValueError for pixels or masks that the index does not know."""
        if part not in self.made:
            self.made[part] = self.of(self.parts[part])
        return self.made[part]

    def of(self, rows: np.ndarray) -> Examples:
        """Any rows as the run sees them."""
        return examples(self.packed, rows, self.roi, self.run.image_px, tuple(self.run.filters))

    @cached_property
    def ratios(self) -> dict[str, float]:
        """Background / foreground pixels of Train for tasks whose loss says `pos_weight: train`; else 1.

        ValueError where there is no foreground.
        """
        out: dict[str, float] = {}
        rows = self.parts["Train"]
        for task in self.run.masks:
            out[task] = 1.0
            if any(getattr(term, "pos_weight", None) == "train" for term in self.run.loss[task]):
                area = self.packed.index[f"{task}_px"].to_numpy()[rows].sum()
                if area == 0:
                    raise ValueError(f"loss.{task}: pos_weight 'train' needs foreground in Train, there is none")
                out[task] = float((len(rows) * PX * PX - area) / area)
        return out

    @cached_property
    def statistics(self) -> Statistics | None:
        """What the run normalises intensities with; None for `unit`.

        `lung_tissue` (paper 003): one mean and deviation of all pixels inside the lungs of the Normal images of Train,
        as the network sees them. ValueError when there are none.
        """
        if self.run.normalise == "unit":
            return None
        if self.run.normalise == "imagenet":
            return IMAGENET_MEAN, IMAGENET_STD
        labels, rows = self.packed.index["label"].to_numpy(), self.parts["Train"]
        normal = self.of(rows[labels[rows] == "Normal"])
        counts = np.zeros(256, np.int64)
        for position in range(len(normal)):
            counts += np.bincount(normal.image(position)[normal.masks[position] & 1 > 0], minlength=256)
        if not counts.sum():
            raise ValueError("normalise: lung_tissue needs lungs of Normal images in Train, there are none; set unit")
        grey = np.arange(256) / 255
        mean = float((counts * grey).sum() / counts.sum())
        return (mean,), (float(np.sqrt((counts * (grey - mean) ** 2).sum() / counts.sum())),)


def examples(packed: Packed, rows: np.ndarray, roi: np.ndarray, px: int, steps: tuple[Filter, ...] = ()) -> Examples:
    """Rows of the packed data, checked against the index, filtered and resized; `roi`: bits of one mask or of many."""
    n, native = len(rows), px == PX and not steps
    images = packed.images if native else np.empty((n, px, px), np.uint8)
    masks = np.empty((n, px, px), np.uint8)

    def one(position: int) -> None:
        row = int(rows[position])
        masks[position] = label_image(packed, row, roi[row if len(roi) > 1 else 0], px)
        if not native:
            images[position] = resized(filters.apply(list(steps), np.asarray(packed.images[row])), px)

    packed.verify(rows)
    over_threads(one, range(n))
    labels = np.array([LABELS.index(label) for label in packed.index["label"].to_numpy()[rows]], np.int64)
    return Examples(rows, images, rows if native else np.arange(n), masks, labels)


def label_image(packed: Packed, row: int, roi: np.ndarray, px: int) -> np.ndarray:
    """(px, px) uint8, the masks of one row as bits; each resized as a grey image and cut at one half."""
    infected = row < len(packed.infection_masks)
    bits = {"lung": packed.lung_masks[row], "infection": packed.infection_masks[row] if infected else None, "roi": roi}
    out = np.zeros((px, px), np.uint8)
    for name, packed_bits in bits.items():
        if packed_bits is not None:
            mask = unpack_mask(np.asarray(packed_bits)).view(np.uint8)
            out |= (mask if px == PX else resized(mask * np.uint8(255), px) >> 7) << BITS[name]
    return out


def over_threads(task, items: Iterable[int]) -> None:
    """Call `task` with each item, on the cores that this process may use."""
    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(task, items):
            pass


def resized(image: np.ndarray, px: int) -> np.ndarray:
    """(H, W) uint8 -> (px, px) uint8; area average when shrinking, bilinear when growing."""
    if image.shape[0] == px:
        return image
    return cv2.resize(image, (px, px), interpolation=cv2.INTER_AREA if px < image.shape[0] else cv2.INTER_LINEAR)


def trained_on(packed: Packed, rows: np.ndarray, run: Run) -> np.ndarray:
    """The rows whose label the run's class head knows; all of them without a head."""
    return rows[np.isin(packed.index["label"].to_numpy()[rows], list(run.class_map))] if run.class_map else rows


def load_roi(path: Path, packed: Packed) -> np.ndarray:
    """Packed bits of a ROI file: one row per infection image, or a single row for all images."""
    roi = read_array(path, "run `roi` again")
    if roi.ndim != 2 or roi.dtype != np.uint8:
        raise ValueError(f"{path}: holds {roi.dtype} {roi.shape}; run `roi` again")
    if len(roi) not in (1, len(packed.infection_masks)) or roi.shape[1] != packed.lung_masks.shape[1]:
        raise ValueError(f"{path}: holds {roi.shape} masks, the data have {len(packed.infection_masks)}; rerun `roi`")
    return roi


def split_rows(packed: Packed, split: Path, subset: str, column: str) -> dict[str, np.ndarray]:
    """Rows of Train, Val and Test of one subset under the named split; ValueError when one is empty."""
    table = read_parquet(split, "run `split` again", columns=[column])
    if len(table) != len(packed.index):
        raise ValueError(f"{split}: {len(table)} rows, the data have {len(packed.index)}; rerun the `split` step")
    rows = packed.rows(subset)
    names = table[column].to_numpy()[rows]
    out = {part: rows[names == part] for part in ("Train", "Val", "Test")}
    empty = [part for part, found in out.items() if not len(found)]
    if empty:
        raise ValueError(f"{split}: the {column} split of subset '{subset}' has no images in {', '.join(empty)}")
    return out
