"""Training curves: the history of a run in; loss, Dice, accuracy and squared error per epoch out, as one figure."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.colours import BLUE, GREY, ORANGE
from covidqu.report.drawing.panels import wrapped

PANEL = 5.0  # inches a panel is wide
HEIGHT = 4.2
STYLES = ("-", "--")  # of the first and the second mask
LABELS = {
    "loss": "loss",
    "masks": "mean Dice of images with foreground",
    "class": "accuracy of the class head",
    "reconstruction": "mean squared error of the reconstruction",
}


def curves(sources: Sources, wanted: Wanted) -> Figure:
    """Everything recorded per epoch of one run; the dotted line is the epoch whose weights are kept."""
    (run,) = wanted.runs
    config = sources.params.run(run)
    panels = ["loss", *(["masks"] if config.masks else [])]
    panels += [task for task in ("class", "reconstruction") if task in config.tasks]
    return _chosen(sources, wanted.title, run, panels)


def losses(sources: Sources, wanted: Wanted) -> Figure:
    """The loss of one run."""
    return _chosen(sources, f"{wanted.title}, {wanted.runs[0]}", wanted.runs[0], ["loss"])


def class_and_loss(sources: Sources, wanted: Wanted) -> Figure:
    """The accuracy of one run's class head, and its loss."""
    return _chosen(sources, f"{wanted.title}, {wanted.runs[0]}", wanted.runs[0], ["class", "loss"])


def _chosen(sources: Sources, title: str, run: str, panels: list[str]) -> Figure:
    """Some panels of `LABELS`, from left to right; ValueError when the run has no history."""
    history = sources.history(run)
    if history is None:
        raise ValueError(f"{sources.folder(run)}/history.csv: missing or empty; run the `train` step of {run}")
    # One panel alone is made wider: the title over it has to be readable.
    width = max(PANEL * len(panels), 7.0)
    drawn = Figure(figsize=(width, HEIGHT), layout="constrained")
    for axes, panel in zip(drawn.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, sources, run, history, panel)
    drawn.suptitle(wrapped(title, round(11 * width)), fontsize=11)
    return drawn


def _panel(axes: Axes, sources: Sources, run: str, history: pd.DataFrame, panel: str) -> None:
    config = sources.params.run(run)
    shown = columns(panel, list(config.masks), "training (augmented)" if config.augment else "training")
    lost = [column for column in shown if column not in history]
    if lost:
        path = sources.folder(run) / "history.csv"
        raise ValueError(f"{path}: no column {', '.join(lost)}; the run was trained for other tasks, train it again")
    _lines(axes, history, shown)
    axes.set_ylabel(LABELS[panel])
    if panel in ("masks", "class"):
        axes.set_ylim(0, 1)
    if panel == "reconstruction":
        axes.set_yscale("log")


def columns(panel: str, masks: list[str], training: str) -> dict[str, tuple[str, str, str]]:
    """Column of the history -> (label, colour, line style); `training`: name of the training images."""
    if panel == "masks":
        found = {}
        for task, style in zip(masks, STYLES, strict=False):
            found[f"train_{task}_dice"] = (f"{task}, {training}", BLUE, style)
            found[f"val_{task}_dice"] = (f"{task}, validation", ORANGE, style)
        return found
    end = {"loss": "loss", "class": "class_accuracy", "reconstruction": "reconstruction_mse"}[panel]
    return {f"train_{end}": ("training", BLUE, "-"), f"val_{end}": ("validation", ORANGE, "-")}


def _lines(axes: Axes, history: pd.DataFrame, shown: dict[str, tuple[str, str, str]]) -> None:
    marker = "o" if len(history) <= 40 else None
    for column, (label, colour, style) in shown.items():
        axes.plot(
            history["epoch"], history[column], color=colour, label=label, linestyle=style, marker=marker, markersize=3
        )
    best = history.loc[history["best"] == 1, "epoch"]
    if len(best):
        axes.axvline(int(best.iloc[-1]), color=GREY, linestyle=":", label=f"kept: epoch {int(best.iloc[-1])}")
    axes.set_xlabel("epoch")
    axes.locator_params("x", integer=True)
    axes.legend()
