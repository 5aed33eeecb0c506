"""Lesions of masks drawn by hand, against SciPy's labels; the table of synthetic runs."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from covidqu.evaluate.lesions import LEAST_PX, lesion_scores
from covidqu.report.core.runs import lineage
from covidqu.report.core.sources import Sources
from covidqu.report.systems.headline_runs import HEADLINE_RUNS
from covidqu.report.systems.lesions import FOUND, PRECISION
from covidqu.report.tables import build
from support.synthetic_runs import cell, settings, write_run


def drawn(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((1, 256, 256), bool)
    for top, left, high, wide in boxes:
        mask[0, top : top + high, left : left + wide] = True
    return mask


def counts(positive: np.ndarray, truth: np.ndarray) -> tuple[int, ...]:
    return tuple(int(values[0]) for values in lesion_scores(positive, truth).values())


def test_lesions_by_hand() -> None:
    truth = drawn((10, 10, 20, 20), (100, 100, 10, 10))
    assert counts(truth, truth) == (2, 2, 0)
    assert counts(drawn(), truth) == (2, 0, 0)
    assert counts(drawn((10, 10, 2, 20)), truth) == (2, 1, 0), "a tenth of 400 pixels is marked"
    assert counts(drawn((10, 10, 1, 20)), truth) == (2, 0, 0), "a twentieth is not enough, and nothing marked is false"
    assert counts(drawn((200, 200, 10, 10), (100, 100, 10, 10)), truth) == (2, 1, 1)
    assert counts(drawn((200, 200, 3, 5)), truth) == (2, 0, 0), f"a speck below {LEAST_PX} pixels is no lesion"
    assert counts(drawn((0, 0, 256, 256)), truth) == (2, 2, 1), "500 of 65,536 pixels: false, though it finds both"
    assert counts(drawn((50, 50, 9, 9)), drawn()) == (0, 0, 1)
    assert counts(drawn((50, 50, 4, 4), (54, 54, 4, 4)), drawn()) == (0, 0, 1), "corners connect"


@pytest.mark.parametrize("seed", range(5))
def test_lesions_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [ndimage.gaussian_filter(rng.normal(size=(256, 256)), 4) > 0.08 for _ in range(2)]
    expected = []
    for mask, other in (masks[::-1], masks):
        labels, n = ndimage.label(mask, np.ones((3, 3)))
        parts = [labels == k for k in range(1, n + 1)]
        large = [part for part in parts if part.sum() >= LEAST_PX]
        expected.append((len(large), sum((part & other).sum() >= 0.1 * part.sum() for part in large)))
    (lesions, met), (predicted, right) = expected
    assert counts(masks[0][None], masks[1][None]) == (lesions, met, predicted - right)


def test_table_of_synthetic_runs(tmp_path: Path) -> None:
    params = settings()
    for run in lineage(params, list(HEADLINE_RUNS.values())):
        write_run(tmp_path, params, run, {})
    sources = Sources(params, tmp_path, tmp_path)
    scores = sources.scores("unetpp-b3").drop(columns="infection_lesions")
    scores.to_parquet(tmp_path / "runs/unetpp-b3/scores.parquet")
    built = build(Sources(params, tmp_path, tmp_path), "common/lesions")
    assert cell(built, "reference (ours)", FOUND).measured_correct == 0.5
    assert cell(built, "reference (ours)", PRECISION).measured_correct == 1
    scores = sources.scores("reference")
    for label, who in (("COVID-19", "COVID-19"), ("Normal", "Normal"), ("Non-COVID", "other pneumonia")):
        wanted = scores.loc[scores["label"] == label, "infection_lesions_false"].mean()
        assert cell(built, "reference (ours)", f"false lesions per image, {who}").measured_correct == wanted
    assert cell(built, "unetpp-b3", FOUND).words == "not run: scored before lesions were counted"
