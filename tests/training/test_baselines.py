"""Step `baseline`: masks worked out by hand, planted shortcuts, label maps, and nothing learnt from Test."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from skimage.measure import label as components
from skimage.measure import regionprops

from covidqu.cli import main
from covidqu.config.baselines import Baseline, MaskShape, MeanMap, Picture, Trivial
from covidqu.config.params import check, load, read
from covidqu.data.index import IMAGES, INDEX, INFECTION_MASKS, LUNG_MASKS, open_packed, pack_mask
from covidqu.evaluate import classification, protocols
from covidqu.evaluate.scores import read_scores
from covidqu.report.core.references import under
from covidqu.steps.baselines import baseline
from covidqu.steps.shortcuts import averaged, features, fit, shape
from support.places import ROOT

LABELS = ("COVID-19", "Non-COVID", "Normal")
AMOUNTS = {"Train": 48, "Val": 24, "Test": 24}  # a third of each class, in turns
LUNG = np.zeros((256, 256), bool)
LUNG[60:140, 40:200] = True
UPPER, LOWER = LUNG.copy(), LUNG.copy()
UPPER[100:], LOWER[:100] = False, False
Arrays = dict[str, np.ndarray]
Change = Callable[[pd.DataFrame, Arrays], None]
BORDER = Picture(kind="border", picture_px=32, c=[0.01, 1.0])
SHAPE = MaskShape(kind="mask_shape", c=[0.01, 1.0])


def described() -> pd.DataFrame:
    lines = [(split, LABELS[i % 3], f"{split}-{i}") for split, n in AMOUNTS.items() for i in range(n)]
    index = pd.DataFrame(lines, columns=["split", "label", "name"])
    hashes = {"image_sha256": "0" * 64, "masks_sha256": "1" * 64, "phash": "2" * 16}
    return index.assign(id=index["name"], subset="infection", **hashes)


def drawn(index: pd.DataFrame) -> Arrays:
    """Noise, the same lungs in all images; COVID-19 lungs are infected in their upper half, 4 of 16 in Train below."""
    covid = (index["label"] == "COVID-19").to_numpy()
    low = covid & (index["split"] == "Train").to_numpy() & (index.index % 12 == 0)
    images = np.random.default_rng(0).integers(0, 256, (len(index), 256, 256), np.uint8)
    infection = np.where((covid & ~low)[:, None, None], UPPER, False) | np.where(low[:, None, None], LOWER, False)
    return {"images": images, "lungs": np.repeat(LUNG[None], len(index), axis=0), "infection": infection}


def bright_border(index: pd.DataFrame, found: Arrays) -> None:
    """The outer 8 pixels tell the class."""
    ring = np.pad(np.zeros((240, 240), bool), 8, constant_values=True)
    for row, label in enumerate(index["label"]):
        found["images"][row][ring] = 60 + 60 * LABELS.index(label)


def random_lungs(index: pd.DataFrame, found: Arrays) -> None:
    """Lungs of random width in all classes, the annotated infection inside."""
    for row, width in enumerate(np.random.default_rng(1).integers(0, 40, len(index))):
        found["lungs"][row, 60:140, 200 : 200 + width] = True


def telling_lungs(index: pd.DataFrame, found: Arrays) -> None:
    """The width of the lungs tells the class."""
    for row, label in enumerate(index["label"]):
        found["lungs"][row, 60:140, 200 : 200 + 10 * LABELS.index(label)] = True


def packed(folder: Path, *changes: Change) -> Path:
    """A packed data set with `split.parquet` beside it."""
    folder.mkdir()
    index = described()
    found = drawn(index)
    for change in changes:
        change(index, found)
    index["lung_px"] = found["lungs"].sum(axis=(1, 2)).astype(np.int32)
    index["infection_px"] = found["infection"].sum(axis=(1, 2)).astype(np.int32)
    index.to_parquet(folder / INDEX)
    np.save(folder / IMAGES, found["images"])
    np.save(folder / LUNG_MASKS, pack_mask(found["lungs"]))
    np.save(folder / INFECTION_MASKS, pack_mask(found["infection"]))
    splits = pd.DataFrame({"row": index.index, "official": index["split"], "near_duplicate": False})
    splits.to_parquet(folder / "split.parquet")
    return folder


def run(folder: Path, config: Baseline) -> tuple[pd.DataFrame, dict]:
    """Scores and card of one baseline."""
    out = folder / f"out-{config.kind}"
    baseline(config.kind, config, folder, folder / "split.parquet", out)
    scores, meta = read_scores(out / "scores.parquet")
    assert meta["baseline"] == config.kind and meta["split"] == "official"
    return scores, json.loads((out / "card.json").read_text())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("plain") / "packed")


def dice(scores: pd.DataFrame, protocol: str) -> float:
    return protocols.summary(protocol, scores, "infection")["dice"]


def test_empty_scores_what_blank_masks_are_worth(plain: Path) -> None:
    scores, _ = run(plain, Trivial(kind="empty", also_px=[224]))
    assert list(scores["name"]) == [f"Test-{i}" for i in range(24)]
    assert dice(scores, "img_covid") == dice(scores, "pooled_all") == 0
    assert dice(scores, "img_all_e1") == pytest.approx(16 / 24)
    assert dice(scores, "img_smooth1") == pytest.approx((16 + 8 / (6400 + 1)) / 24)
    assert dice(scores, "batch8_seq") == 0, "each batch of eight has an infected image"
    assert [protocols.summary(p, scores, "infection")["any"] for p in protocols.FALSE_INFECTION] == [0, 0]
    assert scores["infection_bce"].isna().all() and (scores["infection_soft_prediction"] == 0).all()


def test_lungs_score_what_their_share_is_worth(plain: Path) -> None:
    """Half of the lung is infected: Dice 2/3, IoU 1/2; all others are painted over their whole lung."""
    scores, _ = run(plain, Trivial(kind="lungs", also_px=[224]))
    assert dice(scores, "img_covid") == dice(scores, "pooled_covid") == pytest.approx(2 / 3)
    assert protocols.summary("img_covid", scores, "infection")["iou"] == pytest.approx(1 / 2)
    assert dice(scores, "img_all_e1") == pytest.approx(8 * 2 / 3 / 24)
    assert dice(scores, "pooled_all") == pytest.approx(2 * 8 * 6400 / (24 * 12800 + 8 * 6400))
    others = protocols.summary("fp_pneumonia", scores, "infection")
    assert others["area_of_lung"] == 1 and others["area"] == pytest.approx(12800 / 65536)
    assert np.allclose(scores["infection_soft_intersection"], scores["infection_tp"])
    there = scores[scores["label"] == "COVID-19"]
    assert np.allclose(there["infection_tp_at_224"], 6400 * (224 / 256) ** 2, rtol=0.03)  # a row of 35 more or less
    wrong = (scores["infection_fp_at_224"] + scores["infection_fn_at_224"]) / 224**2
    assert np.allclose(scores["infection_mse_at_224"], wrong), "of all or nothing, the squared error is the error"


def test_mean_map_takes_the_threshold_that_is_best_on_val(plain: Path) -> None:
    """Upper halves are infected in 12 of 16 Train images, lower ones in 4; Val has upper ones only."""
    config = MeanMap(kind="mean_map", thresholds=[0.1, 0.5, 0.9], also_px=[])
    scores, card = run(plain, config)
    assert card["fitted"]["val_dice"] == {"0.1": round(2 / 3, 6), "0.5": 1.0, "0.9": 0.0}
    assert (card["fitted"]["threshold"], card["fitted"]["area_px"]) == (0.5, 6400)
    assert dice(scores, "img_covid") == 1
    assert (scores["infection_fp"] == np.where(scores["label"] == "COVID-19", 0, 6400)).all()


def accuracy(scores: pd.DataFrame, label_map: str = "three") -> float:
    return classification.measure("accuracy", *classification.of_scores(under(scores, label_map)))


def test_a_planted_shortcut_is_found_where_it_is_and_nowhere_else(tmp_path: Path) -> None:
    folder = packed(tmp_path / "border", bright_border, random_lungs)
    assert accuracy(run(folder, BORDER)[0]) == 1
    assert accuracy(run(folder, SHAPE)[0]) < 0.6
    folder = packed(tmp_path / "lungs", telling_lungs)
    assert accuracy(run(folder, SHAPE)[0]) == 1
    assert accuracy(run(folder, BORDER)[0]) < 0.6


def test_nothing_is_learnt_from_test(tmp_path: Path) -> None:
    """Other images, masks and labels in all Test rows but one: the same fit, the same numbers of that row."""

    def spoil(index: pd.DataFrame, found: Arrays) -> None:
        rows = np.flatnonzero(index["split"] == "Test")[1:]
        rng = np.random.default_rng(7)
        found["images"][rows] = rng.integers(0, 256, (len(rows), 256, 256), np.uint8)
        found["lungs"][rows] = rng.random((len(rows), 256, 256)) < 0.3
        found["infection"][rows] = False
        index.loc[rows, "label"] = "Normal"

    configs = [BORDER, SHAPE, Picture(kind="lungs_blanked", picture_px=16, c=[0.1])]
    configs += [MeanMap(kind="mean_map", thresholds=[0.1, 0.5], also_px=[])]
    folders = (
        packed(tmp_path / "a", bright_border, random_lungs),
        packed(tmp_path / "b", bright_border, random_lungs, spoil),
    )
    for config in configs:
        (before, one), (after, other) = (run(folder, config) for folder in folders)
        assert one["fitted"] == other["fitted"]
        kept = [c for c in before if c.startswith(("class_logit", "infection_"))]
        assert before[kept].iloc[0].equals(after[kept].iloc[0])
    assert not before["infection_tp"].equals(after["infection_tp"]), "the other rows did change"


def test_label_maps_are_fitted_by_themselves(tmp_path: Path) -> None:
    """COVID-19 or Normal knows no Non-COVID image: other ones change its neighbours' logits, not its own."""

    def other_pneumonia(index: pd.DataFrame, found: Arrays) -> None:
        rows = np.flatnonzero((index["label"] == "Non-COVID") & (index["split"] != "Test"))
        found["images"][rows] //= 2

    a, b = packed(tmp_path / "a", bright_border), packed(tmp_path / "b", bright_border, other_pneumonia)
    (one, card), (other, _) = run(a, BORDER), run(b, BORDER)
    assert one["class_logit_0_covid_vs_normal"].equals(other["class_logit_0_covid_vs_normal"])
    for column in ("class_logit_0", "class_logit_0_covid_vs_rest"):
        assert not one[column].equals(other[column])
    assert [f["train_images"] for f in card["fitted"]["label_maps"].values()] == [48, 32, 48]
    assert list(under(one, "covid_vs_normal")["class_target"])[:3] == [1, -1, 0]
    assert (
        accuracy(one, "covid_vs_normal") == 1 and len(classification.of_scores(under(one, "covid_vs_normal"))[1]) == 16
    )


def test_fit_is_the_minimum_of_the_penalised_loss_and_val_chooses() -> None:
    """Against scipy on the written-out loss: sum of log losses + |w|^2 / (2 C), standardised features."""
    rng = np.random.default_rng(3)
    y, y_val = rng.integers(0, 2, 80), rng.integers(0, 2, 60)
    x, x_val = (rng.normal(0, 2, (len(t), 3)) + t[:, None] * [1.0, 0.2, 0.0] for t in (y, y_val))
    model, facts = fit(x, y, x_val, y_val, [100.0, 0.003, 0.3])
    assert facts["c"] == float(min(facts["val_log_loss"], key=facts["val_log_loss"].get))
    z, z_val = ((t - x.mean(axis=0)) / x.std(axis=0) for t in (x, x_val))

    def loss(w: np.ndarray) -> float:
        return np.logaddexp(0, -(2 * y - 1) * (z @ w[:3] + w[3])).sum() + w[:3] @ w[:3] / (2 * facts["c"])

    best = minimize(loss, np.zeros(4), tol=1e-12).x
    assert model.decision_function(x_val) == pytest.approx(z_val @ best[:3] + best[3], abs=1e-3)
    wanted = np.logaddexp(0, -(2 * y_val - 1) * model.decision_function(x_val)).mean()
    assert facts["val_log_loss"][f"{facts['c']:g}"] == pytest.approx(wanted, abs=1e-6)


def test_features_against_other_libraries(plain: Path) -> None:
    data, rows = open_packed(plain), np.array([0, 5])
    image = data.images[5].astype(np.float32)
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    assert np.allclose(averaged(data.images[rows], 32)[1], small, atol=1e-3)
    ring = np.concatenate([small[0], small[1:-1, [0, -1]].ravel(), small[-1]])
    assert np.allclose(features(data, rows, BORDER)[1], ring, atol=1e-3)
    blanked = features(data, rows, Picture(kind="lungs_blanked", picture_px=16, c=[1.0]))[1].reshape(16, 16)
    assert (blanked[4:8, 3:12] == 0).all() and blanked[0].min() > 0, "rows 64-127, columns 48-191 are lung"
    lungs = np.zeros((256, 256), bool)
    lungs[50:90, 150:200], lungs[40:100, 20:80], lungs[5, 5] = True, True, True
    lungs[40:60, 20:30] = False
    found = shape(lungs)
    parts = sorted(regionprops(components(lungs)), key=lambda p: p.area)[1:]
    left, right = sorted(parts, key=lambda p: p.centroid[1])
    assert found[:2].tolist() == [lungs.sum(), 3]
    for part, values in ((left, found[2:9]), (right, found[9:])):
        top, start, bottom, end = part.bbox
        assert values == pytest.approx([part.area, start, top, end - start, bottom - top, *part.centroid[::-1]])
    assert (shape(np.zeros((256, 256), bool)) == 0).all()


def test_faults_name_the_remedy(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--packed", str(plain), "--split", str(plain / "split.parquet"), "--out", str(tmp_path)]
    params = ["--params", str(ROOT / "params.yaml")]
    assert main([*params, "baseline", "nope", *options]) == 2
    assert "baseline 'nope' is not in params.yaml; baselines are: empty, lungs" in capsys.readouterr().err
    assert main([*params, "baseline", "mask-shape", *options]) == 0
    assert set(pd.read_parquet(tmp_path / "scores.parquet")["label"]) == set(LABELS)
    splits = pd.read_parquet(plain / "split.parquet").replace({"official": {"Val": "Train"}})
    splits.to_parquet(tmp_path / "split.parquet")
    with pytest.raises(ValueError, match="no infection images in Val"):
        baseline("empty", Trivial(kind="empty", also_px=[]), plain, tmp_path / "split.parquet", tmp_path)
    with pytest.raises(ValueError, match="single class"):
        fit(np.zeros((4, 1)), np.ones(4), np.zeros((4, 1)), np.ones(4), [1.0])


def test_settings_are_checked() -> None:
    raw = read([ROOT / "params.yaml"])
    raw["baselines"]["lungs"] = {"kind": "lungs", "also_px": []}
    with pytest.raises(ValueError, match=r"baselines\.lungs\.also_px: runs are evaluated at 224 px as well; add it"):
        check(raw)
    raw["baselines"] = {"border": {"kind": "border", "picture_px": 30, "c": [1.0]}}
    with pytest.raises(ValueError, match=r"baselines\.border\.picture_px: must divide 256"):
        check(raw)
    raw["baselines"] = {"border": {"kind": "border", "picture_px": 32, "c": [1.0], "thresholds": [0.5]}}
    with pytest.raises(ValueError, match=r"thresholds: unknown key"):
        check(raw)
    found = load([ROOT / "params.yaml"]).baselines
    assert [b.gives for b in found.values()] == ["infection"] * 3 + ["class"] * 4
