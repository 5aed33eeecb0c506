"""Step `figures`: each figure as SVG, or PNG where it shows images.

Enters: histories, the index, packed arrays, predictions; leaves: a file per figure, byte for byte the same on every run
(fixed hash salt, no date). Panels of images are drawn in `panels`.
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.config.data import CLASSES, PX, SPLITS, SUBSETS
from covidqu.config.params import Params
from covidqu.files import replacing
from covidqu.report.core import targets, titles
from covidqu.report.core.catalogue import CBAM, OURS, RECON, STATIC_FIGURES, SWIN
from covidqu.report.core.published import SYSTEMS, paper, printed
from covidqu.report.core.sources import Sources
from covidqu.report.drawing import cam_panels, mask_panels, panels
from covidqu.report.drawing.architecture_figure import architecture
from covidqu.report.drawing.classification_figures import confusion_matrix, roc
from covidqu.report.drawing.colours import BLUE, CLASS_COLOURS, ORANGE
from covidqu.report.drawing.curve_figures import chosen_curves, curves
from covidqu.report.systems import ablations, budget, severity_table, subgroups, worst_cases
from covidqu.report.systems.cost_figure import cost_figure
from covidqu.report.systems.reliability_figure import reliability_figure

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


def figures(names: list[str], params: Params, data: Path, results: Path, out: Path) -> None:
    """Write `out`/{name}.svg or .png of the named figures, or of all."""
    sources, known = Sources(params, data, results), targets.figures(params)
    for name in names or known:
        figure(sources, name, out / f"{name}.{known.get(name)}")


def figure(sources: Sources, name: str, out: Path) -> None:
    """Write the figure `{system}/{name}` to `out`; ValueError when there is none, or what it shows is not there."""
    runs = targets.figure_inputs(name, sources.params)
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        save(draw(sources, name, runs), out)


def draw(sources: Sources, name: str, runs: list[str]) -> Figure:
    """The figure called `name`; `runs` are those whose settings its title has to name."""
    if name not in DRAWN:
        return curves(sources, runs[0])
    return DRAWN[name](sources, name, runs)


def caption(name: str, what: str) -> str:
    """Paper, number of the figure, and what it shows; of our system that it is ours."""
    system = name.split("/", maxsplit=1)[0]
    if system not in SYSTEMS:
        return f"Ours ({system}): {what}"
    source = paper(system)
    number = f", {name.split('/')[1].replace('-', ' ')}" if "figure" in name else ""
    return f"Paper {source.paper} ({source.name}){number}: {what}"


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


def composition(sources: Sources, name: str) -> Figure:
    """Paper 004, Fig. 3: the images behind every run, per subset, split and class."""
    index = panels.required(sources.index, sources.data, "pack")
    present = [subset for subset in SUBSETS if (index["subset"] == subset).any()]
    drawn = Figure(figsize=(max(5.0 * len(present), 7.0), 4.4), layout="constrained")
    for axes, subset in zip(drawn.subplots(1, len(present), squeeze=False)[0], present, strict=True):
        rows = index[index["subset"] == subset]
        _class_bars(axes, rows)
        axes.set_title(f"{subset} subset, {len(rows):,} images", fontsize=10)
    words = caption(name, "images of COVID-QU-Ex by class and split, in place of the paper's CT data")
    drawn.suptitle(panels.wrapped(titles.with_deviations(sources, words, []), 58 * len(present)), fontsize=11)
    return drawn


Drawing = Callable[[Sources, str, list[str]], Figure]


def _of_run(make: Callable[..., Figure], what: str) -> Drawing:
    """A figure of one run: `make(sources, run, caption, runs named in the title)`."""
    return lambda sources, name, runs: make(sources, STATIC_FIGURES[name][1][0], caption(name, what), runs)


def _of_runs(make: Callable[..., Figure], what: str) -> Drawing:
    """A figure of several runs: `make(sources, runs shown, caption, runs named in the title)`."""
    return lambda sources, name, runs: make(sources, list(STATIC_FIGURES[name][1]), caption(name, what), runs)


def _network(sources: Sources, name: str, _: list[str]) -> Figure:
    return architecture(sources, STATIC_FIGURES[name][1][0], caption(name, "architecture"))


def _history(panels_shown: list[str], what: str) -> Drawing:
    """Training curves of one run."""

    def make(sources: Sources, run: str, words: str, runs: list[str]) -> Figure:
        return chosen_curves(sources, run, f"{words}, {run}", runs, panels_shown)

    return _of_run(make, what)


DRAWN: dict[str, Drawing] = {  # all but the curves of single runs
    "unetpp-b3/figure-1": lambda sources, *_: class_and_area(sources),
    "unetpp-b3/figure-2": lambda sources, *_: panels.examples(sources),
    "unetpp-b3/architecture": _network,
    "unet-roi/figure-1": lambda sources, _, runs: panels.qualitative(sources, runs),
    "unet-roi/architecture": _network,
    "swin-dual/figure-1": _network,
    "swin-dual/figure-2": _history(["loss"], "training and validation loss, phase 1"),
    "swin-dual/figure-3": _history(["loss"], "training and validation loss, phase 2"),
    "swin-dual/figure-4": _history(["class", "loss"], "accuracy and loss, phase 1"),
    "swin-dual/figure-5": _of_run(confusion_matrix, "confusion matrix and ROC, phase 1"),
    "swin-dual/figure-6": _of_run(mask_panels.lungs_and_classes, "lungs and classes, phase 1"),
    "swin-dual/figure-7": _history(["class", "loss"], "accuracy and loss, phase 2"),
    "swin-dual/figure-8": _of_run(confusion_matrix, "confusion matrix and ROC, phase 2"),
    "swin-dual/figure-9": _of_run(mask_panels.lungs_and_classes, "lungs, infection and classes, phase 2"),
    "cbam-mtl/figure-1": _network,
    "cbam-mtl/figure-2": _of_run(confusion_matrix, "confusion matrix and ROC of the proposed network on chest X-rays"),
    "cbam-mtl/figure-3": _of_runs(mask_panels.stages, "segmentation of chest X-rays by stage"),
    "cbam-mtl/figure-4": _of_run(cam_panels.heat_maps, "Grad-CAM on chest X-rays"),
    "recon-mtl/figure-3": lambda sources, name, _: composition(sources, name),
    "recon-mtl/figure-4": _network,
    "recon-mtl/figure-5": _of_runs(roc, "ROC on chest X-rays"),
    "recon-mtl/figure-6": _of_runs(mask_panels.overlays, "infection and reconstruction of chest X-rays"),
    "reference/architecture": _network,
    "common/bland-altman": lambda sources, _, runs: severity_table.bland_altman(
        sources, "Infected share of the annotated lung, COVID-19 test images", runs
    ),
    "common/reliability": lambda sources, _, runs: reliability_figure(
        sources, [SWIN[1], CBAM, RECON, OURS], "Calibration of class heads and of infection masks, test images", runs
    ),
    "common/dice-by-area": lambda sources, _, runs: subgroups.dice_by_area(
        sources,
        "Infection Dice by annotated area, and images with more than 1 % positive where none is annotated",
        runs,
    ),
    "common/worst-cases": lambda sources, _, runs: worst_cases.worst_panels(
        sources, "COVID-19 test images that our system marks worst", runs
    ),
    "common/budget": lambda sources, _, runs: budget.budget_figure(
        sources, "Infection Dice on validation images against the cost of training until then", runs
    ),
    "common/cost": lambda sources, _, runs: cost_figure(sources, "Infection Dice against what it costs", runs),
    "common/ablations": lambda sources, _, runs: ablations.effects(
        sources, "What each part of the reference system brings, on validation images", runs
    ),
}
