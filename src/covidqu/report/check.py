"""Whether regenerated tables still hold the expected numbers.

Enters: a folder of expected CSV tables with `tolerances.yaml`, and a folder of regenerated ones; leaves: one printed
line per difference and the exit status. Rows are found by their key columns, so a moved row is no difference.
Tables that were not made again are skipped, and skipped is never passed. What is made again without training is in
`recompute`, where tolerances come from in `tolerances`.
"""

import csv
import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from covidqu.config.base import Strict, explain

TOLERANCES = "tolerances.yaml"
NUMBER = re.compile(r"(-?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?\b)")
MOVED, NOTHING_CHECKED = 1, 3  # exit status; 2 is a fault of input
KEYS = ("system", "table", "row", "column")
Key = tuple[str, ...]
Rows = dict[Key, dict[str, str]]
Content = tuple[list[str], Rows]  # columns, and rows by key
Patterns = str | list[str]


class Tolerance(Strict):
    """`absolute` difference allowed in the fields whose table, row and column match (one pattern, or one of several).

    A row is called by its key columns, joined by " / ". null: the field says nothing from machine to machine; only its
    row must be there.
    """

    table: str
    row: Patterns = "*"
    column: Patterns
    absolute: float | None = Field(ge=0)

    def covers(self, table: str, row: str, column: str) -> bool:
        """Whether this entry is about the field."""
        pairs = ((table, self.table), (row, self.row), (column, self.column))
        return all(_matches(name, patterns) for name, patterns in pairs)


class Tolerances(Strict):
    """The first entry that matches counts; without one, 0."""

    tolerances: list[Tolerance]

    def of(self, table: str, key: Key, column: str) -> float | None:
        """Allowed absolute difference of one field."""
        for item in self.tolerances:
            if item.covers(table, row_name(key), column):
                return item.absolute
        return 0.0


@dataclass(frozen=True)
class Compared:
    """Differences in words, the number of values compared, and of those left `free` by a tolerance of null."""

    faults: list[str]
    values: int
    free: int


def check(expected: Path, actual: Path, since: Path | None = None) -> int:
    """0 when every table of `expected` is in `actual` with the same numbers, 1 when not; prints each difference.

    Tables that are not newer than the file `since` were not made again: they are listed as skipped, and when nothing
    else is left the status is 3. ValueError when `expected` holds no table: a check of nothing would pass.
    """
    names = table_names(expected)
    if not names:
        raise ValueError(f"{expected}: holds no CSV table; copy regenerated tables there to set the expectation")
    allowed, made = read_tolerances(expected / TOLERANCES), table_names(actual)
    faults = [f"{name}: table is missing in {actual}" for name in names if name not in made]
    faults += [f"{name}: table is not among the expected ones" for name in made if name not in names]
    there = [name for name in names if name in made]
    old = [name for name in there if since is not None and not _newer(actual / f"{name}.csv", since)]
    done = {
        name: compare(name, expected / f"{name}.csv", actual / f"{name}.csv", allowed)
        for name in there
        if name not in old
    }
    faults += [fault for found in done.values() for fault in found.faults]
    for fault in faults:
        print(fault, file=sys.stderr)
    if old:
        print(f"SKIPPED {len(old)} tables, not made again since {since} was written: {', '.join(old)}")
    values, free = (sum(getattr(found, what) for found in done.values()) for what in ("values", "free"))
    left = f", {free} left free by {TOLERANCES}" if free else ""
    print(f"{len(done)} tables, {values} values checked{left}: {len(faults)} differences")
    if faults:
        return MOVED
    return 0 if done else NOTHING_CHECKED


def table_names(folder: Path) -> list[str]:
    """Names of all tables of a results folder, `comparison` included; histories of runs are none."""
    paths = [*folder.glob("comparison.csv"), *(folder / "tables").rglob("*.csv")]
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in paths)


def _newer(path: Path, than: Path) -> bool:
    return path.stat().st_mtime_ns > than.stat().st_mtime_ns


def read_tolerances(path: Path) -> Tolerances:
    """The tolerance file, or none allowed when it is absent; ValueError names its faults."""
    if not path.is_file():
        return Tolerances(tolerances=[])
    try:
        return Tolerances.model_validate(yaml.safe_load(path.read_text()))
    except ValidationError as error:
        raise ValueError(f"{path}: {explain(error, Tolerances)}") from None


def compare(name: str, expected: Path, actual: Path, allowed: Tolerances) -> Compared:
    """Differences between two CSV files of one table."""
    return differences(name, read_rows(expected), read_rows(actual), allowed)


def differences(name: str, was: Content, now: Content, allowed: Tolerances) -> Compared:
    """Differences between two tables; only fields that both have are values."""
    (old_columns, old), (new_columns, new) = was, now
    faults = [f"{name}: column '{c}' is missing" for c in old_columns if c not in new_columns]
    faults += [f"{name}: column '{c}' is new" for c in new_columns if c not in old_columns]
    faults += [f"{name}: row {_words(key)} is missing" for key in old if key not in new]
    faults += [f"{name}: row {_words(key)} is new" for key in new if key not in old]
    values, free = 0, 0
    for key in (key for key in old if key in new):
        for column in (c for c in old_columns if c in new_columns):
            before, after = old[key][column], new[key][column]
            tolerance = allowed.of(name, key, column)
            if tolerance is None:
                free += 1
                continue
            values += 1
            if not same(before, after, tolerance):
                shown = f"'{before}' -> '{after}'"
                faults.append(f"{name}: row {_words(key)}: {column} moved: {shown} (tolerance {tolerance:g})")
    return Compared(faults, values, free)


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


def read_rows(path: Path) -> Content:
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


def row_name(key: Key) -> str:
    """How a tolerance calls a row."""
    return " / ".join(key)


def _matches(name: str, patterns: Patterns) -> bool:
    several = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(name, pattern) for pattern in several)


def _words(key: Key) -> str:
    return " / ".join(f"'{part}'" for part in key)
