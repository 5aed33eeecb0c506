"""Sentences with findings, bound to table cells: a claims.yaml and the tables beside it in, text out.

    - text: "`a` finds more than `b`: Dice {a:.2f} against {b:.2f}."
      cells: {a: common/cross-system | a | Dice, b: common/cross-system | b | Dice}
      holds: [a_low > b]

A name stands for the value of a cell (`table | row | column`), `name_low` and `name_high` for its interval, `name_n`
for its images, `name_paper` for the value under the paper's protocol, `name_printed` for the printed one. A claim whose
relations do not hold, or whose cells are empty or gone, is a fault: it is not said.
"""

import ast
from functools import cache
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError
from yaml import load as load_yaml

from covidqu.config.base import Strict
from covidqu.config.faults import explain
from covidqu.config.reading import Loader
from covidqu.stored import read_lines

CLAIMS = "claims.yaml"
FIELDS = {
    "": "measured_correct",
    "_paper": "measured_paper",
    "_printed": "published",
    "_low": "ci_low",
    "_high": "ci_high",
    "_n": "n",
}
FUNCTIONS = {"min": min, "max": max, "abs": abs}
NODES = (
    *(ast.Expression, ast.Compare, ast.cmpop, ast.BoolOp, ast.boolop, ast.BinOp, ast.operator, ast.UnaryOp),
    *(ast.unaryop, ast.Call, ast.Name, ast.Load, ast.Constant),
)


class Claim(Strict):
    """`holds`: relations between the names of `cells`, numbers, `min`, `max` and `abs`; each must be true."""

    text: str = Field(min_length=1)
    cells: dict[str, str] = Field(min_length=1)
    holds: list[str] = Field(min_length=1)


def claims(path: Path) -> list[Claim]:
    """The claims of a file; ValueError names file, key and fault. None without the file."""
    if not path.is_file():
        return []
    try:
        return TypeAdapter(list[Claim]).validate_python(load_yaml(path.read_text(encoding="utf-8"), Loader))
    except ValidationError as error:
        raise ValueError(f"{path}: {explain(error, Claim)}") from None


def sentences(path: Path, *tables: Path) -> list[str]:
    """The text of each claim with the numbers of the first of the folders `tables` that has them; ValueError for the
    first claim that they do not support.
    """
    return [sentence(claim, *tables) for claim in claims(path)]


def sentence(claim: Claim, *tables: Path) -> str:
    """The text with its numbers; ValueError says what does not hold, with the numbers."""
    values: dict[str, float] = {}
    for name, cell in claim.cells.items():
        values |= cell_values(name, cell, *tables)
    for relation in claim.holds:
        if not holds(relation, values):
            numbers = ", ".join(f"{name} = {value:.6g}" for name, value in values.items() if name in relation)
            raise ValueError(f"claim '{claim.text}': '{relation}' does not hold ({numbers})")
    try:
        return claim.text.format(**values)
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(f"claim '{claim.text}': the text cannot be filled in: {error}") from error


def cell_values(name: str, cell: str, *tables: Path) -> dict[str, float]:
    """The numbers of one cell under the names that relations and texts use."""
    table, *key = (part.strip() for part in cell.split(" | "))
    if len(key) != 2:
        raise ValueError(f"claims: '{cell}' is no cell; write: table | row | column")
    path = next((path for path in (folder / f"{table}.csv" for folder in tables) if path.is_file()), None)
    if path is None:
        path = tables[-1] / f"{table}.csv"
        raise ValueError(f"{path}: no such table, which a claim rests on ('{cell}')")
    row = rows(path, path.stat().st_mtime_ns).get((key[0], key[1]))
    if row is None:
        raise ValueError(f"{path}: no row '{key[0]}' with column '{key[1]}', which a claim rests on")
    found = {f"{name}{end}": float(row[field]) for end, field in FIELDS.items() if row.get(field)}
    if not found.keys() & {name, f"{name}_paper"}:
        raise ValueError(f"{path}: '{key[0]}', '{key[1]}' has no value, which a claim rests on: {row.get('note', '')}")
    return found


@cache
def rows(path: Path, _: int) -> dict[tuple[str, str], dict[str, str]]:
    """Rows of a table by row and column; read again when the file has changed."""
    lines = read_lines(path, "build the table again with the `table` step", "row", "column")[1]
    return {(row["row"], row["column"]): row for row in lines}


def holds(relation: str, values: dict[str, float]) -> bool:
    """Whether a relation is true; ValueError when it is none."""
    try:
        tree = ast.parse(relation, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"claims: '{relation}' is no relation: {error.msg}") from error
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if unknown := sorted(names - values.keys() - FUNCTIONS.keys()):
        raise ValueError(f"claims: '{relation}': unknown {', '.join(unknown)}; known: {', '.join(values)}")
    allowed = all(isinstance(node, NODES) for node in ast.walk(tree))
    if not allowed or not isinstance(tree.body, ast.Compare | ast.BoolOp):
        raise ValueError(f"claims: '{relation}' is no relation between numbers")
    return bool(eval(compile(tree, "<claim>", "eval"), {"__builtins__": {}, **FUNCTIONS}, values))
