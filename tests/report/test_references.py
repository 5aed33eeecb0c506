"""Reference rows: the same cells as a run's, from a reference's scores; and the table of what to expect."""

import json
import shutil
from copy import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from covidqu.config.params import Params
from covidqu.evaluate import protocols
from covidqu.evaluate.scores import read_scores
from covidqu.report import catalogue
from covidqu.report.comparison import _of_paper
from covidqu.report.core.published import paper
from covidqu.report.core.references import EVERY, PREFIX, Standing
from covidqu.report.core.sources import Sources
from covidqu.report.remarks import known
from covidqu.report.systems.references import _annotated_twice, grouped
from covidqu.report.tables import build
from support.places import ROOT
from support.synthetic_runs import LABELS, cell, settings, write_baselines, write_data, write_run

RUNS = ("swin-dual-infection", "unetpp-b3", "cbam-mtl-unet-proposed", "recon-mtl-t123")
MASKS, CLASSES = ["empty", "lungs", "mean-map"], ["border", "thumbnail", "lungs-blanked", "mask-shape"]


@pytest.fixture(scope="module")
def params() -> Params:
    return settings()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    root = tmp_path_factory.mktemp("references")
    write_data(root / "data", ("infection",))
    write_baselines(root / "results", params)
    for run in RUNS:
        write_run(root / "results", params, run, {})
    return root


@pytest.fixture
def sources(params: Params, folder: Path) -> Sources:
    return Sources(params, folder / "data", folder / "results")


def scored(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "results" / "baselines" / name / "scores.parquet")


def shown(sources: Sources, table: str) -> list[str]:
    """Reference rows of a table, each once."""
    return list(dict.fromkeys(c.row for c in build(sources, table).cells if c.row.startswith(PREFIX)))


def test_rows_of_runs_get_one_row_per_reference(sources: Sources) -> None:
    assert shown(sources, "common/cross-system") == [f"{PREFIX}{name}" for name in (*MASKS, *CLASSES)]
    assert shown(sources, "cbam-mtl/table-8") == [f"{PREFIX}{name}" for name in MASKS]
    assert f"{PREFIX}lungs, Dice Coefficient" in shown(sources, "unetpp-b3/table-2")


def test_a_reference_is_counted_like_the_run_beside_it(sources: Sources, folder: Path) -> None:
    built, scores = build(sources, "unetpp-b3/table-2"), scored(folder, "lungs")
    covid = scores[scores["label"] == "COVID-19"]
    tp, fp, fn = (covid[f"infection_{c}"] for c in ("tp", "fp", "fn"))
    found = cell(built, f"{PREFIX}lungs, Dice Coefficient", "Score, mean of COVID-19 images")
    assert found.measured_correct == pytest.approx((2 * tp / (2 * tp + fp + fn)).mean())
    assert (found.n, found.published, found.seeds, found.run) == (12, None, None, "")
    assert found.ci_low < found.measured_correct < found.ci_high
    assert found.note == "the annotated lungs are taken for infection"
    beside = cell(built, "Dice Coefficient", "Score")
    found = cell(built, f"{PREFIX}lungs, Dice Coefficient", "Score")
    assert (found.protocol_paper, found.protocol_correct) == (beside.protocol_paper, beside.protocol_correct)
    assert (found.n, found.split, beside.published, found.published) == (beside.n, beside.split, 0.896, None)
    sums = scores[["infection_tp", "infection_fp", "infection_fn"]].groupby(np.arange(24) // 8).sum().to_numpy()
    wanted = [1.0 if not s.any() else 2 * s[0] / (2 * s[0] + s[1] + s[2]) for s in sums]
    assert found.measured_paper == pytest.approx(np.mean(wanted))


def test_shortcuts_answer_the_question_of_the_head(sources: Sources, folder: Path) -> None:
    """Three classes, COVID-19 or Normal, COVID-19 or not: each with logits fitted for it, over the head's images."""
    scores, labels = scored(folder, "border"), np.array(LABELS)
    three = scores[[f"class_logit_{k}" for k in range(3)]].to_numpy().argmax(axis=1)
    recall = (three[labels == "Normal"] == 0).mean()
    found = cell(build(sources, "swin-dual/table-5"), f"{PREFIX}border, Normal", "Recall")
    assert found.measured_correct == pytest.approx(recall) and found.n == 24
    known = labels != "Non-COVID"
    logit = scores["class_logit_0_covid_vs_normal"].to_numpy()[known]
    truth = labels[known] == "COVID-19"
    built = build(sources, "cbam-mtl/table-4")
    found = cell(built, f"{PREFIX}border", "AUC")
    assert found.measured_correct == pytest.approx(100 * roc_auc_score(truth, logit)) and found.n == 18
    found = cell(built, f"{PREFIX}border", "Balanced Acc")
    assert found.measured_correct == pytest.approx(100 * balanced_accuracy_score(truth, logit > 0))
    found = cell(build(sources, "common/cross-system"), f"{PREFIX}border", "COVID-19 vs rest AUC")
    wanted = roc_auc_score(labels == "COVID-19", scores["class_logit_0_covid_vs_rest"])
    assert found.measured_correct == pytest.approx(wanted) and found.n == 24


def test_what_no_prediction_changes_is_not_repeated(sources: Sources) -> None:
    for table, columns in (
        ("swin-dual/table-5", {"Count", "L.Dice"}),
        ("unetpp-b3/table-3", {"Samples"}),
        ("unet-roi/table-4", {"Mean Loss", "Value, ROI predicted"}),
        ("cbam-mtl/table-4", {"Acc of always infected"}),
        ("recon-mtl/table-2", {"reconstruction MSE"}),
    ):
        cells = [c for c in build(sources, table).cells if c.row.startswith(PREFIX)]
        assert cells and not columns & {c.column for c in cells}
        assert all(c.measured and not c.row.endswith("Mean Loss") for c in cells)


def test_without_scores_or_on_other_images_the_row_says_so(params: Params, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "results", tmp_path / "results")
    shutil.rmtree(tmp_path / "results" / "baselines" / "lungs")
    sources = Sources(params, folder / "data", tmp_path / "results")
    found = cell(build(sources, "unetpp-b3/table-3"), f"{PREFIX}lungs", EVERY)
    assert found.words == "not run: baseline lungs has no scores.parquet" and not found.measured
    assert cell(build(sources, "common/references"), "lungs", EVERY).note == found.note
    found = cell(build(sources, "swin-dual/table-4"), f"{PREFIX}border", EVERY)
    assert found.words.startswith("not applicable: run swin-dual-lung is not tested on the infection images")


def test_a_standing_reference_hides_all_other_runs(sources: Sources, folder: Path) -> None:
    standing = Standing(sources, "lungs", ["unetpp-b3"])
    assert standing.why_no_run("unetpp-b3") is None
    assert standing.why_no_run("recon-mtl-t123") == "no reference stands for run recon-mtl-t123"
    assert standing.scores("unetpp-b3").equals(scored(folder, "lungs"))
    assert not sources.scores("unetpp-b3")["infection_tp"].equals(standing.scores("unetpp-b3")["infection_tp"])


def test_references_table(sources: Sources, folder: Path) -> None:
    built, scores = build(sources, "common/references"), scored(folder, "thumbnail")
    right = (scores["class_logit_0_covid_vs_rest"] > 0) == (scores["label"] == "COVID-19")
    found = cell(built, "thumbnail: COVID-19 or not", "accuracy")
    assert found.measured_correct == pytest.approx(right.mean()) and (found.n, found.split) == (24, "official Test")
    assert cell(built, "thumbnail: COVID-19 or Normal", "COVID-19 AUC").n == 18
    found = cell(built, "empty", "img_covid dice")
    assert found.measured_correct is not None and found.n == 12
    assert {c.row for c in built.cells} >= {*MASKS, *(f"{name}: three classes" for name in CLASSES)}


def test_agreement_of_near_duplicates(sources: Sources) -> None:
    """Masks of 6,000 and 7,000 first pixels, and two of 6,000: Dice 12/13 and 1; lungs are alike."""
    built, row = build(sources, "common/references"), "two annotations of near-duplicates"
    found = cell(built, row, "infection Dice")
    assert found.measured_correct == pytest.approx((12 / 13 + 1) / 2) and found.n == 2
    assert found.note.startswith("3 images in 1 groups")
    assert found.ci_low == found.ci_high == pytest.approx(found.measured_correct), "one group has no spread"
    assert cell(built, f"{row}, across splits", "infection IoU").measured_correct == 1
    assert cell(built, f"{row}, inside a split", "infection IoU").measured_correct == pytest.approx(6 / 7)
    assert cell(built, row, "lung Dice").measured_correct == 1


def test_without_a_pair_of_the_infection_subset_the_rows_say_so(sources: Sources) -> None:
    alone = copy(sources)
    alone.__dict__["duplicates"] = sources.duplicates.assign(subset_b="lung")
    found = _annotated_twice(alone)
    assert len(found) == 12 and all(c.words == f"not run: no pair has two {c.column.split()[0]} masks" for c in found)


def test_pairs_with_a_common_image_are_one_group() -> None:
    found = grouped(np.array([[1, 2], [5, 9], [2, 3], [9, 7], [4, 8]]))
    assert sorted(set(found)) == [0, 1, 2]
    assert found[0] == found[2] and found[1] == found[3] and len({found[0], found[1], found[4]}) == 3


def test_the_comparison_holds_no_reference_and_tables_say_what_they_are(sources: Sources) -> None:
    values = [row for system in ("unetpp-b3", "recon-mtl") for row in _of_paper(sources, paper(system))]
    assert values and not [row for row in values if str(row[3]).startswith(PREFIX)]
    assert known()[0]["baselines"] in build(sources, "unetpp-b3/table-2").remarks
    assert known()[0]["baselines"] not in build(sources, "unet-roi/table-1").remarks


def test_targets_declare_what_is_read(params: Params) -> None:
    found = {name: one.baselines_read(params) for name, one in catalogue.tables(params).items()}
    assert found["unetpp-b3/table-2"] == MASKS and found["cbam-mtl/table-9"] == CLASSES
    assert found["common/references"] == found["swin-dual/text"] == [*MASKS, *CLASSES]
    assert "baselines/lungs/scores.parquet" in catalogue.table("unetpp-b3/table-2", params).results(params)
    below = {name for name in found if catalogue.table(name, params).baselines}
    assert {name for name, read in found.items() if read} == {*below, "common/references"}


def test_committed_baselines_hold_the_known_numbers_of_the_real_images(params: Params) -> None:
    """583 of 1,166 test images are infected: blank masks are half right; lungs for infection come to Dice 0.646."""
    committed = ROOT / "results" / "lite"
    sources = Sources(params, committed / "nothing", committed)
    card = json.loads((committed / "runs" / "unetpp-b3" / "card.json").read_text())
    for name in params.baselines:
        path = committed / "baselines" / name / "scores.parquet"
        assert path.stat().st_size < 300_000
        scores, meta = read_scores(path)
        assert (meta["baseline"], meta["data_hash"], len(scores)) == (name, card["data_hash"], 1166)
    empty, lungs = (sources.baseline(name) for name in ("empty", "lungs"))
    assert protocols.summary("img_all_e1", empty, "infection")["dice"] == 0.5
    assert protocols.summary("img_covid", lungs, "infection")["dice"] == pytest.approx(0.646, abs=5e-4)
