"""Step `comparison`: every value printed in the five papers, one row each, beside what was measured.

Enters: what the tables read; leaves: one CSV file. Numbers come from the tables' own cells, verdicts from `verdict`.
"""

from dataclasses import replace
from pathlib import Path

from covidqu.config.params import Params
from covidqu.files import write_text
from covidqu.report.core.cells import COLUMNS as CELL_COLUMNS
from covidqu.report.core.cells import NOT_RUN, Cell, Value, csv_text, text
from covidqu.report.core.published import SYSTEMS, Paper, paper
from covidqu.report.core.sources import Sources
from covidqu.report.core.targets import lineage
from covidqu.report.core.titles import deviation_texts, deviations_of
from covidqu.report.core.verdict import MISSING, judge, other_images, printed_decimals
from covidqu.report.papers.paper_001 import A_SETTING
from covidqu.report.tables import BUILDERS, build

COLUMNS = (
    *("paper", "system", "table", "row", "column", "published", "measured_paper", "measured_correct"),
    *("protocol_paper", "protocol_correct", "n", "ci_low", "ci_high", "run", "deviations", "status", "reason"),
    *("verdict", "why"),
)
CAUSES = {"subset": "data: another subset", "init": "weights: not those of the full run"}  # all else: size and length
SMALLER = "size: reduced run"
MEASURED, SETTING, SKIPPED, PRINTED = "measured", "setting", "not run", "printed only"
NOT_IMPLEMENTED = "no run of this system in this version"


def comparison(params: Params, data: Path, results: Path, out: Path) -> None:
    """Write `out` from what is in the two folders (`write`)."""
    write(Sources(params, data, results), out)


def write(sources: Sources, out: Path) -> None:
    """Write `out`: status `measured`, `setting`, `not run` or `printed only`, the last two with the reason.

    `verdict`: one of `verdict.WORDS` or `printed only`, with `why`. `deviations`: how the run behind a number, or one
    that it starts from, differs from the full run.
    """
    rows = [row for system in SYSTEMS for row in _of_paper(sources, paper(system))]
    write_text(out, csv_text(rows, COLUMNS))


def _of_paper(sources: Sources, source: Paper) -> list[list[Value]]:
    rows = []
    for short, table in source.tables.items():
        name = f"{source.system}/{short}"
        decimals = printed_decimals(name)
        found = build(sources, name, with_references=False).cells if name in BUILDERS else []
        cells = {(c.row, c.column): c for c in found}
        for (row, column), value in table.cells().items():
            cell = cells.get((row, column)) or Cell(row, column)
            status, reason = _status(source, short, cell, name in BUILDERS)
            runs = lineage(sources.params, _behind(sources, cell)) if cell.measured else []
            rows.append(
                [
                    *(source.paper, source.system, short, row, column, value),
                    *(cell.measured_paper, cell.measured_correct, cell.protocol_paper, cell.protocol_correct),
                    *(cell.n, cell.ci_low, cell.ci_high, cell.run, " - ".join(deviation_texts(sources, runs))),
                    *(
                        status,
                        reason,
                        *_verdict(sources, source, replace(cell, published=value), status, decimals, runs),
                    ),
                ]
            )
    return rows


def _verdict(
    sources: Sources, source: Paper, cell: Cell, status: str, decimals: dict[str, int], runs: list[str]
) -> tuple[str, str]:
    """One word, and why: what was found, then in what the runs behind the number differ from the full ones."""
    if status == PRINTED:
        return PRINTED, ""
    row = {column: text(getattr(cell, column)) for column in CELL_COLUMNS}
    found = judge(row, decimals.get(cell.column), other_images(sources, source.system, cell.run))
    if found is None or found.word == MISSING:
        return MISSING, ""
    changed = {key for run in runs for key in deviations_of(sources, run)}
    causes = [words for key, words in CAUSES.items() if key in changed]
    causes += [SMALLER] if changed - CAUSES.keys() else []
    return found.word, "; ".join([found.reason, *causes])


def _behind(sources: Sources, cell: Cell) -> list[str]:
    """The runs that a number is from: all repetitions with other seeds where it is their mean."""
    repetitions = sources.params.seeds(cell.run) if (cell.seeds or 1) > 1 else [cell.run]
    return [run for run in repetitions if run in sources.params.resolved]


def _status(source: Paper, table: str, cell: Cell, built: bool) -> tuple[str, str]:
    if cell.measured:
        return (SETTING, "") if cell.note == A_SETTING else (MEASURED, cell.note)
    only = source.only(table, cell.row)
    if only is not None:
        return PRINTED, only
    if not built:
        assert not source.implemented, f"{source.system}/{table}: an implemented system without a builder"
        return SKIPPED, NOT_IMPLEMENTED
    assert cell.note.startswith(NOT_RUN), f"{source.system}/{table}: a cell without a number or a reason"
    return SKIPPED, cell.note.removeprefix(NOT_RUN)
