"""Figure `common/reliability`: what class heads say and how often they are right, and the areas that masks expect.

Enters: scores of the runs in the figure; leaves: one matplotlib figure.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.evaluate.calibration import BINS, measure, reliability
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.classification_figures import decided
from covidqu.report.drawing.colours import BLUE, GREY, LIGHT_BLUE
from covidqu.report.systems.calibration import annotated, expected
from covidqu.report.systems.headline_runs import DRAWN_AS, HEADLINE_RUNS, headed, require

GROUPS = 10  # of images, by expected area


def reliability_figure(sources: Sources, heads: list[str], caption: str, runs: list[str]) -> Figure:
    """Reliability diagrams of four class heads, and expected against annotated infected area of the headline runs."""
    drawn = Figure(figsize=(13, 7.6), layout="constrained")
    *places, last = drawn.subplot_mosaic("ABC;DMM").values()
    for axes, run in zip(places, heads, strict=True):
        _head(axes, sources, run)
    _areas(last, sources)
    headed(drawn, sources, caption, runs)
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
