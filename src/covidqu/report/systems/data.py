"""Table `common/data`: every fact of the audit beside the papers' counts. Input: audit.json; output: cells."""

from dataclasses import replace
from typing import Any

from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind
from covidqu.report.core.run_cells import not_run
from covidqu.report.core.sources import Sources

NOT_MEASURED = ("expected_counts", "limits")  # keys of audit.json: the papers' counts, and sentences


def table(sources: Sources) -> list[Cell]:
    """A row per fact, named by its path in audit.json."""
    if sources.audit is None:
        return [not_run("audit", "value", "the audit was not made")]
    measured = {key: value for key, value in sources.audit.items() if key not in NOT_MEASURED}
    wanted = dict(flatten({"counts": sources.audit.get("expected_counts")}))
    return [_fact(row, value, wanted.get(row)) for row, value in flatten(measured)]


def _fact(row: str, value: Value, printed: Value) -> Cell:
    if value is None:
        return replace(not_run(row, "value", "the audit could not tell from these data"), published=printed)
    return Cell(row, "value", printed, None, value, "", "audit", kind=Kind.DATA)


def flatten(value: Any, path: str = "") -> list[tuple[str, Value]]:
    """(dotted path, leaf) of nested dicts and lists; true and false become words."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in flatten(item, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in flatten(item, f"{path}.{i}")]
    return [(path, ("no", "yes")[value] if isinstance(value, bool) else value)]
