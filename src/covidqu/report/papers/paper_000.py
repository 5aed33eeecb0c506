"""Tables of paper 000 (Swin encoder with two U-Net decoders): both phases on the test images, numbers of the prose.

The paper's own protocol is `img_smooth1`, and its overall numbers are means over images, not over classes: Table IV's
come out of its rows to every printed digit only so. "Acc" of a class is its recall printed twice.
"""

from collections.abc import Callable

from covidqu.evaluate.protocols import PROTOCOL_OF
from covidqu.report.core.cells import Cell, with_published
from covidqu.report.core.measures import HEADLINE, cell, class_cell, false_positive_cells
from covidqu.report.core.run_cells import class_protocol
from covidqu.report.core.sources import Sources
from covidqu.report.papers.data_tables import scored_images

LUNG_RUN, INFECTION_RUN = "swin-dual-lung", "swin-dual-infection"  # phases 1 and 2
LABELS = ("Normal", "Non-COVID", "COVID-19")
PAPER = "img_smooth1"
DECIDED = class_protocol("accuracy")  # the paper decides in the same way
CLASS_COLUMNS = {"Acc": "sensitivity", "Precision": "precision", "Recall": "sensitivity", "F1": "f1"}
RECALL = "the paper's Acc of a class is its recall"
NO_OVERLAP = "no infection is annotated, so the paper's value is false-positive area; see the shares below"


def lung(sources: Sources) -> list[Cell]:
    """Table IV: phase 1 per class; every image has a lung, so `img_covid` is the plain mean over images."""
    cells = []
    for label in LABELS:
        cells.append(scored_images(sources, label, "Count", LUNG_RUN, label))
        for column, metric in (("Dice", "dice"), ("IoU", "iou")):
            cells.append(_mask(sources, label, column, LUNG_RUN, "lung", metric, label))
        cells += _classes(sources, label, LUNG_RUN, ("Acc", "Precision", "Recall"))
    return with_published("swin-dual/table-4", cells)


def infection(sources: Sources) -> list[Cell]:
    """Table V: phase 2 per class; where nothing is infected, false positives stand in for a Dice."""
    cells = []
    for label in LABELS:
        cells.append(scored_images(sources, label, "Count", INFECTION_RUN, label))
        cells.append(_mask(sources, label, "L.Dice", INFECTION_RUN, "lung", "dice", label))
        cells.append(_infection_dice(sources, label))
        cells += _classes(sources, label, INFECTION_RUN, tuple(CLASS_COLUMNS))
    for label in LABELS[:2]:
        cells += false_positive_cells(sources, label, INFECTION_RUN, PROTOCOL_OF[label])
    return with_published("swin-dual/table-5", cells)


def prose(sources: Sources) -> list[Cell]:
    """Overall numbers: means over images."""
    column = "value"
    cells = [
        _mask(sources, "phase1 lung Dice (test 6788)", column, LUNG_RUN, "lung", "dice"),
        _mask(sources, "phase1 lung IoU (test 6788)", column, LUNG_RUN, "lung", "iou"),
        class_cell(sources, "phase1 accuracy", column, LUNG_RUN, "accuracy", paper=DECIDED),
        class_cell(sources, "phase1 COVID-19 recall", column, LUNG_RUN, "sensitivity", label="COVID-19", paper=DECIDED),
        _mask(sources, "phase2 lung Dice (test 1166)", column, INFECTION_RUN, "lung", "dice"),
        _mask(
            sources,
            "phase2 infection Dice (COVID-19 only, 583)",
            column,
            INFECTION_RUN,
            "infection",
            "dice",
            "COVID-19",
        ),
        class_cell(sources, "phase2 accuracy", column, INFECTION_RUN, "accuracy", paper=DECIDED),
    ]
    return with_published("swin-dual/text", cells)


def _mask(sources: Sources, row: str, column: str, run: str, task: str, metric: str, label: str | None = None) -> Cell:
    return cell(sources, row, column, run, task, metric, paper=PAPER, correct=HEADLINE, label=label)


def _infection_dice(sources: Sources, label: str) -> Cell:
    if label == "COVID-19":
        return _mask(sources, label, "I.Dice", INFECTION_RUN, "infection", "dice", label)
    return cell(sources, label, "I.Dice", INFECTION_RUN, "infection", "dice", paper=PAPER, label=label, note=NO_OVERLAP)


def _classes(sources: Sources, label: str, run: str, columns: tuple[str, ...]) -> list[Cell]:
    """One class against the rest, from the argmax of three classes."""
    cells = []
    for column in columns:
        shown = {"label": label, "paper": DECIDED, "note": RECALL if column == "Acc" else ""}
        cells.append(class_cell(sources, label, column, run, CLASS_COLUMNS[column], **shown))
    return cells


TABLES: dict[str, Callable[[Sources], list[Cell]]] = {
    "swin-dual/table-4": lung,
    "swin-dual/table-5": infection,
    "swin-dual/text": prose,
}
