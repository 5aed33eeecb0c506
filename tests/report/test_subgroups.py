"""Subgroups, pairs of systems, severity, calibration and gaps as tables and figures of synthetic runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from covidqu.config.params import Params
from covidqu.evaluate.classification import of_scores
from covidqu.report import catalogue
from covidqu.report.arithmetic.printed_gap import pairs
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.cells import Table
from covidqu.report.core.runs import calibrated, lineage
from covidqu.report.core.sources import Sources
from covidqu.report.figures import figure
from covidqu.report.systems.calibration import HEADS
from covidqu.report.systems.calibration import figure as reliability
from covidqu.report.systems.headline_runs import DRAWN_AS, HEADLINE_RUNS
from covidqu.report.systems.severity import bland_altman, shares
from covidqu.report.tables import build
from support.synthetic_runs import cell, scores_of, settings, write_run

FIGURES = ("common/bland-altman", "common/reliability", "common/dice-by-area")


@pytest.fixture(scope="module")
def params() -> Params:
    return settings()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    root = tmp_path_factory.mktemp("headline")
    for run in lineage(params, calibrated(params)):
        write_run(root, params, run, {})
    return root


@pytest.fixture(scope="module")
def sources(params: Params, results: Path) -> Sources:
    return Sources(params, results, results)


def dice(scores: pd.DataFrame) -> np.ndarray:
    tp, fp, fn = (scores[f"infection_{c}"].to_numpy(float) for c in ("tp", "fp", "fn"))
    return 2 * tp / np.maximum(1, 2 * tp + fp + fn)


def test_pairs_of_systems(sources: Sources) -> None:
    built, runs = build(sources, "common/pairwise"), list(HEADLINE_RUNS.items())
    covid = (sources.scores("unetpp-b3")["label"] == "COVID-19").to_numpy()
    values = {row: dice(sources.scores(run))[covid] for row, run in runs}
    raw = {}
    for i, (a, _) in enumerate(runs):
        for b, _ in runs[i + 1 :]:
            row = f"{a} minus {b}"
            found = cell(built, row, "infection Dice, difference")
            assert (found.n, found.measured_correct) == (12, pytest.approx((values[a] - values[b]).mean()))
            assert found.ci_low < found.measured_correct < found.ci_high and found.seeds == 1
            raw[row] = stats.wilcoxon(values[a] - values[b], zero_method="pratt").pvalue
            p = cell(built, row, "infection Dice, Wilcoxon p").measured_correct
            assert float(p) == pytest.approx(raw[row], rel=0.01)
    adjusted = multipletests(list(raw.values()), method="holm")[1]
    assert len(adjusted) == 21  # seven headline runs
    for row, wanted in zip(raw, adjusted, strict=True):
        found = cell(built, row, "infection Dice, Wilcoxon p, Holm")
        assert float(found.measured_correct) == pytest.approx(wanted, rel=0.01)
        assert found.protocol_correct == "Wilcoxon, adjusted for 21 pairs"
        pair = values[row.split(" minus ")[0]] - values[row.split(" minus ")[1]]
        exact = stats.permutation_test((pair,), np.mean, permutation_type="samples", vectorized=True).pvalue
        names = ("infection Dice, sign-flip p", "infection Dice, sign-flip p, Holm")
        flipped, holm = (float(cell(built, row, name).measured_correct) for name in names)
        assert flipped == pytest.approx(exact, abs=0.02) and flipped <= holm <= 1


def test_ours_stands_beside_every_other(sources: Sources) -> None:
    assert list(HEADLINE_RUNS.items())[-1] == ("reference (ours)", "reference")
    for name in ("common/cross-system", "common/severity", "common/subgroups", "common/boundary"):
        found = [c for c in build(sources, name).cells if c.row.startswith("reference (ours)")]
        assert found and all(c.run == "reference" and c.measured for c in found), name
    built = build(sources, "common/cross-system")
    scores = sources.scores("reference")
    covid = (scores["label"] == "COVID-19").to_numpy()
    assert cell(built, "reference (ours)", "infection Dice").measured_correct == pytest.approx(
        dice(scores)[covid].mean()
    )
    tp, fp, fn = (scores[f"lung_{c}"].to_numpy(float) for c in ("tp", "fp", "fn"))
    lung = cell(built, "reference (ours)", "lung Dice")
    assert lung.measured_correct == pytest.approx((2 * tp / (2 * tp + fp + fn)).mean()) and lung.n == 24
    logits = scores.filter(regex=r"^class_logit_").to_numpy(float)
    right = ((logits.argmax(axis=1) == 2) == covid).mean()
    assert cell(built, "reference (ours)", "COVID-19 vs rest accuracy").measured_correct == pytest.approx(right)


def test_without_ours_its_cells_say_so(params: Params, results: Path, tmp_path: Path) -> None:
    """A results folder in which it was not trained yet: the five are as before, its row says why."""
    (tmp_path / "runs").mkdir()
    for run in (results / "runs").iterdir():
        if run.name != "reference":
            (tmp_path / "runs" / run.name).symlink_to(run)
    built = build(Sources(params, tmp_path, tmp_path), "common/cross-system")
    ours = [c for c in built.cells if c.row == "reference (ours)"]
    assert ours and all("run reference has no scores.parquet" in c.note and not c.measured for c in ours)
    assert cell(built, "unetpp-b3", "infection Dice").measured


def test_each_headline_run_is_drawn_in_its_own_way() -> None:
    assert set(DRAWN_AS) == set(HEADLINE_RUNS)
    for kind in range(3):  # colour, marker, line
        assert len({style[kind] for style in DRAWN_AS.values()}) == len(DRAWN_AS) == 7


def test_panels_for_seven_runs(sources: Sources) -> None:
    drawn = bland_altman(sources, Wanted([], "c"))
    shown = [axes for axes in drawn.axes if axes.axison]
    assert [axes.get_title().split(" (n")[0] for axes in shown] == list(HEADLINE_RUNS)
    assert all(axes.get_xlabel() for axes in shown[-4:]) and not any(axes.get_xlabel() for axes in shown[:-4])
    reliable = reliability(sources, Wanted([], "c"))
    assert [axes.get_title().split(":")[0] for axes in reliable.axes] == [*HEADS, "masks"]


def test_heads_are_compared_on_images_that_both_know(sources: Sources) -> None:
    built = build(sources, "common/pairwise")
    both = cell(built, "swin-dual minus cbam-mtl", "COVID-19 vs rest accuracy, difference")
    assert both.n == 18 and "COVID-19 and Normal images" in both.note
    assert cell(built, "swin-dual minus recon-mtl", "COVID-19 vs rest AUC, difference").n == 24
    frames = [sources.scores(HEADLINE_RUNS[row]) for row in ("swin-dual", "cbam-mtl")]
    known = frames[0]["label"].isin(["COVID-19", "Normal"])
    truth = (frames[0]["label"][known] == "COVID-19").to_numpy()
    swin, cbam = (f.loc[known, [c for c in f if c.startswith("class_logit")]].to_numpy(float) for f in frames)
    areas = [
        roc_auc_score(truth, s) for s in (swin[:, 2] - np.logaddexp(swin[:, 0], swin[:, 1]), cbam[:, 1] - cbam[:, 0])
    ]
    found = cell(built, "swin-dual minus cbam-mtl", "COVID-19 vs rest AUC, difference")
    assert found.measured_correct == pytest.approx(areas[0] - areas[1])
    right = [(swin.argmax(axis=1) == 2) == truth, (cbam.argmax(axis=1) == 1) == truth]
    assert both.measured_correct == pytest.approx(right[0].mean() - right[1].mean())
    assert not [c for c in built.cells if "unetpp" in c.row and "AUC" in c.column]  # it has no class head


def test_subgroups_by_hand(sources: Sources) -> None:
    built, scores = build(sources, "common/subgroups"), sources.scores("unetpp-b3")
    covid = scores["label"] == "COVID-19"
    area = (scores["infection_tp"] + scores["infection_fn"])[covid]
    order, values = np.argsort(area.to_numpy(), kind="stable"), dice(scores[covid])
    groups = [values[order[i : i + 3]].mean() for i in range(0, 12, 3)]
    for place, name in enumerate(("1 of 4 (smallest)", "2 of 4", "3 of 4", "4 of 4 (largest)")):
        found = cell(built, "unetpp-b3", f"infection Dice, area group {name}")
        assert (found.n, found.measured_correct) == (3, pytest.approx(groups[place]))
    largest = cell(built, "unetpp-b3", "infection Dice, largest minus smallest of 4 area groups")
    assert (largest.n, largest.measured_correct) == (6, pytest.approx(groups[3] - groups[0]))
    near = cell(built, "unetpp-b3", "infection Dice, with a near-duplicate in Train or Val")
    assert (near.n, near.measured_correct) == (1, pytest.approx(values[0]))
    for label, who, share in (("Normal", "Normal", 1 / 6), ("Non-COVID", "other pneumonia", 2 / 6)):
        found = cell(built, "unetpp-b3", f"share with a positive pixel, {who}")
        assert (found.n, found.measured_correct) == (6, pytest.approx(share))
        large = (scores.loc[scores["label"] == label, "infection_fp"] > 0.01 * 256 * 256).mean()
        found = cell(built, "unetpp-b3", f"share with more than 1 % of the image positive, {who}")
        assert (found.n, found.measured_correct) == (6, pytest.approx(large))


def test_severity_in_points_of_the_lung(sources: Sources) -> None:
    built, scores = build(sources, "common/severity"), sources.scores("swin-dual-infection")
    covid = scores["label"] == "COVID-19"
    surplus = 100 * (scores["infection_fp"] - scores["infection_fn"]) / scores["lung_area_px"]
    found = cell(built, "swin-dual, COVID-19 images", "bias")
    assert (found.n, found.measured_correct) == (12, pytest.approx(surplus[covid].mean()))
    assert cell(built, "swin-dual, all images", "mean absolute error").measured_correct == pytest.approx(
        surplus.abs().mean()
    )
    own = cell(built, "swin-dual, all images", "bias, own lungs")
    lung = scores["lung_tp"] + scores["lung_fp"]
    predicted = 100 * (scores["infection_tp"] + scores["infection_fp"]) / lung
    annotated = 100 * (scores["infection_tp"] + scores["infection_fn"]) / scores["lung_area_px"]
    assert own.measured_correct == pytest.approx((predicted - annotated).mean())
    assert not [c for c in built.cells if c.row.startswith("unetpp") and "own lungs" in c.column]
    blank = scores.assign(lung_area_px=[0, *scores["lung_area_px"][1:]])
    assert len(shares(blank)[0]) == 23


def test_calibration_of_every_head_and_mask(sources: Sources, params: Params) -> None:
    built = build(sources, "common/calibration")
    heads = [run for run in params.base_runs if "class" in params.run(run).tasks]
    assert [c.row for c in built.cells if c.column == "Brier score"] == heads
    found, target = of_scores(sources.scores("cbam-mtl-unet-proposed"))
    brier = cell(built, "cbam-mtl-unet-proposed", "Brier score")
    assert (brier.n, brier.measured_correct) == (18, pytest.approx(((found[:, 1] - target) ** 2).mean()))
    scores = scores_of(params, "unetpp-b3")
    for label, who in (("Normal", "Normal"), ("Non-COVID", "other pneumonia")):
        chosen = scores[scores["label"] == label]
        area = cell(built, "unetpp-b3", f"expected area, {who} images").measured_correct
        assert area == pytest.approx(100 * (chosen["infection_soft_prediction"] / 65536).mean())


def test_gap_of_our_runs(sources: Sources) -> None:
    built, scores = build(sources, "common/protocols"), sources.scores("unetpp-b3")
    one = dice(scores[scores["label"] == "COVID-19"])
    iou = (one / (2 - one)).mean()
    found = cell(built, "unetpp-b3", "img_covid gap 2 IoU / (1 + IoU) - Dice")
    assert found.measured_correct == pytest.approx(2 * iou / (1 + iou) - one.mean())
    assert 0 < found.ci_low < found.ci_high
    for protocol in ("pooled_covid", "pooled_all"):
        gap = cell(built, "unetpp-b3", f"{protocol} gap 2 IoU / (1 + IoU) - Dice").measured_correct
        assert gap == pytest.approx(0, abs=1e-12)
    assert cell(built, "unetpp-b3", "img_all_e1 gap 2 IoU / (1 + IoU) - Dice").measured_paper > 0


def test_gaps_of_printed_pairs(sources: Sources) -> None:
    built = build(sources, "common/printed-gap")
    assert len(pairs()) == 10
    found = cell(built, "unetpp-b3/table-2: Dice Coefficient / Score", "gap")
    assert found.measured_correct == pytest.approx(2 * 0.838 / 1.838 - 0.896)
    assert found.note.startswith("not pooled: ") and found.published == "0.896 and 0.838"
    verdicts = {row: note(built, row) for row in ("COVID-19", "Non-COVID", "Normal")}
    assert verdicts["COVID-19"].startswith("not pooled")
    assert verdicts["Non-COVID"].startswith("a mean over images (or batches) of which each scores 0 or 1")
    assert verdicts["Normal"].startswith("pooled pixels, or images that are all alike")
    half = cell(built, "unet-roi/table-4: Mean Dice Score / Value", "SD of Dice that it needs")
    assert half.measured_correct == pytest.approx(((0.5642 - 0.6167 / 1.3833) * 1.3833**3 / 2) ** 0.5)


def note(built: Table, label: str) -> str:
    return cell(built, f"unetpp-b3/table-3: {label} / Dice", "gap").note


def test_tables_of_one_seed_read_no_other(params: Params) -> None:
    alone = [one for one in catalogue.tables(params).values() if one.one_seed]
    assert alone and not [run for one in alone for run in one.behind(params) if "-seed" in run]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_the_same_twice_and_hold_no_image(name: str, params: Params, results: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "a.svg", tmp_path / "b.svg"
    for path in (one, other):
        figure(Sources(params, results, results), name, path)
    assert one.read_bytes() == other.read_bytes()
    assert "<image" not in one.read_text()
    with pytest.raises(ValueError, match="run its `score` step"):
        figure(Sources(params, tmp_path, tmp_path), name, one)
