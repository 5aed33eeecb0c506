"""Tables of paper 003 from synthetic scores: each number recomputed from the frame, seeds averaged, gaps named."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from covidqu.config.params import Params, check, read
from covidqu.report import catalogue
from covidqu.report.core.cells import Cell, Table, p_value
from covidqu.report.core.heading import Heading
from covidqu.report.core.kinds import Kind, Status
from covidqu.report.core.published import paper, printed
from covidqu.report.core.sources import Sources
from covidqu.report.papers.paper_003_masks import BACKBONES, PRE, RUN
from support.places import ROOT
from support.synthetic_runs import settings

LABELS = ["COVID-19"] * 14 + ["Non-COVID"] * 5 + ["Normal"] * 7
COVID, NORMAL = slice(0, 14), slice(19, 26)
HEAD = [*range(14), *range(19, 26)]
PX = 224


@pytest.fixture(scope="module")
def params() -> Params:
    return settings()


def scores(seed: int) -> pd.DataFrame:
    """26 test images; counts at 224 px differ from those at 256 px; two Normal images are painted on."""
    rng, n = np.random.default_rng(seed), len(LABELS)
    covid = np.array([label == "COVID-19" for label in LABELS])
    frame = pd.DataFrame(
        {
            "row": np.arange(n),
            "id": [f"infection/Test/{label}/{i}" for i, label in enumerate(LABELS)],
            "label": LABELS,
            "near_duplicate": False,
            "lung_area_px": 15000,
        }
    )
    for suffix, pixels in (("", 256**2), (f"_at_{PX}", PX**2)):
        tp = np.where(covid, rng.integers(3000, 6000, n), 0)
        fn = np.where(covid, rng.integers(100, 2000, n), 0)
        fp = np.where(covid | np.isin(np.arange(n), (14, 19, 20)), rng.integers(100, 2000, n), 0)
        for name, counts in (("tp", tp), ("fp", fp), ("fn", fn), ("tn", pixels - tp - fp - fn)):
            frame[f"infection_{name}{suffix}"] = counts.astype("int32")
    frame[f"infection_mse_at_{PX}"] = np.where(covid, rng.uniform(0.01, 0.05, n), 0.0)
    frame.loc[19:23, f"infection_mse_at_{PX}"] = 0.002
    frame[f"infection_ssim_at_{PX}"] = rng.uniform(0.8, 1.0, n)
    frame["class_logit_0"] = rng.normal(np.where(covid, -0.5, 0.5), 1)
    frame["class_logit_1"] = 0.0
    frame["class_target"] = [{"COVID-19": 1, "Normal": 0}.get(label, -1) for label in LABELS]
    return frame


def write_run(results: Path, params: Params, run: str, frame: pd.DataFrame) -> None:
    folder = results / "runs" / run
    folder.mkdir(parents=True)
    frame.to_parquet(folder / "scores.parquet")
    (folder / "card.json").write_text(
        json.dumps({"run": run, "config": params.run(run).model_dump(mode="json"), "epochs_run": 3, "best_epoch": 2})
    )


def numbered(params: Params) -> dict[str, int]:
    """Run of this system -> seed of its scores."""
    return {run: i for i, run in enumerate(run for run in params.resolved if run.startswith("cbam-mtl"))}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Sources:
    root = tmp_path_factory.mktemp("full")
    for run, seed in numbered(params).items():
        write_run(root / "results", params, run, scores(seed))
    rows = [("infection", split, label) for split in ("Train", "Val", "Test") for label in LABELS]
    (root / "data" / "packed").mkdir(parents=True)
    index = pd.DataFrame(rows, columns=["subset", "split", "label"])
    index.to_parquet(root / "data" / "packed" / "index.parquet")
    return Sources(params, root / "data", root / "results")


@pytest.fixture
def empty(params: Params, tmp_path: Path) -> Sources:
    return Sources(params, tmp_path / "data", tmp_path / "results")


NAMES = [one.name for one in catalogue.ARTEFACTS if isinstance(one, catalogue.Table) and one.group == "cbam-mtl"]


@cache
def built(sources: Sources, name: str) -> list[Cell]:
    return catalogue.table(name, sources.params).cells(sources)


def cell(sources: Sources, table: str, row: str, column: str) -> Cell:
    (found,) = [c for c in built(sources, f"cbam-mtl/{table}") if (c.row, c.column) == (row, column)]
    return found


def of_seeds(params: Params, run: str, value: Any) -> list[float]:
    """`value(frame)` for the run and its repetitions."""
    return [value(scores(numbered(params)[one])) for one in params.seeds(run)]


def dice(frame: pd.DataFrame, px: str = f"_at_{PX}") -> np.ndarray:
    tp, fp, fn = (frame[f"infection_{k}{px}"].to_numpy(float) for k in ("tp", "fp", "fn"))
    whole = 2 * tp + fp + fn
    return np.where(whole == 0, 1, 2 * tp / np.maximum(1, whole))


def test_every_table_of_the_paper_is_there_with_each_printed_value_once(full: Sources, empty: Sources) -> None:
    assert set(NAMES) == {f"cbam-mtl/{short}" for short in paper("cbam-mtl").tables}
    for sources in (full, empty):
        for name in NAMES:
            table = Table(
                name, Heading("", "", "t"), built(sources, name)
            )  # refuses a (row, column) that is there twice
            shown = {(c.row, c.column): c.published for c in table.cells if c.published is not None}
            assert shown == printed(name)


def test_only_what_is_printed_only_stays_open(full: Sources) -> None:
    source = paper("cbam-mtl")
    for name in NAMES:
        for c in built(full, name):
            only = source.only(name.split("/")[1], c.row) if c.published is not None else None
            assert c.measured == (only is None), (name, c)
            assert only is None or c.words == f"printed only: {only}"


def test_without_scores_no_number_but_the_paper_s_own_arithmetic(empty: Sources) -> None:
    for name in NAMES:
        for c in built(empty, name):
            if c.kind is not Kind.SETTING and c.kind is not Kind.ARITHMETIC:
                assert not c.measured and c.n is None and c.ci_low is None and c.note, (name, c)
                assert c.status in (Status.NOT_RUN, Status.PRINTED_ONLY), (name, c)


def test_an_absent_run_is_named(full: Sources) -> None:
    raw = read([ROOT / "params.yaml"])
    gone = [run for run in raw["runs"] if run.startswith("cbam-mtl-unet-p")]
    raw["explain"] = []
    for run in gone:
        del raw["runs"][run]
    sources = Sources(check(raw), full.data, full.results)
    for table in ("table-3", "table-4", "table-6", "table-7"):
        row = "Proposed" if table in ("table-6", "table-7") else "Proposed Model"
        assert cell(sources, table, row, "Acc").words == f"not run: run {RUN} is not in the parameters"
    assert cell(sources, "table-5", "Mini-Batch Size", "Value(s)").words.startswith("not run: ")
    assert cell(sources, "text", "McNemar, exact: p", "seed 0").words.startswith("not run: ")
    assert cell(sources, "table-8", "Simple Multi-Task / U-net", "Acc").measured


def test_masks_are_counted_at_224_px_over_the_images_of_the_head(full: Sources, params: Params) -> None:
    found = cell(full, "table-3", "Proposed Model", "Dice")
    covid = of_seeds(params, RUN, lambda f: 100 * dice(f)[COVID].mean())
    every = of_seeds(params, RUN, lambda f: 100 * dice(f)[HEAD].mean())
    assert len(covid) == 3 == found.seeds
    assert found.measured_correct == pytest.approx(np.mean(covid))
    assert found.measured_paper == pytest.approx(np.mean(every))
    assert found.measured_correct != pytest.approx(
        np.mean(of_seeds(params, RUN, lambda f: 100 * dice(f, "")[COVID].mean()))
    )
    assert (found.published, found.n, found.ci_low) == (88.23, 14, None)
    assert (found.protocol_paper, found.protocol_correct) == ("img_all_e1, 224 px", "img_covid, 224 px")
    std = cell(full, "table-3", "Proposed Model", "Dice Std")
    assert std.measured_correct == pytest.approx(np.std(covid, ddof=1))
    assert std.measured_paper == pytest.approx(np.std(every, ddof=1))
    images = cell(full, "table-3", "Proposed Model", "Dice Std over images")
    expected = np.mean(of_seeds(params, RUN, lambda f: 100 * dice(f)[COVID].std(ddof=1)))
    assert images.measured_correct == pytest.approx(expected)


def test_accuracy_errors_and_ssim_are_split_by_class(full: Sources, params: Params) -> None:
    def accuracy(f: pd.DataFrame) -> np.ndarray:
        return 1 - (f[f"infection_fp_at_{PX}"] + f[f"infection_fn_at_{PX}"]).to_numpy() / PX**2

    row = "Simple Multi-Task Model"
    for suffix, chosen in (("", HEAD), (", infected", COVID), (", Normal", NORMAL)):
        for column, value in (
            ("Acc", lambda f: 100 * accuracy(f)),
            ("MSE, thresholded", lambda f: 1 - accuracy(f)),
            ("MSE", lambda f: f[f"infection_mse_at_{PX}"].to_numpy()),
            ("SSIM", lambda f: f[f"infection_ssim_at_{PX}"].to_numpy()),
        ):
            found = cell(full, "table-3", row, f"{column}{suffix}")
            wanted = np.mean(of_seeds(params, PRE, lambda f, v=value, c=chosen: v(f)[c].mean()))
            assert found.measured_correct == pytest.approx(wanted), (column, suffix)
            has_paper = not suffix and column != "MSE, thresholded"
            assert found.measured_paper == (pytest.approx(wanted) if has_paper else None)


def test_psnr_of_the_mean_error_and_over_images_that_have_one(full: Sources, params: Params) -> None:
    def errors(f: pd.DataFrame) -> np.ndarray:
        return f[f"infection_mse_at_{PX}"].to_numpy()[HEAD]

    found = cell(full, "table-3", "Proposed Model", "PSNR")
    pooled = of_seeds(params, RUN, lambda f: -10 * np.log10(errors(f).mean()))
    each = of_seeds(params, RUN, lambda f: np.mean(-10 * np.log10(errors(f)[errors(f) > 0])))
    assert found.measured_correct == pytest.approx(np.mean(pooled))
    assert found.measured_paper == pytest.approx(np.mean(each)) != pytest.approx(found.measured_correct)
    assert "2 perfect images" in found.note
    hard = cell(full, "table-3", "Proposed Model", "PSNR, thresholded, Normal")
    assert hard.n == 2 and "5 perfect images" in hard.note


def test_an_interval_without_a_bound_is_left_out(params: Params, tmp_path: Path) -> None:
    frame = scores(1)
    frame.loc[20:23, f"infection_mse_at_{PX}"] = 0.0  # resamples of Normal images may hold no error
    write_run(tmp_path, params, RUN, frame)
    found = cell(Sources(params, tmp_path, tmp_path), "table-3", "Proposed Model", "PSNR, Normal")
    assert (found.measured_correct, found.ci_low) == (pytest.approx(-10 * np.log10(0.002 / 7)), None)
    assert found.ci_high is None and "no interval" in found.note


def test_images_without_infection_are_shares_of_blanks(full: Sources) -> None:
    blank = cell(full, "table-3", "Proposed Model", "Dice, Normal")
    assert (blank.measured_paper, blank.measured_correct) == (pytest.approx(500 / 7), None)
    painted = cell(full, "table-3", "Proposed Model", "Normal, share with a positive pixel")
    assert painted.measured_correct == pytest.approx(200 / 7)


def test_classification_is_that_of_scikit_learn(full: Sources, params: Params) -> None:
    measures = {
        "Acc": metrics.accuracy_score,
        "Sens": metrics.recall_score,
        "Precision": metrics.precision_score,
        "F1": metrics.f1_score,
        "MCC": metrics.matthews_corrcoef,
        "Balanced Acc": metrics.balanced_accuracy_score,
    }
    rows = {("table-4", "Simple Multi-Task Model"): PRE, ("table-7", "Proposed"): RUN}
    rows |= {("table-9", row): run for row, run in BACKBONES.items()}
    for (table, row), run in rows.items():
        cells = {c.column: c for c in built(full, f"cbam-mtl/{table}") if c.row == row}
        for column, measure in measures.items():
            wanted = of_seeds(
                params,
                run,
                lambda f, m=measure: 100 * m(f["class_target"][HEAD], f["class_logit_0"][HEAD] < 0),
            )
            assert cells[column].measured_correct == pytest.approx(np.mean(wanted)), (row, column)
        auc = of_seeds(
            params, run, lambda f: 100 * metrics.roc_auc_score(f["class_target"][HEAD], -f["class_logit_0"][HEAD])
        )
        assert cells["AUC"].measured_correct == pytest.approx(np.mean(auc))
        assert cells["Acc of always infected"].measured_correct == pytest.approx(100 * 14 / 21)
        assert cells["Acc"].n == 21 and cells["Acc"].seeds == 3


def test_rows_of_the_backbones_are_six_runs() -> None:
    assert (
        set(BACKBONES) == {row for row, _ in printed("cbam-mtl/table-8")} == {r for r, _ in printed("cbam-mtl/table-9")}
    )
    assert BACKBONES["Simple Multi-Task / RESUNET"] == "cbam-mtl-resunet-simple"
    assert BACKBONES["Proposed Method / U-net"] == RUN


def test_counts_are_of_the_two_classes(full: Sources) -> None:
    found = cell(full, "table-2", "this data set, Train", "Class 1 (Infected)")
    assert (found.measured_correct, found.published) == (14, None)
    assert cell(full, "table-2", "this data set, all", "Total").measured_correct == 63
    assert "Normal and COVID-19" in cell(full, "table-2", "this data set, all", "Total").note


def test_settings_stand_beside_the_printed_ones(full: Sources) -> None:
    shown = {c.row: c for c in built(full, "cbam-mtl/table-5")}
    config = full.params.run(RUN)
    assert shown["Mini-Batch Size"].measured_correct == config.batch
    assert float(shown["Learning Rate"].measured_correct) == config.optimizer.lr
    assert shown["Gradient Decay Rate"].measured_correct == config.optimizer.betas[0]
    assert "median 3x3" in shown["Preprocessing"].measured_correct
    assert {c.kind for c in shown.values()} == {Kind.SETTING}
    changed = Sources(
        settings(runs={RUN: {"batch": 5, "optimizer": {"kind": "adamw", "lr": 1e-3, "weight_decay": 0.1}}}), ROOT, ROOT
    )
    shown = {c.row: c for c in built(changed, "cbam-mtl/table-5")}
    assert shown["Mini-Batch Size"].measured_correct == 5
    assert shown["Gradient Decay Rate"].measured_correct == "none"
    assert {row for row, _ in printed("cbam-mtl/table-5")} <= set(shown)


def test_the_paper_s_t_test_is_repeated_on_printed_numbers_only(empty: Sources) -> None:
    t = cell(empty, "text", "paired t-test on Table 4: t", "value")
    assert t.measured_paper == pytest.approx(-20.4201, abs=1e-4)
    assert (t.published, t.measured_correct, t.kind) == (-20.42, None, Kind.ARITHMETIC) and "printed" in t.note
    assert cell(empty, "text", "paired t-test on Table 4: p", "value").measured_paper == "8.97e-07"


def test_paired_tests_compare_the_same_images_and_seed(full: Sources, params: Params) -> None:
    seeds = numbered(params)
    a, b = scores(seeds[f"{PRE}-seed1"]), scores(seeds[f"{RUN}-seed1"])
    right = [(f["class_logit_0"] < 0).to_numpy()[HEAD] == f["class_target"].to_numpy()[HEAD] for f in (a, b)]
    only = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert cell(full, "text", "McNemar: only simple right", "seed 1").measured_correct == only[0]
    assert cell(full, "text", "McNemar: only proposed right", "seed 1").measured_correct == only[1]
    p = 2 * stats.binom.cdf(min(only), sum(only), 0.5)
    assert cell(full, "text", "McNemar, exact: p", "seed 1").measured_correct == pytest.approx(min(1, p))
    accuracy = cell(full, "text", "accuracy, proposed - simple", "seed 1")
    assert accuracy.measured_correct == pytest.approx(100 * (right[1].mean() - right[0].mean()))
    assert accuracy.ci_low <= accuracy.measured_correct <= accuracy.ci_high
    change = (dice(b) - dice(a))[COVID]
    found = cell(full, "text", "Dice, proposed - simple", "seed 1")
    assert found.measured_correct == pytest.approx(100 * change.mean()) and found.n == 14 and found.seeds == 1
    wilcoxon = cell(full, "text", "Wilcoxon signed-rank of Dice: p", "seed 1")
    assert wilcoxon.measured_correct == pytest.approx(stats.wilcoxon(change).pvalue)


def test_the_mean_of_seeds_is_taken_per_image_first(full: Sources, params: Params) -> None:
    seeds = numbered(params)
    mean = [np.mean([dice(scores(seeds[one])) for one in params.seeds(run)], axis=0)[COVID] for run in (PRE, RUN)]
    found = cell(full, "text", "Dice, proposed - simple", "mean over seeds")
    assert found.measured_correct == pytest.approx(100 * (mean[1] - mean[0]).mean()) and found.seeds == 3
    wilcoxon = cell(full, "text", "Wilcoxon signed-rank of Dice: p", "mean over seeds")
    assert wilcoxon.measured_correct == pytest.approx(stats.wilcoxon(mean[1] - mean[0]).pvalue)


def test_one_seed_has_no_spread_and_no_mean_of_seeds(params: Params, tmp_path: Path) -> None:
    for run in (PRE, RUN):
        write_run(tmp_path / "results", params, run, scores(1))
    sources = Sources(params, tmp_path, tmp_path / "results")
    std = cell(sources, "table-3", "Proposed Model", "Dice Std")
    assert not std.measured and "one seed" in std.note
    found = cell(sources, "table-3", "Proposed Model", "Dice")
    assert found.seeds == 1 and found.ci_low < found.measured_correct < found.ci_high
    assert f"without {RUN}-seed1, {RUN}-seed2" in found.note
    assert not cell(sources, "text", "Dice, proposed - simple", "mean over seeds").measured
    assert cell(sources, "text", "Dice, proposed - simple", "seed 0").measured_correct == 0.0
    same = cell(sources, "text", "Wilcoxon signed-rank of Dice: p", "seed 0")
    assert same.words == "not run: no image has another Dice"
    assert cell(sources, "text", "McNemar, exact: p", "seed 0").measured_correct == 1.0


def test_runs_on_other_images_are_not_paired(params: Params, tmp_path: Path) -> None:
    write_run(tmp_path, params, PRE, scores(1))
    write_run(tmp_path, params, RUN, scores(1).iloc[1:])
    with pytest.raises(ValueError, match="not tested on the same images"):
        built(Sources(params, tmp_path, tmp_path), "cbam-mtl/text")


def test_scores_at_256_px_alone_are_not_taken_for_those_at_224(params: Params, tmp_path: Path) -> None:
    for run in (PRE, RUN):
        frame = scores(1)
        write_run(tmp_path, params, run, frame[[c for c in frame if not c.endswith(f"_at_{PX}")]])
    sources = Sources(params, tmp_path, tmp_path)
    for column in ("Acc", "MSE", "PSNR", "SSIM", "Dice", "Dice Std", "Dice Std over images"):
        found = cell(sources, "table-3", "Proposed Model", column)
        assert not found.measured and found.words.startswith("not run: "), column
    assert not cell(sources, "text", "Dice, proposed - simple", "seed 0").measured
    assert cell(sources, "text", "McNemar, exact: p", "seed 0").measured


def test_small_probabilities_are_not_rounded_to_zero() -> None:
    assert p_value(0.25) == 0.25
    assert p_value(8.967e-7) == "8.97e-07"


def test_the_kernels_are_those_of_the_networks() -> None:
    """Table 5 names one kernel size; CBAM (7x7), 1x1 projections and up-sampling are not meant."""
    import torch
    from torch import nn

    from covidqu.systems.base import build

    config = settings().run(RUN)
    with torch.device("meta"):
        system = build(config.model, config.tasks, config.image_px)
    sizes = {m.kernel_size for m in system.modules() if isinstance(m, nn.Conv2d) and m.in_channels > 2}
    assert sizes - {(1, 1)} == {(3, 3)}
    shown = {c.row: c for c in built(Sources(settings(), ROOT, ROOT), "cbam-mtl/table-5")}
    assert shown["Convolutional Kernel Size"].measured_correct == "3x3"
