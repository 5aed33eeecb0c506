"""Whether two tables hold the same: rows are found by their key columns, and every field is compared to the last digit.

Input: CSV files of tables, or columns and rows. Output: one line in words per difference, and how many values were
compared. What is made again for the comparison is in `recompute`.
"""

from dataclasses import dataclass
from pathlib import Path

from covidqu.errors import plain
from covidqu.stored import read_lines

MOVED, NOTHING_CHECKED = 1, 3  # exit status; 2 is a fault of input
KEYS = ("system", "table", "row", "column")
Key = tuple[str, ...]
Rows = dict[Key, dict[str, str]]
Content = tuple[list[str], Rows]  # columns, and rows by key


@dataclass(frozen=True)
class Compared:
    """Differences in words, and the number of values compared."""

    faults: list[str]
    values: int


def differences(name: str, was: Content, now: Content) -> Compared:
    """Differences between two tables, of which order is none; only fields that both have are values."""
    (old_columns, old), (new_columns, new) = was, now
    faults = [f"{name}: column '{c}' is missing" for c in old_columns if c not in new_columns]
    faults += [f"{name}: column '{c}' is new" for c in new_columns if c not in old_columns]
    faults += [f"{name}: row {_words(key)} is missing" for key in old if key not in new]
    faults += [f"{name}: row {_words(key)} is new" for key in new if key not in old]
    shared = [(key, c) for key in old if key in new for c in old_columns if c in new_columns]
    for key, column in shared:
        before, after = old[key][column], new[key][column]
        if before != after:
            faults.append(f"{name}: row {_words(key)}: {column} moved: '{before}' -> '{after}'")
    return Compared(faults, len(shared))


def read_rows(path: Path) -> Content:
    """Columns and rows by key; ValueError when two rows share a key or a line is ragged."""
    columns, lines = read_lines(path, "write the table again")
    keys = [c for c in KEYS if c in columns]
    rows: Rows = {}
    for row in lines:
        key = tuple(row[c] for c in keys)
        if key in rows:
            raise ValueError(f"{path}: row {_words(key)} is there twice; write the table again")
        rows[key] = row
    return columns, rows


def _words(key: Key) -> str:
    return " / ".join(f"'{plain(part)}'" for part in key)
