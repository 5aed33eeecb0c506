"""Lesions: connected parts of a mask. How many annotated ones are found, and how many predicted ones are false.

Parts are 8-connected and have at least `LEAST_PX` pixels; smaller ones are specks of a threshold, not lesions. A part
is met by the other mask when at least `MET` of its pixels lie in it.
"""

import cv2
import numpy as np

LEAST_PX = 16  # of 256 x 256
MET = 0.1


def lesion_scores(positive: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """(b, 256, 256) bool twice -> (b,) int32: annotated lesions, those that are met, predicted ones that are not."""
    found = [(*_parts(mask, other), *_parts(other, mask)) for other, mask in zip(positive, truth, strict=True)]
    lesions, met, predicted, right = np.array(found, np.int32).reshape(-1, 4).T
    return {"lesions": lesions, "lesions_found": met, "lesions_false": predicted - right}


def _parts(mask: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Parts of a mask, and those that the other one meets."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    sizes = np.bincount(labels.ravel())
    inside = np.bincount(labels[other], minlength=len(sizes))
    large = sizes[1:] >= LEAST_PX  # 0 is what lies outside of the mask
    return int(large.sum()), int((large & (inside[1:] >= MET * sizes[1:])).sum())
