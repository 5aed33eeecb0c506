"""Boundary distances against MONAI on random blobs; the table of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import distance_transform_edt

from covidqu.evaluate.boundary import PERCENTILE, TOLERANCE_PX, boundary_scores, distances
from covidqu.report.core.sources import Sources
from covidqu.report.tables import build
from support.synthetic_runs import cell, scores_of, settings, write_run


def blob(rng: np.random.Generator, px: int = 96) -> np.ndarray:
    """A few smooth shapes, some of them at the image's edge."""
    noise = cv2.GaussianBlur(rng.normal(size=(px, px)), (0, 0), 6)
    return noise > np.quantile(noise, rng.uniform(0.6, 0.95))


@pytest.mark.parametrize("shares", [(0.02, 0.02), (0.3, 0.001), (0.5, 0.5)])
def test_both_ways_to_the_distances_give_the_same_bits(shares: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    one, other = (rng.random((200, 256)) < share for share in shares)
    there, back = distances(one, other)
    transformed = distance_transform_edt(~other)[one], distance_transform_edt(~one)[other]
    assert np.array_equal(there, transformed[0]) and np.array_equal(back, transformed[1])


@pytest.mark.parametrize("seed", range(8))
def test_distances_are_those_of_monai(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prediction, truth = blob(rng), blob(rng)
    one, other = (torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth))
    hd95 = compute_hausdorff_distance(one, other, include_background=True, percentile=PERCENTILE).item()
    nsd = compute_surface_dice(one, other, [TOLERANCE_PX], include_background=True).item()
    assert boundary_scores(prediction, truth) == (pytest.approx(hd95, abs=1e-4), pytest.approx(nsd, abs=1e-6))


def test_of_an_empty_prediction_monai_has_no_distance_either() -> None:
    truth = blob(np.random.default_rng(0))
    empty = torch.zeros(1, 1, *truth.shape)
    other = torch.from_numpy(truth)[None, None].float()
    assert not np.isfinite(compute_hausdorff_distance(empty, other, include_background=True, percentile=95).item())
    hd95, nsd = boundary_scores(np.zeros_like(truth), truth)
    assert np.isnan(hd95) and nsd == 0
    assert compute_surface_dice(empty, other, [2.0], include_background=True).item() == 0


def test_table_counts_images_without_a_prediction(tmp_path: Path) -> None:
    params, run = settings(), "unetpp-b3"
    write_run(tmp_path, params, run, {})
    frame = scores_of(params, run)
    covid = frame["label"] == "COVID-19"
    far = np.linspace(1, 12, covid.sum())
    frame.loc[covid, "infection_hd95"], frame.loc[covid, "infection_nsd2"] = far, far / 20
    blank = frame.index[covid][:3]  # the smallest distances
    frame.loc[blank, "infection_fn"] += frame.loc[blank, "infection_tp"]
    frame.loc[blank, ["infection_tp", "infection_fp"]] = 0
    frame.loc[blank, "infection_hd95"], frame.loc[blank, "infection_nsd2"] = np.nan, 0.0
    frame.to_parquet(tmp_path / "runs" / run / "scores.parquet")
    built = build(Sources(params, tmp_path, tmp_path), "common/boundary")
    mean, median = (cell(built, run, f"HD95 (px), {kind}") for kind in ("mean", "median"))
    assert (mean.n, mean.measured_correct) == (9, pytest.approx(far[3:].mean()))
    assert (median.n, median.measured_correct) == (9, np.median(far[3:]))
    assert mean.ci_low < mean.measured_correct < mean.ci_high
    assert mean.note == "3 of 12 images have no prediction and no distance"
    near = cell(built, run, "NSD at 2 px, mean")
    assert (near.n, near.measured_correct) == (12, pytest.approx(far[3:].sum() / 20 / 12))
    assert cell(built, run, "share of images without a prediction").measured_correct == 0.25
    assert cell(built, "swin-dual", "NSD at 2 px, mean").words.startswith("not run: run swin-dual-infection has no")
