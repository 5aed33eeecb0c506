"""Images called infected by their marked area: rates and thresholds by hand, and the table of synthetic runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from synthetic_runs import cell, settings, write_run

from covidqu.report import catalogue
from covidqu.report.core.kinds import Missing
from covidqu.report.core.runs import lineage
from covidqu.report.core.sources import Sources
from covidqu.report.systems.detection import AREAS, THRESHOLD, best_threshold
from covidqu.report.systems.headline_runs import HEADLINE_RUNS
from covidqu.report.tables import build

PX = 256 * 256
LABELS = ["COVID-19"] * 4 + ["Normal"] * 2 + ["Non-COVID"] * 2


def frame(shares: list[float]) -> pd.DataFrame:
    """Images with these shares of positive pixels, in percent."""
    found = pd.DataFrame({"label": LABELS, "n_px": 10000, "infection_tp": 0, "infection_fn": 0})
    found["infection_fp"] = (100 * np.array(shares)).astype(int)
    return found.assign(infection_tn=10000 - found["infection_fp"])


def test_the_threshold_that_tells_best() -> None:
    """Above 2 %: three of four COVID-19 images, no Normal one, one of two others: 0.75 - 0.25; above 3 % 0.75 - 0."""
    assert best_threshold(frame([0, 4, 5, 6, 1, 2, 2, 3])) == 0.03
    assert best_threshold(frame([4, 5, 6, 7, 0, 0, 0, 0])) == 0.0  # any pixel
    with pytest.raises(Missing, match="no Normal image"):
        best_threshold(frame([4, 5, 6, 7, 0, 0, 0, 0]).query("label != 'Normal'"))


def test_rates_of_synthetic_runs(tmp_path: Path) -> None:
    params = settings()
    for run in lineage(params, list(HEADLINE_RUNS.values())):
        write_run(tmp_path, params, run, {})
    scores = Sources(params, tmp_path, tmp_path).scores("reference")
    scores.assign(infection_fp=scores["infection_fp"] * 2).to_parquet(tmp_path / "runs/reference/validation.parquet")
    sources = Sources(params, tmp_path, tmp_path)
    built = build(sources, "common/detection")
    share = (scores["infection_tp"] + scores["infection_fp"]) / PX
    rates = {"COVID-19": "sensitivity, COVID-19", "Normal": "false rate, Normal"}
    for label, words in (rates | {"Non-COVID": "false rate, other pneumonia"}).items():
        of = share[scores["label"] == label]
        for name, least in (("any pixel", 0), ("> 1 % of the image", 0.01), ("> 5 % of the image", 0.05)):
            found = cell(built, "reference (ours)", f"{words}, {name}")
            assert (found.n, found.measured_correct) == (len(of), pytest.approx((of > least).mean()))
        threshold = cell(built, "reference (ours)", THRESHOLD)
        assert threshold.split.endswith("Val")
        chosen = cell(built, "reference (ours)", f"{words}, chosen on Val").measured_correct
        assert chosen == pytest.approx((of > threshold.measured_correct).mean())
    for column, label in AREAS.items():
        both = scores["label"].isin(["COVID-19", label])
        wanted = roc_auc_score(scores.loc[both, "label"] == "COVID-19", share[both])
        assert cell(built, "reference (ours)", column).measured_correct == pytest.approx(wanted)
    assert cell(built, "unetpp-b3", THRESHOLD).words.startswith("not run: run unetpp-b3 has no validation.parquet")
    read = catalogue.table("common/detection", params).results(params)
    validated = [file.split("/")[1] for file in read if "validation" in file]
    assert validated == [run for run in HEADLINE_RUNS.values() if "infection" in params.run(run).tasks]
    assert set(validated) < set(catalogue.validated(params)), "those of the ablations, too"
