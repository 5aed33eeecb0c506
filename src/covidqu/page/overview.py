"""Page index.html: the systems side by side, findings, the papers, headline numbers, verdicts, the runs' state.

Input: the built tables common/cross-system and common/overview, claims.yaml, comparison.csv and the cards. Output:
values for the template.
"""

from collections import Counter
from typing import Any

from covidqu.page import charts, leaderboard
from covidqu.page.built import BuiltTable, row_of, table
from covidqu.page.citations import references
from covidqu.page.pages import STATISTICS, paper_file
from covidqu.page.runs import RunState, by_system
from covidqu.report.checks.claims import CLAIMS, sentences
from covidqu.report.comparison import records, tallies
from covidqu.report.core.kinds import Unit
from covidqu.report.core.numbers import shown
from covidqu.report.core.published import SYSTEMS, paper
from covidqu.report.core.sources import Sources
from covidqu.report.core.verdict import REPRODUCED, WORDS, rounded
from covidqu.report.systems.overview import HEADLINES


def context(sources: Sources, runs: list[RunState]) -> dict[str, Any]:
    """Values of the template; what was not built is None."""
    built, leaders = _headlines(sources), leaderboard.lines(sources)
    trained, verdicts = [run for run in runs if run.card], _by_paper(sources)
    reduced_runs = {run.name for run in trained if run.changed}
    places = {label: name for label, (name, _, _) in HEADLINES.items()}
    return {
        "drawn": sources.params.download.source == "phantom",
        "no_full_run": 0 < len(trained) == len(reduced_runs),
        "leaders": leaders,
        "leader_columns": leaderboard.COLUMNS,
        "counts": leaderboard.images(leaders),
        "seeded": any(row["sd"] for line in leaders for row in line.cells.values() if row),
        "findings": sentences(sources.results / CLAIMS, sources.results / "tables"),
        "papers": [
            {"paper": paper(system), "file": paper_file(system), "reference": references()[system]}
            for system in SYSTEMS
        ],
        "table": built,
        "links": {label: f"{_page_of(name)}#{name.replace('/', '-')}" for label, name in places.items()},
        "chart": charts.embedded(charts.headlines(_points(built))) if built else None,
        "confidence": f"{100 * sources.params.evaluate.bootstrap.confidence:g}",
        "verdicts": verdicts,
        "words": [w for w in WORDS if w == REPRODUCED or any(item["counts"][w] for item in verdicts)],
        "runs": by_system(runs),
        "trained": len(trained),
        "run_count": len(runs),
        "reduced_runs": reduced_runs,
    }


def _page_of(table: str) -> str:
    """File of the page that a table is on."""
    system = table.split("/", maxsplit=1)[0]
    return paper_file(system) if system in SYSTEMS else STATISTICS.file


def _headlines(sources: Sources) -> BuiltTable | None:
    """The overview; a verdict there knows how many decimals the paper's own table prints."""
    built = table(sources, "common/overview")
    if built is None:
        return None
    rows = []
    for row in built.rows:
        name, _, column = HEADLINES.get(row["row"], (row["column"], "", ""))
        rows.append(row_of(sources, name, row.cells, column))
    return BuiltTable(built.name, built.caption, built.deviations, rows, built.remarks)


def _points(built: BuiltTable) -> list[dict[str, Any]]:
    """Dots of the chart, in percent; the text of a dot is as in the table."""
    found = []
    for row in built.rows:
        factor = 1.0 if row["unit"] == Unit.PERCENT else 100.0
        label = row["row"].replace(", percent", "").replace(" (printed: CT)", "")
        printed = charts.OTHER if row.elsewhere else charts.PRINTED
        sides = (
            (0, printed, row["published"], "", ""),
            (1, charts.PAPER, row["measured_paper"], "", ""),
            (2, charts.CORRECT, row["measured_correct"], row["ci_low"], row["ci_high"]),
        )
        for lane, kind, text, low, high in sides:
            value = rounded(text) if text else None
            if value is None:
                continue
            dot: dict[str, Any] = {"label": label, "kind": kind, "lane": lane, "percent": factor * value.value}
            dot["shown"] = shown(text, row.decimals)
            if low and high:
                dot |= {"low": factor * float(low), "high": factor * float(high)}
                dot["shown"] += f" [{shown(low)}, {shown(high)}]"
            found.append(dot)
    return found


def _by_paper(sources: Sources) -> list[dict[str, Any]]:
    """Per paper: how many values it prints, how many have which verdict, and both of each kind of value (`kinds`)."""
    known, found = records(sources.results), []
    for system in SYSTEMS if known else ():
        rows = [record for record in known if record["system"] == system]
        counts = Counter(record["verdict"] for record in rows)
        shown = {"paper": paper(system), "file": paper_file(system), "values": len(rows)}
        found.append(shown | {"counts": counts, "kinds": tallies(rows)})
    return found
