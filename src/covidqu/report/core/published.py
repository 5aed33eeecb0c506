"""Values printed in the papers, from the package's `published/*.yaml`.

Output: one `Paper` per system, with its printed cells. The files are checked when they are read: every row has one
value per column, and (table, row, column) names a value once.
"""

from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from covidqu.config.base import Strict
from covidqu.config.faults import explain
from covidqu.report.core.kinds import Kind, Unit

SYSTEMS = ("swin-dual", "unetpp-b3", "unet-roi", "cbam-mtl", "recon-mtl")  # papers 000 to 004
OUR_SYSTEM = "reference"  # no paper: nothing of it is printed
SHOWN = (*SYSTEMS, OUR_SYSTEM)  # in the order of listings
OURS = SHOWN[len(SYSTEMS) :]
Value = int | float | str


class PrintedTable(Strict):
    """`rows`: label, then one value per column; None where the paper leaves the cell open.

    `kind`, `unit`: of the whole table, or by patterns of "row / column", of which the first that fits holds; without
    one a value is performance. `decimals`: to how many a column is printed, where its values do not show it.
    `measured`: how ours are made, where that takes no function; `papers/measured.py` reads and checks it.
    """

    caption: str
    columns: list[str] = Field(min_length=1)
    rows: list[list[int | float | str | None]] = Field(min_length=1)
    kind: Kind | dict[str, Kind] = Kind.PERFORMANCE
    unit: Unit | dict[str, Unit] = Field(default={})
    decimals: dict[str, int] = Field(default={})
    measured: list[Any] = Field(default=[])

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

    @model_validator(mode="after")
    def _patterns_fit(self) -> "PrintedTable":
        places = [f"{row} / {column}" for row, column in self.cells()]
        patterns = [p for known in (self.kind, self.unit) if isinstance(known, dict) for p in known]
        unused = [p for p in patterns if not any(fnmatchcase(place, p) for place in places)]
        if unused or not set(self.decimals) <= set(self.columns):
            raise ValueError(f"no printed value fits {unused or sorted(set(self.decimals) - set(self.columns))}")
        return self

    def kind_of(self, row: str, column: str) -> Kind:
        """What a printed value is of."""
        return self.kind if isinstance(self.kind, Kind) else _first(self.kind, row, column) or Kind.PERFORMANCE

    def unit_of(self, row: str, column: str) -> Unit | None:
        """The unit of a printed value; None where it has none."""
        return self.unit if isinstance(self.unit, Unit) else _first(self.unit, row, column)

    def decimals_of(self, column: str) -> int | None:
        """To how many decimals a column is printed: as said, else the most that its values show; None: no number."""
        if column not in self.columns:
            return None
        values = [value for (_, name), value in self.cells().items() if name == column]
        shown = [number for value in values if (number := _decimals(value)) is not None]
        return self.decimals.get(column, max(shown, default=None))

    def cells(self) -> dict[tuple[str, str], Value]:
        """(row, column) -> printed value, in the paper's order."""
        found: dict[tuple[str, str], Value] = {}
        for label, *values in self.rows:
            found |= {(str(label), c): v for c, v in zip(self.columns, values, strict=True) if v is not None}
        return found


def _decimals(value: Value) -> int | None:
    """Decimals that a number shows, also one in words; None for other words."""
    try:
        return max(0, -int(Decimal(str(value)).as_tuple().exponent))
    except InvalidOperation:
        return None


Which = TypeVar("Which", Kind, Unit)


def _first(known: dict[str, Which], row: str, column: str) -> Which | None:
    """The value of the first pattern that fits."""
    return next((value for pattern, value in known.items() if fnmatchcase(f"{row} / {column}", pattern)), None)


class PrintedOnly(Strict):
    """Rows (patterns) of a table that no run of this project could measure, and why."""

    table: str
    rows: list[str] = Field(min_length=1)
    reason: str


class Paper(Strict):
    """What one paper prints."""

    paper: Literal["000", "001", "002", "003", "004"]
    system: str
    name: str
    modality: Literal["X-ray", "CT"]
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
    return f"Paper {paper(system).paper}: {system}" if system in SYSTEMS else f"Ours: {system}"


def printed(table: str) -> dict[tuple[str, str], Value]:
    """(row, column) -> value of one table `{system}/{name}`; empty for a table that is not a paper's."""
    system, name = table.split("/", 1)
    return paper(system).tables[name].cells() if system in SYSTEMS else {}
