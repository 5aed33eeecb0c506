"""Tables of paper 000 from synthetic scores: its protocol, recall printed as accuracy, no Dice where nothing is ill."""

from pathlib import Path

import numpy as np
import pytest

from covidqu.report.core.cells import Table
from covidqu.report.core.sources import Sources
from covidqu.report.tables import build
from support.synthetic_runs import cell, scores_of, settings, write_run

PARAMS = settings()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("swin")
    for run in ("swin-dual-lung", "swin-dual-infection"):
        write_run(root, PARAMS, run, {"epochs": 2} if run == "swin-dual-lung" else {})
    return Sources(PARAMS, root / "data", root)


@pytest.fixture(scope="module")
def table_5(sources: Sources) -> Table:
    return build(sources, "swin-dual/table-5")


def decided(run: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label, target and decision per image."""
    s = scores_of(PARAMS, run)
    return s["label"].to_numpy(), s["class_target"].to_numpy(), s.filter(like="class_logit").to_numpy().argmax(axis=1)


def test_lung_dice_of_a_class_is_smoothed_on_the_papers_side_only(sources: Sources) -> None:
    s = scores_of(PARAMS, "swin-dual-lung")
    s = s[s["label"] == "Normal"]
    tp, fp, fn = (s[f"lung_{c}"].to_numpy(float) for c in ("tp", "fp", "fn"))
    found = cell(build(sources, "swin-dual/table-4"), "Normal", "Dice")
    assert found.measured_paper == pytest.approx(((2 * tp + 1) / (2 * tp + fp + fn + 1)).mean())
    assert found.measured_correct == pytest.approx((2 * tp / (2 * tp + fp + fn)).mean())
    assert found.measured_paper != found.measured_correct
    assert (found.published, found.n, found.protocol_paper) == (0.9844, 6, "img_smooth1")


def test_acc_of_a_class_is_its_recall(sources: Sources) -> None:
    built = build(sources, "swin-dual/table-4")
    label, target, found = decided("swin-dual-lung")
    acc, recall = cell(built, "Non-COVID", "Acc"), cell(built, "Non-COVID", "Recall")
    assert acc.measured_correct == recall.measured_correct == pytest.approx((found == 1)[label == "Non-COVID"].mean())
    assert acc.measured_paper == acc.measured_correct and "recall" in acc.note
    precision = cell(built, "COVID-19", "Precision")
    assert precision.measured_correct == pytest.approx((target == 2)[found == 2].mean())
    assert precision.published == 0.9751


def test_overall_numbers_weight_images_not_classes(sources: Sources) -> None:
    built = build(sources, "swin-dual/text")
    _, target, found = decided("swin-dual-infection")
    assert cell(built, "phase2 accuracy", "value").measured_correct == pytest.approx((target == found).mean())
    s = scores_of(PARAMS, "swin-dual-lung")
    tp, fp, fn = (s[f"lung_{c}"].to_numpy(float) for c in ("tp", "fp", "fn"))
    overall = cell(built, "phase1 lung Dice (test 6788)", "value")
    assert overall.measured_correct == pytest.approx((2 * tp / (2 * tp + fp + fn)).mean())
    assert overall.n == 24, "the table says how many images it is from, not how many the paper had"


def test_images_without_infection_have_false_positives_instead_of_a_dice(table_5: Table) -> None:
    s = scores_of(PARAMS, "swin-dual-infection")
    painted = s.loc[s["label"] == "Normal", "infection_fp"].to_numpy(float)
    found = cell(table_5, "Normal", "I.Dice")
    assert found.published == 0.0001
    assert found.measured_paper == pytest.approx((1 / (painted + 1)).mean()), "blank images count 1"
    assert found.measured_correct is None and found.ci_low is None and "false-positive area" in found.note
    assert cell(table_5, "Normal", "share with a positive pixel").measured_correct == pytest.approx(
        (painted > 0).mean()
    )
    covid = cell(table_5, "COVID-19", "I.Dice")
    assert covid.measured_correct is not None and covid.n == 12 and covid.published == 0.7407


def test_ancestors_and_remarks_are_named(sources: Sources, table_5: Table) -> None:
    assert "swin-dual-lung: REDUCED RUN (epochs 2 instead of 50)" in table_5.heading.text, "phase 2 starts from phase 1"
    for name in ("swin-dual/table-4", "swin-dual/table-5"):
        remarks = " ".join(build(sources, name).remarks)
        assert "different collections" in remarks and "img_smooth1" in remarks and "img_covid" in remarks


def test_classes_from_the_small_subset_are_named_too(tmp_path: Path) -> None:
    write_run(tmp_path, PARAMS, "swin-dual-lung", {"subset": "infection"})
    title = build(Sources(PARAMS, tmp_path, tmp_path), "swin-dual/table-4").heading.text
    assert "lung masks and classes from the infection subset (104 images), not from the 33,920-image" in title
