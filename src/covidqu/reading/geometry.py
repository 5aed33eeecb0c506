"""A picture of any size to what a network sees, and its logits back to masks of the picture's size.

The images of COVID-QU-Ex are 256 x 256, whatever their radiographs were: the aspect ratio is not kept. So it is here.
Filters and the side of the network come after, as for a training (`data.examples`).
"""

import cv2
import numpy as np

from covidqu.config.data import PX
from covidqu.config.training import Filter
from covidqu.data import filters
from covidqu.reading.pictures import Picture


def as_data(picture: Picture) -> np.ndarray:
    """(256, 256) uint8: the picture within its borders, squeezed to a square; one of 256 x 256 as it is."""
    top, left, bottom, right = picture.box
    return resized(picture.pixels[top:bottom, left:right], PX)


def as_input(image: np.ndarray, steps: list[Filter], px: int) -> np.ndarray:
    """(256, 256) uint8 -> (px, px) uint8, filtered and resized."""
    return resized(filters.apply(steps, image), px)


def resized(image: np.ndarray, px: int) -> np.ndarray:
    """(H, W) uint8 -> (px, px) uint8: area average along a side that shrinks, bilinear along one that grows.

    Of squares the same as `data.examples.resized`, which needs pandas.
    """
    height, width = image.shape
    if height > px or width > px:
        image = cv2.resize(image, (min(width, px), min(height, px)), interpolation=cv2.INTER_AREA)
    if image.shape != (px, px):
        image = cv2.resize(image, (px, px), interpolation=cv2.INTER_LINEAR)
    return image


def as_mask(logits: np.ndarray, picture: Picture) -> np.ndarray:
    """(P, P) logits -> (H, W) bool: above 0 once they are bilinear at the picture's size; nothing in its borders."""
    top, left, bottom, right = picture.box
    mask = np.zeros(picture.size, bool)
    side = right - left, bottom - top
    within: np.ndarray = logits.astype(np.float32)
    if within.shape != (side[1], side[0]):
        within = cv2.resize(within, side, interpolation=cv2.INTER_LINEAR)
    mask[top:bottom, left:right] = within > 0
    return mask
