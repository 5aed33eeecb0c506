"""Table `common/lesions`: annotated infection part by part, found or missed, and parts that are marked falsely.

Input: scores of the headline runs. Output: cells, rows are systems. `evaluate.lesions` says what a lesion is.
"""

import numpy as np
import pandas as pd

from covidqu.evaluate.protocols import FALSE_INFECTION
from covidqu.evaluate.statistics import bootstrap_mean, bootstrap_ratio
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.measures import APART, Number
from covidqu.report.core.run_cells import measured, or_missing
from covidqu.report.core.sources import Sources
from covidqu.report.systems.cross_system import COVID
from covidqu.report.systems.headline_runs import HEADLINE_RUNS

FOUND, PRECISION = "annotated lesions found", "marked lesions that meet an annotated one"
CLASSES = {COVID: COVID, **{APART[protocol]: label for protocol, label in FALSE_INFECTION.items()}}
FALSE = {f"false lesions per image, {who}": label for who, label in CLASSES.items()}
COUNTED = "infection_lesions"  # a column of scores


def table(sources: Sources) -> list[Cell]:
    """Shares of lesions over COVID-19 images, then false ones per image of each class."""
    return [
        cell
        for row, run in HEADLINE_RUNS.items()
        for cell in (
            _share(sources, row, FOUND, run),
            _share(sources, row, PRECISION, run),
            *(_false(sources, row, column, run, label) for column, label in FALSE.items()),
        )
    ]


def _images(sources: Sources, run: str, label: str) -> pd.DataFrame:
    """Scores of the images of one class."""
    if reason := sources.why_no_run(run):
        raise Missing(Status.NOT_RUN, reason)
    scores = sources.scores(run)
    if COUNTED not in scores:
        raise Missing(Status.NOT_RUN, "scored before lesions were counted")
    images = scores[scores["label"] == label]
    if not len(images):
        raise Missing(Status.UNDEFINED, f"no test image of {label}")
    return images


@or_missing
def _share(sources: Sources, row: str, column: str, run: str) -> Cell:
    images = _images(sources, run, COVID)
    lesions, met, false = (images[f"{COUNTED}{end}"].to_numpy(np.float64) for end in ("", "_found", "_false"))
    parts, whole = (met, lesions) if column == FOUND else (met, met + false)
    if not whole.sum():
        raise Missing(Status.UNDEFINED, "no lesion is marked" if column == PRECISION else "no lesion is annotated")
    config = sources.params.evaluate.bootstrap
    try:
        found = bootstrap_ratio(np.column_stack([parts, whole]), lambda sums: sums[..., 0] / sums[..., 1], config)
    except ValueError as error:
        raise Missing(Status.UNDEFINED, str(error)) from None
    note = f"{int(whole.sum())} lesions"
    what = {"note": note, "kind": Kind.PERFORMANCE, "unit": Unit.FRACTION}
    return measured(sources, row, column, run, Number(found, "pooled over images", len(images), **what))


@or_missing
def _false(sources: Sources, row: str, column: str, run: str, label: str) -> Cell:
    values = _images(sources, run, label)[f"{COUNTED}_false"].to_numpy(np.float64)
    found = bootstrap_mean(values, sources.params.evaluate.bootstrap)
    return measured(sources, row, column, run, Number(found, "mean over images", len(values), kind=Kind.PERFORMANCE))
