"""Step `tolerances`: how far the same pipeline's numbers are apart on different machines, as a tolerance file.

Enters: two or more results folders of the same settings, made apart (other machines, other instruction sets); leaves:
YAML for `covidqu check`. A column gets `FACTOR` times the largest move that was seen in it; a field whose words or
counts differ, or that only one machine has, is left free, alone in its row and column; all else is compared exactly.
"""

import glob
import math
from collections import defaultdict
from pathlib import Path

import yaml

from covidqu.files import write_text
from covidqu.report.check import (
    NUMBER,
    Content,
    Key,
    Tolerance,
    Tolerances,
    differences,
    read_rows,
    row_name,
    table_names,
)

FACTOR = 2  # two or three machines do not show the largest move that there is
Entry = tuple[Tolerance, str]  # with a remark


def tolerances(folders: list[Path], out: Path) -> None:
    """Write `out`; ValueError when there is nothing to compare, or tables, rows or columns are not the same."""
    if len(folders) < 2:
        raise ValueError("name two results folders or more; what moves shows only between machines")
    names = table_names(folders[0])
    for folder in folders:
        found = table_names(folder)
        if found != names or not names:
            lost = sorted(set(found) ^ set(names)) or ["it holds no tables"]
            raise ValueError(f"{folder}: not the same tables as in {folders[0]} ({', '.join(lost)}); run both again")
    entries: list[Entry] = []
    for name in names:
        contents = [read_rows(folder / f"{name}.csv") for folder in folders]
        made = of_table(name, contents)
        allowed = Tolerances(tolerances=[entry for entry, _ in made])
        for content in contents[1:]:
            faults = differences(name, contents[0], content, allowed).faults
            if faults:
                raise ValueError(f"not of the same settings: {faults[0]}; run both again")
        entries += made
    write_text(out, as_yaml(entries, len(folders)))


def of_table(name: str, contents: list[Content]) -> list[Entry]:
    """Entries of one table from its files: free fields first, as the first entry that matches counts."""
    moves: dict[str, list[float]] = defaultdict(list)
    flips: dict[Key, list[str]] = defaultdict(list)
    (columns, first), *others = contents
    for key in first:
        if not all(key in rows for _, rows in others):
            continue
        for column in columns:
            texts = [rows[key].get(column, "") for _, rows in contents]
            moved = spread(texts)
            if moved is None:
                flips[key].append(column)
            elif moved:
                moves[column].append(moved)
    return [*_free(name, flips), *_numbers(name, moves)]


def spread(texts: list[str]) -> float | None:
    """Largest difference between the same number of texts that are otherwise equal; None when they are not."""
    first, *others = (NUMBER.split(text) for text in texts)
    if any(len(other) != len(first) for other in others):
        return None
    largest = 0.0
    for place, parts in enumerate(zip(first, *others, strict=True)):
        if len(set(parts)) == 1:
            continue
        if place % 2 == 0 or all("." not in part for part in parts):  # words, counts
            return None
        values = [float(part) for part in parts]
        largest = max(largest, max(values) - min(values))
    return largest


def _free(name: str, flips: dict[Key, list[str]]) -> list[Entry]:
    """Rows in which the same columns flip share an entry."""
    together: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, columns in flips.items():
        together[tuple(columns)].append(glob.escape(row_name(key)))
    return [
        (
            Tolerance(table=name, row=rows, column=list(columns), absolute=None),
            f"{len(rows)} x {len(columns)} fields",
        )
        for columns, rows in together.items()
    ]


def _numbers(name: str, moves: dict[str, list[float]]) -> list[Entry]:
    return [
        (
            Tolerance(table=name, column=column, absolute=rounded_up(FACTOR * max(found))),
            f"moved in {len(found)} rows, by {max(found):.3g} at most",
        )
        for column, found in moves.items()
    ]


def rounded_up(value: float) -> float:
    """To two significant digits, upwards."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step - 1e-9) * step:.12g}")


def as_yaml(entries: list[Entry], folders: int) -> str:
    """One entry a line, what was seen behind it as a comment."""
    lines = [
        f"# Written by `covidqu tolerances` from {folders} results folders. A column's tolerance is {FACTOR} times the",
        "# largest move that was seen in it. null: words, counts or the presence of a number differed, so that the",
        "# field is not compared. What is not named here was equal in all folders and is compared exactly.",
        "tolerances:" if entries else "tolerances: []",
    ]
    for entry, remark in entries:
        fields = entry.model_dump(exclude_defaults=True) | {"absolute": entry.absolute}
        text = yaml.safe_dump(fields, default_flow_style=True, sort_keys=False, width=math.inf).strip()
        lines.append(f"  - {text} # {remark}")
    return "\n".join(lines) + "\n"
