"""A table as people read it, rows by columns: in the Markdown file beside its CSV, and in manuscripts."""

from collections.abc import Callable

import pandas as pd

from covidqu.report.core.cells import Cell, Table, Value, text
from covidqu.report.core.kinds import Status
from covidqu.report.core.numbers import shown, supported

FILLED = 0.6  # share of cells with something in them from which a table is rows by columns


def _measured(cell: Cell) -> str:
    """Under the correct protocol, with the interval, or the spread over seeds where there is no interval."""
    if not cell.measured:
        return "" if cell.status is Status.PRINTED_ONLY else str(cell.status)
    if cell.ci_low is not None and cell.ci_high is not None:
        return "{} [{}, {}]".format(*_supported(cell.measured_correct, cell.ci_low, cell.ci_high))
    value = _number(cell.measured_correct)
    return f"{value} ± {_number(cell.sd)}" if value and cell.sd is not None else value


def _of_paper(cell: Cell) -> str:
    """Under the paper's protocol, where that gives another number."""
    return "" if cell.measured_paper == cell.measured_correct else _number(cell.measured_paper)


KINDS: dict[str, Callable[[Cell], str]] = {
    "measured": _measured,
    "paper's protocol": _of_paper,
    "printed": lambda cell: text(cell.published),
}


def _number(value: Value) -> str:
    return shown(text(value))


def _supported(value: Value, low: float, high: float) -> list[str]:
    """A number and the ends of its interval, with the decimals that the interval supports."""
    texts = text(value), text(low), text(high)
    return [shown(one, exact=supported(*texts), padded=True) for one in texts]


def grid(table: Table) -> pd.DataFrame:
    """Texts by row and (column, kind), of `KINDS` those that hold anything; a level of one heading only is left out.

    A table that is mostly holes has one line per cell instead, and the kinds as columns.
    """
    rows, columns = ({getattr(c, place) for c in table.cells} for place in ("row", "column"))
    whole = len(table.cells) >= FILLED * len(rows) * len(columns)
    texts: dict[str, dict[tuple[str, str], str]] = {}
    for cell in table.cells:
        row, column = (cell.row, cell.column) if whole else (f"{cell.row}, {cell.column}", "")
        texts.setdefault(row, {}).update({(column, kind): write(cell) for kind, write in KINDS.items()})
    places = dict.fromkeys(place for line in texts.values() for place in line)  # a column's kinds are beside each other
    kept = [place for place in places if any(line.get(place) for line in texts.values())]
    body = [[line.get(place, "") for place in kept] for line in texts.values()]
    wide = pd.DataFrame(body, index=list(texts), columns=pd.MultiIndex.from_tuples(kept))
    single = [level for level in (0, 1) if wide.columns.get_level_values(level).nunique() == 1]
    return wide.droplevel(single[-1 if whole else 0], axis=1) if single else wide


def flat(wide: pd.DataFrame) -> pd.DataFrame:
    """One line of headings: the kind stands behind the column."""
    return wide.set_axis([name if isinstance(name, str) else ", ".join(name) for name in wide.columns], axis=1)


def notes(table: Table) -> list[str]:
    """What is shown, why something is not there, and the remarks of the table."""
    correct, papers = (
        sorted({getattr(c, place) for c in table.cells} - {""}) for place in ("protocol_correct", "protocol_paper")
    )
    found = [f"Measured: {', '.join(correct)}."] if correct else []
    found += ["In brackets: 95 % interval over images."] if any(c.ci_low is not None for c in table.cells) else []
    found += [f"Paper's protocol: {', '.join(papers)}."] if papers else []
    missing = dict.fromkeys(c.words for c in table.cells if not c.measured)
    return [*found, *(f"{words[0].upper()}{words[1:]}." for words in missing), *table.remarks]


def markdown(wide: pd.DataFrame) -> str:
    """A Markdown table."""
    one = flat(wide)
    lines = [["", *one.columns], ["---"] * (len(one.columns) + 1), *one.itertuples(name=None)]
    return "\n".join("| " + " | ".join(words.replace("|", "\\|") for words in line) + " |" for line in lines)


def page(table: Table) -> str:
    """The Markdown file: what it shows, the table, how its runs differ from the full ones, notes."""
    found = table.heading
    changed = "".join(f"\n- {words}" for words in found.changed)
    parts = [f"# {found.short}", markdown(grid(table)), *notes(table)]
    parts += [f"How runs differ from the full ones:\n{changed}"] if changed else []
    return "\n\n".join(parts) + "\n"
