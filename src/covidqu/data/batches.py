"""Where a batch is made: examples and an order of positions in, tensors of uint8 images and label images out.

Order and draws are functions of (seed, epoch, image), so batches do not depend on how many processes make them, on the
rank that asks, or on where a training was interrupted.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from covidqu.data.augment import Augmenter
from covidqu.data.examples import BITS, Examples

AHEAD = 4  # batches that each process prepares before they are asked for
Order = list[np.ndarray]  # positions of each batch
Wanted = tuple[int, np.ndarray]  # epoch, positions


class Batch(NamedTuple):
    """`rows` (B,) int64; `image` (B, px, px) uint8, nothing hidden; `masks` (B, px, px) uint8 label images with the
    bits of `data.examples.BITS`; `label` (B,) int64, places in `data.examples.LABELS`. All on one device.
    """

    rows: Tensor
    image: Tensor
    masks: Tensor
    label: Tensor

    def target(self, task: str) -> Tensor:
        """(B, px, px) uint8 of 0 and 1: the mask of one task."""
        return (self.masks >> BITS[task]) & 1

    def seen(self) -> Tensor:
        """(B, px, px) uint8: the image inside the ROI, 0 outside. Last of all, so that no change of brightness lights
        up what is hidden.
        """
        return self.image * self.target("roi")

    def to(self, device: torch.device) -> "Batch":
        """The same on a device; the copy of pinned memory does not wait."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))


class Batches(Dataset):
    """(epoch, positions) -> Batch; with `augmenter` each image is drawn for (seed, epoch, row)."""

    def __init__(self, examples: Examples, augmenter: Augmenter | None = None) -> None:
        self.examples, self.augmenter = examples, augmenter

    def __getitem__(self, wanted: Wanted) -> Batch:
        px = self.examples.px
        pixels = torch.empty((2, len(wanted[1]), px, px), dtype=torch.uint8)
        self.draw(wanted, pixels.numpy())
        return self.batch(wanted, pixels)

    def draw(self, wanted: Wanted, out: np.ndarray) -> None:
        """Images and label images into `out` (2, B, px, px)."""
        epoch, positions = wanted
        rows = self.examples.rows[positions]
        for place, (position, row) in enumerate(zip(positions, rows, strict=True)):
            image, mask = self.examples.image(position), self.examples.masks[position]
            if self.augmenter is not None:
                image, mask = self.augmenter(image, mask, epoch, int(row))
            out[0, place], out[1, place] = image, mask

    def batch(self, wanted: Wanted, pixels: Tensor) -> Batch:
        """The batch whose pixels are these."""
        rows, labels = (part[wanted[1]] for part in (self.examples.rows, self.examples.labels))
        image, masks = pixels
        return Batch(torch.from_numpy(rows.astype(np.int64)), image, masks, torch.from_numpy(labels))


class Slots(Dataset):
    """(slot, wanted) -> nothing: a process draws into shared memory, so that no pixel is sent from it to another."""

    def __init__(self, batches: Batches, slots: int, size: int) -> None:
        px = batches.examples.px
        self.batches, self.size = batches, size
        self.memory = torch.empty((slots, 2, size, px, px), dtype=torch.uint8).share_memory_()

    def __getitem__(self, asked: tuple[int, Wanted]) -> int:
        slot, wanted = asked
        self.batches.draw(wanted, self.memory[slot, :, : len(wanted[1])].numpy())
        return slot


class Loader:
    """Batches in a given order. Without `workers` a thread stays one batch ahead: enough for a network on the CPU. With
    them as many processes prepare batches for a GPU, in pinned memory with `pinned`; they are started once.
    """

    def __init__(self, batches: Batches, workers: int = 0, pinned: bool = False) -> None:
        self.batches, self.workers, self.pinned = batches, workers, pinned
        self.asked: list[tuple[int, Wanted]] = []
        self.slots: Slots | None = None
        self.processes: DataLoader | None = None

    def __call__(self, order: Order, epoch: int = 0) -> Iterator[Batch]:
        """Yield the batches of `order`, drawn for `epoch`."""
        wanted = [(epoch, positions) for positions in order]
        return self.by_processes(wanted) if self.workers else self.one_ahead(wanted)

    def by_processes(self, wanted: list[Wanted]) -> Iterator[Batch]:
        size = max(len(positions) for _, positions in wanted)
        if self.slots is None or self.processes is None or size > self.slots.size:
            self.slots, self.processes = self.started(size)
        # A batch is copied out before the next one is asked for, so its slot is free long before its turn comes again.
        self.asked[:] = [(number % len(self.slots.memory), one) for number, one in enumerate(wanted)]
        for slot, one in zip(self.processes, wanted, strict=True):
            pixels = self.slots.memory[slot, :, : len(one[1])]
            yield self.batches.batch(one, pixels.pin_memory() if self.pinned else pixels.clone())

    def started(self, size: int) -> tuple[Slots, DataLoader]:
        slots = Slots(self.batches, self.workers * AHEAD + 2, size)
        return slots, DataLoader(
            slots,
            batch_size=None,
            sampler=self.asked,
            num_workers=self.workers,
            multiprocessing_context="fork",  # the examples are shared, not copied
            persistent_workers=True,
            prefetch_factor=AHEAD,
        )

    def one_ahead(self, wanted: list[Wanted]) -> Iterator[Batch]:
        with ThreadPoolExecutor(max_workers=1) as pool:
            pending = [pool.submit(self.batches.__getitem__, w) for w in wanted[:2]]
            for following in [*wanted[2:], None, None][: len(wanted)]:
                ready = pending.pop(0).result()
                if following is not None:
                    pending.append(pool.submit(self.batches.__getitem__, following))
                yield ready


def shuffled(
    count: int, batch: int, seed: int, epoch: int, rank: int = 0, world: int = 1, classes: np.ndarray | None = None
) -> Order:
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


def in_sequence(count: int, batch: int) -> Order:
    """Positions 0..count-1 in batches, the last one as long as it comes."""
    return [np.arange(start, min(start + batch, count)) for start in range(0, count, batch)]
