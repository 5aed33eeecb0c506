"""Tables of paper 000 (Swin encoder with two U-Net decoders): the data, both phases on the test images, the prose.

The paper's own protocol is `img_smooth1`, and its overall numbers are means over images, not over classes: Table IV's
come out of its rows to every printed digit only so. "Acc" of a class is its recall printed twice.
"""

from collections.abc import Callable

import pandas as pd

from covidqu.config.data import CLASSES
from covidqu.evaluate.protocols import PROTOCOL_OF
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind, Missing, Status
from covidqu.report.core.measures import HEADLINE, cell, class_cell, false_positive_cells
from covidqu.report.core.run_cells import class_protocol, or_missing
from covidqu.report.core.sources import Sources
from covidqu.report.papers.counts import counts, scored_images

LUNG_RUN, INFECTION_RUN = "swin-dual-lung", "swin-dual-infection"  # phases 1 and 2
LABELS = ("Normal", "Non-COVID", "COVID-19")
PAPER = "img_smooth1"
DECIDED = class_protocol("accuracy")  # the paper decides in the same way
CLASS_COLUMNS = {"Acc": "sensitivity", "Precision": "precision", "Recall": "sensitivity", "F1": "f1"}
RECALL = "the paper's Acc of a class is its recall"
SPLIT_COUNTS = {"Train": {"split": "Train"}, "Validation": {"split": "Val"}, "Test": {"split": "Test"}}
SPLIT_COUNTS |= {"Total": {"split": None}}
CLASS_COUNTS = {**{label: {"labels": [label]} for label in reversed(CLASSES)}, "Total": {"labels": CLASSES}}
NO_OVERLAP = "no infection is annotated, so the paper's value is false-positive area; see the shares below"


def table_1(sources: Sources) -> list[Cell]:
    """Table I: images of the lung subset."""
    return counts(sources, "lung", SPLIT_COUNTS, CLASS_COUNTS)


def table_2(sources: Sources) -> list[Cell]:
    """Table II: images of the infection subset."""
    return counts(sources, "infection", SPLIT_COUNTS, CLASS_COUNTS)


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


def lung(sources: Sources) -> list[Cell]:
    """Table IV: phase 1 per class; every image has a lung, so `img_covid` is the plain mean over images."""
    cells = []
    for label in LABELS:
        cells.append(scored_images(sources, label, "Count", LUNG_RUN, label))
        for column, metric in (("Dice", "dice"), ("IoU", "iou")):
            cells.append(_mask(sources, label, column, LUNG_RUN, "lung", metric, label))
        cells += _classes(sources, label, LUNG_RUN, ("Acc", "Precision", "Recall"))
    return cells


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
    return cells


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
    return cells


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
