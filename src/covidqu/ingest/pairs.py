"""Pairs of images that are the same radiograph: identical pixels, or nearly identical thumbnails.

Enters: the packed data; leaves: a table of pairs. A thumbnail is the 32 x 32 area average, made mean-free and of unit
norm, so that the product of two is their correlation, blind to brightness and contrast.
"""

import cv2
import numpy as np
import pandas as pd

from covidqu.config.data import SPLITS
from covidqu.data.index import Packed

THUMBNAIL_PX = 32
BLOCK = 2048  # rows of thumbnails multiplied at once: 16 MB of correlations
MOST_PAIRS = 5_000_000

COLUMNS = ("id", "subset", "split", "label")


def find_pairs(packed: Packed, threshold: float) -> pd.DataFrame:
    """One row per pair a < b with correlation above `threshold` or equal pixels, sorted by a, b.

    Columns: a, b, {id,subset,split,label}_{a,b}, correlation (1 for equal pixels), exact, across_splits,
    label_conflict, membership (an infection image and its copy in the same split of the lung subset: as it should be).
    """
    near = near_pairs(thumbnails(packed.images), threshold)
    exact = _exact_pairs(packed.index["image_sha256"])
    exact["correlation"] = 1.0
    pairs = pd.concat([exact, near]).drop_duplicates(["a", "b"]).sort_values(["a", "b"], ignore_index=True)
    digests = packed.index["image_sha256"].to_numpy(dtype=object)
    for column in COLUMNS:
        values = packed.index[column].to_numpy(dtype=object)
        for side in ("a", "b"):
            pairs[f"{column}_{side}"] = pd.Series(values[pairs[side].to_numpy()], dtype="str")
    pairs["exact"] = (digests[pairs["a"]] == digests[pairs["b"]]).astype(bool)
    pairs["across_splits"] = pairs["split_a"] != pairs["split_b"]
    pairs["label_conflict"] = pairs["label_a"] != pairs["label_b"]
    pairs["membership"] = pairs["exact"] & (pairs["subset_a"] != pairs["subset_b"]) & ~pairs["across_splits"]
    order = ["a", "b", *(f"{c}_{side}" for c in COLUMNS for side in ("a", "b"))]
    return pairs[[*order, "correlation", "exact", "across_splits", "label_conflict", "membership"]]


def thumbnails(images: np.ndarray) -> np.ndarray:
    """(N, 256, 256) uint8 -> (N, 1024) float32, mean-free, unit norm; zeros for a uniform image."""
    out = np.empty((len(images), THUMBNAIL_PX**2), np.float32)
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    for row, image in enumerate(images):
        small = cv2.resize(np.asarray(image, np.float32), size, interpolation=cv2.INTER_AREA).ravel()
        small -= small.mean()
        out[row] = small / max(float(np.linalg.norm(small)), 1e-6)
    return out


def near_pairs(thumbs: np.ndarray, threshold: float) -> pd.DataFrame:
    """Pairs a < b of rows of (N, D) unit vectors with a product above `threshold`; ValueError when there are too many.

    The upper triangle of the product is made block by block: memory does not grow with its N x N.
    """
    found, total = [], 0
    for top in range(0, len(thumbs), BLOCK):
        for left in range(top, len(thumbs), BLOCK):
            product = thumbs[top : top + BLOCK] @ thumbs[left : left + BLOCK].T
            a, b = np.nonzero(product > threshold)
            upper = a + top < b + left
            a, b = a[upper], b[upper]
            found.append((a + top, b + left, product[a, b]))
            total += len(a)
            if total > MOST_PAIRS:
                raise ValueError(
                    f"audit.near_duplicate_correlation: more than {MOST_PAIRS} pairs above {threshold}; raise it"
                )
    a, b, correlation = (np.concatenate(part) for part in zip(*found, strict=True))
    # rounded: the last digits depend on the linear algebra library
    return pd.DataFrame({"a": a, "b": b, "correlation": correlation.astype(np.float64).round(6).clip(max=1)})


def _exact_pairs(digests: pd.Series) -> pd.DataFrame:
    """Pairs a < b of rows with the same digest."""
    repeated = digests.reset_index(drop=True)
    repeated = repeated[repeated.duplicated(keep=False)]
    sides = [np.empty((2, 0), np.int64)]
    for rows in repeated.groupby(repeated).indices.values():
        members = repeated.index.to_numpy()[rows]
        first, second = np.triu_indices(len(members), 1)
        sides.append(np.stack([members[first], members[second]]))
    a, b = np.concatenate(sides, axis=1)
    return pd.DataFrame({"a": a, "b": b})


def leaks(pairs: pd.DataFrame) -> pd.Series:
    """Pairs of which one image is in Test and the other is in Train or Val."""
    return pairs["across_splits"] & ((pairs["split_a"] == "Test") | (pairs["split_b"] == "Test"))


def disagreeing(pairs: pd.DataFrame) -> pd.Series:
    """Pairs of equal images where the lung subset trains (or validates) on what the infection subset tests."""
    rank = {split: position for position, split in enumerate(SPLITS)}
    infection_first = pairs["subset_a"] == "infection"
    infection = pairs["split_a"].where(infection_first, pairs["split_b"]).map(rank)
    lung = pairs["split_b"].where(infection_first, pairs["split_a"]).map(rank)
    return pairs["exact"] & (pairs["subset_a"] != pairs["subset_b"]) & (infection > lung)
