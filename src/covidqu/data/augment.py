"""Augmentation as the papers state it, by albumentations: a list of settings in, changed images and masks out.

albumentations 2.0.8 ignores arguments it does not know (a warning only) and draws from its defaults instead, so every
value is passed under its present name and the test suite compares what was built with what was asked for. At import
it asks the package index for a newer version: not here.
"""

import os
import random
from typing import Any

import cv2
import numpy as np

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A

from covidqu.config.data import PX
from covidqu.config.training import (
    Affine,
    Augmentation,
    BrightnessContrast,
    Elastic,
    Gamma,
    GaussNoise,
    HorizontalFlip,
    Rotate90,
)


class QuarterTurn(A.RandomRotate90):
    """By 90 or by 270 degrees, each as often as the other; the library's own class also draws 0 and 180."""

    def get_params(self) -> dict[str, int]:
        return {"factor": self.py_random.choice((1, 3))}


class Affine2D(A.Affine):
    """The library's own transform and draws; OpenCV is called without the wrappers, which take as long as the warp."""

    def apply(self, img: np.ndarray, matrix: np.ndarray, output_shape: tuple[int, int], **params: Any) -> np.ndarray:
        return self.warped(img, matrix, output_shape, self.interpolation, self.fill)

    def apply_to_mask(
        self, mask: np.ndarray, matrix: np.ndarray, output_shape: tuple[int, int], **params: Any
    ) -> np.ndarray:
        return self.warped(mask, matrix, output_shape, self.mask_interpolation, self.fill_mask)

    def warped(
        self, image: np.ndarray, matrix: np.ndarray, shape: tuple[int, int], interpolation: int, fill: float
    ) -> np.ndarray:
        """(H, W) uint8 -> (H, W) uint8."""
        border = {"borderMode": self.border_mode, "borderValue": fill}
        return cv2.warpAffine(image, matrix[:2], shape[::-1], flags=interpolation, **border)


class GreyNoise(A.GaussNoise):
    """Noise added to uint8 images and rounded; the library's own class truncates the sum towards zero (a variance of 5
    becomes 3.5) and needs float images for the right one, at twice the time.
    """

    def apply(self, img: np.ndarray, noise_map: np.ndarray, **params: Any) -> np.ndarray:
        return cv2.add(img, noise_map, dtype=cv2.CV_8U)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        cv2.setRNGSeed(int(self.random_generator.integers(2**31)))  # of this thread
        noise = np.empty(data["image"].shape, np.float32)
        deviation = 255 * self.py_random.uniform(*self.std_range)
        return {"noise_map": cv2.randn(noise, 0, deviation)}  # type: ignore[call-overload]  # its stub knows no numbers


class Augmenter:
    """One draw per image: what happens to an image is a function of (seed, epoch, row) and of nothing else."""

    def __init__(self, steps: list[Augmentation], px: int = PX, seed: int = 0) -> None:
        self.seed, self.python = seed, random.Random()
        self.counter: Any = np.random.Philox(0)
        self.state: dict[str, Any] = dict(self.counter.state)
        self.transform = A.Compose([_build(step, px) for step in steps], is_check_shapes=False)
        self.transform.set_random_state(np.random.Generator(self.counter), self.python)

    def __call__(self, image: np.ndarray, mask: np.ndarray, epoch: int, row: int) -> tuple[np.ndarray, np.ndarray]:
        """(px, px) uint8 image and label image -> the same, changed together; photometric steps leave masks alone."""
        key = np.array([self.seed, epoch], np.uint64)
        self.counter.state = self.state | {"state": {"counter": np.array([0, 0, 0, row], np.uint64), "key": key}}
        self.python.seed((self.seed << 80) + (epoch << 40) + row)
        out = self.transform(image=image, mask=mask)
        return out["image"], out["mask"]


def _build(step: Augmentation, px: int) -> A.BasicTransform:
    match step:
        case HorizontalFlip():
            return A.HorizontalFlip(p=step.p)
        case Rotate90():
            return QuarterTurn(p=step.p)
        case Affine():
            return Affine2D(
                translate_percent=(-step.shift, step.shift),
                scale=(1 - step.scale, 1 + step.scale),
                rotate=(-step.rotate_deg, step.rotate_deg),
                shear=(-step.shear_deg, step.shear_deg) if step.shear_deg else 0,
                interpolation=cv2.INTER_LINEAR,
                mask_interpolation=cv2.INTER_NEAREST,
                border_mode=cv2.BORDER_CONSTANT,
                fill=0,
                fill_mask=0,
                p=step.p,
            )
        case BrightnessContrast():
            limits = (-step.limit, step.limit)
            return A.RandomBrightnessContrast(brightness_limit=limits, contrast_limit=limits, p=step.p)
        case Gamma():
            return A.RandomGamma(gamma_limit=(100 * (1 - step.limit), 100 * (1 + step.limit)), p=step.p)
        case Elastic():
            return A.ElasticTransform(
                alpha=step.alpha * px,
                sigma=step.sigma * px,
                approximate=False,
                interpolation=cv2.INTER_LINEAR,
                mask_interpolation=cv2.INTER_NEAREST,
                border_mode=cv2.BORDER_CONSTANT,
                fill=0,
                fill_mask=0,
                p=step.p,
            )
        case GaussNoise():
            return GreyNoise(std_range=step.std_range, mean_range=(0, 0), p=step.p)
