"""Figures that show what runs predicted: rows are test images, columns annotation and predictions.

Input: the packed arrays and predictions. Output: matplotlib figures. Images are chosen by annotated area, never by
score, some without infection among them (`covidqu.report.drawing.panels.cases`).
"""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.data import filters
from covidqu.data.index import Packed, open_packed, unpack_mask
from covidqu.evaluate.predictions import Predictions
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.sources import Sources
from covidqu.report.drawing import panels, predicted
from covidqu.report.drawing.colours import LIGHT_BLUE, YELLOW

INFECTED = "COVID-19"  # the class with annotated infection
CELL, LINE = (2.7, 2.85), 11  # inches of an image with its title; letters of a title per inch
Draw = Callable[[Axes, int, int], None]  # axes, place among the chosen images, row of the index


def lungs_and_classes(sources: Sources, wanted: Wanted) -> Figure:
    """Paper 000, Figs. 6 and 9: contours of the annotated and the predicted masks, true and predicted class.

    With infection a third column shows it only where the predicted class is COVID-19, and says so: the network is not
    trained to leave images without annotated infection blank.
    """
    (run,) = wanted.runs
    packed, found = open_packed(sources.data / "packed"), predicted.opened(sources, run)
    chosen = _chosen(sources, packed, [found])
    rows, tasks = [row for _, row in chosen], sources.params.run(run).masks
    masks = {task: predicted.maps(found, f"{task}_logits", rows) > 0 for task in tasks}
    decided = predicted.classes(found, rows)

    def annotated(axes: Axes, _: int, row: int) -> None:
        panels.image(axes, packed.images[row], f"true class: {packed.index['label'][row]}")
        _outline(axes, {task: _truth(packed, task, row) for task in tasks})

    def output(axes: Axes, place: int, row: int) -> None:
        name, probability = decided[place]
        panels.image(axes, packed.images[row], f"predicted class: {name} ({probability:.2f})")
        _outline(axes, {task: masks[task][place] for task in tasks})

    def gated(axes: Axes, place: int, row: int) -> None:
        shown = {task: masks[task][place] for task in tasks if task == "lung" or decided[place][0] == INFECTED}
        words = panels.area(shown["infection"]) if "infection" in shown else "infection hidden by the class"
        panels.image(axes, packed.images[row], words)
        _outline(axes, shown)

    columns: dict[str, Draw] = {"annotated": annotated, "predicted": output}
    if "infection" in tasks:
        columns[f"predicted, infection only where the class is {INFECTED}"] = gated
    colours = "lung (blue)" + (", infection (yellow)" if "infection" in tasks else "")
    how = f"test images chosen by annotated area, never by score; {colours}; probability in brackets"
    words = f"{wanted.title}, {run}: {how}"
    drawn = _grid(packed, chosen, columns, words)
    if "infection" in tasks:
        drawn.supxlabel(panels.false_infection_words(sources, {run: run}), fontsize=9)
    return drawn


def stages(sources: Sources, wanted: Wanted) -> Figure:
    """Paper 003, Fig. 3: image, filtered image, annotated mask, and the prediction of each run."""
    packed, loaded = open_packed(sources.data / "packed"), _loaded(sources, wanted.runs)
    chosen = _chosen(sources, packed, list(loaded.values()))
    filtering = [step for run in wanted.runs for step in [sources.params.run(run).filters] if step]

    def original(axes: Axes, _: int, row: int) -> None:
        panels.image(axes, packed.images[row], packed.index["label"][row])

    def filtered(axes: Axes, _: int, row: int) -> None:
        words = ", ".join(f"{step.kind} {step.px} x {step.px}" for step in filtering[-1]) if filtering else "no filter"
        pixels = np.asarray(packed.images[row])
        panels.image(axes, filters.apply(list(filtering[-1]), pixels) if filtering else pixels, words)

    columns: dict[str, Draw] = {"image": original, "preprocessed": filtered, "annotated mask": _annotation(packed)}
    columns |= _predictions(packed, loaded, chosen)
    words = (
        f"{wanted.title}: test images chosen by infected area, never by score; annotation (yellow), predicted "
        f"infection (blue); seed {sources.params.run(wanted.runs[0]).seed}"
    )
    drawn = _grid(packed, chosen, columns, words)
    drawn.supxlabel(
        panels.wrapped(panels.false_infection_words(sources, {run: run for run in wanted.runs}), 170), fontsize=9
    )
    return drawn


def overlays(sources: Sources, wanted: Wanted) -> Figure:
    """Paper 004, Fig. 6: image, annotated mask, each run's prediction, and the reconstruction of those with one."""
    packed, loaded = open_packed(sources.data / "packed"), _loaded(sources, wanted.runs)
    chosen = _chosen(sources, packed, list(loaded.values()))

    def original(axes: Axes, _: int, row: int) -> None:
        panels.image(axes, packed.images[row], packed.index["label"][row])

    columns: dict[str, Draw] = {"image": original, "annotated mask": _annotation(packed)}
    columns |= _predictions(packed, loaded, chosen)
    for run in wanted.runs:
        if "reconstruction" in sources.params.run(run).tasks:
            columns[f"{run}: reconstruction"] = _reconstruction(packed, loaded[run], chosen)
    words = (
        f"{wanted.title}: test images chosen by infected area, never by score; annotation (yellow), predicted "
        "infection (blue); MSE of intensities 0 to 1"
    )
    drawn = _grid(packed, chosen, columns, words)
    drawn.supxlabel(
        panels.wrapped(panels.false_infection_words(sources, {run: run for run in wanted.runs}), 150), fontsize=9
    )
    return drawn


def _loaded(sources: Sources, shown: list[str]) -> dict[str, Predictions]:
    return {run: predicted.opened(sources, run) for run in shown}


def _chosen(sources: Sources, packed: Packed, loaded: list[Predictions]) -> list[tuple[str, int]]:
    """Cases among the images that all runs predicted."""
    rows = sorted(set.intersection(*(set(found.rows.tolist()) for found in loaded)))
    index, count = packed.index.iloc[rows], sources.params.report.panel_cases
    choose = panels.cases if (index["subset"] == "infection").any() else panels.lung_cases
    return choose(index, count)


def _truth(packed: Packed, task: str, row: int) -> np.ndarray:
    """(256, 256) bool: the annotated mask."""
    return unpack_mask(np.asarray((packed.lung_masks if task == "lung" else packed.infection_masks)[row]))


def _outline(axes: Axes, masks: dict[str, np.ndarray]) -> None:
    for task, mask in masks.items():
        panels.contour(axes, mask, LIGHT_BLUE if task == "lung" else YELLOW)


def _annotation(packed: Packed) -> Draw:
    def draw(axes: Axes, _: int, row: int) -> None:
        mask = _truth(packed, "infection", row)
        words = f"{mask.mean():.1%} of the image" if mask.any() else "empty"
        panels.image(axes, 255 * mask.astype(np.uint8), words)

    return draw


def _predictions(packed: Packed, loaded: dict[str, Predictions], chosen: list[tuple[str, int]]) -> dict[str, Draw]:
    """A column per run: its infection over the image and the annotation."""
    rows = [row for _, row in chosen]

    def column(masks: np.ndarray) -> Draw:
        def draw(axes: Axes, place: int, row: int) -> None:
            panels.image(axes, packed.images[row], panels.area(masks[place]))
            panels.contour(axes, _truth(packed, "infection", row), YELLOW)
            panels.contour(axes, masks[place], LIGHT_BLUE)

        return draw

    return {run: column(predicted.maps(found, "infection_logits", rows) > 0) for run, found in loaded.items()}


def _reconstruction(packed: Packed, found: Predictions, chosen: list[tuple[str, int]]) -> Draw:
    values = predicted.maps(found, "reconstruction", [row for _, row in chosen]).clip(0, 1)

    def draw(axes: Axes, place: int, row: int) -> None:
        error = float(((values[place] - packed.images[row] / 255) ** 2).mean())
        panels.image(axes, 255 * values[place], f"MSE {error:.5f}")

    return draw


def _grid(packed: Packed, chosen: list[tuple[str, int]], columns: dict[str, Draw], title: str) -> Figure:
    """One row per image, one column per drawing; column names stand over the first row."""
    width = CELL[0] * len(columns) + 0.5
    drawn = Figure(figsize=(width, CELL[1] * len(chosen) + 1.3), layout="constrained")
    grid = drawn.subplots(len(chosen), len(columns), squeeze=False)
    for place, (line, (why, row)) in enumerate(zip(grid, chosen, strict=True)):
        for axes, (name, draw) in zip(line, columns.items(), strict=True):
            draw(axes, place, row)
            if not place:
                axes.set_title(f"{panels.wrapped(name, 30)}\n{axes.get_title()}", fontsize=8)
        line[0].set_ylabel(panels.wrapped(f"{packed.index['id'][row].split('/')[-1]}: {why}", 30), fontsize=8.5)
    drawn.suptitle(panels.wrapped(title, round(LINE * width)), fontsize=9.5)
    return drawn
