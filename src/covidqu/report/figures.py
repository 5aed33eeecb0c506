"""Step `figure`: one figure as SVG, or PNG where it shows images.

Enters: histories, the index, packed arrays, predictions; leaves: one file, byte for byte the same on every run (fixed
hash salt, no date). Panels of images are drawn in `panels`.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.config.data import CLASSES, PX, SPLITS
from covidqu.config.params import Params
from covidqu.files import replacing
from covidqu.report import panels, titles
from covidqu.report.sources import Sources
from covidqu.report.targets import figure_inputs, figures

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#595959"  # Okabe and Ito, safe for colour-blind readers
CLASS_COLOURS = dict(zip(CLASSES, (ORANGE, BLUE, GREEN), strict=True))
STYLE = {
    "svg.hashsalt": "covidqu",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.dpi": 150,
}
CLAIMED_AREA = 0.10  # paper 001, Section II: infection typically covers less than this share of the image


def figure(name: str, params: Params, data: Path, results: Path, out: Path) -> None:
    """Write the figure `{system}/{name}` to `out`; ValueError when what it shows is not there."""
    runs = figure_inputs(name, params)
    suffix = figures(params)[name]
    if out.suffix != f".{suffix}":
        raise ValueError(f"{out}: the figure {name} is written as .{suffix}; change the name of the output")
    sources = Sources(params, data, results)
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        if name == "unetpp-b3/figure-1":
            drawn = class_and_area(sources)
        elif name == "unetpp-b3/figure-2":
            drawn = panels.examples(sources)
        elif name == "unet-roi/figure-1":
            drawn = panels.qualitative(sources, runs)
        else:
            drawn = curves(sources, runs[0])
        save(drawn, out)


def save(drawn: Figure, out: Path) -> None:
    """Write without date and software version, so that the same numbers give the same bytes."""
    kind = out.suffix.removeprefix(".")
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with replacing(out) as part:
        drawn.savefig(part, format=kind, metadata=metadata)


def class_and_area(sources: Sources) -> Figure:
    """Paper 001, Fig. 1: images per class and split; infected share of the COVID-19 images."""
    index = panels.required(sources.index, sources.data, "pack")
    index = index[index["subset"] == "infection"]
    drawn = Figure(figsize=(10, 4), layout="constrained")
    left, right = drawn.subplots(1, 2)
    _class_bars(left, index)
    _area_histogram(right, index)
    drawn.suptitle(titles.with_deviations(sources, "Classes and infected area of the infection subset", []))
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
    below = float((share < CLAIMED_AREA).mean())
    axes.axvline(
        CLAIMED_AREA,
        color=BLUE,
        linestyle=":",
        linewidth=2,
        label=f"paper: below {CLAIMED_AREA:.0%} (holds for {below:.1%})",
    )
    axes.set_xlabel("infected share of the image")
    axes.set_ylabel(f"images with infection (n = {len(share):,})")
    axes.legend()


def curves(sources: Sources, run: str) -> Figure:
    """Loss and Dice per epoch of one run; the dotted line is the epoch whose weights are kept."""
    history = sources.history(run)
    if history is None:
        raise ValueError(f"{sources.folder(run)}/history.csv: missing or empty; run the `train` step of {run}")
    drawn = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = drawn.subplots(1, 2)
    _lines(left, history, {"train_loss": ("training", BLUE), "val_loss": ("validation", ORANGE)})
    left.set_ylabel("loss")
    shown = {}
    for task in sources.params.run(run).tasks:
        shown[f"train_{task}_dice"] = (f"{task}, training (augmented)", BLUE)
        shown[f"val_{task}_dice"] = (f"{task}, validation", ORANGE)
    _lines(right, history, shown)
    right.set_ylabel("mean Dice of images with foreground")
    right.set_ylim(0, 1)
    title = titles.with_deviations(sources, f"Training of {run}", [run])
    drawn.suptitle(panels.wrapped(title, 110), fontsize=11)
    return drawn


def _lines(axes: Axes, history: pd.DataFrame, columns: dict[str, tuple[str, str]]) -> None:
    marker = "o" if len(history) <= 40 else None
    for column, (label, colour) in columns.items():
        axes.plot(history["epoch"], history[column], color=colour, label=label, marker=marker, markersize=3)
    best = history.loc[history["best"] == 1, "epoch"]
    if len(best):
        axes.axvline(int(best.iloc[-1]), color=GREY, linestyle=":", label=f"kept: epoch {int(best.iloc[-1])}")
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
