"""Figures of the data: images by class and split, and how much of them is infected. Input: the index."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.config.data import CLASSES, PX, SPLITS, SUBSETS
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.published import printed
from covidqu.report.core.sources import Sources
from covidqu.report.drawing import panels
from covidqu.report.drawing.colours import BLUE, CLASS_COLOURS, ORANGE


def class_and_area(sources: Sources, wanted: Wanted) -> Figure:
    """Paper 001, Fig. 1: images per class and split; infected share of the COVID-19 images."""
    index = panels.required(sources.index, sources.data, "pack")
    index = index[index["subset"] == "infection"]
    drawn = Figure(figsize=(10, 4), layout="constrained")
    left, right = drawn.subplots(1, 2)
    _class_bars(left, index)
    _area_histogram(right, index)
    drawn.suptitle(panels.wrapped(wanted.title, 100))
    return drawn


def _class_bars(axes: Axes, index: pd.DataFrame) -> None:
    counts = index.groupby(["split", "label"], observed=True).size()
    for i, label in enumerate(CLASSES):
        heights = [int(counts.get((split, label), 0)) for split in SPLITS]
        bars = axes.bar(np.arange(3) + (i - 1) * 0.27, heights, 0.25, label=label, color=CLASS_COLOURS[label])
        axes.bar_label(bars, fontsize=8)
    axes.set_xticks(range(3), SPLITS)
    axes.set_ylabel("images")
    axes.grid(axis="x", visible=False)
    axes.legend()


def _area_histogram(axes: Axes, index: pd.DataFrame) -> None:
    share = index.loc[index["infection_px"] > 0, "infection_px"].to_numpy() / PX**2
    axes.hist(share, bins=np.linspace(0, max(0.4, float(share.max())), 41), color=ORANGE, alpha=0.6)
    mean, median = float(share.mean()), float(np.median(share))
    axes.axvline(mean, color="black", label=f"mean {mean:.3f}")
    axes.axvline(median, color="black", linestyle="--", label=f"median {median:.3f}")
    claimed = str(printed("unetpp-b3/text")["infection area, typical fraction of image", "value"])
    limit = float(claimed.removeprefix("<"))
    below = float((share < limit).mean())
    axes.axvline(
        limit,
        color=BLUE,
        linestyle=":",
        linewidth=2,
        label=f"paper: below {limit:.0%} (holds for {below:.1%})",
    )
    axes.set_xlabel("infected share of the image")
    axes.set_ylabel(f"images with infection (n = {len(share):,})")
    axes.legend()


def composition(sources: Sources, wanted: Wanted) -> Figure:
    """Paper 004, Fig. 3: the images behind every run, per subset, split and class."""
    index = panels.required(sources.index, sources.data, "pack")
    present = [subset for subset in SUBSETS if (index["subset"] == subset).any()]
    drawn = Figure(figsize=(max(5.0 * len(present), 7.0), 4.4), layout="constrained")
    for axes, subset in zip(drawn.subplots(1, len(present), squeeze=False)[0], present, strict=True):
        rows = index[index["subset"] == subset]
        _class_bars(axes, rows)
        axes.set_title(f"{subset} subset, {len(rows):,} images", fontsize=10)
    drawn.suptitle(panels.wrapped(wanted.title, 58 * len(present)), fontsize=11)
    return drawn
