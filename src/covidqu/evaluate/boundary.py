"""Distances between the boundaries of two masks: two bool masks in, hd95 (pixels) and surface Dice out.

The surface of a mask is its pixels with a 4-neighbour in the background; beyond the image's edge is background.
"""

import cv2
import numpy as np

TOLERANCE_PX = 2.0
PERCENTILE = 95.0
PAIRS = 1_500_000  # of surface pixels, from which a distance transform is faster
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def surface(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool -> (H, W) bool: mask pixels with a 4-neighbour outside the mask."""
    inner = cv2.erode(mask.astype(np.uint8), CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=(0,))
    return mask & (inner == 0)


def bounding_box(mask: np.ndarray) -> tuple[slice, slice]:
    """The smallest box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert len(rows), "an empty mask has no bounding box"
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def distances(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances (pixels) of each pixel of `one` to the nearest of `other`, and back; (H, W) bool, not empty.

    Squared distances of a grid are whole numbers, which float32 holds: every way to them gives the same.
    """
    if np.count_nonzero(one) * np.count_nonzero(other) > PAIRS:
        return _by_transform(one, other), _by_transform(other, one)
    (y, x), (v, u) = (
        [place.astype(np.float32) for place in divmod(np.flatnonzero(m), m.shape[1])] for m in (one, other)
    )
    left, right = [-2 * y, -2 * x, y * y + x * x, np.ones_like(y)], [v, u, np.ones_like(v), v * v + u * u]
    squares = np.stack(left, axis=1) @ np.stack(right)  # |a - b| ** 2 of all pairs, in one product
    return np.sqrt(squares.min(axis=1).astype(np.float64)), np.sqrt(squares.min(axis=0).astype(np.float64))


def _by_transform(origin: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The same for long surfaces, in time that does not depend on them. The transform is exact but for its root."""
    to_target = cv2.distanceTransform((~target).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(to_target[origin].astype(np.float64) ** 2))


def boundary_scores(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(hd95, nsd2) of two (H, W) bool masks.

    hd95: the larger of the two directed 95th percentiles (linear interpolation), pixels; nan if a mask is empty.
    nsd2: share of both surfaces that lies within 2 px of the other; 1 if both masks are empty, 0 if exactly one is.
    """
    any_prediction, any_truth = bool(prediction.any()), bool(truth.any())
    if not (any_prediction and any_truth):
        return float("nan"), float(any_prediction == any_truth)
    box = bounding_box(prediction | truth)  # no nearest surface pixel lies outside
    a, b = surface(prediction[box]), surface(truth[box])
    there, back = distances(a, b)
    hd95 = max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE))
    near = np.count_nonzero(there <= TOLERANCE_PX) + np.count_nonzero(back <= TOLERANCE_PX)
    return float(hd95), near / (len(there) + len(back))
