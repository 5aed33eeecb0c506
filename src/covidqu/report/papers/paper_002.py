"""Tables of paper 002 (two-phase U-Net): the data, lung and infection segmentation on the test images."""

from covidqu.config.data import CLASSES, SPLITS
from covidqu.evaluate.protocols import FALSE_INFECTION
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import HEADLINE, cell, false_positive_cells, loss_cell
from covidqu.report.core.sources import Sources
from covidqu.report.papers.counts import counts

LUNG_RUN = "unet-roi-lung"
INFECTION_RUNS = ("unet-roi-infection", "unet-roi-infection-predicted")  # the paper's reading, then the deployable one
CLASS_COUNTS = {label: {"labels": [label]} for label in ("COVID-19", "Normal", "Non-COVID")}
CLASS_COUNTS |= {"Total Images": {"labels": CLASSES}}
SPLIT_COUNTS = {split: {"split": split} for split in SPLITS}
METRICS = {"Mean Dice Score": "dice", "Mean IoU Score": "iou"}


def table_1(sources: Sources) -> list[Cell]:
    """Table I: images of the lung subset."""
    return counts(sources, "lung", CLASS_COUNTS, SPLIT_COUNTS)


def table_2(sources: Sources) -> list[Cell]:
    """Table II: images of the infection subset."""
    return counts(sources, "infection", CLASS_COUNTS, SPLIT_COUNTS)


def lung(sources: Sources) -> list[Cell]:
    """Table III: every image has a lung, so the paper's mean over images is the correct one too.

    `img_covid` of lungs is the mean over images with an annotated lung.
    """
    cells = [loss_cell(sources, "Mean Loss", "Value", LUNG_RUN, "lung")]
    for row, metric in METRICS.items():
        cells.append(cell(sources, row, "Value", LUNG_RUN, "lung", metric, paper="img_all_e1", correct=HEADLINE))
    return cells


def infection(sources: Sources) -> list[Cell]:
    """Table IV with the annotated and with the predicted lung mask as region of interest."""
    cells = []
    for run, suffix in zip(INFECTION_RUNS, ("", ", ROI predicted"), strict=True):
        note = f"ROI {sources.params.run(run).roi}" if run in sources.params.resolved else ""
        column = f"Value{suffix}"
        cells.append(loss_cell(sources, "Mean Loss", column, run, "infection", note))
        for row, metric in METRICS.items():
            cells.append(
                cell(sources, row, column, run, "infection", metric, paper="img_all_e1", correct=HEADLINE, note=note)
            )
        for protocol, label in FALSE_INFECTION.items():
            cells += false_positive_cells(sources, f"{label} images", run, protocol, suffix, note)
    return cells
