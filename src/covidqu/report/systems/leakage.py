"""Table `common/leakage`: duplicates across splits, and each run's headline with and without the images they touch."""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from covidqu.config.data import SPLITS
from covidqu.evaluate import classification
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import HEADLINE, cell, image_cell
from covidqu.report.core.run_cells import class_protocol, not_run
from covidqu.report.core.sources import Sources

HOW = "equal pixels, or copies verified by alignment"
COLUMNS = {"all test images": False, "without near-duplicates": True}


def leakage(sources: Sources) -> list[Cell]:
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
            row = f"{run}: {task} Dice"
            for column, clean in COLUMNS.items():
                cells.append(cell(sources, row, column, run, task, "dice", correct=HEADLINE, clean=clean))
        if "class" in config.tasks:
            row = f"{run}: accuracy"
            for column, clean in COLUMNS.items():
                chosen = _apart if clean else _known
                cells.append(
                    image_cell(sources, row, column, run, _right, select=chosen, how=class_protocol("accuracy"))
                )
    return cells


def _right(scores: pd.DataFrame) -> np.ndarray:
    """(n,) whether the class with the largest probability is the annotated one."""
    found, target = classification.of_scores(scores)
    return found.argmax(axis=1) == target


def _known(scores: pd.DataFrame) -> pd.Series:
    return scores["class_target"] >= 0


def _apart(scores: pd.DataFrame) -> pd.Series:
    return _known(scores) & ~scores["near_duplicate"].astype(bool)
