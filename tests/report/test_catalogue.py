"""The catalogue: an entry per table and figure, each with a maker, its inputs and remarks that are its own."""

import inspect
import re
import subprocess
import sys

import pytest

from covidqu.config.params import Params
from covidqu.report import catalogue
from covidqu.report.catalogue import ARTEFACTS
from covidqu.report.core.artefacts import Artefact, Figure, Page, Table
from covidqu.report.core.published import OURS, SHOWN, SYSTEMS, heading, paper
from covidqu.report.remarks import known, remarks
from support.places import ROOT
from support.synthetic_runs import settings

TABLES = [one for one in ARTEFACTS if isinstance(one, Table)]
FIGURES = [one for one in ARTEFACTS if isinstance(one, Figure)]


@pytest.fixture(scope="module")
def params() -> Params:
    return settings(optional=True)


def test_a_name_is_that_of_one_table_and_one_figure() -> None:
    for kind in (TABLES, FIGURES):
        names = [one.name for one in kind]
        assert sorted(names) == sorted(set(names))
    assert {one.group for one in ARTEFACTS} == {*SHOWN, "common", "audit"}


@pytest.mark.parametrize("one", ARTEFACTS, ids=lambda one: f"{type(one).__name__.lower()} {one.name}")
def test_what_makes_it_is_there_and_takes_what_it_is_given(one: Artefact) -> None:
    parameters = inspect.signature(one.function()).parameters.values()
    needed = [p for p in parameters if p.default is p.empty]
    assert len(needed) == (2 if isinstance(one, Figure) else 1)


def test_tables_of_papers_are_those_that_print_something() -> None:
    """A table of a paper has the paper's caption, every other one its own."""
    ours = {one.name for one in TABLES if one.group in SYSTEMS}
    assert ours == {f"{system}/{short}" for system in SYSTEMS for short in paper(system).tables}
    assert all(bool(one.caption) is (one.group not in SYSTEMS) for one in TABLES)
    assert {one.page for one in ARTEFACTS if one.group in SHOWN} == {Page.STATISTICS}


def test_no_module_makes_a_table_that_no_entry_names() -> None:
    """By its convention a module of one table has a function `table`, one of a figure `figure`."""
    named = {one.make for one in ARTEFACTS}
    folder = ROOT / "src/covidqu/report"
    for file in [*folder.glob("systems/*.py"), *folder.glob("arithmetic/*.py")]:
        for what in re.findall(r"^def (table|figure)\(", file.read_text(), re.MULTILINE):
            assert f"{file.parent.name}.{file.stem}:{what}" in named


def test_remarks_are_of_tables_that_are_there_and_each_shared_one_is_used() -> None:
    sentences, tables = known()
    assert set(tables) <= {one.name for one in TABLES}
    used = {item for items in tables.values() for item in items}
    assert set(sentences) - used == {"baselines"}
    for one in TABLES:
        assert all(" " in sentence for sentence in remarks(one)), f"{one.name}: a name without a sentence"
    by_name = {one.name: remarks(one) for one in TABLES}
    assert sentences["oracle"] in by_name["common/boundary"] and by_name["unet-roi/table-1"] == []
    assert sentences["baselines"] == by_name["unet-roi/table-4"][-1]


def test_what_makes_a_table_is_among_the_files_it_follows_from(params: Params) -> None:
    """No import names the modules: `code` computes them, and those of the overview are those of all tables."""
    calibration = catalogue.code([catalogue.table("common/calibration", params)])
    assert "src/covidqu/report/systems/calibration.py" in calibration
    assert "src/covidqu/report/systems/headline_runs.py" in calibration, "what it imports, too"
    assert "src/covidqu/report/papers/paper_004.py" not in calibration
    overview = catalogue.code([catalogue.table("common/overview", params)])
    assert set(catalogue.code(catalogue.tables(params).values())) <= set(overview)
    assert "src/covidqu/report/papers/paper_004.py" in overview
    assert all((ROOT / file).is_file() for file in overview)


def test_a_name_that_is_not_there_is_answered_with_those_that_are(params: Params) -> None:
    with pytest.raises(ValueError, match=r"no figure is called 'x/y'; figures are: .*unet-roi/figure-1"):
        catalogue.figure("x/y", params)


def test_the_catalogue_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'pandas', 'matplotlib', 'scipy', 'torch'}"
    code = f"import sys, covidqu.report.catalogue; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_system_has_a_heading_also_one_of_no_paper() -> None:
    assert [heading(system).split(":")[0] for system in SYSTEMS] == [f"Paper 00{n}" for n in range(5)]
    assert [heading(system) for system in (*OURS, "attention-unet")] == ["Ours: reference", "Ours: attention-unet"]
