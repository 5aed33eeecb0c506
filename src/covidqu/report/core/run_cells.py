"""Cells of runs: a number with its bounds, or the reason why there is none; of one training, or over all seeds.

What varies between trainings (the standard deviation over seeds) and what varies between test images (the interval)
are different things and never mixed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from statistics import fmean, stdev
from typing import Concatenate, ParamSpec

from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind, Missing, Status
from covidqu.report.core.measures import Measure, Number, joined
from covidqu.report.core.sources import Sources

Rest = ParamSpec("Rest")
Made = Callable[Concatenate[Sources, str, str, Rest], Cell]  # (sources, row, column, ...) -> cell

SEEDS = 1  # a run is one training with one seed


def absent(row: str, column: str, missing: Missing) -> Cell:
    """An empty cell that says why."""
    return Cell(row, column, note=missing.reason, status=missing.status)


def not_run(row: str, column: str, reason: str) -> Cell:
    """An empty cell of what was not run."""
    return absent(row, column, Missing(Status.NOT_RUN, reason))


def or_missing(make: Made[Rest]) -> Made[Rest]:
    """`make`, of which a number that cannot be had becomes an empty cell with the reason."""

    @wraps(make)
    def made(sources: Sources, row: str, column: str, *args: Rest.args, **kwargs: Rest.kwargs) -> Cell:
        try:
            return make(sources, row, column, *args, **kwargs)
        except Missing as missing:
            return absent(row, column, missing)

    return made


@or_missing
def evaluate(sources: Sources, row: str, column: str, measure: Measure) -> Cell:
    """The cell of a measure: its number, which is performance, or why there is none."""
    return measured(sources, row, column, measure.run, measure.number(sources)._replace(kind=Kind.PERFORMANCE))


def across(sources: Sources, row: str, measures: Mapping[str, Measure]) -> list[Cell]:
    """A row's cells; `measures` by column."""
    return [evaluate(sources, row, column, measure) for column, measure in measures.items()]


def measured(sources: Sources, row: str, column: str, run: str, number: Number) -> Cell:
    """The cell of a number that a run gives."""
    value, low, high = number.found
    theirs = (number.by_paper or number.found) if number.paper else (None, None, None)
    return Cell(
        *(row, column, None, theirs[0], value, number.paper, number.how),
        n=number.n,
        ci_low=low,
        ci_high=high,
        paper_low=theirs[1],
        paper_high=theirs[2],
        run=run,
        split=tested_on(sources, run),
        seeds=SEEDS,
        note=number.note,
        kind=number.kind,
        unit=number.unit,
    )


def tested_on(sources: Sources, run: str) -> str:
    """What the run was scored on, as the column `split` names it."""
    return f"{sources.params.run(run).split} Test"


def per_seed(sources: Sources, row: str, column: str, measure: Measure) -> list[Cell]:
    """A cell of the base run and of each repetition, without intervals."""
    with sources.without_intervals():
        names = sources.params.seeds(measure.run) or [measure.run]
        return [evaluate(sources, row, column, measure.of(name)) for name in names]


def over_seeds(sources: Sources, row: str, column: str, measure: Measure) -> Cell:
    """The cell of a base run and its repetitions: means over those that were measured.

    With two or more, the note gives standard deviation and range over seeds, and there is no interval: that of one
    training is not that of their mean. With one, its own cell.
    """
    names, cells = sources.params.seeds(measure.run) or [measure.run], per_seed(sources, row, column, measure)
    found = [cell for cell in cells if cell.measured]
    absent = [name for name, cell in zip(names, cells, strict=True) if not cell.measured]
    if not found:
        return cells[0]
    without = f"without {', '.join(absent)}" if absent else ""
    if len(found) == 1:
        whole = evaluate(sources, row, column, measure.of(found[0].run))
        return replace(whole, note=joined(whole.note, without))
    by_paper, by_us = ([getattr(c, key) for c in found] for key in ("measured_paper", "measured_correct"))
    values = by_paper if by_us[0] is None else by_us
    spread = f"SD {stdev(values):.4g} over {len(found)} seeds, from {min(values):.4g} to {max(values):.4g}"
    images = sorted({cell.n for cell in found if cell.n is not None})
    counted = f"n from {images[0]} to {images[-1]}" if len(images) > 1 else ""
    return replace(
        found[0],
        measured_paper=_mean(by_paper),
        measured_correct=_mean(by_us),
        n=images[0] if len(images) == 1 else None,
        ci_low=None,
        ci_high=None,
        paper_low=None,
        paper_high=None,
        seeds=len(found),
        note=joined(*(cell.note for cell in found), spread, counted, without),
        sd=stdev(values),
    )


def _mean(values: list[Value]) -> float | None:
    """None unless every seed has the number."""
    return None if None in values else fmean(values)
