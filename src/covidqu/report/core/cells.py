"""One table of a report: cells with printed and measured values, and what each is.

Output: CSV text (floats with at most six decimals, integers as integers, an empty field for what was not measured), and
cells of such text again.
"""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from covidqu.report.core.heading import Heading
from covidqu.report.core.kinds import Kind, Status, Unit
from covidqu.report.core.published import SYSTEMS, paper, printed

Value = int | float | str | None
SMALLEST = 1e-4  # p values below it are in scientific notation


@dataclass(frozen=True)
class Cell:
    """One value of a table. `n`: images behind it.

    `ci_low`, `ci_high`: bootstrap interval of `measured_correct`; `paper_low`, `paper_high`: that of `measured_paper`.

    `sd`: standard deviation over seeds, where `measured_correct` (or `measured_paper`) is a mean over several.
    A cell without a number of ours has another `status` than measured, and `note` says why.
    """

    row: str
    column: str
    published: Value = None
    measured_paper: Value = None
    measured_correct: Value = None
    protocol_paper: str = ""
    protocol_correct: str = ""
    n: int | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    run: str = ""
    split: str = ""
    seeds: int | None = None
    note: str = ""
    sd: float | None = None
    paper_low: float | None = None
    paper_high: float | None = None
    status: Status = Status.MEASURED
    kind: Kind | None = None
    unit: Unit | None = None

    def __post_init__(self) -> None:
        there = self.measured_paper is not None or self.measured_correct is not None
        assert there == self.measured, f"{self.row} / {self.column}: {self.status}, but a number is there: {there}"

    @property
    def measured(self) -> bool:
        """Whether a number of ours is in the cell."""
        return self.status is Status.MEASURED

    @property
    def words(self) -> str:
        """The note, behind the status where there is no number."""
        return self.note if self.measured else f"{self.status}: {self.note}"


COLUMNS = tuple(f.name for f in fields(Cell))


@dataclass(frozen=True)
class Table:
    """Cells under a heading; `remarks`: what a reader has to know."""

    name: str
    heading: Heading
    cells: list[Cell]
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = [(cell.row, cell.column) for cell in self.cells]
        assert len(set(keys)) == len(keys), f"{self.name}: a (row, column) is there twice"


def of_record(record: dict[str, str]) -> Cell:
    """The cell that a row of a table's CSV file holds."""
    values = {c: _value(record[c]) for c in ("published", "measured_paper", "measured_correct")}
    floats = ("ci_low", "ci_high", "sd", "paper_low", "paper_high")
    numbers = {c: float(record[c]) if record[c] else None for c in floats}
    counts = {c: int(record[c]) if record[c] else None for c in ("n", "seeds")}
    what: dict[str, Any] = {"status": Status(record["status"])}
    what |= {c: of(record[c]) if record[c] else None for c, of in (("kind", Kind), ("unit", Unit))}
    return Cell(**{column: record[column] for column in COLUMNS} | values | numbers | counts | what)  # type: ignore[arg-type]


def _value(shown: str) -> Value:
    """A number where the text is one, else the text."""
    for number in (int, float):
        try:
            return number(shown)
        except ValueError:
            continue
    return shown or None


def with_published(name: str, cells: list[Cell]) -> list[Cell]:
    """Put the printed values beside the measured ones; every printed value must find its cell.

    Cells of what is printed only are added, first.
    """
    values, (system, short) = printed(name), name.split("/", 1)
    found = {place: paper(system).only(short, place[0]) for place in values}
    only = [Cell(*place, note=why, status=Status.PRINTED_ONLY) for place, why in found.items() if why is not None]
    cells = [*only, *cells]
    missing = values.keys() - {(cell.row, cell.column) for cell in cells}
    assert not missing, f"{name}: printed values without a cell: {sorted(missing)}"
    return [_beside_printed(name, cell, values.get((cell.row, cell.column))) for cell in cells]


def _beside_printed(name: str, cell: Cell, value: Value) -> Cell:
    """Of a printed value the paper's file knows what it is and in which unit."""
    system, short = name.split("/", 1)
    if value is None or system not in SYSTEMS:
        return replace(cell, published=value)
    table, place = paper(system).tables[short], (cell.row, cell.column)
    return replace(cell, published=value, kind=table.kind_of(*place), unit=table.unit_of(*place) or cell.unit)


def p_value(p: float) -> Value:
    """A probability as a number, or in scientific notation where six decimals would hide its digits."""
    return p if p >= SMALLEST or p == 0 else f"{p:.2e}"


def text(value: Value) -> str:
    """A value as CSV shows it."""
    if value is None:
        return ""
    if isinstance(value, str | int):
        return str(value)
    assert math.isfinite(value), "a measured value is not finite"
    rounded = f"{value:.6f}".rstrip("0")
    rounded = rounded + "0" if rounded.endswith(".") else rounded
    return "0.0" if rounded == "-0.0" else rounded


def csv_text(rows: Iterable[Iterable[Value]], columns: Iterable[str]) -> str:
    """CSV with a header line, `\\n` at line ends."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([text(value) for value in row] for row in rows)
    return out.getvalue()


def table_csv(table: Table) -> str:
    """A line per cell, a column per field."""
    return csv_text(([getattr(cell, column) for column in COLUMNS] for cell in table.cells), COLUMNS)
