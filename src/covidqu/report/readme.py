"""The generated parts of README and docs/results.md: systems side by side, findings, the headline of each run.

Input: a results folder with the tables common/cross-system, common/overview and, where it was made, common/cost.
Output: Markdown files with each part between its markers, all else as it was.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from covidqu.files import write_text
from covidqu.report import catalogue, side_by_side
from covidqu.report.checks.claims import CLAIMS, sentences
from covidqu.report.core.heading import Heading
from covidqu.report.core.kinds import Status
from covidqu.report.core.sources import Sources
from covidqu.report.core.titles import heading
from covidqu.stored import read_lines


class Block(NamedTuple):
    """What stands between two markers: `table` it is written from, by `text` from the results."""

    begin: str
    end: str
    table: str
    text: Callable[[Sources, Path], str]

    def of(self, page: str) -> str:
        """What is between the markers of a page."""
        return page.partition(self.begin)[2].partition(self.end)[0]


def readme(sources: Sources, pages: Sequence[Path], made: Path | None = None) -> None:
    """Write each part into those of the Markdown files `pages` that have its markers; all else stays as it is.

    `made`: the folder with tables and claims, by default that of the results.

    ValueError when a table is missing, a page has no markers, or has one of a part that is not there in pairs, once.
    """
    texts = {block: block.text(sources, made or sources.results) for block in BLOCKS}
    for path, page in [(path, filled(path, texts)) for path in pages]:
        write_text(path, page)


def filled(path: Path, texts: dict[Block, str]) -> str:
    """The text of a page with every part of `texts` that it has markers for."""
    page = path.read_text(encoding="utf-8")
    if not any(block.begin in page or block.end in page for block in texts):
        raise ValueError(f"{path}: has no markers, such as {SIDE_BY_SIDE.begin} and {SIDE_BY_SIDE.end}")
    for block, text in texts.items():
        counts = page.count(block.begin), page.count(block.end)
        if counts == (0, 0):
            continue
        if counts != (1, 1):
            raise ValueError(f"{path}: wants the markers {block.begin} and {block.end}, once each")
        before, rest = page.split(block.begin)
        after = rest.split(block.end)[1]
        page = f"{before}{block.begin}\n{text}\n{block.end}{after}"
    return page


def _side_by_side(sources: Sources, made: Path) -> str:
    costs = _csv(made, side_by_side.COST)
    cost = _rows(costs) if costs.is_file() else []
    return side_by_side.block(_heading(sources, side_by_side.TABLE), _made(made, side_by_side.TABLE), cost)


def _glance(sources: Sources, made: Path) -> str:
    return side_by_side.brief(_heading(sources, side_by_side.TABLE), _made(made, side_by_side.TABLE))


def _overview(sources: Sources, made: Path) -> str:
    title, rows = _heading(sources, OVERVIEW), _made(made, OVERVIEW)
    correct = "measured, correct protocol [95 % interval], or ± SD over seeds"
    header = f"| | printed | measured, paper's protocol | {correct} | test images |"
    table = "\n".join([header, "|---|---|---|---|---|", *(_line(row) for row in rows)])
    changed = "\n".join(f"- {words}" for words in title.changed)
    folded = "<details><summary>How these runs differ from the full ones</summary>"
    return f"{table}\n\n{title.short}." + (f"\n\n{folded}\n\n{changed}\n\n</details>" if changed else "")


def _findings(_: Sources, made: Path) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences(made / CLAIMS, made / "tables"))


def _first_findings(sources: Sources, made: Path) -> str:
    return "\n".join(_findings(sources, made).splitlines()[:FIRST])


def _line(row: dict[str, str]) -> str:
    def number(column: str) -> str:
        return f"{float(row[column]):.3f}" if row[column] else ""

    paper = f"{number('measured_paper')} ({row['protocol_paper']})" if row["measured_paper"] else ""
    correct = "" if row["status"] == Status.MEASURED else f"{row['status']}: {row['note']}"
    if row["measured_correct"]:
        interval = f" [{number('ci_low')}, {number('ci_high')}]" if row["ci_low"] else ""
        interval = f" ± {number('sd')}" if row.get("sd") else interval
        seeds = f", mean of {row['seeds']} seeds" if row["seeds"] not in ("", "1") else ""
        correct = f"{number('measured_correct')}{interval} ({row['protocol_correct']}{seeds})"
    return f"| {row['row']} | {row['published']} | {paper} | {correct} | {row['n']} |"


def _csv(made: Path, name: str) -> Path:
    return made / "tables" / f"{name}.csv"


def _heading(sources: Sources, name: str) -> Heading:
    return heading(sources, catalogue.table(name, sources.params))


def _made(made: Path, name: str) -> list[dict[str, str]]:
    """Rows of a table; ValueError when it was not made."""
    source = _csv(made, name)
    if not source.is_file():
        raise ValueError(f"{source}: no such table; run the pipeline first")
    return _rows(source)


def _rows(source: Path) -> list[dict[str, str]]:
    return read_lines(source, "build the table again with the `table` step")[1]


OVERVIEW = "common/overview"
FIRST = 3  # findings in README; claims.yaml begins with those that matter most
GLANCE = Block("<!-- at a glance: covidqu readme -->", "<!-- end of at a glance -->", side_by_side.TABLE, _glance)
SIDE_BY_SIDE = Block(
    "<!-- side by side: covidqu readme -->", "<!-- end of side by side -->", side_by_side.TABLE, _side_by_side
)
HEADLINES = Block("<!-- results: covidqu readme -->", "<!-- end of results -->", OVERVIEW, _overview)
FINDINGS = Block("<!-- findings: covidqu readme -->", "<!-- end of findings -->", OVERVIEW, _findings)
FIRST_FINDINGS = Block(
    "<!-- first findings: covidqu readme -->", "<!-- end of first findings -->", OVERVIEW, _first_findings
)
BLOCKS = (GLANCE, FIRST_FINDINGS, SIDE_BY_SIDE, FINDINGS, HEADLINES)
