"""Audit tables, the table across systems, seeds in titles: synthetic scores in, hand-made numbers against the cells."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidqu.report.catalogue import figure, table, tables
from covidqu.report.comparison import comparison
from covidqu.report.core.artefacts import Reads
from covidqu.report.core.sources import Sources
from covidqu.report.core.titles import deviation_texts
from covidqu.report.systems.audits import gated
from covidqu.report.tables import build
from support.synthetic_runs import cell, scores_of, settings, write_explained, write_run

PARAMS = settings()
CBAM = "cbam-mtl-unet-proposed"
RUNS = (
    *("swin-dual-lung", "swin-dual-infection", "unetpp-b3", "unet-roi-lung", "unet-roi-infection"),
    *("unet-roi-infection-predicted", *PARAMS.seeds(CBAM), "recon-mtl-t123", "recon-mtl-t123-no-skips"),
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("audits")
    for run in RUNS:
        write_run(root, PARAMS, run, {})
    for run in ("swin-dual-lung", "swin-dual-infection"):
        write_explained(root, PARAMS, run)
    return Sources(PARAMS, root / "data", root)


def right(frame: pd.DataFrame, target: pd.Series, suffix: str = "") -> np.ndarray:
    logits = frame[[f"class_logit_{k}{suffix}" for k in range(3)]].to_numpy()
    return logits.argmax(axis=1) == target.to_numpy()


def test_the_mask_channel_compares_the_same_images(sources: Sources) -> None:
    built, run = build(sources, "audit/000-mask-channel"), "swin-dual-lung"
    s = scores_of(PARAMS, run).set_index("row")
    explained = sources.explain(run).set_index("row").loc[s.index]  # written in another order
    soft, hard = right(s, s["class_target"]), right(explained, s["class_target"], "_hard")
    assert cell(built, run, "accuracy, soft masks").measured_correct == pytest.approx(soft.mean())
    assert cell(built, run, "accuracy, thresholded masks").measured_correct == pytest.approx(hard.mean())
    difference = cell(built, run, "thresholded minus soft")
    assert difference.measured_correct == pytest.approx(hard.mean() - soft.mean())
    assert difference.ci_low <= difference.measured_correct <= difference.ci_high
    assert (difference.n, difference.seeds) == (24, 1)
    assert len(built.cells) == 10, "both phases"


def test_a_run_that_was_not_explained_says_so(sources: Sources, tmp_path: Path) -> None:
    write_run(tmp_path, PARAMS, "swin-dual-lung", {})
    built = build(Sources(PARAMS, tmp_path, tmp_path), "audit/000-mask-channel")
    assert cell(built, "swin-dual-lung", "thresholded minus soft").words == (
        "not run: run swin-dual-lung has no explain.parquet"
    )


def test_gating_blanks_masks_by_the_predicted_class() -> None:
    s = pd.DataFrame({"infection_tp": [5, 5, 0], "infection_fp": [2, 2, 4], "infection_fn": [1, 1, 0]})
    s["infection_tn"] = 10
    s = s.assign(class_logit_0=[0.0, 3.0, 1.0], class_logit_1=[0.0, 0.0, 0.0], class_logit_2=[2.0, 0.0, 0.5])
    found = gated(s, 2).filter(like="infection").to_numpy().tolist()
    assert found == [[5, 2, 1, 10], [0, 0, 6, 12], [0, 0, 0, 14]]


def test_false_infection_with_and_without_the_gate(sources: Sources) -> None:
    built, s = build(sources, "audit/000-false-infection"), scores_of(PARAMS, "swin-dual-infection")
    others, called = s["label"] == "Non-COVID", s.filter(like="class_logit").to_numpy().argmax(axis=1) == 2
    painted = (s["infection_fp"] > 0) & others
    column = "share with a positive pixel"
    assert cell(built, "Non-COVID", column).measured_correct == pytest.approx(painted.sum() / others.sum())
    kept = cell(built, "Non-COVID, gated by the predicted class", column)
    assert kept.measured_correct == pytest.approx((painted & called).sum() / others.sum())
    assert "the paper does no such thing" in kept.note
    plain, cut = (cell(built, row, "infection Dice") for row in ("COVID-19", "COVID-19, gated by the predicted class"))
    assert cut.measured_correct < plain.measured_correct, "a missed image loses its mask"


def test_what_the_printed_dice_of_empty_masks_implies(sources: Sources) -> None:
    built, s = build(sources, "audit/000-false-infection"), scores_of(PARAMS, "swin-dual-infection")
    area = "harmonic mean of P + 1, pixels"
    normal = cell(built, "Normal: printed I.Dice", area)
    painted = s.loc[s["label"] == "Normal", "infection_fp"].to_numpy(float)
    assert normal.measured_correct == pytest.approx(1 / (1 / (painted + 1)).mean())
    assert normal.ci_low <= normal.measured_correct <= normal.ci_high
    assert normal.published == "6667 to 20000", "0.00005 to 0.00015 are printed 0.0001"
    assert cell(built, "Normal: printed I.Dice", f"{area[:-8]}, share of the image").published == "0.102 to 0.305"
    assert cell(built, "Non-COVID: printed I.Dice", area).published == "more than 20000"
    blank = cell(built, "Normal: printed I.Dice", "blank predictions, share")
    assert (blank.published, blank.measured_correct) == (0.0, pytest.approx((painted == 0).mean()))
    assert "0.0034 or more" in blank.note
    soft = cell(built, "Normal: printed I.Dice", "I.Dice of soft masks")
    sums = s.loc[s["label"] == "Normal", "infection_soft_prediction"]
    assert (soft.published, soft.measured_correct) == (0.0001, pytest.approx((1 / (sums + 1)).mean()))
    assert soft.note == f"{(painted == 0).mean():.1%} of these images are blank once thresholded"


def test_regions_of_interest_are_paired(sources: Sources) -> None:
    built = build(sources, "audit/002-roi-source")
    row = "infection Dice, COVID-19 images"
    one, other = (cell(built, row, f"{kind} ROI") for kind in ("annotated", "predicted"))
    difference = cell(built, row, "annotated minus predicted")
    assert difference.measured_correct == pytest.approx(one.measured_correct - other.measured_correct)
    assert difference.ci_low <= difference.measured_correct <= difference.ci_high
    assert "paired" in difference.note


def test_skips_are_worth_what_the_difference_says(sources: Sources) -> None:
    built = build(sources, "audit/004-skip-reconstruction")
    a, b = (scores_of(PARAMS, run) for run in ("recon-mtl-t123", "recon-mtl-t123-no-skips"))
    for row, expected in (
        ("reconstruction MSE", (a["reconstruction_mse"] - b["reconstruction_mse"]).mean()),
        ("reconstruction PSNR, dB", 10 * np.log10(b["reconstruction_mse"] / a["reconstruction_mse"]).mean()),
        ("reconstruction SSIM", (a["reconstruction_ssim"] - b["reconstruction_ssim"]).mean()),
    ):
        found = cell(built, row, "with minus without")
        assert found.measured_correct == pytest.approx(expected)
        with_, without = (cell(built, row, f"{kind} skips").measured_correct for kind in ("with", "without"))
        assert found.measured_correct == pytest.approx(with_ - without)
    auc = [cell(built, "AUC", c).measured_correct for c in ("with skips", "without skips", "with minus without")]
    assert auc[2] == pytest.approx(auc[0] - auc[1])


def test_classes_of_all_systems_are_put_on_one_footing(sources: Sources) -> None:
    built, accuracy = build(sources, "common/cross-system"), "COVID-19 vs rest accuracy"
    infected = scores_of(PARAMS, CBAM)["label"] == "COVID-19"
    for row, run, called in (
        ("swin-dual", "swin-dual-infection", lambda s: s.filter(like="class_logit").to_numpy().argmax(axis=1) == 2),
        ("cbam-mtl", CBAM, lambda s: s["class_logit_1"] > s["class_logit_0"]),
        ("recon-mtl", "recon-mtl-t123", lambda s: s["class_logit_0"] > 0),
    ):
        found = cell(built, row, accuracy)
        assert found.measured_correct == pytest.approx((called(scores_of(PARAMS, run)) == infected).mean())
        assert found.n == 24 == cell(built, row, "COVID-19 vs rest AUC").n
    assert "trained on COVID-19 and Normal only: 6 Non-COVID images" in cell(built, "cbam-mtl", accuracy).note
    assert cell(built, "recon-mtl", accuracy).note == ""
    assert cell(built, "unetpp-b3", accuracy).words == "no such output: no output of this kind"


def test_lungs_are_compared_on_the_same_images_only(sources: Sources) -> None:
    built = build(sources, "common/cross-system")
    assert cell(built, "swin-dual", "lung Dice").n == 24
    assert cell(built, "unet-roi, predicted ROI", "lung Dice").measured, "these synthetic lungs are of the same images"
    other = Sources(PARAMS, sources.data, sources.results)
    frame = other.scores("unet-roi-lung").assign(subset="lung")
    other.scores = lambda run: frame if run == "unet-roi-lung" else sources.scores(run)
    found = cell(build(other, "common/cross-system"), "unet-roi, predicted ROI", "lung Dice")
    assert not found.measured and "tested on the images of the lung subset" in found.note


def test_seeds_are_counted_where_a_value_is_their_mean(sources: Sources) -> None:
    built = build(sources, "common/cross-system")
    one, mean = cell(built, "cbam-mtl", "infection Dice"), cell(built, "cbam-mtl, mean over seeds", "infection Dice")
    assert (one.seeds, mean.seeds, mean.ci_low) == (1, 3, None) and one.ci_low < one.ci_high
    assert one.measured_correct != mean.measured_correct and "SD" in mean.note
    shown = {c.row for name in ("common/protocols", "common/leakage") for c in build(sources, name).cells}
    assert CBAM in shown and not [row for row in shown if "seed" in row]


def card(results: Path, run: str, **changes: object) -> None:
    path = results / "runs" / run / "card.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"config": known["config"] | changes}))


def test_titles_name_base_runs_with_their_seeds(tmp_path: Path) -> None:
    names = [*PARAMS.seeds("cbam-mtl-unet-pre"), *PARAMS.seeds(CBAM)]
    for run in names:
        write_run(tmp_path, PARAMS, run, {"epochs": 3})
    reduced = "REDUCED RUN (epochs 3 instead of 100)"

    def texts(runs: list[str]) -> list[str]:
        return deviation_texts(Sources(PARAMS, tmp_path, tmp_path), runs)

    assert texts(names) == [f"cbam-mtl-unet-pre, {CBAM} (3 seeds each): {reduced}"]
    assert texts(PARAMS.seeds(CBAM)) == [reduced], "a table of one run names none"
    card(tmp_path, f"{CBAM}-seed2", epochs=100)
    assert texts(names) == [f"cbam-mtl-unet-pre (3 seeds), {CBAM}, {CBAM}-seed1: {reduced}"]
    assert texts(PARAMS.seeds(CBAM)) == [f"{CBAM}, {CBAM}-seed1: {reduced}"]
    (tmp_path / "runs" / f"{CBAM}-seed2" / "card.json").unlink()
    assert texts(PARAMS.seeds(CBAM)) == [reduced], "that seed is not known"


def test_comparison_names_deviations_of_all_seeds(tmp_path: Path) -> None:
    for run in PARAMS.seeds(CBAM):
        write_run(tmp_path, PARAMS, run, {"epochs": 3} if run.endswith("seed1") else {})
    comparison(PARAMS, tmp_path / "data", tmp_path, tmp_path / "comparison.csv")
    rows = pd.read_csv(tmp_path / "comparison.csv").set_index(["system", "table", "row", "column"])
    found = rows.loc[("cbam-mtl", "table-4", "Proposed Model", "Acc"), "deviations"]
    assert found == f"{CBAM}-seed1: REDUCED RUN (epochs 3 instead of 100)"


def test_targets_of_the_new_tables() -> None:
    channel = table("audit/000-mask-channel", PARAMS)
    assert channel.explained(PARAMS) == ["swin-dual-lung", "swin-dual-infection"]
    assert channel.explained(settings(explain=[])) == []
    assert f"runs/{CBAM}/cam.npz" in figure("cbam-mtl/figure-4", PARAMS).results(PARAMS)
    assert not any("cam.npz" in file for file in figure("swin-dual/figure-2", PARAMS).results(PARAMS))
    models = table("cbam-mtl/table-4", PARAMS).behind(PARAMS)
    assert set(models) == {*PARAMS.seeds("cbam-mtl-unet-pre"), *PARAMS.seeds(CBAM)}
    assert table("swin-dual/table-5", PARAMS).behind(PARAMS) == ["swin-dual-lung", "swin-dual-infection"]
    assert table("swin-dual/table-params", PARAMS).results(PARAMS) == ["architectures.json"]
    assert "architectures.json" not in table("swin-dual/table-4", PARAMS).results(PARAMS)
    known = [one for one in tables(PARAMS).values() if one.name.startswith(("recon", "audit/002"))]
    assert [one.name for one in known if Reads.DATA in one.reads] == ["recon-mtl/table-1"]
