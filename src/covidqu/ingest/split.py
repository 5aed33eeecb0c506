"""Three ways to divide the images, side by side and row-aligned with the index.

Input: the index and the audit's pairs. Output: `split.parquet` with `official` (the data set's own), `deduplicated`
(without training images that also occur in a later split), `fold` (grouped k-fold) and `near_duplicate` (the test and
validation images whose score an earlier split may have bought).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from covidqu.config.data import SPLITS, Split
from covidqu.data.index import open_packed
from covidqu.ingest.pairs import groups
from covidqu.stored import read_parquet, reading, write_parquet


def split(packed: Path, audit: Path, out: Path, config: Split) -> None:
    """Write one row per image: row, official, deduplicated, fold (0 to folds - 1), near_duplicate.

    Pairs count within and across subsets: a lung model that hands its weights to an infection model has seen its
    images too. So do chains of pairs: of linked images those of the latest split stay. Raises ValueError when the audit
    belongs to other data or there are fewer images than folds.
    """
    index = open_packed(packed).index
    a, b = read_pairs(audit, index)
    order = index["split"].map(SPLITS.index).to_numpy()
    linked = pd.Series(order).groupby(groups(a, b, len(index)))
    early, late = order < linked.transform("max").to_numpy(), order > linked.transform("min").to_numpy()
    official = index["split"].to_numpy(dtype=object)
    deduplicated = official.copy()
    deduplicated[early] = "dropped"
    table = pd.DataFrame(
        {
            "row": np.arange(len(index)),
            "official": official,
            "deduplicated": deduplicated,
            "fold": folds(index, a, b, config),
            "near_duplicate": late,
        }
    )
    write_parquet(out, table)
    print(f"split: {len(index)} images, {int(early.sum())} with a copy in a later split, left out of deduplicated")
    print(f"split: {int(late.sum())} Val/Test images with a copy in an earlier split, marked near_duplicate")


def read_pairs(audit: Path, index: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the pairs in `duplicates.parquet`; ValueError when they are not pairs of this index."""
    path = audit / "duplicates.parquet"
    if not path.is_file():
        raise ValueError(f"{path}: no such file; run the `audit` step")
    pairs = read_parquet(path, "run the `audit` step again", columns=["a", "b", "id_a", "id_b"])
    with reading(path, "run the `audit` step again"):
        a, b = pairs["a"].to_numpy(np.int64), pairs["b"].to_numpy(np.int64)
    ids = index["id"].to_numpy(dtype=object)
    inside = len(pairs) == 0 or (min(a.min(), b.min()) >= 0 and max(a.max(), b.max()) < len(index))
    if not inside or (ids[a] != pairs["id_a"]).any() or (ids[b] != pairs["id_b"]).any():
        raise ValueError(f"{path}: lists pairs of other data than the packed ones; run the `audit` step again")
    return a, b


def folds(index: pd.DataFrame, a: np.ndarray, b: np.ndarray, config: Split) -> np.ndarray:
    """(N,) fold of every row, stratified by subset and label; images linked by pairs share a fold.

    One draw over both subsets, because an infection image and its copy in the lung subset belong together.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    linked = groups(a, b, len(index))
    count = int(linked.max()) + 1
    if count < config.folds:
        raise ValueError(f"split.folds: {config.folds} folds, but only {count} distinct images; use fewer folds")
    strata = (index["subset"] + "/" + index["label"]).to_numpy(dtype=object)
    smallest = index.groupby(["subset", "label"]).size()
    if smallest.min() < config.folds:
        raise ValueError(
            f"split.folds: {config.folds} folds, but {'/'.join(smallest.idxmin())} has {smallest.min()} images; "
            "use fewer folds"
        )
    fold = np.full(len(index), -1, np.int32)
    draw = StratifiedGroupKFold(n_splits=config.folds, shuffle=True, random_state=config.seed)
    for number, (_, held_out) in enumerate(draw.split(np.zeros(len(index)), strata, linked)):
        fold[held_out] = number
    assert (fold >= 0).all() and (fold[a] == fold[b]).all(), "a pair of duplicates crosses folds"
    return fold
