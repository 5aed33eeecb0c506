"""The two cells that a run can give: a number with its bounds, or the reason why there is none."""

from covidqu.report.core.cells import NOT_RUN, Cell
from covidqu.report.core.sources import Sources

SEEDS = 1  # a run is one training with one seed
Found = tuple[float | None, float | None, float | None]  # value, lower and upper bound


def not_run(row: str, column: str, reason: str) -> Cell:
    """An empty cell with the reason."""
    return Cell(row, column, note=NOT_RUN + reason)


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
) -> Cell:
    """Value and bounds, times `scale`, under the protocol `how`.

    `paper` names the paper's protocol where that gives the same number.
    """
    value, low, high = (None if v is None else v * scale for v in found)
    return Cell(
        *(row, column, None, value if paper else None, value, paper, how),
        n=n,
        ci_low=low,
        ci_high=high,
        run=run,
        split=tested_on(sources, run),
        seeds=SEEDS,
        note=note,
    )


def tested_on(sources: Sources, run: str) -> str:
    """What the run was scored on, as the column `split` names it."""
    return f"{sources.params.run(run).split} Test"


def class_protocol(metric: str) -> str:
    """How a measure of the class head comes about: by the largest probability, or, for AUC, by its order alone."""
    return "class_ranking" if metric == "auc" else "class_argmax"


def joined(*words: str) -> str:
    """A note of those words that are not empty, each once."""
    return "; ".join(dict.fromkeys(word for word in words if word))
