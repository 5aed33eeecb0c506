"""Tables that a paper's YAML describes: every one is made, and what a file cannot mean is refused with its place."""

from typing import Any

import pytest
import yaml

from covidqu.report.catalogue import ARTEFACTS
from covidqu.report.core.artefacts import MEASURED, Table
from covidqu.report.core.measures import Classes, Mask
from covidqu.report.core.published import SYSTEMS, paper, printed
from covidqu.report.papers import measured
from covidqu.report.papers.counts import Images, Scored
from covidqu.report.papers.measured import Block, described

DESCRIBED = {f"{system}/{name}" for system in SYSTEMS for name, t in paper(system).tables.items() if t.measured}


def test_a_table_is_described_where_no_function_makes_it_and_a_value_is_not_printed_only() -> None:
    plain = {one.name for one in ARTEFACTS if isinstance(one, Table) and one.make == MEASURED}
    assert plain >= DESCRIBED
    for system, short in (name.split("/") for name in plain - DESCRIBED):
        assert all(paper(system).only(short, row) for row, _ in printed(f"{system}/{short}")), f"{system}/{short}"


@pytest.mark.parametrize("name", sorted(DESCRIBED))
def test_each_cell_is_described_once_and_each_printed_value_has_one(name: str) -> None:
    cells = [(row, column) for row, column, *_ in described(name)]
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
        ({"metric": "dice"}, "r / c: `kind` must be one of mask, classes, prevalence, loss, images, scored, setting"),
        ({"kind": "maks"}, "`kind` must be one of"),
        ({"kind": "mask", "metric": "dice", "correct": "img_covid", "run": "other"}, "r / c: said twice: run"),
        ({"kind": "mask", "metric": "dice", "corect": "img_covid"}, "corect: unknown key; valid here: clean, correct"),
        ({"kind": "mask", "correct": "img_covid"}, "metric: required key is missing"),
        ({"kind": "mask", "metric": "dice", "correct": "img_cov"}, "no protocol is called 'img_cov'"),
        ({"kind": "classes", "metric": "accuracy", "label": "Normal"}, "accuracy is of all classes"),
        ({"kind": "setting", "of": "bach"}, "a setting needs a `value`, or `of`: image size, batch"),
        ({"kind": "setting", "of": "batch", "value": "8"}, "a setting needs a `value`, or `of`"),
    ],
)
def test_faults_name_the_cell_and_the_key(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Block(each={"run": "net"}, rows={"r": {}}, columns={"c": keys}).measures()


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"row": {"a": {}}, "columns": {"b": {}}}, "0.rows: required key is missing"),
        ({"rows": {"a": {}}, "columns": {"b": {"kind": "loss", "run": "net"}}}, "a / b: task: required key is missing"),
    ],
)
def test_faults_name_the_file_and_the_table(
    monkeypatch: pytest.MonkeyPatch, block: dict[str, Any], message: str
) -> None:
    whole = paper("unet-roi")
    table = whole.tables["table-3"].model_copy(update={"measured": [block]})
    broken = whole.model_copy(update={"tables": whole.tables | {"table-3": table}})
    monkeypatch.setattr(measured, "paper", lambda _: broken)
    with pytest.raises(ValueError, match=rf"unet-roi.yaml: tables.table-3.measured: {message}"):
        described.__wrapped__("unet-roi/table-3")
