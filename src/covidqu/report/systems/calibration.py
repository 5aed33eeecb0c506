"""Table `common/calibration`, figure `common/reliability`: do the probabilities of class heads and masks mean what they
say?

Input: scores of all runs with a class head or an infection mask. Output: cells, rows are runs, and one figure: what
class heads say and how often they are right, and the areas that masks expect. Of repetitions with other seeds the first
is shown.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.evaluate import calibration
from covidqu.evaluate.calibration import BINS, measure, reliability
from covidqu.evaluate.classification import of_scores
from covidqu.evaluate.protocols import FALSE_INFECTION
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import APART, Number, PerImage
from covidqu.report.core.run_cells import across, measured, not_run
from covidqu.report.core.runs import CBAM, OURS, RECON, SWIN, calibrated
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.classification_figures import decided
from covidqu.report.drawing.colours import BLUE, GREY, LIGHT_BLUE
from covidqu.report.systems.cross_system import COVID
from covidqu.report.systems.headline_runs import DRAWN_AS, HEADLINE_RUNS, headed, require

CHANCE = ", of a calibrated head"
COLUMNS = {  # of class heads
    "ECE, 15 bins of equal width": "ece",
    f"ECE, 15 bins of equal width{CHANCE}": "ece",
    "ECE, 15 bins of equal size": "adaptive_ece",
    f"ECE, 15 bins of equal size{CHANCE}": "adaptive_ece",
    "Brier score": "brier",
    "log loss": "log_loss",
}
HEADS = (SWIN[1], CBAM, RECON, OURS)  # of which the figure shows a diagram each
GROUPS = 10  # of images, by expected area


def table(sources: Sources) -> list[Cell]:
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
        number = Number(of(name, found, target, config), how, len(target))
        cells.append(measured(sources, run, column, run, number))
    return cells


def _mask(sources: Sources, run: str) -> list[Cell]:
    """Sums of probabilities against annotated pixels: a calibrated mask expects the area that is there."""
    how, of_pixels = "percent of the image, mean over images", "mean over pixels and images"
    areas = {c: PerImage(run=run, quantity=q, select=s, how=how, percent=True) for c, (q, s) in AREAS.items()}
    loss = PerImage(run=run, quantity="infection_bce", how=of_pixels)
    return across(sources, run, {**areas, "log loss of pixels, all images": loss})


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


def figure(sources: Sources, wanted: Wanted) -> Figure:
    """Reliability diagrams of four class heads, and expected against annotated infected area of the headline runs."""
    drawn = Figure(figsize=(13, 7.6), layout="constrained")
    *places, last = drawn.subplot_mosaic("ABC;DMM").values()
    for axes, run in zip(places, HEADS, strict=True):
        _head(axes, sources, run)
    _areas(last, sources)
    headed(drawn, wanted.title)
    return drawn


def _head(axes: Axes, sources: Sources, run: str) -> None:
    """Bars: images per bin, as a share of all; points: share of a bin's images that is decided rightly."""
    found, target = decided(sources, run)
    bins = reliability(found, target)
    share = bins.images / bins.images.sum()
    axes.bar(
        (np.ceil(bins.confidence * BINS) - 0.5) / BINS, share, 1 / BINS, color=LIGHT_BLUE, alpha=0.35, label="images"
    )
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    axes.plot(bins.confidence, bins.right, color=BLUE, linewidth=1, marker="o", markersize=4, label="decided rightly")
    axes.set_xlim(1 / found.shape[1] - 0.05, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("probability of the decided class")
    axes.set_ylabel("share of images")
    axes.set_title(f"{run}: ECE {measure('ece', found, target):.3f}, n = {len(target):,}", fontsize=10)
    axes.legend(fontsize=8.5, loc="upper left")


def _areas(axes: Axes, sources: Sources) -> None:
    """Test images in ten groups by the area that the masks' probabilities add up to."""
    require(sources)
    largest = 0.0
    for row, run in HEADLINE_RUNS.items():
        scores = sources.scores(run)
        order = np.argsort(expected(scores).to_numpy(), kind="stable")
        parts = [part for part in np.array_split(order, GROUPS) if len(part)]
        x, y = ([100 * of(scores).to_numpy()[part].mean() for part in parts] for of in (expected, annotated))
        colour, marker, line = DRAWN_AS[row]
        axes.plot(x, y, color=colour, marker=marker, linestyle=line, markersize=4, linewidth=1.2, label=row)
        largest = max(largest, *x, *y)
    axes.plot([0, largest], [0, largest], color=GREY, linestyle=":", linewidth=1)
    axes.set_xlabel("expected infected area (% of the image)")
    axes.set_ylabel("annotated infected area (%)")
    axes.set_title(f"masks: means of {GROUPS} groups of images", fontsize=10)
    axes.legend(fontsize=8.5, loc="upper left")
