"""Rows `no network: ...` below the runs of a table: what a number is worth that nobody had to train a network for.

Input: sources, a table's name and its builder. Output: cells. There is one mechanism for all tables: the builder runs
once more on sources in which a baseline stands in a run's place, under the same protocols, in the same columns,
on the same test images. The catalogue says which tables, and whose place.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from covidqu.config.baselines import SPLIT, SUBSET, Baseline
from covidqu.config.data import PX
from covidqu.config.training import CLASS_MAPS
from covidqu.report.core.artefacts import Baselines, Table
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Missing, Status
from covidqu.report.core.run_cells import absent, not_run
from covidqu.report.core.sources import Sources

Builder = Callable[[Sources], list[Cell]]
PREFIX, EVERY = "no network: ", "all columns"
OF_IMAGES = ("count of scored images", "share of infected images")  # protocols that no prediction can change


class Standing(Sources):
    """Sources in which a baseline stands in the place of some runs, and no other run is there."""

    def __init__(self, sources: Sources, reference: str, runs: Iterable[str]) -> None:
        super().__init__(sources.params.only(list(runs)), sources.data, sources.results)
        self.reference = sources.baseline(reference)

    def why_no_run(self, run: str) -> str | None:
        """Only the runs whose place is taken have numbers."""
        return None if run in self.params.resolved else f"no reference stands for run {run}"

    def _scores(self, run: str) -> pd.DataFrame:
        classes = self.params.run(run).classes
        return under(self.reference, classes) if classes else self.reference


def under(reference: pd.DataFrame, label_map: str) -> pd.DataFrame:
    """A reference's scores with `class_logit_{k}` and `class_target` of one of `CLASS_MAPS`, as of a run's head."""
    end = "" if label_map == "three" else f"_{label_map}"
    classes = CLASS_MAPS[label_map]
    logits = {c: str(c).removesuffix(end) for c in reference.filter(regex=rf"^class_logit_\d+{end}$")}
    others = reference.columns[reference.columns.str.startswith("class_")]
    target = np.array([classes.get(label, -1) for label in reference["label"]], np.int32)
    return reference.drop(columns=others).assign(
        **{name: reference[column] for column, name in logits.items()}, class_target=target
    )


def beside(sources: Sources, table: Table) -> list[Cell]:
    """The reference rows of a table, in the order of the parameters."""
    place = table.baselines
    assert place is not None, f"{table.name} has no baselines"
    chosen = [name for name, config in sources.params.baselines.items() if config.gives in place.gives]
    return [cell for name in chosen for cell in _rows(sources, name, place, table.cells)]


def _rows(sources: Sources, name: str, place: Baselines, builder: Builder) -> list[Cell]:
    known = [run for run in place.runs if run in sources.params.resolved]
    alike = [run for run in known if _same_images(sources, run)]
    reason = sources.why_no_baseline(name) or (None if known else f"run {place.runs[0]} is not in the parameters")
    if reason:
        return [not_run(f"{PREFIX}{name}", EVERY, reason)]
    if not alike:
        words = f"run {known[0]} is not tested on the {SUBSET} images of the {SPLIT} split"
        return [absent(f"{PREFIX}{name}", EVERY, Missing(Status.NOT_APPLICABLE, words))]
    found = in_place_of(sources, name, alike, builder)
    if place.one_row:
        return [replace(c, row=f"{PREFIX}{name}") for c in found if c.row == found[0].row]
    return [replace(c, row=f"{PREFIX}{name}, {c.row}") for c in found]


def _same_images(sources: Sources, run: str) -> bool:
    config = sources.params.run(run)
    return (config.subset, config.split) == (SUBSET, SPLIT)


def in_place_of(sources: Sources, name: str, runs: list[str], builder: Builder) -> list[Cell]:
    """The builder's cells that hold a number of the reference `name`; rows and columns as the builder calls them."""
    words = description(sources.params.baselines[name])
    cells = [cell for cell in builder(Standing(sources, name, runs)) if cell.run in runs and _of_predictions(cell)]
    return [replace(cell, published=None, run="", seeds=None, note=words) for cell in cells]


def _of_predictions(cell: Cell) -> bool:
    """Whether a finite number is there that depends on what was predicted."""
    values = [v for v in (cell.measured_paper, cell.measured_correct) if v is not None]
    how = cell.protocol_correct or cell.protocol_paper
    return (
        cell.kind is not Kind.SETTING
        and bool(values)
        and all(math.isfinite(float(v)) for v in values)
        and how not in OF_IMAGES
    )


def description(config: Baseline) -> str:
    """What a baseline looks at."""
    px = getattr(config, "picture_px", PX)
    return {
        "empty": "no infection anywhere",
        "lungs": "the annotated lungs are taken for infection",
        "mean_map": "mean infection mask of Train, above the share that is best on Val",
        "border": f"logistic regression on the outer {PX // px} pixels alone",
        "thumbnail": f"logistic regression on {px} x {px} pixels",
        "lungs_blanked": f"logistic regression on {px} x {px} pixels, annotated lungs set to 0",
        "mask_shape": "logistic regression on areas, extents and centroids of the annotated lungs",
    }[config.kind]
