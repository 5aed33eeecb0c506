"""What a reader of a table has to know: sentences printed below the Markdown table, from `remarks.yaml`."""

from functools import cache
from importlib.resources import as_file, files

from covidqu.config.reading import content
from covidqu.report.core.artefacts import Table
from covidqu.report.systems.protocols import definitions


@cache
def known() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Sentences that tables share, by name, and the remarks of each table; ValueError for a name without a sentence."""
    with as_file(files("covidqu.report") / "remarks.yaml") as file:
        found = content(file)
    shared, tables = found["shared"], found["tables"]
    shared |= {"protocols": "\n".join(definitions())}
    for table, items in tables.items():
        lost = [item for item in items if " " not in item and item not in shared]
        if lost:
            raise ValueError(f"remarks.yaml: {table}: '{lost[0]}' is not in `shared`; known: {', '.join(shared)}")
    return shared, tables


def remarks(table: Table) -> list[str]:
    """The sentences below a table; below one with rows of baselines also what they are."""
    shared, tables = known()
    found = [shared.get(item, item) for item in tables.get(table.name, [])]
    return [*found, shared["baselines"]] if table.baselines else found
