"""Counts of images in the tables of papers: of the packed index by split and class, and of what a run was scored on."""

from collections.abc import Collection, Mapping
from itertools import product
from typing import Any

import pandas as pd

from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Unit
from covidqu.report.core.run_cells import or_missing
from covidqu.report.core.sources import Sources

COUNT = "count of images"
Where = Mapping[str, Any]  # `split` (None: all), or `labels` and perhaps a `note`: arguments of `count_cell`


def counted(index: pd.DataFrame, subset: str, split: str | None, label: str | None) -> int:
    """Images of a subset; None takes all splits or all classes."""
    rows = index["subset"] == subset
    rows &= True if split is None else index["split"] == split
    rows &= True if label is None else index["label"] == label
    return int(rows.sum())


@or_missing
def count_cell(
    sources: Sources, row: str, column: str, subset: str, split: str | None, labels: Collection[str], note: str = ""
) -> Cell:
    """Images of a subset with one of `labels`, the same under any protocol; None takes all splits."""
    images = sources.packed(subset)
    here = images["label"].isin(labels)
    number = int(here.sum() if split is None else (here & (images["split"] == split)).sum())
    what = {"note": note, "kind": Kind.DATA, "unit": Unit.COUNT}
    return Cell(row, column, None, number, number, COUNT, COUNT, n=number, split=split or "all", **what)


@or_missing
def scored_images(sources: Sources, row: str, column: str, run: str, label: str) -> Cell:
    """Test images of a class that a run was scored on."""
    count, how = int((sources.scores(run)["label"] == label).sum()), "count of scored images"
    what = {"run": run, "split": "Test", "kind": Kind.DATA, "unit": Unit.COUNT}
    return Cell(row, column, None, count, count, how, how, n=count, **what)


def counts(sources: Sources, subset: str, rows: dict[str, Where], columns: dict[str, Where]) -> list[Cell]:
    """Images of a subset; rows say the split and columns the classes, or the other way round."""
    return [
        count_cell(sources, row, column, subset, **one, **other)
        for (row, one), (column, other) in product(rows.items(), columns.items())
    ]
