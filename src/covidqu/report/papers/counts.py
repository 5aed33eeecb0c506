"""Counts of images in the tables of papers: of the packed index by split and class, and of what a run was scored on."""

from typing import Literal

import pandas as pd

from covidqu.config.base import Strict
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Unit
from covidqu.report.core.run_cells import or_missing
from covidqu.report.core.sources import Sources

COUNT, SCORED = "count of images", "count of scored images"


def counted(index: pd.DataFrame, subset: str, split: str | None, label: str | None) -> int:
    """Images of a subset; None takes all splits or all classes."""
    rows = index["subset"] == subset
    rows &= True if split is None else index["split"] == split
    rows &= True if label is None else index["label"] == label
    return int(rows.sum())


class Images(Strict):
    """Images of a subset with one of `labels`, the same under any protocol; `split` None: of all splits."""

    subset: Literal["lung", "infection"] = "infection"
    split: Literal["Train", "Val", "Test"] | None = None
    labels: list[str]
    note: str = ""

    def cell(self, sources: Sources, row: str, column: str) -> Cell:
        """Their number, or why it is not known."""
        return _images(sources, row, column, self)


@or_missing
def _images(sources: Sources, row: str, column: str, of: Images) -> Cell:
    images = sources.packed(of.subset)
    here = images["label"].isin(of.labels)
    number = int(here.sum() if of.split is None else (here & (images["split"] == of.split)).sum())
    what = {"note": of.note, "kind": Kind.DATA, "unit": Unit.COUNT}
    return Cell(row, column, None, number, number, COUNT, COUNT, n=number, split=of.split or "all", **what)


class Scored(Strict):
    """Test images of a class that a run was scored on."""

    run: str
    label: str

    def cell(self, sources: Sources, row: str, column: str) -> Cell:
        """Their number, or why it is not known."""
        return _scored(sources, row, column, self)


@or_missing
def _scored(sources: Sources, row: str, column: str, of: Scored) -> Cell:
    count = int((sources.scores(of.run)["label"] == of.label).sum())
    what = {"run": of.run, "split": "Test", "kind": Kind.DATA, "unit": Unit.COUNT}
    return Cell(row, column, None, count, count, SCORED, SCORED, n=count, **what)
