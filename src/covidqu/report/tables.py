"""Step `tables`: each table as CSV and Markdown.

Input: the data folder (index, audit, splits) and the results folder (scores, cards, histories, explained runs,
architectures, baselines); output: a .csv and an .md per table. `build` gives the same table to the comparison, so that
numbers cannot differ between the two. The catalogue says which tables there are, and what makes each.
"""

from pathlib import Path

from covidqu.config.params import Params
from covidqu.report import catalogue
from covidqu.report.core import references, titles
from covidqu.report.core.cells import Table, write
from covidqu.report.core.sources import Sources
from covidqu.report.remarks import BASELINES, remarks, shared


def build(sources: Sources, name: str, *, with_references: bool = True) -> Table:
    """The table `{system}/{name}`, with its reference rows or without; ValueError names the tables that exist."""
    table = catalogue.table(name, sources.params)
    cells, words = table.cells(sources), remarks(name)
    if with_references and table.baselines:
        cells, words = [*cells, *references.beside(sources, table)], [*words, shared(BASELINES)]
    return Table(name, titles.title(sources, table), cells, words)


def tables(names: list[str], params: Params, data: Path, results: Path, out: Path) -> None:
    """Write `out`/{name}.csv and .md of the named tables, or of all; what was not measured is empty with the reason."""
    sources = Sources(params, data, results)
    for name in names or catalogue.tables(params):
        write(build(sources, name), out / name)
