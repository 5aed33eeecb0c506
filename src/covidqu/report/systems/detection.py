"""Table `common/detection`: is an image infected? Decided by how much of it the infection mask marks.

Input: scores of the headline runs, and validation.parquet where there is one. Output: cells, rows are runs. An image
is called infected when more than a share of it is positive; Dice and false infection are two ends of this choice.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from covidqu.evaluate.classification import auc_interval
from covidqu.evaluate.protocols import FALSE_INFECTION, counts
from covidqu.evaluate.statistics import bootstrap_mean
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.measures import APART, Number
from covidqu.report.core.run_cells import absent, measured, or_missing
from covidqu.report.core.sources import Sources
from covidqu.report.systems.cross_system import COVID
from covidqu.report.systems.headline_runs import HEADLINE_RUNS

THRESHOLDS = {  # words: share of the image that must be exceeded
    "any pixel": 0.0,
    "> 0.1 % of the image": 0.001,
    "> 1 % of the image": 0.01,
    "> 2 % of the image": 0.02,
    "> 5 % of the image": 0.05,
}
RATES = {f"sensitivity, {COVID}": COVID} | {
    f"false rate, {APART[protocol]}": label for protocol, label in FALSE_INFECTION.items()
}
AREAS = {f"AUC of the marked area, {COVID} against {APART[p]}": label for p, label in FALSE_INFECTION.items()}
CHOSEN, THRESHOLD = "chosen on Val", "threshold chosen on Val, share of the image"


def table(sources: Sources) -> list[Cell]:
    """Sensitivity and false rates at each threshold, then at the one chosen on Val, then areas under ROC curves."""
    return [found for row, run in HEADLINE_RUNS.items() for found in _row(sources, row, run)]


def _row(sources: Sources, row: str, run: str) -> list[Cell]:
    cells = [
        _rate(sources, row, f"{rate}, {words}", run, label, threshold, "share of images")
        for words, threshold in THRESHOLDS.items()
        for rate, label in RATES.items()
    ]
    return [*cells, *_chosen(sources, row, run), *(_area(sources, row, c, run, label) for c, label in AREAS.items())]


def marked(scores: pd.DataFrame) -> np.ndarray:
    """(n,) share of each image that is positive."""
    return counts(scores, "infection")[:, :2].sum(axis=1) / scores["n_px"].to_numpy(np.float64)


def best_threshold(scores: pd.DataFrame) -> float:
    """The share above which images are called infected that tells best: sensitivity minus the mean of the false rates.

    One of the marked shares, or 0; the smallest of several that tell alike. Missing where a class is.
    """
    area, label = marked(scores), scores["label"].to_numpy()
    groups = {name: np.sort(area[label == name]) for name in RATES.values()}
    lacking = [name for name, found in groups.items() if not len(found)]
    if lacking:
        raise Missing(Status.UNDEFINED, f"no {' and no '.join(lacking)} image to choose a threshold by")
    candidates = np.unique(np.append(area, 0.0))
    above = {name: 1 - np.searchsorted(found, candidates, side="right") / len(found) for name, found in groups.items()}
    gain = above[COVID] - np.mean([above[name] for name in FALSE_INFECTION.values()], axis=0)
    return float(candidates[gain.argmax()])


@or_missing
def _rate(sources: Sources, row: str, column: str, run: str, label: str, threshold: float, how: str) -> Cell:
    scores = sources.scores(run)
    values = (marked(scores) > threshold)[(scores["label"] == label).to_numpy()].astype(np.float64)
    if not len(values):
        raise Missing(Status.UNDEFINED, f"no {label} test image")
    found = bootstrap_mean(values, sources.params.evaluate.bootstrap)
    number = Number(found, how, len(values), kind=Kind.PERFORMANCE, unit=Unit.FRACTION)
    return measured(sources, row, column, run, number)


def _chosen(sources: Sources, row: str, run: str) -> list[Cell]:
    columns = {f"{rate}, {CHOSEN}": label for rate, label in RATES.items()}
    try:
        frame = _validated(sources, run)
        threshold = best_threshold(frame)
    except Missing as missing:
        return [absent(row, column, missing) for column in (THRESHOLD, *columns)]
    how = "highest sensitivity minus mean of the false rates"
    what = {"n": len(frame), "kind": Kind.PERFORMANCE, "unit": Unit.FRACTION}
    first = measured(sources, row, THRESHOLD, run, Number((threshold, None, None), how, **what))
    first = replace(first, split=f"{sources.params.run(run).split} Val")
    how = f"share of images, > {threshold:.4f} of the image"
    return [first, *(_rate(sources, row, c, run, label, threshold, how) for c, label in columns.items())]


def _validated(sources: Sources, run: str) -> pd.DataFrame:
    """Scores of Val images; Missing where there are none."""
    if reason := sources.why_no_run(run):
        raise Missing(Status.NOT_RUN, reason)
    frame = sources.validation(run)
    if frame is None:
        raise Missing(Status.NOT_RUN, str(sources.why_no_validation(run)))
    return frame.assign(n_px=counts(frame, "infection").sum(axis=1))


@or_missing
def _area(sources: Sources, row: str, column: str, run: str, label: str) -> Cell:
    scores = sources.scores(run)
    scores = scores[scores["label"].isin([COVID, label])]
    try:
        found = auc_interval(marked(scores), (scores["label"] == COVID).to_numpy(), sources.params.evaluate.bootstrap)
    except ValueError as error:
        raise Missing(Status.UNDEFINED, str(error)) from None
    what = {"n": len(scores), "kind": Kind.PERFORMANCE, "unit": Unit.FRACTION}
    return measured(sources, row, column, run, Number(found, "order of marked shares", **what))
