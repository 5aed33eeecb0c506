"""Batches from the packed arrays: rows in, uint8 images and masks at the run's resolution out.

One process: nothing is decoded, so worker processes cost more than they bring; one thread prepares the next batch
while the device works. The order and every random draw are functions of (seed, epoch, rank), so a resumed training
sees the very same batches.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pandas as pd

from covidqu.config.data import PX
from covidqu.config.training import Filter, Run
from covidqu.data import augment, filters
from covidqu.data.index import Packed, unpack_mask

LABELS = ("Normal", "Non-COVID", "COVID-19")  # `Batch.label` is an index of these
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation per channel, of intensities 0..1


@dataclass(frozen=True)
class Batch:
    """`image` (B, px, px) uint8, ROI applied; `lung`, `infection` (B, px, px) uint8 of 0 and 1; `label` (B,) int64."""

    rows: np.ndarray
    image: np.ndarray
    lung: np.ndarray
    infection: np.ndarray
    label: np.ndarray

    def target(self, task: str) -> np.ndarray:
        """Mask of one task."""
        return {"lung": self.lung, "infection": self.infection}[task]


@dataclass(frozen=True)
class Examples:
    """Some rows of the packed data, filtered, seen at `px` pixels a side through the lung masks of `roi`."""

    packed: Packed
    rows: np.ndarray
    roi: np.ndarray
    px: int
    filters: tuple[Filter, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[np.ndarray, list[np.ndarray], int]:
        """Image (px, px) uint8, [lung, infection, roi] masks (px, px) uint8, class index."""
        row = int(self.rows[position])
        none = np.zeros(self.packed.lung_masks.shape[1], np.uint8)
        infection = self.packed.infection_masks[row] if row < len(self.packed.infection_masks) else none
        bits = [self.packed.lung_masks[row], infection, self.roi[row if len(self.roi) > 1 else 0]]
        masks = [unpack_mask(np.asarray(b)).astype(np.uint8) for b in bits]
        image = filters.apply(list(self.filters), np.asarray(self.packed.images[row]))
        if self.px != PX:
            image = resize(image, self.px)
            masks = [resize(mask * np.uint8(255), self.px) >> 7 for mask in masks]
        return image, masks, LABELS.index(self.packed.index["label"].iat[row])

    @property
    def labels(self) -> np.ndarray:
        """(n,) label of each image."""
        return self.packed.index["label"].to_numpy()[self.rows]

    def batch(self, positions: np.ndarray, transform: A.Compose | None) -> Batch:
        """Gather, augment, then hide what lies outside the ROI (in that order: brightness never lights it up)."""
        images, lungs, infections, labels = [], [], [], []
        for position in positions:
            image, masks, label = self[int(position)]
            if transform is not None:
                image, masks = augment.apply(transform, image, masks)
            images.append(image * masks[2])
            lungs.append(masks[0])
            infections.append(masks[1])
            labels.append(label)
        return Batch(
            self.rows[positions], np.stack(images), np.stack(lungs), np.stack(infections), np.array(labels, np.int64)
        )


def resize(image: np.ndarray, px: int) -> np.ndarray:
    """(H, W) uint8 -> (px, px) uint8; area average when shrinking, bilinear when growing."""
    return cv2.resize(image, (px, px), interpolation=cv2.INTER_AREA if px < image.shape[0] else cv2.INTER_LINEAR)


def foreground_ratios(run: Run, examples: Examples) -> dict[str, float]:
    """Background / foreground pixels of all training images for tasks whose loss says `pos_weight: train`; else 1."""
    out = {}
    for task in run.masks:
        terms, out[task] = run.loss[task], 1.0
        if any(getattr(term, "pos_weight", None) == "train" for term in terms):
            area = examples.packed.index[f"{task}_px"].to_numpy()[examples.rows].sum()
            if area == 0:
                raise ValueError(f"loss.{task}: pos_weight 'train' needs foreground in Train, there is none")
            out[task] = float((len(examples) * PX * PX - area) / area)
    return out


def intensity_statistics(run: Run, train: Examples) -> Statistics | None:
    """What a run normalises intensities with; None for `unit`.

    `lung_tissue` (paper 003): one mean and deviation of all pixels inside the lungs of the Normal images of Train, as
    the network sees them. ValueError when there are none.
    """
    if run.normalise == "unit":
        return None
    if run.normalise == "imagenet":
        return IMAGENET_MEAN, IMAGENET_STD
    counts = np.zeros(256, np.int64)
    for position in np.flatnonzero(train.labels == "Normal"):
        image, masks, _ = train[int(position)]
        counts += np.bincount(image[masks[0] > 0], minlength=256)
    if not counts.sum():
        raise ValueError("normalise: lung_tissue needs lungs of Normal images in Train, there are none; set unit")
    grey = np.arange(256) / 255
    mean = float((counts * grey).sum() / counts.sum())
    return (mean,), (float(np.sqrt((counts * (grey - mean) ** 2).sum() / counts.sum())),)


def trained_on(packed: Packed, rows: np.ndarray, run: Run) -> np.ndarray:
    """The rows whose label the run's class head knows; all of them without a head."""
    return rows[np.isin(packed.index["label"].to_numpy()[rows], list(run.class_map))] if run.class_map else rows


def load_roi(path: Path, packed: Packed) -> np.ndarray:
    """Packed bits of a ROI file: one row per infection image, or a single row for all images."""
    roi = np.load(path, mmap_mode="r")
    if len(roi) not in (1, len(packed.infection_masks)) or roi.shape[1] != packed.lung_masks.shape[1]:
        raise ValueError(f"{path}: holds {roi.shape} masks, the data have {len(packed.infection_masks)}; rerun `roi`")
    return roi


def split_rows(packed: Packed, split: Path, subset: str, column: str) -> dict[str, np.ndarray]:
    """Rows of Train, Val and Test of one subset under the named split; ValueError when one is empty."""
    table = pd.read_parquet(split)
    if len(table) != len(packed.index):
        raise ValueError(f"{split}: {len(table)} rows, the data have {len(packed.index)}; rerun the `split` step")
    rows = packed.rows(subset)
    names = table[column].to_numpy()[rows]
    out = {part: rows[names == part] for part in ("Train", "Val", "Test")}
    empty = [part for part, found in out.items() if not len(found)]
    if empty:
        raise ValueError(f"{split}: the {column} split of subset '{subset}' has no images in {', '.join(empty)}")
    return out


def order(
    count: int, batch: int, seed: int, epoch: int, rank: int = 0, world: int = 1, classes: np.ndarray | None = None
) -> list[np.ndarray]:
    """Positions of an epoch's batches: a permutation that (seed, epoch) alone decide, dealt out to the ranks.

    `classes` (count,): every class is drawn equally often, `count` images in all; the images of a class take turns.
    A last short batch is dropped (batch normalisation needs more than one image) unless it is the only one.
    """
    generator = np.random.default_rng([seed, epoch])
    permutation = generator.permutation(count) if classes is None else balanced(classes, generator)
    share = permutation[: count - count % world][rank::world] if count >= world else permutation
    full = len(share) // batch * batch
    return np.split(share[:full], full // batch) if full else [share]


def balanced(classes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(n,) classes -> (n,) positions, each class as often as the others (or once more)."""
    found = np.unique(classes)
    drawn = []
    for place, label in enumerate(found):
        members = np.flatnonzero(classes == label)
        wanted = (len(classes) - place - 1) // len(found) + 1
        rounds = [generator.permutation(members) for _ in range(-(-wanted // len(members)))]
        drawn.append(np.concatenate(rounds)[:wanted])
    return generator.permutation(np.concatenate(drawn))


def in_sequence(count: int, batch: int) -> list[np.ndarray]:
    """Positions 0..count-1 in batches, the last one as long as it comes."""
    return [np.arange(start, min(start + batch, count)) for start in range(0, count, batch)]


def batches(examples: Examples, positions: list[np.ndarray], transform: A.Compose | None = None) -> Iterator[Batch]:
    """Yield batches in the given order; one thread stays a batch ahead."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = [pool.submit(examples.batch, p, transform) for p in positions[:2]]
        for following in [*positions[2:], None, None][: len(positions)]:
            ready = pending.pop(0).result()
            if following is not None:
                pending.append(pool.submit(examples.batch, following, transform))
            yield ready
