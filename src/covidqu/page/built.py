"""Tables and figures as the pipeline wrote them: a results folder in, records for the templates out.

Nothing is computed here but the verdict on each row: see `verdict`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from covidqu.evaluate.protocols import PROTOCOLS
from covidqu.page.numbers import number
from covidqu.page.pages import case_link
from covidqu.page.public import figure_kinds
from covidqu.report import catalogue
from covidqu.report.core.artefacts import Page, Table
from covidqu.report.core.cells import COLUMNS, of_record
from covidqu.report.core.kinds import Status
from covidqu.report.core.numbers import supported
from covidqu.report.core.published import SYSTEMS, paper
from covidqu.report.core.sources import Sources
from covidqu.report.core.titles import heading
from covidqu.report.core.verdict import NOT_COMPARABLE, Verdict, of_cell, other_images
from covidqu.report.remarks import remarks
from covidqu.stored import read_lines

LONG = 14  # rows from which a table has a filter box
FILLED = 0.6  # share of cells with something in them from which a table is shown as a grid
OF_INTERVAL = ("measured_correct", "ci_low", "ci_high")
SHOWS_PATIENTS = "it shows patients' images: not in this results folder, or not in a site that may be published"


@dataclass(frozen=True)
class Row:
    """One row of the CSV, its texts unchanged, and the verdict on it.

    `decimals` to show at least; `elsewhere`: why the printed value is of other images, if it is.
    """

    cells: dict[str, str]
    verdict: Verdict | None
    decimals: int
    elsewhere: str

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    @property
    def empty(self) -> tuple[str, str]:
        """A word for why there is no number of ours, and the reason; two empty texts where there is one."""
        status = Status(self.cells["status"])
        return ("", "") if status is Status.MEASURED else (status.value, self.cells["note"])

    @property
    def not_run(self) -> str:
        """Why nothing was measured; empty where something was."""
        return self.empty[1]

    def number(self, column: str) -> Markup:
        """A measured value, its `sd` or an end of its interval, with the decimals that the interval supports.

        The name of a test image leads to its case.
        """
        exact = supported(*(self.cells[key] for key in OF_INTERVAL)) if column in OF_INTERVAL else None
        if link := case_link(self.cells[column]):
            return Markup('<a href="{}">{}</a>').format(link, self.cells[column].split("/")[-1])
        if column == "sd":  # as many as the mean has
            exact = self.decimals
        return number(self.cells[column], self.decimals, exact=exact, padded=bool(self.cells["n"]))


@dataclass(frozen=True)
class BuiltTable:
    """A table with its heading taken apart: `caption`, then the `deviations` of the runs behind it."""

    name: str
    caption: str
    deviations: list[str]
    rows: list[Row]
    remarks: list[str]
    columns: list[str] = field(default_factory=list)  # of the paper's own layout

    @property
    def anchor(self) -> str:
        """Name of the table's place in its page."""
        return self.name.replace("/", "-")

    @property
    def csv(self) -> str:
        """Where the site keeps the file."""
        return f"tables/{self.name}.csv"

    @property
    def long(self) -> bool:
        """Whether a filter box is of use."""
        return len(self.rows) >= LONG

    @property
    def one_value(self) -> bool:
        """Whether the paper's protocol says nothing else than the correct one, as of counts and settings."""
        return all(row["measured_paper"] in ("", row["measured_correct"]) and not row["ci_low"] for row in self.rows)

    def holds(self, column: str) -> bool:
        """Whether any row has something there."""
        return any(row[column] for row in self.rows)

    @property
    def judged(self) -> bool:
        """Whether there is a verdict on any row."""
        return any(row.verdict for row in self.rows)

    @property
    def measured(self) -> bool:
        """Whether there is a number of ours in any row."""
        return self.holds("measured_paper") or self.holds("measured_correct")

    @property
    def not_run(self) -> list[str]:
        """Why values are missing, each reason once."""
        return list(dict.fromkeys(row.not_run for row in self.rows if row.not_run))

    @property
    def empty(self) -> dict[str, list[str]]:
        """Word in an empty cell -> its reasons, each once."""
        found: dict[str, list[str]] = {}
        for word, reason in dict.fromkeys(row.empty for row in self.rows):
            if word:
                found.setdefault(word, []).append(reason)
        return found

    @property
    def not_comparable(self) -> list[str]:
        """Why printed values of the table are not comparable, each reason once."""
        found = [row.verdict.reason for row in self.rows if row.verdict and row.verdict.word == NOT_COMPARABLE]
        return list(dict.fromkeys(found))

    @property
    def layout(self) -> list[tuple[str, list[Row | None]]]:
        """The paper's own rows and columns, for a table of at least two columns; empty for others."""
        if len(self.columns) < 2:
            return []
        cells = {(row["row"], row["column"]): row for row in self.rows if row["published"]}
        labels = dict.fromkeys(label for label, _ in cells)
        return [(label, [cells.get((label, column)) for column in self.columns]) for label in labels]

    @property
    def grids(self) -> list[tuple[str, list[str], list[tuple[str, list[Row | None]]]]]:
        """Rows by columns, for a table without printed values: (what, columns, (row, cells)); a protocol is a column.

        Empty for a table of one row or column, and for one that is mostly holes.
        """
        cells = {(row["row"], row["column"]): row for row in self.rows}
        kinds: dict[str, list[str]] = {}
        for column in dict.fromkeys(column for _, column in cells):
            protocol, _, what = column.partition(" ")
            kinds.setdefault(what if protocol in PROTOCOLS else "", []).append(column)
        labels = list(dict.fromkeys(label for label, _ in cells))
        places = len(labels) * sum(len(columns) for columns in kinds.values())
        if self.holds("published") or places == len(cells) == len(labels) or len(cells) < FILLED * places:
            return []
        found = []
        for what, columns in kinds.items():
            rows = [(label, [cells.get((label, column)) for column in columns]) for label in labels]
            heads = [column.removesuffix(f" {what}") if what else column for column in columns]
            found.append((what, heads, [(label, row) for label, row in rows if any(row)]))
        return found if len(labels) > 1 else []


def notes(shown: Iterable[BuiltTable]) -> dict[str, int]:
    """Remark -> its number on the page that shows these tables: a remark of several tables stands there once."""
    return {
        remark: place for place, remark in enumerate(dict.fromkeys(r for one in shown for r in one.remarks), start=1)
    }


@dataclass(frozen=True)
class BuiltFigure:
    """`file`: path in the site, None where the figure is not there, for `reason`.

    `caption`: what the paper's figure shows; `ours`: what ours does.
    """

    name: str
    label: str
    caption: str
    file: str | None
    reason: str = ""
    ours: str = ""


def table(sources: Sources, name: str) -> BuiltTable | None:
    """One built table; None where it was not built. ValueError for a CSV file without the columns of a table."""
    path = sources.results / "tables" / f"{name}.csv"
    if not path.is_file():
        return None
    _, records = read_lines(path, "build the table again with the `table` step", *COLUMNS)
    known = catalogue.table(name, sources.params)
    rows = [row_of(sources, name, record) for record in records]
    changed = heading(sources, known).changed
    return BuiltTable(name, _caption(known), changed, rows, remarks(known), _columns(name))


def row_of(sources: Sources, name: str, record: dict[str, str], column: str | None = None) -> Row:
    """Verdicts are for the papers' own tables: others repeat printed values beside numbers of another meaning.

    `column`: that of the paper's table `name`, where the record is from a table that repeats it.
    """
    system, short = name.split("/", maxsplit=1)
    elsewhere = other_images(sources, system, record["run"])
    if system not in SYSTEMS:
        return Row(record, None, 3, elsewhere)
    cell = replace(of_record(record), column=column or record["column"])
    decimals = paper(system).tables[short].decimals_of(cell.column)
    return Row(record, of_cell(sources, name, cell), max(3, decimals or 0), elsewhere)


def _columns(name: str) -> list[str]:
    system, short = name.split("/", 1)
    return paper(system).tables[short].columns if system in SYSTEMS else []


def _caption(known: Table) -> str:
    """What it shows; of a paper's table with its number, as the page names the paper."""
    numbered = re.fullmatch(r"table-(\d+)", known.short)
    return f"Table {numbered[1]}: {known.shows}" if numbered else known.shows[0].upper() + known.shows[1:]


def tables(sources: Sources, group: str) -> tuple[list[BuiltTable], list[str]]:
    """The built tables of one folder, but for those on another page, in the order of the catalogue.

    Beside them the names of those that were not built.
    """
    known = catalogue.tables(sources.params).items()
    names = [name for name, one in known if one.group == group and one.page is Page.STATISTICS]
    if group in SYSTEMS:
        order = [f"{group}/{short}" for short in paper(group).tables]
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
    found = {name: table(sources, name) for name in names}
    return [built for built in found.values() if built], [name for name, built in found.items() if not built]


def figures(sources: Sources, group: str, page: Page = Page.STATISTICS) -> list[BuiltFigure]:
    """The figures of one folder on a page: those of a paper in its order, then those that only this project draws."""
    known = paper(group).figures if group in SYSTEMS else {}
    drawn = catalogue.figures(sources.params).items()
    made = [name for name, one in drawn if one.group == group and one.page is page]
    return [_figure(sources, name, known) for name in sorted(made, key=lambda name: _place(name, known))]


def _place(name: str, known: dict[str, str]) -> tuple[int, str]:
    short = name.split("/")[1]
    if short.startswith("figure"):
        return int(short.split("-")[1]), short
    return (1000 if short.startswith("curves") else 0), short


def _figure(sources: Sources, name: str, known: dict[str, str]) -> BuiltFigure:
    short = name.split("/")[1]
    drawn = catalogue.figure(name, sources.params)
    suffix = drawn.kind
    place = f"figures/{name}.{suffix}"
    words = "; ".join(text for key, text in known.items() if key.rstrip("abc") == short)
    if short.startswith("curves-"):
        label, words = "Training", short.removeprefix("curves-")
    else:
        label = short.replace("-", " ").capitalize()
    if (sources.results / place).is_file() and suffix in figure_kinds(sources):
        return BuiltFigure(name, label, words, place, ours=drawn.shows)
    return BuiltFigure(name, label, words, None, SHOWS_PATIENTS if suffix == "png" else "it was not drawn")
