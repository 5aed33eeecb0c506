"""Table `common/overview`: the headline of each run, taken from the tables of its paper."""

from collections.abc import Callable
from dataclasses import replace

from covidqu.report.cells import Cell
from covidqu.report.sources import Sources

# row: table, its row, its column
HEADLINES = {
    "unet-roi-lung: lung Dice": ("unet-roi/table-3", "Mean Dice Score", "Value"),
    "unet-roi-infection: infection Dice, annotated ROI": ("unet-roi/table-4", "Mean Dice Score", "Value"),
    "unet-roi-infection-predicted: infection Dice, predicted ROI": (
        "unet-roi/table-4",
        "Mean Dice Score",
        "Value, ROI predicted",
    ),
    "unetpp-b3: infection Dice, overall": ("unetpp-b3/table-2", "Dice Coefficient", "Score"),
    "unetpp-b3: infection Dice, COVID-19 images": ("unetpp-b3/table-3", "COVID-19", "Dice"),
}


def overview(sources: Sources, builders: dict[str, Callable[[Sources], list[Cell]]]) -> list[Cell]:
    """One cell per headline, identical to the one in its own table, which `column` names."""
    cells = []
    for label, (table, row, column) in HEADLINES.items():
        found = [cell for cell in builders[table](sources) if (cell.row, cell.column) == (row, column)]
        assert len(found) == 1, f"{table} has no cell {row} / {column}"
        cells.append(replace(found[0], row=label, column=table))
    return cells
