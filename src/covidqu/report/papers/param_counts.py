"""Tables of parameter counts: `swin-dual/table-params` part by part, `common/param-counts` run by run.

Input: architectures.json through `Sources.architectures` (every network as its run has it, and with the settings of
its full run). Output: cells whose values are whole numbers of parameters. A count is no measurement of quality.
"""

from typing import Any

from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Unit
from covidqu.report.core.published import printed
from covidqu.report.core.run_cells import not_run
from covidqu.report.core.sources import Sources

SWIN_RUNS = ("swin-dual-infection", "swin-dual-lung")  # one network; the first that is there is counted
TABLE = "swin-dual/table-params"
TOTAL = "total"
PARTS = ("encoder", "pyramid pooling", "dual decoders", "lung head", "infection head", "classification head", TOTAL)
UNITS = {"K": 1_000, "M": 1_000_000}
COUNTS = {"kind": Kind.ARCHITECTURE, "unit": Unit.COUNT}
AS_PAPER, AS_RUN = "parameters with the paper's settings", "parameters of the run as configured"


def rounds_to(count: int, stated: str) -> bool:
    """Whether a count is `stated` ("27.52M") when written with as many decimals; ValueError without K or M."""
    number, unit = stated[:-1], stated[-1:]
    if unit not in UNITS:
        raise ValueError(f"'{stated}': want a number with K or M, as 27.52M")
    decimals = len(number.partition(".")[2])
    return f"{count / UNITS[unit]:.{decimals}f}" == number


def swin_parts(sources: Sources) -> list[Cell]:
    """The six printed counts and the pyramid pooling, which closes the total; then the total of the run's network."""
    run = next((name for name in SWIN_RUNS if name in (sources.architectures or {})), SWIN_RUNS[0])
    known, reason = _network(sources, run)
    if known is None:
        return [not_run(row, "parameters", reason) for row in PARTS]
    paper = known["paper"]
    counts = {part["name"]: int(part["parameters"]) for part in paper["parts"]} | {TOTAL: int(paper["parameters"])}
    stated = printed(TABLE)
    cells = []
    for row in PARTS:
        if row not in counts:
            cells.append(not_run(row, "parameters", f"{run} has no part of this name"))
            continue
        note = _agreement(counts[row], stated.get((row, "parameters")))
        value = counts[row]
        cells.append(Cell(row, "parameters", None, value, value, AS_PAPER, AS_PAPER, run=run, note=note, **COUNTS))
    listed = sum(counts.get(row, 0) for row in PARTS if row != TOTAL)
    word = "equals the total" if listed == counts[TOTAL] else "is not the total: parts are missing"
    cells.append(Cell("sum of the parts", "parameters", None, None, listed, "", AS_PAPER, run=run, note=word, **COUNTS))
    own = int(known["parameters"])
    cells.append(Cell(TOTAL, "parameters of the run", None, None, own, "", AS_RUN, run=run, **COUNTS))
    return cells


def _agreement(count: int, stated: Any) -> str:
    if stated is None:
        return "not printed"
    return f"rounds to the printed {stated}" if rounds_to(count, str(stated)) else f"does not round to {stated}"


def _network(sources: Sources, run: str) -> tuple[dict[str, Any] | None, str]:
    """A run's entry of architectures.json, or why there is none."""
    if sources.architectures is None:
        return None, "the architectures were not described"
    if run not in sources.architectures:
        return None, f"architectures.json has no run {run}"
    return sources.architectures[run], ""


def all_runs(sources: Sources) -> list[Cell]:
    """Rows are base runs; columns: as configured, with the paper's settings (beside the printed count, if any)."""
    totals = {run: printed(TABLE)[TOTAL, "parameters"] for run in SWIN_RUNS}
    cells = []
    for run in sources.params.base_runs:
        known, reason = _network(sources, run)
        columns = {"as configured": AS_RUN, "with the paper's settings": AS_PAPER}
        if known is None:
            cells += [not_run(run, column, reason) for column in columns]
            continue
        shown = {"as configured": known, "with the paper's settings": known["paper"]}
        for column, how in columns.items():
            count, stated = int(shown[column]["parameters"]), totals.get(run) if how == AS_PAPER else None
            size = " x ".join(map(str, shown[column]["input"]))
            words = [known["net"], f"input {size}"]
            words += [_agreement(count, stated)] if how == AS_PAPER else []
            note = "; ".join(words)
            cells.append(Cell(run, column, stated, None, count, "", how, run=run, note=note, **COUNTS))
    return cells
