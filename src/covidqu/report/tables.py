"""Step `tables`: each table as CSV and Markdown.

Input: the data folder (index, audit, splits) and the results folder (scores, cards, histories, explained runs,
architectures, baselines); output: a .csv and an .md per table. `build` gives the same table to the comparison, so that
numbers cannot differ between the two. The catalogue says which tables there are, and what makes each.
"""

from pathlib import Path

from covidqu.config.params import Params
from covidqu.files import write_text
from covidqu.report import catalogue
from covidqu.report.core import references, titles
from covidqu.report.core.cells import Table, table_csv
from covidqu.report.core.sources import Sources
from covidqu.report.core.wide import page
from covidqu.report.remarks import remarks


def build(sources: Sources, name: str, *, with_references: bool = True) -> Table:
    """The table `{system}/{name}`, with its reference rows or without; ValueError names the tables that exist."""
    table = catalogue.table(name, sources.params)
    cells = table.cells(sources)
    if with_references and table.baselines:
        cells = [*cells, *references.beside(sources, table)]
    return Table(name, titles.heading(sources, table), cells, remarks(table))


def tables(names: list[str], params: Params, data: Path, results: Path, out: Path) -> None:
    """Write `out`/{name}.csv and .md of the named tables, or of all; what was not measured is empty with the reason."""
    sources = Sources(params, data, results)
    for name in names or catalogue.tables(params):
        write(build(sources, name), out / name)


def write(table: Table, out: Path) -> None:
    """Write `out`.csv, the data, and `out`.md, a view of it (`out` has no suffix)."""
    write_text(out.with_name(f"{out.name}.csv"), table_csv(table))
    write_text(out.with_name(f"{out.name}.md"), page(table))
