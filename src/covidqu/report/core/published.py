"""Values printed in the papers, from the package's `published/*.yaml`.

Leaves: one `Paper` per system, with its printed cells. The files are checked when they are read: every row has one
value per column, and (table, row, column) names a value once.
"""

from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from covidqu.config.base import Strict, explain

SYSTEMS = ("swin-dual", "unetpp-b3", "unet-roi", "cbam-mtl", "recon-mtl")  # papers 000 to 004
OUR_SYSTEM = "reference"  # no paper: nothing of it is printed
SHOWN = (*SYSTEMS, OUR_SYSTEM)  # in the order of listings
Value = int | float | str


class PrintedTable(Strict):
    """`rows`: label, then one value per column; None where the paper leaves the cell open."""

    caption: str
    columns: list[str] = Field(min_length=1)
    rows: list[list[int | float | str | None]] = Field(min_length=1)

    @model_validator(mode="after")
    def _rectangular(self) -> "PrintedTable":
        labels = [row[0] for row in self.rows]
        twice = [name for names in (labels, self.columns) for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"named twice: {sorted(set(map(str, twice)))}")
        for row in self.rows:
            if len(row) != len(self.columns) + 1 or not isinstance(row[0], str):
                raise ValueError(f"row {row}: wanted a label and {len(self.columns)} values")
        return self

    def cells(self) -> dict[tuple[str, str], Value]:
        """(row, column) -> printed value, in the paper's order."""
        found = {}
        for label, *values in self.rows:
            found |= {(str(label), c): v for c, v in zip(self.columns, values, strict=True) if v is not None}
        return found


class PrintedOnly(Strict):
    """Rows (patterns) of a table that no run of this project could measure, and why."""

    table: str
    rows: list[str] = Field(min_length=1)
    reason: str


class Paper(Strict):
    """What one paper prints. `implemented`: whether the system can be trained in this version."""

    paper: Literal["000", "001", "002", "003", "004"]
    system: str
    name: str
    implemented: bool
    printed_only: list[PrintedOnly]
    tables: dict[str, PrintedTable]
    figures: dict[str, str]

    @model_validator(mode="after")
    def _known(self) -> "Paper":
        for item in self.printed_only:
            labels = [str(row[0]) for row in self.tables[item.table].rows] if item.table in self.tables else []
            unused = [pattern for pattern in item.rows if not any(fnmatchcase(label, pattern) for label in labels)]
            if unused:
                raise ValueError(f"printed_only.{item.table}: {unused} match no row")
        return self

    def only(self, table: str, row: str) -> str | None:
        """Why a value cannot be measured here; None when it could be."""
        for item in self.printed_only:
            if item.table == table and any(fnmatchcase(row, pattern) for pattern in item.rows):
                return item.reason
        return None


def parse(text: str, source: str) -> Paper:
    """Check one file's text; ValueError names `source` and every fault."""
    try:
        return Paper.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        raise ValueError(f"{source}: {explain(error, Paper)}") from None


@cache
def paper(system: str) -> Paper:
    """The printed values of one system's paper."""
    source = files("covidqu.report") / "published" / f"{system}.yaml"
    return parse(source.read_text(encoding="utf-8"), source.name)


def heading(system: str) -> str:
    """A system with its paper, or as ours."""
    return f"Ours: {system}" if system == OUR_SYSTEM else f"Paper {paper(system).paper}: {system}"


def printed(table: str) -> dict[tuple[str, str], Value]:
    """(row, column) -> value of one table `{system}/{name}`; empty for a table that is not a paper's."""
    system, name = table.split("/", 1)
    return paper(system).tables[name].cells() if system in SYSTEMS else {}
