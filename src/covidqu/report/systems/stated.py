"""Table `common/stated-settings`: what the papers state of their settings, beside the settings of our runs.

Input: `settings/*.yaml` of this package, and the cards of runs that were trained. Output: a row per statement. What a
paper's own tables print of its settings is in those tables, too. The comparison has these rows as well.
"""

from typing import Any

from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind
from covidqu.report.core.provenance import Entry, provenance, read
from covidqu.report.core.published import SYSTEMS
from covidqu.report.core.sources import Sources

COLUMN, HOW = "value", "settings of the run"
SHORT = "stated-settings"  # its name in the comparison


def table(sources: Sources) -> list[Cell]:
    """All statements, paper by paper."""
    return [cell for system in SYSTEMS for cell in of_system(sources, system)]


def of_system(sources: Sources, system: str) -> list[Cell]:
    """Those on all runs of a system, beside its first run; then those on single runs, and what the code fixes."""
    file, cells = read(system), []
    runs = [run for run in file.runs if run in sources.params.resolved]
    for place, run in enumerate(runs):
        own = {key for key, entry in file.runs[run].items() if isinstance(entry, Entry)}
        keys = own if place else own | set(file.settings)
        config = sources.card(run)["config"] if sources.has_card(run) else None
        cells += [
            _cell(f"{run}: {found.key}", run, found.value, found.actual, found.why)
            for found in provenance(sources.params, run, config)
            if found.how == "stated" and found.key in keys
        ]
    return cells + [
        _cell(f"{system}: {key}", "", fixed.value, fixed.ours or fixed.value, fixed.why)
        for key, fixed in file.code.items()
        if fixed.how == "stated"
    ]


def _cell(row: str, run: str, printed: Any, ours: Any, why: str) -> Cell:
    value = _value(ours)
    return Cell(row, COLUMN, _value(printed), value, value, HOW, HOW, run=run, note=why, kind=Kind.SETTING)


def _value(setting: Any) -> Value:
    """A number or words, as a table holds them."""
    if setting is None or setting == []:
        return "none"
    if isinstance(setting, bool):
        return "yes" if setting else "no"
    if isinstance(setting, list):
        return ", ".join(str(_value(item)) for item in setting)
    if isinstance(setting, dict):
        return ", ".join(f"{key} {_value(item)}" for key, item in setting.items())
    return setting
