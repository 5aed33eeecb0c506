"""Filters of the image before anything else sees it: (H, W) uint8 in, (H, W) uint8 out, masks are left alone."""

import cv2
import numpy as np

from covidqu.config.training import Filter, Median, Opening


def apply(filters: list[Filter], image: np.ndarray) -> np.ndarray:
    """The filters one after the other, sizes in pixels of the image given; OpenCV's own borders at the edges.

    The image itself is never written to. An even size of a median is refused by the settings (`Median`).
    """
    for step in filters:
        match step:
            case Median():
                image = cv2.medianBlur(image, step.px)
            case Opening():
                kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (step.px, step.px))
                image = cv2.morphologyEx(image, cv2.MORPH_OPEN, kernel)
    return image
