"""Table and figure `common/budget`: infection Dice on Val after each epoch, beside what training has cost until then.

Input: histories, cards and cost.json. Output: cells, a row per run and epoch, and one figure. Runs that were trained
for different times are compared where their costs are equal.
"""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.run_cells import not_run
from covidqu.report.core.runs import trained_on_infection
from covidqu.report.core.sources import Sources
from covidqu.report.systems.cost import device, entry, images_seen, training_minutes, why_no_cards, why_no_cost
from covidqu.report.systems.headline_runs import DRAWN_AS, HEADLINE_RUNS, headed

IMAGES, MINUTES, DICE = "training images so far", "training minutes so far", "infection Dice on Val"
COLUMN = "val_infection_dice"


class Point(NamedTuple):
    """A run after `epoch` epochs; `images` and `minutes` include the runs whose weights it started from."""

    epoch: int
    images: int
    minutes: float | None
    dice: float


def why_no_path(sources: Sources, run: str) -> str | None:
    """Why the epochs of a run are not known; None when they are."""
    if reason := why_no_cards(sources, run):
        return reason
    history = sources.history(run)
    return None if history is not None and COLUMN in history else f"run {run} has no {COLUMN} in its history.csv"


def path(sources: Sources, run: str) -> list[Point]:
    """What each epoch of a run brought and cost; without measured speeds no minutes. Ask `why_no_path` first."""
    history, card, before = sources.history(run), sources.card(run), sources.params.run(run).init
    assert history is not None, "ask `why_no_path` first"
    parent, priced = before if before in sources.params.resolved else None, why_no_cost(sources, run) is None
    images = images_seen(sources, parent) if parent else 0
    minutes = training_minutes(sources, parent) if parent and priced else 0.0
    found = []
    for epoch, dice in zip(history["epoch"], history[COLUMN], strict=True):
        seen = int(epoch) * card["train_images"]
        taken = minutes + seen / entry(sources, run)["training"]["images_per_s"] / 60 if priced else None
        found.append(Point(int(epoch), images + seen, taken, float(dice)))
    return found


def table(sources: Sources) -> list[Cell]:
    """A row per base run and epoch."""
    cells = []
    for run in trained_on_infection(sources.params):
        if reason := why_no_path(sources, run):
            cells += [not_run(run, column, reason) for column in (IMAGES, MINUTES, DICE)]
            continue
        unpriced, split = why_no_cost(sources, run), f"{sources.params.run(run).split} Val"
        for point in path(sources, run):
            row = f"{run}, epoch {point.epoch}"
            cells += [
                _cell(row, IMAGES, point.images, "from cards", run),
                not_run(row, MINUTES, unpriced)
                if unpriced
                else _cell(row, MINUTES, point.minutes, "from cards, measured by `cost`", run),
                _cell(row, DICE, point.dice, "while training", run, split),
            ]
    return cells


def _cell(row: str, column: str, value: Value, how: str, run: str, split: str = "") -> Cell:
    return Cell(row, column, measured_correct=value, protocol_correct=how, run=run, split=split)


def figure(sources: Sources, wanted: Wanted) -> Figure:
    """Dice after each epoch against minutes so far (logarithmic): headline runs, and thin the others of their systems.

    ValueError when a headline run that was trained on infection has no history or no costs.
    """
    params = sources.params
    named = {run: row for row, run in HEADLINE_RUNS.items() if params.run(run).epochs}
    of_system = {params.run(run).model.system: row for run, row in reversed(named.items())}
    for run in named:
        if reason := why_no_path(sources, run) or why_no_cost(sources, run):
            raise ValueError(f"{sources.results}: {reason}; run the steps `train` and `cost`")
    drawn = Figure(figsize=(12, 7.2), layout="constrained")
    axes = drawn.subplots()
    others = [run for run in trained_on_infection(params) if run not in named]
    for run in [*others, *named]:
        if why_no_path(sources, run) is None and why_no_cost(sources, run) is None:
            _line(axes, path(sources, run), of_system[params.run(run).model.system], named.get(run))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    speed = entry(sources, next(iter(named)))["training"]
    axes.set_xlabel(f"training so far, minutes at measured speed ({device(speed)})")
    axes.set_ylabel("mean infection Dice, Val images with infection")
    axes.legend(loc="lower right")
    headed(drawn, f"{wanted.title}; a marker per epoch, thin: other runs of the same system")
    return drawn


def _line(axes: Axes, points: list[Point], row: str, name: str | None) -> None:
    colour, marker, _ = DRAWN_AS[row]
    x, y = [point.minutes for point in points], [point.dice for point in points]
    if name is None:
        axes.plot(x, y, color=colour, marker=marker, markersize=2.5, linewidth=0.7, alpha=0.45)
    else:
        axes.plot(x, y, color=colour, marker=marker, markersize=6, linewidth=2, label=name)
