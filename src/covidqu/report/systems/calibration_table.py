"""Table `common/calibration`: do the probabilities of class heads and masks mean what they say?

Enters: scores of all runs with a class head or an infection mask; leaves: cells, rows are runs. Of repetitions with
other seeds the first is shown.
"""

from collections.abc import Callable

import pandas as pd

from covidqu.evaluate import calibration
from covidqu.evaluate.classification import of_scores
from covidqu.evaluate.protocols import FALSE_INFECTION
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import APART, image_cell
from covidqu.report.core.run_cells import measured, not_run
from covidqu.report.core.sources import Sources
from covidqu.report.core.targets import calibrated
from covidqu.report.systems.cross_system import COVID

CHANCE = ", of a calibrated head"
COLUMNS = {  # of class heads
    "ECE, 15 bins of equal width": "ece",
    f"ECE, 15 bins of equal width{CHANCE}": "ece",
    "ECE, 15 bins of equal size": "adaptive_ece",
    f"ECE, 15 bins of equal size{CHANCE}": "adaptive_ece",
    "Brier score": "brier",
    "log loss": "log_loss",
}
PERCENT = 100.0


def calibration_cells(sources: Sources) -> list[Cell]:
    """Class measures of the images that a head knows, then areas of infection masks, run by run."""
    cells = []
    for run in calibrated(sources.params):
        tasks = sources.params.run(run).tasks
        cells += _class(sources, run) if "class" in tasks else []
        cells += _mask(sources, run) if "infection" in tasks else []
    return cells


def _class(sources: Sources, run: str) -> list[Cell]:
    reason = sources.why_no_run(run)
    if reason:
        return [not_run(run, column, reason) for column in COLUMNS]
    found, target = of_scores(sources.scores(run))
    if not len(target):
        return [not_run(run, column, f"no test image of a class that the head of {run} knows") for column in COLUMNS]
    how, config, cells = f"{found.shape[1]} classes", sources.params.evaluate.bootstrap, []
    for column, name in COLUMNS.items():
        of = calibration.by_chance if column.endswith(CHANCE) else calibration.interval
        cells.append(measured(sources, run, column, run, of(name, found, target, config), how, n=len(target)))
    return cells


def _mask(sources: Sources, run: str) -> list[Cell]:
    """Sums of probabilities against annotated pixels: a calibrated mask expects the area that is there."""
    cells = []
    for column, (of, label) in AREAS.items():
        how = "percent of the image, mean over images"
        cells.append(image_cell(sources, run, column, run, of, select=label, scale=PERCENT, how=how))
    how = "mean over pixels and images"
    return [*cells, image_cell(sources, run, "log loss of pixels, all images", run, "infection_bce", how=how)]


def expected(scores: pd.DataFrame) -> pd.Series:
    """Sum of the infection probabilities as a share of the image."""
    return scores["infection_soft_prediction"] / scores["n_px"]


def annotated(scores: pd.DataFrame) -> pd.Series:
    """Annotated infection as a share of the image."""
    return (scores["infection_tp"] + scores["infection_fn"]) / scores["n_px"]


AREAS = {  # column: share of the image, of images with this label; none is annotated in Normal and Non-COVID ones
    "annotated area, COVID-19 images": (annotated, COVID),
    "expected area, COVID-19 images": (expected, COVID),
    "expected minus annotated area, COVID-19 images": (lambda s: expected(s) - annotated(s), COVID),
    **{f"expected area, {APART[protocol]} images": (expected, label) for protocol, label in FALSE_INFECTION.items()},
}


TABLES: dict[str, Callable[[Sources], list[Cell]]] = {"common/calibration": calibration_cells}
