"""Table `common/leakage`: duplicates across splits, and each run's headline with and without the images they touch."""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from covidqu.config.data import SPLITS
from covidqu.evaluate import classification
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import HEADLINE, Mask, PerImage, class_protocol, in_head
from covidqu.report.core.run_cells import across, not_run
from covidqu.report.core.sources import Sources

HOW = "equal pixels, or copies verified by alignment"
COLUMNS = {"all test images": False, "without near-duplicates": True}


def table(sources: Sources) -> list[Cell]:
    """Pairs by kind and by splits, test images that have one in Train or Val, then one line per run and task."""
    return [*_pairs(sources), *_touched(sources), *_runs(sources)]


def _pairs(sources: Sources) -> list[Cell]:
    pairs = sources.duplicates
    if pairs is None:
        return [not_run("pairs", "count", "the audit was not made")]
    kinds = {
        "pairs": len(pairs),
        "pairs, identical pixels": int(pairs["exact"].sum()),
        "pairs, mirrored": int(pairs["mirrored"].sum()),
        "pairs across splits": int(pairs["across_splits"].sum()),
        "pairs with different labels": int(pairs["label_conflict"].sum()),
        "pairs across subsets": int((pairs["subset_a"] != pairs["subset_b"]).sum()),
    }
    for one, other in combinations_with_replacement(SPLITS, 2):
        here = (pairs["split_a"] == one) & (pairs["split_b"] == other)
        here |= (pairs["split_a"] == other) & (pairs["split_b"] == one)
        kinds[f"pairs {one} - {other}"] = int(here.sum())
    return [Cell(row, "count", measured_correct=count, protocol_correct=HOW) for row, count in kinds.items()]


def _touched(sources: Sources) -> list[Cell]:
    if sources.splits is None or sources.index is None:
        return [not_run("test images with a near-duplicate in Train or Val", "count", "no split was made")]
    test = (sources.index["split"] == "Test").to_numpy()
    cells = []
    for subset in sorted(sources.index["subset"].unique()):
        rows = test & (sources.index["subset"] == subset).to_numpy()
        count = int(sources.splits["near_duplicate"].to_numpy()[rows].sum())
        row = f"{subset} test images with a near-duplicate in Train or Val"
        cells.append(Cell(row, "count", None, None, count, "", HOW, n=int(rows.sum()), split="Test"))
    return cells


def _runs(sources: Sources) -> list[Cell]:
    """Base runs only: repetitions with other seeds were trained on the same images."""
    cells = []
    for run in sources.params.base_runs:
        config = sources.params.run(run)
        for task in config.masks:
            dice = {c: Mask(run=run, task=task, metric="dice", correct=HEADLINE, clean=k) for c, k in COLUMNS.items()}
            cells += across(sources, f"{run}: {task} Dice", dice)
        if "class" in config.tasks:
            how = class_protocol("accuracy")
            chosen = zip(COLUMNS, (in_head, _apart), strict=True)
            right = {c: PerImage(run=run, quantity=_right, select=select, how=how) for c, select in chosen}
            cells += across(sources, f"{run}: accuracy", right)
    return cells


def _right(scores: pd.DataFrame) -> np.ndarray:
    """(n,) whether the class with the largest probability is the annotated one."""
    found, target = classification.of_scores(scores)
    return found.argmax(axis=1) == target


def _apart(scores: pd.DataFrame) -> pd.Series:
    return in_head(scores) & ~scores["near_duplicate"].astype(bool)
