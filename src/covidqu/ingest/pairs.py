"""Pairs of images that are the same radiograph: identical pixels, or copies that a person sees (`copies`).

Input: the packed data. Output: a table of pairs, and who belongs together by them.
"""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from covidqu.config.data import SPLITS, Copies
from covidqu.data.index import Packed
from covidqu.ingest.copies import agreement, find_copies

COLUMNS = ("id", "subset", "split", "label")
STAYS = np.array([[1.0, 0, 0], [0, 1, 0]])  # the map of identical pixels
ALIGNED = (
    "correlation", "aligned_correlation", "inliers", "mirrored", "scale", "shift_px", "lung_dice", "infection_dice",
)  # fmt: skip


def find_pairs(packed: Packed, config: Copies, threads: int = 1) -> pd.DataFrame:
    """One row per pair a < b of equal pixels or of copies, sorted by a, b.

    Columns: a, b, {id,subset,split,label}_{a,b}, those of `find_copies` (of equal pixels: correlations 1, no inliers
    counted), exact, across_splits, label_conflict, membership (an infection image and its copy in the same split of
    the lung subset: as it should be). Copies are searched among distinct images and hold for all with equal pixels.
    """
    digests = packed.index["image_sha256"].reset_index(drop=True)
    distinct = np.flatnonzero(~digests.duplicated().to_numpy())
    exact, copies = _exact_pairs(digests), find_copies(packed, distinct, config, threads)
    pairs = pd.concat([_of_equal_pixels(packed, exact), _of_all_equal(packed, copies, digests)])
    pairs = pairs.sort_values(["a", "b"], ignore_index=True)
    pairs["inliers"] = pairs["inliers"].astype("Int64")
    for column in COLUMNS:
        values = packed.index[column].to_numpy(dtype=object)
        for side in ("a", "b"):
            pairs[f"{column}_{side}"] = pd.Series(values[pairs[side].to_numpy(np.int64)], dtype="str")
    pairs["across_splits"] = pairs["split_a"] != pairs["split_b"]
    pairs["label_conflict"] = pairs["label_a"] != pairs["label_b"]
    pairs["membership"] = pairs["exact"] & (pairs["subset_a"] != pairs["subset_b"]) & ~pairs["across_splits"]
    order = ["a", "b", *(f"{c}_{side}" for c in COLUMNS for side in ("a", "b")), *ALIGNED]
    return pairs[[*order, "exact", "across_splits", "label_conflict", "membership"]]


def _of_equal_pixels(packed: Packed, exact: pd.DataFrame) -> pd.DataFrame:
    dice = [agreement(packed, a, b, False, STAYS) for a, b in exact[["a", "b"]].itertuples(index=False, name=None)]
    exact[["lung_dice", "infection_dice"]] = np.array(dice, np.float64).reshape(-1, 2)
    same = {"correlation": 1.0, "aligned_correlation": 1.0, "inliers": np.nan, "mirrored": False}
    return exact.assign(**same, scale=1.0, shift_px=0.0, exact=True)


def _of_all_equal(packed: Packed, copies: pd.DataFrame, digests: pd.Series) -> pd.DataFrame:
    """The copies, repeated for every image with the same pixels as one of the two, measured on the first."""
    equal, rows = digests.groupby(digests).indices, []
    for pair in copies.to_dict("records"):
        for a in equal[digests[pair["a"]]]:
            for b in equal[digests[pair["b"]]]:
                found = pair | {"a": min(a, b), "b": max(a, b), "exact": False}
                found["scale"] = pair["scale"] if a < b else round(1 / pair["scale"], 4)
                found["infection_dice"] = (
                    pair["infection_dice"] if max(a, b) < len(packed.infection_masks) else float("nan")
                )
                rows.append(found)
    return pd.DataFrame(rows, columns=[*copies.columns, "exact"]).astype({"exact": bool, "mirrored": bool})


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


def groups(a: np.ndarray, b: np.ndarray, images: int) -> np.ndarray:
    """(images,) number of the group of every row: linked by pairs a, b, directly or by others."""
    links = coo_array((np.ones(len(a)), (a, b)), shape=(images, images))
    return connected_components(links, directed=False)[1]


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
