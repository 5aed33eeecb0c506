"""Confusion matrices and ROC curves of class heads: scores of a run in, matplotlib figures out.

Images whose label is no class of the head (`class_target` -1) are left out. A class is decided as in the tables
(`covidqu.evaluate.classification`), and an area under a curve has the interval that the tables give it.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from covidqu.evaluate.classification import confusion, interval, measure, of_scores
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.colours import CLASS_COLOURS, GREY, LINES
from covidqu.report.drawing.panels import wrapped
from covidqu.report.drawing.predicted import class_name

STYLES = ("-", "--", "-.", (0, (1, 1)))  # curves are told apart in print without colours, too


def class_names(sources: Sources, run: str) -> list[str]:
    """Names of the classes 0, 1, ... of a run's head; labels that share a class are joined."""
    labels = sources.params.run(run).class_map
    return [class_name(labels, k) for k in sorted(set(labels.values()))]


def decided(sources: Sources, run: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, K) probabilities and (n,) targets of the images that the head knows; ValueError when there are none."""
    reason = sources.why_no_run(run)
    if reason:
        raise ValueError(f"{sources.folder(run)}: {reason}; run its `score` step")
    found, target = of_scores(sources.scores(run))
    if not len(target):
        raise ValueError(f"{sources.folder(run)}/scores.parquet: no image of a class that the head of {run} knows")
    return found, target


def confusion_matrix(sources: Sources, wanted: Wanted) -> Figure:
    """Counts with the share of each row, beside the ROC curves of the same images."""
    (run,) = wanted.runs
    found, target = decided(sources, run)
    names = class_names(sources, run)
    counts = confusion(target, found.argmax(axis=1), len(names))
    drawn = Figure(figsize=(11, 6), layout="constrained")
    left, right = drawn.subplots(1, 2, width_ratios=(1.15, 1))
    _matrix(left, counts, names)
    for place, k in enumerate(range(1, 2) if len(names) == 2 else range(len(names))):
        against = f"{names[k]} against {names[1 - k] if len(names) == 2 else 'the rest'}"
        _curve(right, sources, found, target, k, (against, CLASS_COLOURS.get(names[k], LINES[place]), STYLES[place]))
    _diagonal(right, sources.params.evaluate.bootstrap.confidence)
    config = sources.params.run(run)
    words = f"{wanted.title}: {run} (seed {config.seed}), n = {len(target):,} {config.split} Test images"
    drawn.suptitle(wrapped(words, 120), fontsize=11)
    return drawn


def roc(sources: Sources, wanted: Wanted) -> Figure:
    """One curve per run with two classes; the positive one is class 1."""
    drawn = Figure(figsize=(8, 7.4), layout="constrained")
    axes = drawn.subplots()
    totals = []
    for place, run in enumerate(wanted.runs):
        found, target = decided(sources, run)
        name = class_names(sources, run)[1]
        _curve(axes, sources, found, target, 1, (run, LINES[place], STYLES[place]))
        totals.append(f"{len(target):,}")
    _diagonal(axes, sources.params.evaluate.bootstrap.confidence)
    images = " / ".join(dict.fromkeys(totals))
    words = f"{wanted.title}: {name} against the rest, n = {images} Test images"
    drawn.suptitle(wrapped(words, 90), fontsize=11)
    return drawn


def _matrix(axes: Axes, counts: np.ndarray, names: list[str]) -> None:
    rows = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, rows, out=np.zeros(counts.shape), where=rows > 0)
    edges = np.arange(len(names) + 1) - 0.5
    axes.pcolormesh(edges, edges, share, cmap="Blues", vmin=0, vmax=1)  # shapes: an SVG of ours holds no raster image
    axes.invert_yaxis()
    axes.set_aspect("equal")
    for (i, j), count in np.ndenumerate(counts):
        text = f"{count:,}\n{share[i, j]:.1%} of row" if rows[i, 0] else f"{count:,}\nno image"
        axes.text(j, i, text, ha="center", va="center", color="white" if share[i, j] > 0.5 else "black", fontsize=11)
    axes.set_xticks(range(len(names)), [wrapped(name, 14) for name in names])
    axes.set_yticks(
        range(len(names)), [f"{wrapped(n, 14)}\n(n = {r:,})" for n, r in zip(names, rows[:, 0], strict=True)]
    )
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _curve(
    axes: Axes, sources: Sources, found: np.ndarray, target: np.ndarray, k: int, drawn_as: tuple[str, str, object]
) -> None:
    """ROC curve of class `k` against the rest; a class without images, or with all of them, has none."""
    (name, colour, style), positive = drawn_as, target == k
    if positive.all() or not positive.any():
        axes.plot([], [], color=colour, linestyle=style, label=f"{name}: undefined, images of one class only")
        return
    false, true, _ = roc_curve(positive, found[:, k], drop_intermediate=True)
    words = f"{name}: AUC {measure('auc', found, target, positive=k):.3f}"
    try:
        _, low, high = interval("auc", found, target, sources.params.evaluate.bootstrap, positive=k)
        words += f" [{low:.3f}, {high:.3f}]"
    except ValueError:  # too few images of one class: many resamples have none
        words += " (too few images for an interval)"
    axes.plot(false, true, color=colour, linestyle=style, linewidth=1.8, label=words)


def _diagonal(axes: Axes, confidence: float) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    title = f"{confidence:.0%} interval over images in brackets"
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower right", fontsize=8.5, title=title, title_fontsize=8.5)
