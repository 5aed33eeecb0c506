"""The first table of the overview: the systems, and what needs no network, on the same test images, best Dice first.

Input: the built tables common/cross-system and common/cost. Output: lines for the template.
"""

from dataclasses import dataclass

from covidqu.page.built import BuiltTable, Row, table
from covidqu.page.citations import references
from covidqu.page.pages import REFERENCE, paper_file
from covidqu.report.core.published import OURS, SYSTEMS
from covidqu.report.core.references import PREFIX
from covidqu.report.core.sources import Sources
from covidqu.report.side_by_side import LARGE, ROWS, Shown, printed_dice
from covidqu.report.systems.cross_system import ACCURACY, DICE, LUNG, MEAN

COLUMNS = {  # column of the table: words here, whether it is shown in percent
    DICE: ("infection Dice, COVID-19", False),
    **{column: (f"{who}: >\u00a01\u00a0% marked", True) for who, column in LARGE.items()},
    LUNG: ("lung Dice", False),
    ACCURACY: ("accuracy, COVID-19 or not", False),
}


@dataclass(frozen=True)
class Line:
    """`cells`: column -> row of common/cross-system, where seeds were repeated their mean; None where there is none.

    `file`: page of the system, `by`: who wrote its paper; both empty for a baseline. `printed`: Dice, or words.
    """

    name: str
    file: str
    by: str
    ours: bool
    cells: dict[str, Row | None]
    printed: str

    @property
    def dice(self) -> float:
        """To sort by; below all others where there is no value."""
        row = self.cells[DICE]
        return float(row["measured_correct"]) if row and row["measured_correct"] else -1.0


def lines(sources: Sources) -> list[Line]:
    """Best Dice first; empty where common/cross-system was not built."""
    built = table(sources, "common/cross-system")
    return sorted((_line(shown, built) for shown in ROWS), key=lambda line: -line.dice) if built else []


def _line(shown: Shown, built: BuiltTable) -> Line:
    cells = {(row["row"], row["column"]): row for row in built.rows}
    system = "" if shown.row.startswith(PREFIX) else shown.row.split(",")[0].split(" ")[0]
    return Line(
        name=shown.name.replace("`", "").replace("*", ""),
        file=paper_file(system) if system in SYSTEMS else REFERENCE.file if system else "",
        by=references()[system].short if system in SYSTEMS else "",
        ours=system in OURS,
        cells={c: cells.get((f"{shown.row}{MEAN}", c)) or cells.get((shown.row, c)) for c in COLUMNS},
        printed=printed_dice(shown),
    )


def images(found: list[Line]) -> dict[str, str]:
    """Column -> how many test images are behind it, from the first system that has a value there."""
    counts = {c: [row["n"] for line in found if (row := line.cells[c]) and row["n"]] for c in COLUMNS}
    return {column: some[0] for column, some in counts.items() if some}
