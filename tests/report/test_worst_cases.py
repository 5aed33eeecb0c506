"""The worst cases of our system: ranked by Dice, each with what its scores say, what was read, and a picture."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from covidqu.config.params import Params
from covidqu.data.index import open_packed, unpack_mask
from covidqu.evaluate.predictions import META_KEYS
from covidqu.report import catalogue
from covidqu.report.core.artefacts import Reads
from covidqu.report.core.cells import Table
from covidqu.report.core.runs import OURS
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.colours import LIGHT_BLUE, YELLOW
from covidqu.report.figures import figure
from covidqu.report.systems import worst_cases
from covidqu.report.systems.readings import Reading, parse, readings
from covidqu.report.tables import build
from support.synthetic_runs import PX, cell, settings, write_run

NAME = "common/worst-cases"
BEST = "infection Dice of the best other headline run"


@pytest.fixture(scope="module")
def params() -> Params:
    return settings()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    """Ours and two other headline runs; one image that ours leaves blank, one that only ours was scored on."""
    folder = tmp_path_factory.mktemp("results")
    for run in (OURS, "unetpp-b3", "swin-dual-infection"):
        write_run(folder, params, run, {})
    path = folder / "runs" / OURS / "scores.parquet"
    scores = pd.read_parquet(path)
    annotated = int(scores.loc[5, "infection_tp"] + scores.loc[5, "infection_fn"])
    scores.loc[5, ["infection_tp", "infection_fp", "infection_fn"]] = [0, 0, annotated]
    scores.loc[7, ["infection_tp", "infection_fp", "infection_fn"]] = [10, 990, 3000]
    scores.to_parquet(path)
    for run in ("unetpp-b3", "swin-dual-infection"):
        other = folder / "runs" / run / "scores.parquet"
        pd.read_parquet(other).drop(index=7).to_parquet(other)
    return folder


@pytest.fixture(scope="module")
def built(params: Params, results: Path) -> Table:
    return build(Sources(params, results / "no data", results), NAME)


def value(table: Table, row: str, column: str) -> object:
    return cell(table, row, column).measured_correct


def test_ranks_are_by_dice_of_images_with_infection(built: Table, results: Path) -> None:
    dice = [c.measured_correct for c in built.cells if c.column == "infection Dice"]
    assert len(dice) == 12, "no image without infection, and as many as there are"
    assert dice == sorted(dice) and dice[:2] == [0.0, pytest.approx(20 / 4010)]
    assert (value(built, "rank 1", "image"), value(built, "rank 2", "image")) == (
        "infection/Test/COVID-19/scored-5",
        "infection/Test/COVID-19/scored-7",
    )
    worst = worst_cases.worst_images(pd.read_parquet(results / "runs" / OURS / "scores.parquet"), 3)
    assert worst["name"].tolist()[:2] == ["5", "7"] and len(worst) == 3


def test_equal_dice_go_by_id(results: Path) -> None:
    scores = pd.read_parquet(results / "runs" / OURS / "scores.parquet").iloc[::-1]
    scores[["infection_tp", "infection_fp"]] = 0
    assert worst_cases.worst_images(scores, 3)["name"].tolist() == ["0", "1", "10"]


def test_a_row_says_what_the_scores_say(built: Table, results: Path, params: Params) -> None:
    image = pd.read_parquet(results / "runs" / OURS / "scores.parquet").loc[7]
    assert value(built, "rank 2", "annotated infection, share of the image") == 3010 / PX
    assert value(built, "rank 2", "predicted infection, share of the image") == 1000 / PX
    lung = 2 * image["lung_tp"] / (2 * image["lung_tp"] + image["lung_fp"] + image["lung_fn"])
    assert value(built, "rank 2", "lung Dice") == pytest.approx(lung)
    logits = image[[f"class_logit_{k}" for k in range(3)]].to_numpy(float)
    softmax = np.exp(logits) / np.exp(logits).sum()
    assert value(built, "rank 2", "probability of COVID-19") == pytest.approx(
        softmax[params.run(OURS).class_map["COVID-19"]]
    )
    doubles = {c.row for c in built.cells if c.column.startswith("near-duplicate") and c.measured_correct == "yes"}
    assert {value(built, row, "image") for row in doubles} == {"infection/Test/COVID-19/scored-0"}


def test_the_best_other_run_is_named(built: Table, results: Path) -> None:
    others = {run: pd.read_parquet(results / "runs" / run / "scores.parquet").loc[5] for run in
              ("unetpp-b3", "swin-dual-infection")}  # fmt: skip
    dice = {run: 2 * s["infection_tp"] / (2 * s["infection_tp"] + s["infection_fp"] + s["infection_fn"])
            for run, s in others.items()}  # fmt: skip
    best = cell(built, "rank 1", BEST)
    assert best.run == max(dice, key=dice.get) and best.measured_correct == pytest.approx(max(dice.values()))
    assert cell(built, "rank 2", BEST).words == "not run: no other headline run was scored on this image"


def test_readings(params: Params, results: Path, built: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cell(built, "rank 1", "reading").note == "not looked at"
    known = {"infection/Test/COVID-19/scored-5": Reading(cause="device", words="tubes over both lungs")}
    monkeypatch.setattr(worst_cases, "readings", lambda: known)
    read = cell(build(Sources(params, results, results), NAME), "rank 1", "reading")
    assert (read.measured_correct, read.note) == ("device", "tubes over both lungs")


def test_the_file_of_readings_is_checked() -> None:
    assert all(isinstance(found, Reading) for found in readings().values())
    assert parse("# nothing yet\n", "f") == {}
    with pytest.raises(ValueError, match=r"r\.yaml: a\.cause: .*'annotation', 'device', 'projection' or 'model'"):
        parse("a: {cause: weather, words: x}", "r.yaml")
    with pytest.raises(ValueError, match=r"r\.yaml: a\.words: required key is missing"):
        parse("a: {cause: model}", "r.yaml")


def test_without_the_run_it_says_why(params: Params, tmp_path: Path) -> None:
    (only,) = build(Sources(params, tmp_path, tmp_path), NAME).cells
    assert only.words == f"not run: run {OURS} has no scores.parquet and no card.json" and not only.measured


def test_targets_know_what_the_figure_shows(params: Params) -> None:
    one = catalogue.figure(NAME, params)
    assert one.kind == "png" and one.behind(params) == ["reference-lung", OURS]
    assert [file for file in one.results(params) if "predictions" in file] == [f"runs/{OURS}/predictions.npz"]
    assert Reads.DATA | Reads.IMAGES in one.reads


def drawn(tmp_path: Path, packed: Path, params: Params, count: int) -> np.ndarray:
    """(height, width, 3) of the figure of `count` infected phantoms; predictions are the annotation, moved."""
    (tmp_path / "packed").symlink_to(packed)
    opened = open_packed(packed)
    test = (
        (opened.index["subset"] == "infection") & (opened.index["split"] == "Test") & (opened.index["infection_px"] > 0)
    )
    rows = np.flatnonzero(test)[:count]
    masks = np.roll(unpack_mask(opened.infection_masks[rows]), 30, axis=1)
    folder = tmp_path / "results" / "runs" / OURS
    folder.mkdir(parents=True)
    counts = {"infection_tp": 0, "infection_fp": 9, "infection_fn": 9, "infection_tn": PX - 18}
    scores = opened.index.loc[rows, ["id", "label", "name"]].assign(row=rows, near_duplicate=False, n_px=PX, **counts)
    scores.to_parquet(folder / "scores.parquet")
    (folder / "card.json").write_text(
        json.dumps({"config": params.run(OURS).model_dump(mode="json"), "epochs_run": 3, "best_epoch": 2})
    )
    meta = json.dumps(dict.fromkeys(META_KEYS, "") | {"run": OURS, "tasks": ["infection"]})
    logits = np.where(masks, 3.0, -3.0).astype(np.float16)
    np.savez(folder / "predictions.npz", row=rows.astype(np.int32), infection_logits=logits, meta=meta)
    figure(Sources(params, tmp_path, tmp_path / "results"), NAME, tmp_path / "f.png")
    return imread(tmp_path / "f.png")[..., :3]


def test_the_figure_has_both_outlines(tmp_path: Path, packed: Path, params: Params) -> None:
    pixels = drawn(tmp_path, packed, params, 2)
    half = pixels.shape[1] // 5
    for colour in (YELLOW, LIGHT_BLUE):
        near = np.abs(pixels - np.array(to_rgb(colour))).max(axis=2) < 0.05
        assert near[:, : 2 * half].sum() > 100, "in the first two of five pairs"
        assert not near[:, 2 * half :].any(), "nothing is drawn where there is no image"
