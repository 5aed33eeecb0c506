"""Table III of paper 000 (Swin encoder with two U-Net decoders): what the packed data hold of both subsets."""

from collections.abc import Callable

import pandas as pd

from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind, Missing, Status
from covidqu.report.core.run_cells import or_missing
from covidqu.report.core.sources import Sources


def table_3(sources: Sources) -> list[Cell]:
    """Table III: size and annotations of both subsets."""
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
    return cells


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
