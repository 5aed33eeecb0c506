"""Augmentation as the papers state it: a list of settings in, one albumentations transform out.

albumentations 2.0.8 ignores arguments it does not know (a warning only) and draws from its defaults instead, so every
value is passed under its present name and the test suite compares what was built with what was asked for.
"""

import albumentations as A
import cv2
import numpy as np

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


def build(steps: list[Augmentation], px: int = PX, seed: int = 0) -> A.Compose:
    """Transform for (px, px) uint8 images and their masks; photometric steps leave masks alone."""
    return A.Compose([_build(step, px) for step in steps], seed=seed)


def _build(step: Augmentation, px: int) -> A.BasicTransform | A.Sequential:
    match step:
        case HorizontalFlip():
            return A.HorizontalFlip(p=step.p)
        case Rotate90():
            return QuarterTurn(p=step.p)
        case Affine():
            return A.Affine(
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
            # On uint8 the library truncates the noise towards zero (a variance of 5 becomes 3.5): add it as float.
            noise = A.GaussNoise(std_range=step.std_range, mean_range=(0, 0), p=1)
            return A.Sequential(
                [A.ToFloat(max_value=255, p=1), noise, A.FromFloat("uint8", max_value=255, p=1)], p=step.p
            )


def apply(transform: A.Compose, image: np.ndarray, masks: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """One draw for the image (H, W) uint8 and all its masks (H, W) uint8 of 0 and 1."""
    out = transform(image=image, masks=masks)
    return out["image"], list(out["masks"])
