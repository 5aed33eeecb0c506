"""The two cells that a run can give: a number with its bounds, or the reason why there is none."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.sources import Sources

Rest = ParamSpec("Rest")
Made = Callable[Concatenate[Sources, str, str, Rest], Cell]  # (sources, row, column, ...) -> cell

SEEDS = 1  # a run is one training with one seed
Found = tuple[float | None, float | None, float | None]  # value, lower and upper bound


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


def measured(
    sources: Sources,
    row: str,
    column: str,
    run: str,
    found: Found,
    how: str,
    *,
    n: int,
    paper: str = "",
    scale: float = 1.0,
    note: str = "",
    kind: Kind | None = None,
    unit: Unit | None = None,
    by_paper: Found | None = None,
) -> Cell:
    """Value and bounds, times `scale`, under the protocol `how`.

    `paper` names the paper's protocol; `by_paper`: what it gives, where that is not the same.
    """
    value, low, high = scaled(found, scale)
    theirs = scaled(by_paper or found, scale) if paper else (None, None, None)
    return Cell(
        *(row, column, None, theirs[0], value, paper, how),
        n=n,
        ci_low=low,
        ci_high=high,
        paper_low=theirs[1],
        paper_high=theirs[2],
        run=run,
        split=tested_on(sources, run),
        seeds=SEEDS,
        note=note,
        kind=kind,
        unit=unit,
    )


def scaled(found: Found, scale: float) -> Found:
    """Value and bounds in another unit."""
    value, low, high = (None if v is None else v * scale for v in found)
    return value, low, high


def share(scale: float) -> Unit:
    """The unit of a share that was multiplied by `scale`."""
    return {1.0: Unit.FRACTION, 100.0: Unit.PERCENT}[scale]


def tested_on(sources: Sources, run: str) -> str:
    """What the run was scored on, as the column `split` names it."""
    return f"{sources.params.run(run).split} Test"


def class_protocol(metric: str) -> str:
    """How a measure of the class head comes about: by the largest probability, or, for AUC, by its order alone."""
    return "class_ranking" if metric == "auc" else "class_argmax"


def joined(*words: str) -> str:
    """A note of those words that are not empty, each once."""
    return "; ".join(dict.fromkeys(word for word in words if word))
