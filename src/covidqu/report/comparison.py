"""Step `comparison`: every value that the five papers print of their work, one row each, beside what was measured.

Input: what the tables read. Output: one CSV file. Numbers come from the tables' own cells, verdicts from `verdict`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from covidqu.config.params import Params
from covidqu.files import write_text
from covidqu.report.core.cells import Cell, Value, csv_text
from covidqu.report.core.kinds import Kind
from covidqu.report.core.published import SYSTEMS, Paper, paper
from covidqu.report.core.sources import Sources
from covidqu.report.core.titles import deviation_texts
from covidqu.report.core.verdict import JUDGED, REDUCED, behind, changed, judge, of_cell
from covidqu.report.systems import stated
from covidqu.report.tables import build
from covidqu.stored import read_lines

COLUMNS = (
    *("paper", "system", "table", "row", "column", "published", "measured_paper", "measured_correct"),
    *("protocol_paper", "protocol_correct", "n", "ci_low", "ci_high", "run", "deviations", "status", "reason"),
    *("verdict", "why", "kind", "unit", "paper_low", "paper_high"),
)
CAUSES = {"subset": "data: another subset", "init": "weights: not those of the full run"}  # all else: size and length
SMALLER = "size: reduced run"


def comparison(params: Params, data: Path, results: Path, out: Path) -> None:
    """Write `out` from what is in the two folders (`write`)."""
    write(Sources(params, data, results), out)


def write(sources: Sources, out: Path) -> None:
    """Write `out`: what each printed value is (`kind`, `unit`), whether ours was measured (`status`) and the `reason`.

    `verdict`: one of `verdict.WORDS`, with `why`. `deviations`: how the run behind a number, or one that it starts
    from, differs from the full run.
    """
    rows = [row for system in SYSTEMS for row in _of_paper(sources, paper(system))]
    write_text(out, csv_text(rows, COLUMNS))


def _of_paper(sources: Sources, source: Paper) -> list[list[Value]]:
    """Tables in their order, then what the text states of settings."""
    rows = []
    for short, printed in source.tables.items():
        name = f"{source.system}/{short}"
        cells = {(c.row, c.column): c for c in build(sources, name, with_references=False).cells}
        rows += [
            _row(sources, source, short, cells[place], _verdict(sources, name, cells[place]))
            for place in printed.cells()
        ]
    for cell in stated.of_system(sources, source.system):
        found = judge(cell)
        assert found is not None, f"{cell.row}: a statement has a value"
        rows.append(_row(sources, source, stated.SHORT, cell, (found.word, found.reason)))
    return rows


def _row(sources: Sources, source: Paper, short: str, cell: Cell, verdict: tuple[str, str]) -> list[Value]:
    changes = [] if cell.kind is Kind.SETTING else deviation_texts(sources, behind(sources, cell))
    return [
        *(source.paper, source.system, short, cell.row, cell.column, cell.published),
        *(cell.measured_paper, cell.measured_correct, cell.protocol_paper, cell.protocol_correct),
        *(cell.n, cell.ci_low, cell.ci_high, cell.run),
        *(" - ".join(changes), cell.status, cell.note),
        *(*verdict, cell.kind, cell.unit, cell.paper_low, cell.paper_high),
    ]


def _verdict(sources: Sources, name: str, cell: Cell) -> tuple[str, str]:
    """One word, and why: what was found, then in what the runs behind the number differ from the full ones."""
    found = of_cell(sources, name, cell)
    assert found is not None, f"{name}: {cell.row} / {cell.column} is printed"
    if not cell.measured or cell.kind is not Kind.PERFORMANCE:
        return found.word, found.reason if cell.measured else ""
    keys = changed(sources, cell)
    causes = [words for key, words in CAUSES.items() if key in keys]
    causes += [SMALLER] if keys - CAUSES.keys() else []
    return found.word, "; ".join([found.reason, *causes])


@dataclass(frozen=True)
class Tally:
    """Printed values of one kind, by verdict."""

    kind: Kind
    words: Counter[str]

    @property
    def judged(self) -> int:
        """Values of performance that a run at full size was held against."""
        return sum(self.words[word] for word in JUDGED)

    @property
    def sentence(self) -> str:
        """In words, as "0 of 38 performance values judged at full size"."""
        if self.kind is not Kind.PERFORMANCE:
            return ", ".join(f"{count} {word}" for word, count in self.words.items())
        comparable = self.judged + self.words[REDUCED]
        if not comparable:
            return "no printed performance value is of the same images"
        return f"{self.judged} of {comparable} performance values judged at full size"


def records(results: Path) -> list[dict[str, str]]:
    """The rows of a results folder's comparison.csv; none where it was not made."""
    path = results / "comparison.csv"
    if not path.is_file():
        return []
    return read_lines(path, "make it again", "kind", "verdict")[1]


def tallies(rows: Sequence[dict[str, str]]) -> list[Tally]:
    """Rows of comparison.csv counted by kind and verdict; kinds that no row has are left out."""
    found = [Tally(kind, Counter(row["verdict"] for row in rows if row["kind"] == kind)) for kind in Kind]
    return [tally for tally in found if tally.words]
