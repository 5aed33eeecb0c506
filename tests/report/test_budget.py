"""Dice after each epoch against the cost until then, from histories, cards and speeds that are known by hand."""

import json
from pathlib import Path

import pytest

from covidqu.config.params import Params
from covidqu.report import catalogue
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.runs import trained_on_infection
from covidqu.report.core.sources import Sources
from covidqu.report.figures import figure
from covidqu.report.systems.budget import DICE, IMAGES, MINUTES, path
from covidqu.report.systems.budget import figure as budget_figure
from covidqu.report.systems.headline_runs import HEADLINE_RUNS
from covidqu.report.tables import build
from support.synthetic_runs import cell, settings, write_cost, write_run


@pytest.fixture(scope="module")
def params() -> Params:
    return settings()


@pytest.fixture
def results(tmp_path: Path, params: Params) -> Path:
    """Three epochs of 60 images per run, ten images a second; phase 1 of paper 000 had four."""
    for run in params.base_runs:
        write_run(tmp_path, params, run, {})
    card = tmp_path / "runs/swin-dual-lung/card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"epochs_run": 4}))
    write_cost(tmp_path, params)
    return tmp_path


def test_costs_of_the_weights_it_starts_from_come_first(params: Params, results: Path) -> None:
    sources = Sources(params, results, results)
    second = path(sources, "swin-dual-infection")
    assert [point.images for point in second] == [240 + 60, 240 + 120, 240 + 180]
    assert [point.minutes for point in second] == pytest.approx([0.5, 0.6, 0.7])
    assert [point.dice for point in second] == [0.2, 0.45, 0.44]
    assert [point.images for point in path(sources, "unetpp-b3")] == [60, 120, 180], "of the hub: they cost nothing"


def test_table_has_a_row_per_epoch(params: Params, results: Path) -> None:
    built = build(Sources(params, results, results), "common/budget")
    runs = trained_on_infection(params)
    assert {c.run for c in built.cells} == set(runs) and len(built.cells) == 3 * 3 * len(runs)
    assert "unet-roi-infection-predicted" not in runs and "reference-seed1" not in runs
    row = "reference, epoch 2"
    assert cell(built, row, IMAGES).measured_correct == 180 + 120
    assert cell(built, row, MINUTES).measured_correct == pytest.approx(0.5)
    dice = cell(built, row, DICE)
    assert (dice.measured_correct, dice.split) == (0.45, "deduplicated Val")


def test_what_is_not_known_is_not_run(params: Params, results: Path, tmp_path: Path) -> None:
    (results / "cost.json").unlink()
    (results / "runs/unetpp-b3/history.csv").unlink()
    sources = Sources(params, results, results)
    built = build(sources, "common/budget")
    assert cell(built, "unetpp-b3", DICE).words == "not run: run unetpp-b3 has no val_infection_dice in its history.csv"
    assert cell(built, "reference, epoch 1", MINUTES).words == "not run: the step `cost` was not run"
    assert cell(built, "reference, epoch 1", DICE).measured_correct == 0.2
    with pytest.raises(ValueError, match="run the steps `train` and `cost`"):
        figure(sources, "common/budget", tmp_path / "budget.svg")


def test_figure_draws_each_run_once(params: Params, results: Path, tmp_path: Path) -> None:
    (axes,) = budget_figure(Sources(params, results, results), Wanted([], "words")).axes
    trained = [row for row, run in HEADLINE_RUNS.items() if params.run(run).epochs]
    lines = {line.get_label(): line for line in axes.lines}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == trained
    assert len(axes.lines) == len(trained_on_infection(params))
    ours = lines["reference (ours)"]
    assert list(ours.get_xdata()) == pytest.approx([0.4, 0.5, 0.6]) and list(ours.get_ydata()) == [0.2, 0.45, 0.44]
    for name in ("a.svg", "b.svg"):
        figure(Sources(params, results, results), "common/budget", tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_targets_name_what_is_read(params: Params) -> None:
    for one in (catalogue.table("common/budget", params), catalogue.figure("common/budget", params)):
        assert {"swin-dual-lung", "reference-lung", "reference"} <= set(one.behind(params))
        assert "cost.json" in one.results(params)
