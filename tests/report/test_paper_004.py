"""Tables of paper 004 from synthetic scores: percent, the two ways to average Dice, runs that stand in several rows."""

from pathlib import Path

import numpy as np
import pytest

from covidqu.report.core.cells import Table
from covidqu.report.core.sources import Sources
from covidqu.report.papers.paper_004 import EXPERIMENTS
from covidqu.report.tables import build
from support.synthetic_runs import cell, scores_of, settings, write_data, write_run

PARAMS = settings()
OURS = "Exp1: Ours (T1&T2&T3 256 x 256)"


@pytest.fixture(scope="module")
def table_2(tmp_path_factory: pytest.TempPathFactory) -> Table:
    root = tmp_path_factory.mktemp("recon")
    for run in dict.fromkeys(EXPERIMENTS.values()):
        if run in PARAMS.resolved:
            write_run(root, PARAMS, run, {})
    return build(Sources(PARAMS, root / "data", root), "recon-mtl/table-2", with_references=False)


def test_dice_is_soft_in_batches_for_the_paper_and_per_image_for_us(table_2: Table) -> None:
    s = scores_of(PARAMS, "recon-mtl-t123")
    tp, fp, fn = (s[f"infection_{c}"].to_numpy(float) for c in ("tp", "fp", "fn"))
    inter, predicted = s["infection_soft_intersection"].to_numpy(), s["infection_soft_prediction"].to_numpy()

    def soft(n: int) -> float:
        parts = [slice(i, min(i + 4, n)) for i in range(0, n, 4)]
        pooled = [(2 * inter[b].sum() + 1) / (predicted[b].sum() + (tp + fn)[b].sum() + 1) for b in parts]
        return 100 * float(np.mean(pooled))

    found = cell(table_2, OURS, "Dice")
    assert found.measured_paper == pytest.approx(soft(12)), "COVID-19 images come first"
    assert found.measured_correct == pytest.approx(100 * (2 * tp[:12] / (2 * tp + fp + fn)[:12]).mean())
    assert found.ci_low < found.measured_correct < found.ci_high and found.ci_high > 1
    assert (found.published, found.n, found.protocol_correct) == (78.52, 12, "img_covid")
    assert cell(table_2, OURS, "Dice, all images").measured_paper == pytest.approx(soft(24))


def test_a_run_stands_in_every_row_that_repeats_it(table_2: Table) -> None:
    assert {c.row for c in table_2.cells} == set(EXPERIMENTS) and len(EXPERIMENTS) == 10
    for column in ("Dice", "Acc", "Sens", "Spec", "AUC"):
        values = [cell(table_2, row, column).measured_correct for row in (OURS, "Exp2: Ours", "Exp3: Ours")]
        assert len(set(values)) == 1 and values[0] is not None


def test_classes_are_covid_19_against_the_rest(table_2: Table) -> None:
    s = scores_of(PARAMS, "recon-mtl-cnn8")
    infected, found = (s["label"] == "COVID-19").to_numpy(), s["class_logit_0"].to_numpy() > 0
    row = "Exp3: CNN 8-layers"
    assert cell(table_2, row, "Sens").measured_correct == pytest.approx(found[infected].mean())
    assert cell(table_2, row, "Spec").measured_correct == pytest.approx((~found)[~infected].mean())
    assert cell(table_2, row, "Acc").measured_paper == pytest.approx((found == infected).mean())
    assert cell(table_2, row, "AUC").n == 24
    assert not [c for c in table_2.cells if c.row == row and "Dice" in c.column], "it has no mask"


def test_large_inputs_are_not_run_for_a_reason(table_2: Table) -> None:
    for row in ("Exp1: T1 & T2 & T3 with 512 x 512", "Exp2: U-NET 512 x 512"):
        found = cell(table_2, row, "Dice")
        assert not found.measured and found.words.startswith("not run: run recon-mtl-")
        assert "up-sampled 256 px originals add no information (workflow/overlays/optional.yaml" in found.note


def test_our_split_in_the_papers_two_classes(tmp_path: Path) -> None:
    write_data(tmp_path / "data", ("infection",))
    built = build(Sources(PARAMS, tmp_path / "data", tmp_path), "recon-mtl/table-1")
    counts = [cell(built, "Train", c) for c in ("Non-COVID", "COVID", "Total")]
    assert [c.measured_correct for c in counts] == [6, 6, 12]
    assert [c.published for c in counts] == [495, 349, 844]
    assert "Normal and Non-COVID together" in counts[0].note and all("CT" in c.note for c in counts)
    assert cell(built, "Validation", "Total").measured_correct == 4


def test_counts_of_patients_are_printed_only(tmp_path: Path) -> None:
    write_run(tmp_path, PARAMS, "recon-mtl-t123", {})
    built = build(Sources(PARAMS, tmp_path, tmp_path), "recon-mtl/text")
    auc, patients = cell(built, "ROC AUC (Fig 5)", "value"), cell(built, "patients total", "value")
    assert auc.ci_low <= auc.measured_correct <= auc.ci_high and auc.published == 0.93
    assert (patients.published, patients.measured) == (1044, False) and "chest X-rays" in patients.note


def test_settings_that_the_text_states_stand_beside_those_of_the_run(tmp_path: Path) -> None:
    built, run = build(Sources(PARAMS, tmp_path, tmp_path), "recon-mtl/text"), PARAMS.run("recon-mtl-t123")
    shown = {c.row: c for c in built.cells if c.kind == "setting"}
    assert {row: c.published for row, c in shown.items()} == {
        "mini-batch size": 4,
        "learning rate": 0.0001,
        "epochs": 500,
        "early stopping": 35,
    }
    ours = (run.batch, f"{run.optimizer.lr:g}", run.epochs, run.patience)
    assert tuple(c.measured_paper for c in shown.values()) == ours
