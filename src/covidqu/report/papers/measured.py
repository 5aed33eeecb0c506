"""Tables of papers whose cells are measures alone: `measured` of a table in `published/*.yaml` says how each is made.

It is a list of blocks, each with a cell for all of its rows and columns: what `each`, the column and the row say adds
up to one measure. A file is checked when a table of it is first made.
"""

from functools import cache
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from covidqu.config.base import Strict
from covidqu.config.faults import explain
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import WITH_MEDIAN, Classes, Loss, Mask, Measure, Prevalence
from covidqu.report.core.published import paper
from covidqu.report.core.run_cells import evaluate, over_seeds
from covidqu.report.core.sources import Sources
from covidqu.report.papers.counts import Images, Scored
from covidqu.report.papers.settings import Setting

Keys = dict[str, Any]
One = Measure | Images | Scored | Setting
KINDS: dict[str, type[One]] = {
    "mask": Mask,
    "classes": Classes,
    "prevalence": Prevalence,
    "loss": Loss,
    "images": Images,
    "scored": Scored,
    "setting": Setting,
}


class Block(Strict):
    """`columns` "false infection": those of `WITH_MEDIAN`. `seeds`: means over repetitions, where there are any."""

    each: Keys = Field(default={})
    rows: dict[str, Keys] = Field(min_length=1)
    columns: dict[str, Keys] | Literal["false infection"]
    seeds: bool = False

    def measures(self) -> dict[tuple[str, str], One]:
        """By row and column, in the order of the table; ValueError names the cell of every fault."""
        columns, found, faults = self.columns, {}, []
        if isinstance(columns, str):
            columns = {column: {"kind": "mask", "metric": metric} for column, metric in WITH_MEDIAN.items()}
        for row, of_row in self.rows.items():
            for column, of_column in columns.items():
                try:
                    found[row, column] = _measure(self.each, of_column, of_row)
                except ValueError as error:
                    faults.append(f"{row} / {column}: {error}")
        if faults:
            raise ValueError("\n".join(faults))
        return found


def _measure(*parts: Keys) -> One:
    """What the parts say together; ValueError names what is wrong."""
    keys = {key: value for part in parts for key, value in part.items()}
    twice = sorted(key for key in keys if sum(key in part for part in parts) > 1)
    kind = KINDS.get(keys.pop("kind", ""))
    if twice or kind is None:
        raise ValueError(f"said twice: {', '.join(twice)}" if twice else f"`kind` must be one of {', '.join(KINDS)}")
    try:
        return kind.model_validate(keys)
    except ValidationError as error:
        raise ValueError(explain(error, kind)) from None


@cache
def described(name: str) -> list[tuple[str, str, One, bool]]:
    """Row, column, measure and `seeds` of each cell of a table; ValueError names the file, the key and the fault."""
    system, short = name.split("/", 1)
    place = f"{system}.yaml: tables.{short}.measured"
    try:
        blocks = TypeAdapter(list[Block]).validate_python(paper(system).tables[short].measured)
        return [(*where, one, block.seeds) for block in blocks for where, one in block.measures().items()]
    except ValidationError as error:
        raise ValueError(f"{place}: {explain(error, Block)}") from None
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def cells(sources: Sources, name: str) -> list[Cell]:
    """The cells of a table."""
    return [_cell(sources, row, column, one, seeds=seeds) for row, column, one, seeds in described(name)]


def _cell(sources: Sources, row: str, column: str, one: One, *, seeds: bool) -> Cell:
    if not isinstance(one, Measure):
        return one.cell(sources, row, column)
    return (over_seeds if seeds else evaluate)(sources, row, column, one)
