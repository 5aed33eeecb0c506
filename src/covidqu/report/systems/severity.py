"""Table `common/severity`: the share of the lung that is infected, as a severity score, predicted against annotated.

Input: scores of the headline runs. Output: cells, in percentage points of the lung but for correlations. The figure
`common/bland-altman` shows the same images.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.evaluate import severity
from covidqu.evaluate.protocols import counts
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import Number
from covidqu.report.core.run_cells import measured, not_run
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.colours import BLUE, GREY, ORANGE
from covidqu.report.systems.cross_system import COVID
from covidqu.report.systems.headline_runs import HEADLINE_RUNS, headed, require

POPULATIONS = {"COVID-19 images": COVID, "all images": None}
OWN = ", own lungs"
HOW = "share of the annotated lung, predicted minus annotated"
HOW_OWN = "predicted share of the predicted lung minus annotated share of the annotated lung"


def table(sources: Sources) -> list[Cell]:
    """Rows are runs and populations, columns the measures; once more over the lungs of runs that predict them."""
    return [
        cell
        for row, run in HEADLINE_RUNS.items()
        for name, label in POPULATIONS.items()
        for cell in _row(sources, f"{row}, {name}", run, label)
    ]


def _row(sources: Sources, row: str, run: str, label: str | None) -> list[Cell]:
    reason = sources.why_no_run(run)
    if reason:
        return [not_run(row, column, reason) for column in severity.MEASURES]
    scores = sources.scores(run)
    chosen = scores if label is None else scores[scores["label"] == label]
    cells = _measures(sources, row, run, chosen, "", own=False)
    return cells + (_measures(sources, row, run, chosen, OWN, own=True) if "lung_tp" in scores else [])


def _measures(sources: Sources, row: str, run: str, scores: pd.DataFrame, suffix: str, *, own: bool) -> list[Cell]:
    predicted, annotated = shares(scores, own=own)
    lost, cells = len(scores) - len(predicted), []
    note = f"{lost} images without a lung are left out" if lost else ""
    for name in severity.MEASURES:
        try:
            found = severity.interval(name, predicted, annotated, sources.params.evaluate.bootstrap)
        except ValueError as error:
            cells.append(not_run(row, f"{name}{suffix}", str(error)))
            continue
        how = HOW_OWN if own else HOW
        cells.append(measured(sources, row, f"{name}{suffix}", run, Number(found, how, len(predicted), note)))
    return cells


def shares(scores: pd.DataFrame, *, own: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and annotated infected share (percent of the lung) of each image that has a lung.

    Predicted pixels outside the lung count, so a share can exceed 100. `own`: the predicted share is of the predicted
    lung; ValueError for a run without one.
    """
    tp, fp, fn, _ = counts(scores, "infection").T
    lung = scores["lung_area_px"].to_numpy(np.float64)
    of_prediction = counts(scores, "lung")[:, :2].sum(axis=1) if own else lung
    there = (lung > 0) & (of_prediction > 0)
    return 100 * ((tp + fp)[there] / of_prediction[there]), 100 * ((tp + fn)[there] / lung[there])


def bland_altman(sources: Sources, wanted: Wanted) -> Figure:
    """Difference against mean of both shares, one panel per headline run, COVID-19 images; same axes everywhere."""
    require(sources)
    drawn, across = Figure(figsize=(13, 7), layout="constrained"), -(-len(HEADLINE_RUNS) // 2)
    grid = drawn.subplots(2, across, sharex=True, sharey=True)
    places, spare = np.split(grid.ravel(), [len(HEADLINE_RUNS)])
    for axes in spare:
        axes.set_axis_off()
    for axes, (row, run) in zip(places, HEADLINE_RUNS.items(), strict=True):
        scores = sources.scores(run)
        _panel(axes, row, *shares(scores[scores["label"] == COVID]))
    for axes in places[-across:]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("mean of both shares (% of the lung)")
    for axes in grid[:, 0]:
        axes.set_ylabel("predicted - annotated\n(percentage points)")
    headed(drawn, wanted.title)
    return drawn


def _panel(axes: Axes, name: str, predicted: np.ndarray, annotated: np.ndarray) -> None:
    found = severity.agreement(predicted, annotated)
    axes.plot(
        (predicted + annotated) / 2,
        predicted - annotated,
        ".",
        color=BLUE,
        markersize=4,
        alpha=0.45,
        markeredgewidth=0,
    )
    axes.axhline(0, color=GREY, linewidth=0.8)
    bias, low, high = (found[k] for k in ("bias", "lower limit of agreement", "upper limit of agreement"))
    axes.axhline(bias, color=ORANGE, label=f"bias {bias:+.1f}")
    axes.axhline(low, color=ORANGE, linestyle="--", label=f"95 % limits {low:+.1f} to {high:+.1f}")
    axes.axhline(high, color=ORANGE, linestyle="--")
    axes.set_title(f"{name} (n = {len(predicted):,})", fontsize=10)
    axes.legend(fontsize=8.5, loc="upper left")
