"""Table `common/overview`: the headline of each run, taken from the tables of its paper; of ours, from those of all."""

from dataclasses import replace

from covidqu.report import catalogue
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import APART, OVER, Classes
from covidqu.report.core.run_cells import over_seeds
from covidqu.report.core.runs import OURS
from covidqu.report.core.sources import Sources
from covidqu.report.systems.cross_system import MEAN

OURS_ROW = "reference (ours)"  # of common/cross-system
# row: table, its row, its column
HEADLINES = {
    "swin-dual-lung: lung Dice": ("swin-dual/text", "phase1 lung Dice (test 6788)", "value"),
    "swin-dual-infection: infection Dice, COVID-19 images": ("swin-dual/table-5", "COVID-19", "I.Dice"),
    "swin-dual-infection: accuracy, three classes": ("swin-dual/text", "phase2 accuracy", "value"),
    "unetpp-b3: infection Dice, overall": ("unetpp-b3/table-2", "Dice Coefficient", "Score"),
    "unetpp-b3: infection Dice, COVID-19 images": ("unetpp-b3/table-3", "COVID-19", "Dice"),
    "unet-roi-lung: lung Dice": ("unet-roi/table-3", "Mean Dice Score", "Value"),
    "unet-roi-infection: infection Dice, annotated ROI": ("unet-roi/table-4", "Mean Dice Score", "Value"),
    "unet-roi-infection-predicted: infection Dice, predicted ROI": (
        "unet-roi/table-4",
        "Mean Dice Score",
        "Value, ROI predicted",
    ),
    "cbam-mtl-unet-proposed: infection Dice, percent (printed: CT)": ("cbam-mtl/table-3", "Proposed Model", "Dice"),
    "cbam-mtl-unet-proposed: accuracy, COVID-19 or Normal, percent (printed: CT)": (
        "cbam-mtl/table-4",
        "Proposed Model",
        "Acc",
    ),
    "recon-mtl-t123: infection Dice, percent (printed: CT)": (
        "recon-mtl/table-2",
        "Exp1: Ours (T1&T2&T3 256 x 256)",
        "Dice",
    ),
    "recon-mtl-t123: AUC, COVID-19 or not (printed: CT)": (
        "recon-mtl/table-2",
        "Exp1: Ours (T1&T2&T3 256 x 256)",
        "AUC",
    ),
    f"{OURS_ROW}: infection Dice, COVID-19 images": ("common/cross-system", OURS_ROW, "infection Dice"),
    **{
        f"{OURS_ROW}: {who} images with more than 1 % positive": ("common/cross-system", OURS_ROW, f"{OVER}, {who}")
        for who in APART.values()
    },
    f"{OURS_ROW}: lung Dice": ("common/cross-system", OURS_ROW, "lung Dice"),
}
OURS_CLASSES = f"{OURS_ROW}: accuracy, three classes"  # in no other table


def table(sources: Sources) -> list[Cell]:
    """One cell per headline, identical to the one in its own table, which `column` names; last one of its own.

    Where a table has a row for the mean over seeds, that is the cell.
    """
    cells = []
    names = dict.fromkeys(name for name, _, _ in HEADLINES.values())
    built = {name: catalogue.table(name, sources.params).cells(sources) for name in names}
    for label, (name, row, column) in HEADLINES.items():
        found = {cell.row: cell for cell in built[name] if cell.column == column}
        assert row in found, f"{name} has no cell {row} / {column}"
        cells.append(replace(found.get(f"{row}{MEAN}", found[row]), row=label, column=name))
    return [*cells, over_seeds(sources, OURS_CLASSES, "common/overview", Classes(run=OURS, metric="accuracy"))]
