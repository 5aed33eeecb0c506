"""Tables that a paper's YAML describes: every one is made, and what a file cannot mean is refused with its place."""

from typing import Any

import pytest
import yaml

from covidqu.report.catalogue import ARTEFACTS
from covidqu.report.core.artefacts import MEASURED
from covidqu.report.core.measures import Classes, Mask
from covidqu.report.core.published import SYSTEMS, paper, printed
from covidqu.report.papers import measured
from covidqu.report.papers.counts import Images, Scored
from covidqu.report.papers.measured import Block, blocks

DESCRIBED = {f"{system}/{name}" for system in SYSTEMS for name, t in paper(system).tables.items() if t.measured}


def test_a_table_is_described_where_no_function_makes_it() -> None:
    assert {one.name for one in ARTEFACTS if one.make == MEASURED} == DESCRIBED


@pytest.mark.parametrize("name", sorted(DESCRIBED))
def test_each_cell_is_described_once_and_each_printed_value_has_one(name: str) -> None:
    cells = [place for block in blocks(name) for place in block.measures()]
    assert len(set(cells)) == len(cells)
    system, short = name.split("/")
    wanted = {place for place in printed(name) if paper(system).only(short, place[0]) is None}
    assert wanted <= set(cells)


def test_what_a_block_means() -> None:
    text = """
    each: {run: net}
    rows: {Normal: {label: Normal}, COVID-19: {label: COVID-19}}
    columns: {n: {kind: scored}, Dice: {kind: mask, metric: dice, paper: img_all_e1}, Acc: {kind: classes, metric: f1}}
    """
    found = Block.model_validate(yaml.safe_load(text)).measures()
    assert list(found) == [(row, column) for row in ("Normal", "COVID-19") for column in ("n", "Dice", "Acc")]
    assert found["Normal", "n"] == Scored(run="net", label="Normal")
    assert found["Normal", "Dice"] == Mask(run="net", metric="dice", paper="img_all_e1", label="Normal")
    assert found["COVID-19", "Acc"] == Classes(run="net", metric="f1", label="COVID-19")
    false = Block(each={"run": "net"}, rows={"Normal": {"correct": "fp_normal"}}, columns="false infection").measures()
    assert len(false) == 5 and {one.correct for one in false.values()} == {"fp_normal"}
    counts = Block(each={"kind": "images"}, rows={"Test": {"split": "Test"}}, columns={"all": {"labels": ["Normal"]}})
    assert counts.measures() == {("Test", "all"): Images(split="Test", labels=["Normal"])}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"metric": "dice"}, "r / c: `kind` must be one of mask, classes, prevalence, loss, images, scored"),
        ({"kind": "maks"}, "`kind` must be one of"),
        ({"kind": "mask", "metric": "dice", "correct": "img_covid", "run": "other"}, "r / c: said twice: run"),
        ({"kind": "mask", "metric": "dice", "corect": "img_covid"}, "corect: unknown key; valid here: clean, correct"),
        ({"kind": "mask", "correct": "img_covid"}, "metric: required key is missing"),
        ({"kind": "mask", "metric": "dice", "correct": "img_cov"}, "no protocol is called 'img_cov'"),
        ({"kind": "classes", "metric": "accuracy", "label": "Normal"}, "accuracy is of all classes"),
    ],
)
def test_faults_name_the_cell_and_the_key(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Block(each={"run": "net"}, rows={"r": {}}, columns={"c": keys}).measures()


def test_faults_name_the_file_and_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = paper("unet-roi")
    table = whole.tables["table-3"].model_copy(update={"measured": [{"row": {"a": {}}, "columns": {"b": {}}}]})
    broken = whole.model_copy(update={"tables": whole.tables | {"table-3": table}})
    monkeypatch.setattr(measured, "paper", lambda _: broken)
    with pytest.raises(ValueError, match=r"unet-roi.yaml: tables.table-3.measured: 0.rows: required key is missing"):
        blocks.__wrapped__("unet-roi/table-3")
