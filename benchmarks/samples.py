"""Augmented training samples (paper 001's settings, 256 px): packed arrays against PNG files and against MONAI."""

import os
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import torch
from measuring import Line, in_turns
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from covidqu.config.params import load
from covidqu.config.training import Affine, BrightnessContrast, GaussNoise, Run
from covidqu.data.augment import Augmenter
from covidqu.data.batches import Batches, Loader, shuffled
from covidqu.data.examples import examples
from covidqu.data.index import open_packed

BATCH, WORKERS = 8, (1, 2, 4, 8)


class PngFiles(Dataset):
    """What one would write: three PNG files read by Pillow and one albumentations transform with the same settings."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.images = sorted(folder.rglob("images/*.png"))
        steps = {type(step): step for step in run.augment}
        affine, light, noise = (steps[kind] for kind in (Affine, BrightnessContrast, GaussNoise))
        self.transform = A.Compose([
            A.HorizontalFlip(p=0.5),
            A.Affine(translate_percent=(-affine.shift, affine.shift), scale=(1 - affine.scale, 1 + affine.scale),
                     rotate=(-affine.rotate_deg, affine.rotate_deg), p=affine.p),
            A.RandomBrightnessContrast(light.limit, light.limit, p=light.p),
            A.GaussNoise(std_range=noise.std_range, p=noise.p),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.images)

    def mask(self, image: Path, kind: str) -> np.ndarray:
        return (np.asarray(Image.open(image.parent.parent / kind / image.name)) > 127).astype(np.uint8)

    def __getitem__(self, place: int) -> tuple[np.ndarray, ...]:
        path = self.images[place]
        masks = [self.mask(path, kind) for kind in ("lung masks", "infection masks")]
        found = self.transform(image=np.asarray(Image.open(path)), masks=masks)
        return found["image"], *found["masks"]


def monai_loader(files: PngFiles, run: Run) -> DataLoader:
    """MONAI's CacheDataset: files are read once; its own transforms with the same settings."""
    import monai.transforms as M
    from monai.data import CacheDataset
    from monai.data import DataLoader as MonaiLoader

    keys, affine = ("image", "lung", "infection"), next(s for s in run.augment if isinstance(s, Affine))
    shift, turn = affine.shift * 256, np.radians(affine.rotate_deg)
    items = [
        {
            "image": np.asarray(Image.open(path))[None].astype(np.float32),
            **{k: files.mask(path, f"{k} masks")[None] for k in keys[1:]},
        }
        for path in files.images
    ]
    steps = [
        M.EnsureTyped(keys),
        M.RandFlipd(keys, 0.5, spatial_axis=1),
        M.RandAffined(keys, prob=0.5, rotate_range=turn, translate_range=(shift, shift), scale_range=(0.05, 0.05),
                      mode=("bilinear", "nearest", "nearest"), padding_mode="zeros"),
        M.RandScaleIntensityd("image", 0.15, prob=0.5),
        M.RandShiftIntensityd("image", 0.15 * 255, prob=0.5),
        M.RandGaussianNoised("image", prob=0.5, std=3.0),
    ]  # fmt: skip
    return MonaiLoader(CacheDataset(items, M.Compose(steps), progress=False), batch_size=BATCH, shuffle=True)


def measure(place) -> list[Line]:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    run = load([Path("params.yaml")]).run("unetpp-b3")
    data = open_packed(place.packed)
    some = examples(data, data.rows("infection"), np.full((1, 8192), 255, np.uint8), 256)
    n, order = len(some), shuffled(len(some), BATCH, 0, 1)
    augmented, plain = Batches(some, Augmenter(run.augment, 256)), Batches(some)
    files = PngFiles(place.png, run)
    png, cached = DataLoader(files, BATCH, shuffle=True), monai_loader(files, run)

    def here() -> None:
        for positions in order:
            augmented[1, positions]

    png_ms, monai_ms, ms = in_turns(n, lambda: list(png), lambda: list(cached), here)
    decode_ms, read_ms = in_turns(
        n,
        lambda: [np.asarray(Image.open(file)) for file in place.png.rglob("*.png")],
        lambda: [plain[1, positions] for positions in order],
    )
    what = "augmented sample"
    return [
        Line(what, "PNG, Pillow, albumentations, DataLoader", png_ms, ms, png_ms / ms, ">= 5", 5),
        Line(what, "MONAI CacheDataset", monai_ms, ms, monai_ms / ms, ">= 12", 12),
        Line("sample as it is", "decoding its PNG files", decode_ms, read_ms, decode_ms / read_ms),
        *scaling(augmented, order, n),
    ]


def scaling(batches: Batches, order: list[np.ndarray], n: int) -> list[Line]:
    """The same with processes: samples per second over those of one process, as a share of what the cores allow."""
    cores, lines = len(os.sched_getaffinity(0)), []
    loaders = {count: Loader(batches, count) for count in WORKERS}
    times = in_turns(n, *(lambda loader=loader: list(loader(order * 4, 1)) for loader in loaders.values()))
    one = times[0]
    for count, ms in zip(WORKERS[1:], times[1:], strict=True):
        share = one / ms / min(count, cores)
        goal, wanted = (">= 0.8", 0.8) if count <= cores else (f"({cores} cores)", None)
        lines.append(
            Line(f"augmented sample, {count} processes", "linear in one process", one / 4, ms / 4, share, goal, wanted)
        )
    return lines
