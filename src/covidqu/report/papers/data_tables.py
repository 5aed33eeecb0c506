"""Tables that need the data set only: counts per split and class, facts of the audit.

Every builder takes the sources and a table name and returns its cells; counts come from the packed index.
Printed counterparts: paper 000, Tables I to III; paper 001, Section II; paper 002, Tables I and II.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pandas as pd

from covidqu.config.data import CLASSES, SPLITS
from covidqu.report.core.cells import Cell, Value, with_published
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.run_cells import not_run, or_missing
from covidqu.report.core.sources import Sources

COUNT = "count of images"
SPLIT_LABELS = {"Train": "Train", "Validation": "Val", "Test": "Test", "Total": None}
NOT_MEASURED = ("expected_counts", "limits")  # keys of audit.json: the papers' counts, and sentences


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


def split_by_class(sources: Sources, name: str, subset: str) -> list[Cell]:
    """Rows are splits, columns classes: paper 000, Tables I and II."""
    return with_published(
        name,
        [
            count_cell(sources, row, column, subset, split, labels)
            for row, split in SPLIT_LABELS.items()
            for column, labels in {**{label: [label] for label in reversed(CLASSES)}, "Total": CLASSES}.items()
        ],
    )


def class_by_split(sources: Sources, name: str, subset: str) -> list[Cell]:
    """Rows are classes, columns splits: paper 002, Tables I and II."""
    rows = {label: [label] for label in ("COVID-19", "Normal", "Non-COVID")} | {"Total Images": CLASSES}
    cells = [count_cell(sources, row, split, subset, split, labels) for row, labels in rows.items() for split in SPLITS]
    return with_published(name, cells)


def test_images(sources: Sources, name: str) -> list[Cell]:
    """Paper 001, Section II."""
    cells = [count_cell(sources, label, "test images", "infection", "Test", [label]) for label in CLASSES]
    return with_published(name, cells)


def two_subsets(sources: Sources, name: str) -> list[Cell]:
    """Paper 000, Table III: size and annotations of both subsets."""
    columns = {"lung": "Lung Segmentation", "infection": "Infection Segmentation"}
    cells = []
    for row, fact in (
        ("Total Images", len),
        ("Image Size", lambda _: _image_size(sources)),
        ("Lung Masks", _share_of_lungs),
        ("Infection Masks", _infection_masks),
    ):
        for subset, column in columns.items():
            unpacked = (row, subset) == ("Infection Masks", "lung")
            note = "the lung folder has no place for them, so none are packed" if unpacked else ""
            cells.append(_fact_of_subset(sources, row, column, subset, fact, note))
    return with_published(name, cells)


@or_missing
def _fact_of_subset(
    sources: Sources, row: str, column: str, subset: str, fact: Callable[[pd.DataFrame], Value], note: str
) -> Cell:
    images, how = sources.packed(subset), "packed data"
    value = fact(images)
    return Cell(row, column, None, value, value, how, how, n=len(images), split="all", note=note, kind=Kind.DATA)


def _image_size(sources: Sources) -> Value:
    shape = sources.image_shape
    if shape is None:
        raise Missing(Status.NOT_RUN, "the packed images are not here")
    return f"{shape[2]}x{shape[1]}"


def _share_of_lungs(images: pd.DataFrame) -> str:
    lungs = images["lung_px"] > 0
    return "Yes" if lungs.all() else f"{int(lungs.sum())} of {len(lungs)} images"


def _infection_masks(rows: pd.DataFrame) -> str:
    labels = sorted(rows.loc[rows["infection_px"] > 0, "label"].unique())
    return f"Yes ({', '.join(labels)} only)" if labels else "No"


def data_facts(sources: Sources) -> list[Cell]:
    """Every fact of the audit beside the papers' counts."""
    if sources.audit is None:
        return [not_run("audit", "value", "the audit was not made")]
    measured = {key: value for key, value in sources.audit.items() if key not in NOT_MEASURED}
    wanted = dict(flatten({"counts": sources.audit.get("expected_counts")}))
    return [_fact(row, value, wanted.get(row)) for row, value in flatten(measured)]


def _fact(row: str, value: Value, printed: Value) -> Cell:
    if value is None:
        return replace(not_run(row, "value", "the audit could not tell from these data"), published=printed)
    return Cell(row, "value", printed, None, value, "", "audit", kind=Kind.DATA)


def flatten(value: Any, path: str = "") -> list[tuple[str, Value]]:
    """(dotted path, leaf) of nested dicts and lists; true and false become words."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in flatten(item, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in flatten(item, f"{path}.{i}")]
    return [(path, ("no", "yes")[value] if isinstance(value, bool) else value)]
