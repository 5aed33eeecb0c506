"""Figures that show images: examples of the data, predictions of the two-phase U-Net, and how every panel is drawn.

Input: the packed arrays, predictions, lung masks used as regions of interest. Output: matplotlib figures. Cases are
chosen by annotated area or by name, never by score.
"""

import textwrap
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.config.data import CLASSES, PX
from covidqu.data.index import Packed, open_packed, unpack_mask
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.measures import APART, false_infection
from covidqu.report.core.run_cells import across
from covidqu.report.core.sources import Sources
from covidqu.report.drawing import predicted
from covidqu.report.drawing.colours import LIGHT_BLUE, YELLOW
from covidqu.stored import read_array

Found = TypeVar("Found")


def required(value: Found | None, folder: Path, step: str) -> Found:
    """The value; ValueError when the file behind it is not there."""
    if value is None:
        raise ValueError(f"{folder}: what the `{step}` step writes is missing; run it")
    return value


def wrapped(title: str, width: int) -> str:
    """A long title over several lines."""
    return "\n".join(textwrap.wrap(title, width, break_on_hyphens=False))


def cases(index: pd.DataFrame, count: int) -> list[tuple[str, int]]:
    """(why it was chosen, row) of `count` test images: severe, mild, one of each other class, then more quantiles.

    COVID-19 images are ranked by infected area (ties by id); the others are the first by id.
    """
    test = index[(index["subset"] == "infection") & (index["split"] == "Test")]
    infected = test[test["infection_px"] > 0].sort_values(["infection_px", "id"])
    if infected.empty:
        raise ValueError("the index holds no infected test image; the figure cannot be drawn from this archive")

    def at(share: float) -> tuple[str, int]:
        row = infected.index[round(share * (len(infected) - 1))]
        return f"infected area at its {share:.0%} quantile", int(row)

    chosen = [at(0.9), at(0.1)]
    for label in ("Normal", "Non-COVID"):
        others = test[test["label"] == label].sort_values("id")
        chosen += [(f"{label}, first by id", int(others.index[0]))] if len(others) else []
    extra = max(0, count - len(chosen))
    chosen += [at(0.1 + 0.8 * (i + 1) / (extra + 1)) for i in range(extra)]
    return chosen[:count]


def lung_cases(index: pd.DataFrame, count: int) -> list[tuple[str, int]]:
    """As `cases`, for images without annotated infection: quantiles of the lung area within each class, up to eight."""
    places = [("COVID-19", 0.9), ("COVID-19", 0.1), ("Normal", 0.5), ("Non-COVID", 0.5)]
    places += [("Normal", 0.1), ("Non-COVID", 0.1), ("Normal", 0.9), ("Non-COVID", 0.9)]
    chosen = []
    for label, share in places:
        ranked = index[index["label"] == label].sort_values(["lung_px", "id"])
        if len(ranked):
            row = int(ranked.index[round(share * (len(ranked) - 1))])
            chosen.append((f"{label}, lung area at its {share:.0%} quantile", row))
    if not chosen:
        raise ValueError("the index holds none of these test images; the figure cannot be drawn from this archive")
    return chosen[:count]


def examples(sources: Sources, wanted: Wanted) -> Figure:
    """Paper 001, Fig. 2: per class, training images with the contours of lung and infection masks."""
    packed = open_packed(sources.data / "packed")
    index = packed.index
    columns = sources.params.report.panel_cases
    drawn = Figure(figsize=(2.3 * columns, 2.5 * len(CLASSES) + 0.6), layout="constrained")
    grid = drawn.subplots(len(CLASSES), columns, squeeze=False)
    for line, label in zip(grid, CLASSES, strict=True):
        rows = index[(index["subset"] == "infection") & (index["split"] == "Train") & (index["label"] == label)]
        rows = rows.sort_values(["infection_px", "id"])
        places = np.linspace(0.1, 0.9, columns) * (len(rows) - 1)
        for axes, place in zip(line, places, strict=True):
            if not len(rows):
                axes.set_axis_off()
                continue
            row = int(rows.index[round(place)])
            image(axes, packed.images[row], index["name"][row])
            contour(axes, unpack_mask(packed.lung_masks[row]), LIGHT_BLUE)
            contour(axes, unpack_mask(packed.infection_masks[row]), YELLOW)
        line[0].set_ylabel(label)
    drawn.suptitle(wrapped(wanted.title, 25 * columns), fontsize=10)
    return drawn


def qualitative(sources: Sources, wanted: Wanted) -> Figure:
    """Paper 002, Fig. 1: image with ground truth, then per run its ROI input with ground truth and prediction."""
    packed = open_packed(sources.data / "packed")
    shown = wanted.runs
    chosen = cases(packed.index, sources.params.report.panel_cases)
    rows = [row for _, row in chosen]
    masks = [(run, predicted.maps(predicted.opened(sources, run), "infection_logits", rows) > 0) for run in shown]
    drawn = Figure(figsize=(3.1 * (len(shown) + 1), 2.9 * len(chosen) + 1.4), layout="constrained")
    grid = drawn.subplots(len(chosen), len(shown) + 1, squeeze=False)
    for place, (line, (why, row)) in enumerate(zip(grid, chosen, strict=True)):
        truth = unpack_mask(packed.infection_masks[row])
        image(line[0], packed.images[row], f"{packed.index['id'][row].split('/')[-1]}: image")
        line[0].set_ylabel(wrapped(why, 24), fontsize=9)
        contour(line[0], truth, YELLOW)
        for axes, (run, masks_of_run) in zip(line[1:], masks, strict=True):
            roi, prediction = sources.params.run(run).roi, masks_of_run[place]
            image(axes, packed.images[row] * _lungs(sources, packed, roi, row), f"ROI {roi}: {area(prediction)}")
            contour(axes, truth, YELLOW)
            contour(axes, prediction, LIGHT_BLUE)
    named = {run: f"ROI {sources.params.run(run).roi}" for run in shown}
    drawn.supxlabel(false_infection_words(sources, named), fontsize=9)
    drawn.suptitle(wrapped(wanted.title, 42 * (len(shown) + 1)), fontsize=9)
    return drawn


def _lungs(sources: Sources, packed: Packed, roi: str, row: int) -> np.ndarray:
    """(256, 256) bool: what the run was allowed to see."""
    path = sources.data / "roi" / f"{roi}.npy"
    if not path.is_file():
        raise ValueError(f"{path}: missing; run the `roi` (or `roi_predicted`) step of {roi}")
    bits = read_array(path)
    return unpack_mask(np.asarray(bits[row if len(bits) > 1 else 0]))


def false_infection_words(sources: Sources, named: dict[str, str]) -> str:
    """How often each run (run -> its name here) marks infection where none is annotated; empty without scores."""
    found = []
    for protocol, who in APART.items():
        rates = [across(sources, "", false_infection(run, protocol))[:2] for run in named]
        words = [f"{named[a.run]} {a.measured_correct:.1%} / {b.measured_correct:.1%}" for a, b in rates if a.measured]
        found += [f"{who} (n = {rates[0][0].n}): {', '.join(words)}"] if words else []
    return f"Test images with a positive pixel / more than 1 % positive, {'; '.join(found)}" if found else ""


def area(mask: np.ndarray) -> str:
    """Size of a predicted (256, 256) mask in words."""
    return f"{mask.sum() / PX**2:.1%} of the image predicted" if mask.any() else "blank prediction"


def image(axes: Axes, pixels: np.ndarray, title: str) -> None:
    """(256, 256) grey levels of 0 to 255 under a title."""
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)


def contour(axes: Axes, mask: np.ndarray, colour: str) -> None:
    """Outline of a (256, 256) mask; nothing for an empty one."""
    if mask.any():  # a constant field has no contour; padding closes it at the border
        padded = np.pad(mask, 1).astype(float)
        axes.contour(np.arange(-1, PX + 1), np.arange(-1, PX + 1), padded, levels=[0.5], colors=[colour], linewidths=1)
        axes.set_xlim(-0.5, PX - 0.5)
        axes.set_ylim(PX - 0.5, -0.5)
