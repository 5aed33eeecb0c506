"""One table of a report: cells with printed and measured values, and how they are written.

Leaves: CSV text (floats with at most six decimals, integers as integers, an empty field for what was not measured) and
Markdown text of the same cells. Both are deterministic.
"""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from covidqu.files import write_text
from covidqu.report.core.published import printed

Value = int | float | str | None
NOT_RUN = "not run: "


@dataclass(frozen=True)
class Cell:
    """One value of a table. `ci_low`, `ci_high`: bootstrap interval of `measured_correct`; `n`: images behind it.

    `sd`: standard deviation over seeds, where `measured_correct` (or `measured_paper`) is a mean over several.
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

    @property
    def measured(self) -> bool:
        """Whether a number of ours is in the cell."""
        return self.measured_paper is not None or self.measured_correct is not None


COLUMNS = tuple(f.name for f in fields(Cell))


@dataclass(frozen=True)
class Table:
    """Cells under a title; `remarks` are printed below the Markdown table."""

    name: str
    title: str
    cells: list[Cell]
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = [(cell.row, cell.column) for cell in self.cells]
        assert len(set(keys)) == len(keys), f"{self.name}: a (row, column) is there twice"


def with_published(name: str, cells: list[Cell]) -> list[Cell]:
    """Put the printed values beside the measured ones; every printed value must find its cell."""
    values = printed(name)
    missing = values.keys() - {(cell.row, cell.column) for cell in cells}
    assert not missing, f"{name}: printed values without a cell: {sorted(missing)}"
    return [replace(cell, published=values.get((cell.row, cell.column))) for cell in cells]


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


def markdown(table: Table) -> str:
    """Title, the columns that hold anything, remarks."""
    rows = [[text(getattr(cell, column)) for column in COLUMNS] for cell in table.cells]
    kept = [i for i in range(len(COLUMNS)) if i < 2 or any(row[i] for row in rows)]
    lines = [[COLUMNS[i] for i in kept], ["---"] * len(kept), *([row[i] for i in kept] for row in rows)]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    remarks = "".join(f"\n{remark}\n" for remark in table.remarks)
    return f"# {table.title}\n\n{body}\n{remarks}"


def write(table: Table, out: Path) -> None:
    """Write `out`.csv and `out`.md (`out` has no suffix)."""
    rows = [[getattr(cell, column) for column in COLUMNS] for cell in table.cells]
    write_text(out.with_name(f"{out.name}.csv"), csv_text(rows, COLUMNS))
    write_text(out.with_name(f"{out.name}.md"), markdown(table))
