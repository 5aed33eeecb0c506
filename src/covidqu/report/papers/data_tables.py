"""Tables that need the data set only: counts per split and class, facts of the audit.

Every builder takes the sources and a table name and returns its cells; counts come from the packed index.
Printed counterparts: paper 000, Tables I to III; paper 001, Section II; paper 002, Tables I and II.
"""

from typing import Any

import pandas as pd

from covidqu.config.data import CLASSES, SPLITS
from covidqu.report.core.cells import NOT_RUN, Cell, Value, with_published
from covidqu.report.core.sources import Sources

COUNT = "count of images"
SPLIT_LABELS = {"Train": "Train", "Validation": "Val", "Test": "Test", "Total": None}
NOT_MEASURED = ("expected_counts", "limits")  # keys of audit.json: the papers' counts, and sentences
CLASS_LABELS = {"COVID-19": "COVID-19", "Non-COVID": "Non-COVID", "Normal": "Normal", "Total": None}


def counted(index: pd.DataFrame, subset: str, split: str | None, label: str | None) -> int:
    """Images of a subset; None takes all splits or all classes."""
    rows = index["subset"] == subset
    rows &= True if split is None else index["split"] == split
    rows &= True if label is None else index["label"] == label
    return int(rows.sum())


def count_cell(sources: Sources, row: str, column: str, subset: str, split: str | None, label: str | None) -> Cell:
    """A count, the same under any protocol."""
    reason = sources.why_no_subset(subset)
    if reason is not None:
        return Cell(row, column, note=NOT_RUN + reason)
    number = counted(sources.index, subset, split, label)
    return Cell(row, column, None, number, number, COUNT, COUNT, n=number, split=split or "all")


def split_by_class(sources: Sources, name: str, subset: str) -> list[Cell]:
    """Rows are splits, columns classes: paper 000, Tables I and II."""
    return with_published(
        name,
        [
            count_cell(sources, row, column, subset, split, label)
            for row, split in SPLIT_LABELS.items()
            for column, label in {**dict(reversed(list(CLASS_LABELS.items())[:3])), "Total": None}.items()
        ],
    )


def class_by_split(sources: Sources, name: str, subset: str) -> list[Cell]:
    """Rows are classes, columns splits: paper 002, Tables I and II."""
    rows = {label: label for label in ("COVID-19", "Normal", "Non-COVID")} | {"Total Images": None}
    cells = [count_cell(sources, row, split, subset, split, label) for row, label in rows.items() for split in SPLITS]
    return with_published(name, cells)


def test_images(sources: Sources, name: str) -> list[Cell]:
    """Paper 001, Section II."""
    cells = [count_cell(sources, label, "test images", "infection", "Test", label) for label in CLASSES]
    return with_published(name, cells)


def two_subsets(sources: Sources, name: str) -> list[Cell]:
    """Paper 000, Table III: size and annotations of both subsets."""
    columns = {"lung": "Lung Segmentation", "infection": "Infection Segmentation"}
    cells = []
    for row, fact in (
        ("Total Images", lambda s: counted(sources.index, s, None, None)),
        ("Image Size", lambda s: _image_size(sources)),
        ("Lung Masks", lambda s: _share_of_lungs(sources, s)),
        ("Infection Masks", lambda s: _infection_masks(sources, s)),
    ):
        for subset, column in columns.items():
            reason = sources.why_no_subset(subset)
            value = None if reason else fact(subset)
            if reason is None and value is None:
                reason = "the packed images are not here"
            how, note = ("", NOT_RUN + reason) if reason else ("packed data", "")
            if (row, subset, reason) == ("Infection Masks", "lung", None):
                note = "the lung folder has no place for them, so none are packed"
            n = None if reason else counted(sources.index, subset, None, None)
            cells.append(Cell(row, column, None, value, value, how, how, n=n, split="all" if n else "", note=note))
    return with_published(name, cells)


def _image_size(sources: Sources) -> Value:
    shape = sources.image_shape
    return None if shape is None else f"{shape[2]}x{shape[1]}"


def _share_of_lungs(sources: Sources, subset: str) -> str:
    lungs = sources.index.loc[sources.index["subset"] == subset, "lung_px"] > 0
    return "Yes" if lungs.all() else f"{int(lungs.sum())} of {len(lungs)} images"


def _infection_masks(sources: Sources, subset: str) -> str:
    rows = sources.index[sources.index["subset"] == subset]
    labels = sorted(rows.loc[rows["infection_px"] > 0, "label"].unique())
    return f"Yes ({', '.join(labels)} only)" if labels else "No"


def data_facts(sources: Sources) -> list[Cell]:
    """Every fact of the audit beside the papers' counts."""
    if sources.audit is None:
        return [Cell("audit", "value", note=NOT_RUN + "the audit was not made")]
    measured = {key: value for key, value in sources.audit.items() if key not in NOT_MEASURED}
    wanted = dict(flatten({"counts": sources.audit.get("expected_counts")}))
    return [_fact(row, value, wanted.get(row)) for row, value in flatten(measured)]


def _fact(row: str, value: Value, printed: Value) -> Cell:
    if value is None:
        return Cell(row, "value", printed, note=f"{NOT_RUN}the audit could not tell from these data")
    return Cell(row, "value", printed, None, value, "", "audit")


def flatten(value: Any, path: str = "") -> list[tuple[str, Value]]:
    """(dotted path, leaf) of nested dicts and lists; true and false become words."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in flatten(item, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in flatten(item, f"{path}.{i}")]
    return [(path, ("no", "yes")[value] if isinstance(value, bool) else value)]
