"""Whether regenerated tables still hold the expected numbers.

Enters: a folder of expected CSV tables with `tolerances.yaml`, and a folder of regenerated ones; leaves: one printed
line per difference and the exit status. Rows are found by their key columns, so a moved row is no difference.
"""

import csv
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from covidqu.config.base import Strict, explain

TOLERANCES = "tolerances.yaml"
NUMBER = re.compile(r"(-?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?\b)")
NO_TABLES = ("runs", "resume")
KEYS = ("system", "table", "row", "column")
Rows = dict[tuple[str, ...], dict[str, str]]


class Tolerance(Strict):
    """`absolute` difference allowed in columns that match `column` of tables that match `table` (patterns).

    null: the field says nothing from machine to machine; only its row must be there.
    """

    table: str
    column: str
    absolute: float | None = Field(ge=0)


class Tolerances(Strict):
    """The first entry that matches counts; without one, 0."""

    tolerances: list[Tolerance]

    def of(self, table: str, column: str) -> float | None:
        """Allowed absolute difference of one column of one table."""
        for item in self.tolerances:
            if fnmatchcase(table, item.table) and fnmatchcase(column, item.column):
                return item.absolute
        return 0.0


def check(expected: Path, actual: Path) -> int:
    """0 when every table of `expected` is in `actual` with the same numbers, else 1; prints each difference.

    ValueError when `expected` holds no table: a check of nothing would pass.
    """
    names = _tables(expected)
    if not names:
        raise ValueError(f"{expected}: holds no CSV table; copy regenerated tables there to set the expectation")
    allowed = read_tolerances(expected / TOLERANCES)
    faults, values = [], 0
    for name in names:
        if not (actual / f"{name}.csv").is_file():
            faults.append(f"{name}: table is missing in {actual}")
            continue
        found, compared = compare(name, expected / f"{name}.csv", actual / f"{name}.csv", allowed)
        faults += found
        values += compared
    faults += [f"{name}: table is not among the expected ones" for name in _tables(actual) if name not in names]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(names)} tables, {values} values checked: {len(faults)} differences")
    return 1 if faults else 0


def _tables(folder: Path) -> list[str]:
    """Names of all tables; histories of runs lie beside the tables and are none."""
    paths = [path.relative_to(folder) for path in folder.rglob("*.csv")]
    return sorted(path.with_suffix("").as_posix() for path in paths if path.parts[0] not in NO_TABLES)


def read_tolerances(path: Path) -> Tolerances:
    """The tolerance file, or none allowed when it is absent; ValueError names its faults."""
    if not path.is_file():
        return Tolerances(tolerances=[])
    try:
        return Tolerances.model_validate(yaml.safe_load(path.read_text()))
    except ValidationError as error:
        raise ValueError(f"{path}: {explain(error, Tolerances)}") from None


def compare(name: str, expected: Path, actual: Path, allowed: Tolerances) -> tuple[list[str], int]:
    """Differences between two files of one table, and the number of values compared."""
    old_columns, old = read_rows(expected)
    new_columns, new = read_rows(actual)
    faults = [f"{name}: column '{c}' is missing" for c in old_columns if c not in new_columns]
    faults += [f"{name}: column '{c}' is new" for c in new_columns if c not in old_columns]
    faults += [f"{name}: row {_words(key)} is missing" for key in old if key not in new]
    faults += [f"{name}: row {_words(key)} is new" for key in new if key not in old]
    shared = [c for c in old_columns if c in new_columns]
    values = 0
    for key in (key for key in old if key in new):
        for column in shared:
            was, now = old[key][column], new[key][column]
            tolerance = allowed.of(name, column)
            if tolerance is None:
                continue
            values += 1
            if not same(was, now, tolerance):
                shown = f"'{was}' -> '{now}'"
                faults.append(f"{name}: row {_words(key)}: {column} moved: {shown} (tolerance {tolerance:g})")
    return faults, values


def same(was: str, now: str, tolerance: float) -> bool:
    """Equal text, but for numbers with a decimal point in it, which may differ by `tolerance`; integers may not."""
    if was == now:
        return True
    old, new = (NUMBER.split(text) for text in (was, now))
    return len(old) == len(new) and all(
        a == b if place % 2 == 0 else _close(a, b, tolerance) for place, (a, b) in enumerate(zip(old, new, strict=True))
    )


def _close(was: str, now: str, tolerance: float) -> bool:
    integers = "." not in was and "." not in now
    return was == now or (not integers and abs(float(was) - float(now)) <= tolerance + 1e-12)


def read_rows(path: Path) -> tuple[list[str], Rows]:
    """Columns and rows by key; ValueError when two rows share a key or a line is ragged."""
    with path.open(newline="", encoding="utf-8") as file:
        columns, *lines = list(csv.reader(file)) or [[]]
    keys = [c for c in KEYS if c in columns]
    rows: Rows = {}
    for line in lines:
        if len(line) != len(columns):
            raise ValueError(f"{path}: a line has {len(line)} fields, the header {len(columns)}; write the table again")
        row = dict(zip(columns, line, strict=True))
        key = tuple(row[c] for c in keys)
        if key in rows:
            raise ValueError(f"{path}: row {_words(key)} is there twice; write the table again")
        rows[key] = row
    return columns, rows


def _words(key: tuple[str, ...]) -> str:
    return " / ".join(f"'{part}'" for part in key)
