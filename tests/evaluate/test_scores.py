"""Scores of synthetic predictions: counts and sums against loops, boundaries against all pairs, files, faults."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import confusion_matrix, mean_squared_error

from covidqu.config.evaluation import Bootstrap, Evaluate
from covidqu.data.index import IMAGES, INDEX, INFECTION_MASKS, LUNG_MASKS, Packed, open_packed, pack_mask, unpack_mask
from covidqu.evaluate import protocols, quality
from covidqu.evaluate.boundary import boundary_scores, surface
from covidqu.evaluate.scores import block_scores, read_scores, score

CONFIG = Evaluate(bootstrap=Bootstrap(resamples=200, confidence=0.95, seed=0), protocol_batch=8)
LABELS = ["COVID-19", "COVID-19", "COVID-19", "Non-COVID", "Normal", "Normal"]
Edit = Callable[[dict[str, Any], dict[str, Any]], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packed folder: a Train image, then six infection Test images, then two lung Test images."""
    out = tmp_path_factory.mktemp("synthetic")
    rng = np.random.default_rng(0)
    labels, subsets = ["COVID-19", *LABELS, "Normal", "COVID-19"], ["infection"] * 7 + ["lung"] * 2
    lung, infection = np.zeros((9, 256, 256), bool), np.zeros((7, 256, 256), bool)
    lung[:, 40:200, 30:220] = True
    for row in range(4):
        infection[row, 60 + 9 * row : 120, 50 : 90 + 11 * row] = True
    index = pd.DataFrame(
        {
            "id": [f"{s}/{i}" for i, s in enumerate(subsets)], "subset": subsets, "label": labels,
            "split": ["Train"] + ["Test"] * 8, "name": [f"image_{i}" for i in range(9)],
            "image_sha256": [f"{i:064x}" for i in range(9)], "masks_sha256": [f"{i + 50:064x}" for i in range(9)],
            "phash": ["0" * 16] * 9, "lung_px": lung.sum((1, 2)).astype(np.int32),
            "infection_px": np.array([*infection.sum((1, 2)), 0, 0], np.int32),
        }
    )  # fmt: skip
    np.save(out / IMAGES, rng.integers(0, 256, (9, 256, 256), dtype=np.uint8))
    np.save(out / LUNG_MASKS, pack_mask(lung))
    np.save(out / INFECTION_MASKS, pack_mask(infection))
    index.to_parquet(out / INDEX)
    duplicate = np.arange(9) == 2
    split = pd.DataFrame({"row": np.arange(9), "official": index["split"], "near_duplicate": duplicate})
    split.to_parquet(out / "split.parquet")
    return out


def logits_for(truths: np.ndarray, seed: int = 1) -> np.ndarray:
    """Shifted truths under noise, float16."""
    noise = np.random.default_rng(seed).normal(0, 1, truths.shape)
    return (np.where(np.roll(truths, (3, 5), (1, 2)), 6.0, -6.0) + noise).astype(np.float16)


def write_predictions(folder: Path, path: Path, edit: Edit | None = None, subset: str = "infection") -> Path:
    data = open_packed(folder)
    test = (data.index["subset"] == subset) & (data.index["split"] == "Test")
    rows = np.flatnonzero(test).astype(np.int32)
    meta = {
        "run": "a-run", "weights_sha256": "ab", "data_hash": data.data_hash, "roi": "whole", "subset": subset,
        "split": "official", "tasks": ["infection", "lung"] if subset == "infection" else ["lung"],
    }  # fmt: skip
    arrays: dict[str, Any] = {"row": rows, "lung_logits": logits_for(unpack_mask(data.lung_masks[rows]))}
    if subset == "infection":
        arrays["infection_logits"] = logits_for(unpack_mask(data.infection_masks[rows]))
        arrays["infection_logits"][rows == 3] = -5  # a miss
        arrays["infection_logits"][rows == 4, 100:130, 90:120] = 4  # 900 false pixels, 1.4 % of the image
        arrays["infection_logits"][rows == 5] = -5  # blank and right
        arrays["infection_logits"][rows == 6, :2, :5] = 3  # ten false pixels
    if edit:
        edit(meta, arrays)
    np.savez(path, meta=np.array(json.dumps(meta)), **arrays)
    return path


def scored(folder: Path, out: Path, edit: Edit | None = None, subset: str = "infection") -> pd.DataFrame:
    path = write_predictions(folder, out / "predictions.npz", edit, subset)
    score("a-run", folder, folder / "split.parquet", path, out, CONFIG)
    return read_scores(out / "scores.parquet")[0]


def test_columns_against_loops(folder: Path, tmp_path: Path) -> None:
    found = scored(folder, tmp_path)
    data: Packed = open_packed(folder)
    assert found["row"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found["label"].tolist() == LABELS
    assert found["near_duplicate"].tolist() == [False, True, False, False, False, False]
    assert (found["lung_area_px"] == 160 * 190).all()
    assert (found["n_px"] == 65536).all()
    with np.load(tmp_path / "predictions.npz") as arrays:
        for task, masks in (("infection", data.infection_masks), ("lung", data.lung_masks)):
            for i, row in enumerate(arrays["row"]):
                z, g = arrays[f"{task}_logits"][i].astype(np.float64), unpack_mask(masks[row])
                p = 1 / (1 + np.exp(-z))
                wanted = {
                    "tp": ((p > 0.5) & g).sum(), "fp": ((p > 0.5) & ~g).sum(), "fn": ((p <= 0.5) & g).sum(),
                    "tn": ((p <= 0.5) & ~g).sum(), "soft_intersection": p[g].sum(), "soft_prediction": p.sum(),
                    "bce": -np.mean(np.where(g, np.log(p), np.log1p(-p))),
                }  # fmt: skip
                for name, value in wanted.items():
                    assert found.loc[i, f"{task}_{name}"] == pytest.approx(value, rel=1e-5), (task, row, name)
    assert found["infection_tp"].dtype == np.int32
    assert found["infection_fp"].tolist()[2:] == [0, 900, 0, 10]
    assert found["infection_hd95"].isna().tolist() == [False, False, True, True, True, True]
    assert found["infection_nsd2"].tolist()[2:] == [0, 0, 1, 0]


def test_meta_travels_with_the_scores(folder: Path, tmp_path: Path) -> None:
    scored(folder, tmp_path)
    meta = read_scores(tmp_path / "scores.parquet")[1]
    assert meta["run"] == "a-run"
    assert meta["data_hash"] == open_packed(folder).data_hash
    assert {"weights_sha256", "roi", "subset", "split", "tasks"} <= set(meta)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.json", "predictions.npz", "scores.parquet"]
    pd.DataFrame({"row": [0]}).to_parquet(tmp_path / "bare.parquet")
    with pytest.raises(ValueError, match="no 'meta'"):
        read_scores(tmp_path / "bare.parquet")


def test_metrics_are_those_of_the_protocols(folder: Path, tmp_path: Path) -> None:
    found = scored(folder, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    infection = metrics["infection"]
    dice = protocols.per_image("img_covid", found, "infection")["dice"]
    assert infection["n"] == 6
    assert infection["img_covid_n"] == 3
    assert infection["img_covid_dice"] == pytest.approx(dice.mean())
    assert infection["img_covid_dice_ci_low"] <= infection["img_covid_dice"] <= infection["img_covid_dice_ci_high"]
    assert infection["img_covid_dice_sd"] == pytest.approx(dice.std())
    assert infection["img_covid_n_no_near_duplicate"] == 2
    assert infection["img_covid_dice_no_near_duplicate"] == pytest.approx(dice[[0, 2]].mean())
    for protocol, label in protocols.FALSE_INFECTION.items():
        area = found.loc[found["label"] == label, "infection_fp"] / 65536
        assert infection[f"{protocol}_n"] == len(area)
        assert infection[f"{protocol}_any"] == pytest.approx((area > 0).mean())
        assert infection[f"{protocol}_over_1_percent"] == pytest.approx((area > 0.01).mean())
        assert infection[f"{protocol}_area"] == pytest.approx(area.mean())
    assert sorted(found.loc[found["label"] != "COVID-19", "infection_fp"]) == [0, 10, 900]
    assert infection["hd95_n"] == 2
    for protocol in ("pooled_covid", "pooled_all", "img_smooth1", "batch8_seq", "img_all_e1", "img_all_e0"):
        wanted = protocols.summary(protocol, found, "infection")["dice"]
        assert infection[f"{protocol}_dice"] == pytest.approx(wanted), protocol
    assert metrics["lung"]["img_covid_n"] == 6
    assert not [key for key in metrics["lung"] if key.startswith("fp_")]


def test_lung_subset_and_wrong_task(folder: Path, tmp_path: Path) -> None:
    found = scored(folder, tmp_path, subset="lung")
    assert found["row"].tolist() == [7, 8]
    assert "infection_tp" not in found

    def infection(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
        meta["tasks"] = ["infection"]
        arrays["infection_logits"] = arrays["lung_logits"]

    with pytest.raises(ValueError, match="no infection mask"):
        scored(folder, tmp_path, infection, subset="lung")


def with_classes(logits: np.ndarray, classes: dict[str, int]) -> Edit:
    def edit(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
        arrays["class_logits"] = np.asarray(logits, np.float32)
        meta.update(tasks=[*meta["tasks"], "class"], classes=classes, px=256)

    return edit


def class_metrics(folder: Path, out: Path, edit: Edit) -> tuple[pd.DataFrame, dict[str, float]]:
    found = scored(folder, out, edit)
    return found, json.loads((out / "metrics.json").read_text())["class"]


def test_predictions_of_old_give_the_columns_and_meta_of_old(folder: Path, tmp_path: Path) -> None:
    found = scored(folder, tmp_path)
    known = ["row", "id", "subset", "label", "name", "near_duplicate", "n_px", "lung_area_px"]
    counted = ["tp", "fp", "fn", "tn", "soft_intersection", "soft_prediction", "bce", "hd95", "nsd2"]
    lesions = ["lesions", "lesions_found", "lesions_false"]
    columns = {"infection": [*counted, *lesions], "lung": counted}
    assert list(found.columns) == known + [f"{task}_{c}" for task, names in columns.items() for c in names]
    with np.load(tmp_path / "predictions.npz") as arrays:
        assert read_scores(tmp_path / "scores.parquet")[1] == json.loads(str(arrays["meta"]))
    assert list(json.loads((tmp_path / "metrics.json").read_text())) == ["infection", "lung"]


def test_three_classes(folder: Path, tmp_path: Path) -> None:
    def three(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
        arrays["class_logits"] = np.eye(3, dtype=np.float32)[[2, 2, 0, 1, 0, 1]]

    found, metrics = class_metrics(folder, tmp_path, three)  # meta names no classes: they are the three
    assert found["class_target"].tolist() == [2, 2, 2, 1, 0, 0]
    assert found["class_logit_2"].tolist() == [1, 1, 0, 0, 0, 0]
    assert found["class_target"].dtype == np.int32
    wanted = {"n": 6, "accuracy": 4 / 6, "balanced_accuracy": (2 / 3 + 1 + 1 / 2) / 3, "auc": 5 / 6}
    assert metrics == pytest.approx(wanted)

    def two(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
        arrays["class_logits"] = np.eye(2, dtype=np.float32)[[1, 1, 0, 1, 0, 1]]

    with pytest.raises(ValueError, match="2 class logits"):
        scored(folder, tmp_path, two)


def test_two_classes_leave_the_third_out(folder: Path, tmp_path: Path) -> None:
    logits = np.array([[0, 3], [0, 1], [2, 0], [0, 9], [5, 0], [0, 2]])
    found, metrics = class_metrics(folder, tmp_path, with_classes(logits, {"Normal": 0, "COVID-19": 1}))
    assert found["class_target"].tolist() == [1, 1, 1, -1, 0, 0]
    assert found[["class_logit_0", "class_logit_1"]].to_numpy().tolist() == logits.tolist()
    wanted = {"n": 5, "accuracy": 3 / 5, "balanced_accuracy": (2 / 3 + 1 / 2) / 2, "auc": 4 / 6}
    assert metrics == pytest.approx(wanted)
    meta = read_scores(tmp_path / "scores.parquet")[1]
    assert (meta["px"], meta["classes"]) == (256, {"Normal": 0, "COVID-19": 1})


def test_one_logit_is_that_of_class_one(folder: Path, tmp_path: Path) -> None:
    rest = {"Normal": 0, "Non-COVID": 0, "COVID-19": 1}
    logits = np.array([[3], [1], [-1], [-4], [0.5], [-2]])
    found, metrics = class_metrics(folder, tmp_path, with_classes(logits, rest))
    assert found["class_target"].tolist() == [1, 1, 1, 0, 0, 0]
    assert "class_logit_1" not in found
    wanted = {"n": 6, "accuracy": 4 / 6, "balanced_accuracy": 4 / 6, "auc": 8 / 9}
    assert metrics == pytest.approx(wanted)
    with pytest.raises(ValueError, match="1 class logits"):
        scored(folder, tmp_path, with_classes(logits, rest | {"Non-COVID": 2}))
    with pytest.raises(ValueError, match="2 class logits"):
        scored(folder, tmp_path, with_classes(np.hstack([logits, logits]), {"Normal": 0, "Non-COVID": 1}))


def test_one_class_alone_has_an_accuracy_only(folder: Path, tmp_path: Path) -> None:
    def lungs(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
        with_classes([[1, 0], [0, 1]], {"Non-COVID": 0, "COVID-19": 1})(meta, arrays)

    scored(folder, tmp_path, lungs, subset="lung")  # a Normal and a COVID-19 image
    assert json.loads((tmp_path / "metrics.json").read_text())["class"] == {"n": 1, "accuracy": 1}


@pytest.mark.parametrize("px", [224, 128, 512])
def test_masks_at_another_side(folder: Path, tmp_path: Path, px: int) -> None:
    """Counts at 256 of logits resized by torch; at px of masks resized by Pillow and probabilities by torch."""
    data = open_packed(folder)

    def there(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
        rng = np.random.default_rng(2)
        meta["px"] = px
        for task in meta["tasks"]:
            small = F.interpolate(torch.from_numpy(arrays[f"{task}_logits"].astype(np.float32))[:, None], (px, px))
            arrays[f"{task}_logits"] = (small[:, 0].numpy() + rng.normal(0, 1, (6, px, px))).astype(np.float16)

    found = scored(folder, tmp_path, there)
    with np.load(tmp_path / "predictions.npz") as arrays:
        stored = {task: arrays[f"{task}_logits"].astype(np.float32) for task in ("infection", "lung")}
    for task, packed_masks in (("infection", data.infection_masks), ("lung", data.lung_masks)):
        z, truth = torch.from_numpy(stored[task])[:, None], unpack_mask(packed_masks[found["row"].to_numpy()])
        full = F.interpolate(z, (256, 256), mode="bilinear", align_corners=False)[:, 0].numpy()
        p = z[:, 0].double().sigmoid().numpy()
        for i in range(6):
            g = np.asarray(Image.fromarray(truth[i]).resize((px, px), Image.Resampling.NEAREST))
            for name, positive, mask in (("", full[i] > 0, truth[i]), (f"_at_{px}", stored[task][i] > 0, g)):
                tn, fp, fn, tp = confusion_matrix(mask.ravel(), positive.ravel(), labels=[False, True]).ravel()
                counted = found.loc[i, [f"{task}_{c}{name}" for c in protocols.COUNTS]].tolist()
                assert counted == pytest.approx([tp, fp, fn, tn], abs=2 if name == "" else 0), (task, i, name)
            mse, ssim = found.loc[i, f"{task}_mse_at_{px}"], found.loc[i, f"{task}_ssim_at_{px}"]
            assert mse == pytest.approx(np.mean((p[i] - g) ** 2), rel=1e-6)
            assert ssim == pytest.approx(quality.ssim(p[i][None], g[None])[0], rel=1e-6)
        soft = found[f"{task}_soft_prediction"].to_numpy()
        np.testing.assert_allclose(soft, (1 / (1 + np.exp(-full.astype(float)))).sum((1, 2)), rtol=1e-4)
    assert (found["infection_tp_at_" + str(px)] != found["infection_tp"]).any()
    assert found[f"infection_tn_at_{px}"].dtype == np.int32
    assert read_scores(tmp_path / "scores.parquet")[1]["px"] == px


def test_reconstruction(folder: Path, tmp_path: Path) -> None:
    data = open_packed(folder)
    made: list[np.ndarray] = []

    def drawn(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
        meta.update(tasks=["reconstruction", "infection"], classes={}, px=256)
        image = data.images[arrays["row"]] / 255
        noise = np.random.default_rng(0).normal(0, 0.3, image.shape) * np.arange(6)[:, None, None]
        arrays["reconstruction"] = (image + noise).astype(np.float16)
        made.append(arrays["reconstruction"].astype(float).clip(0, 1))

    found = scored(folder, tmp_path, drawn)
    assert "lung_tp" not in found
    for i, row in enumerate(found["row"]):
        image = data.images[row] / 255
        assert found.loc[i, "reconstruction_mse"] == pytest.approx(mean_squared_error(image, made[0][i]), rel=1e-9)
        assert found.loc[i, "reconstruction_ssim"] == pytest.approx(quality.ssim(made[0][i : i + 1], image[None])[0])
    errors = found["reconstruction_mse"]
    assert errors.is_monotonic_increasing
    assert errors[0] < 1e-6  # the rounding of float16
    assert errors[5] < 0.3  # clipped: the noise alone has a variance of 2.25
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == ["infection", "reconstruction"]
    wanted = {"n": 6, "mse": errors.mean(), "ssim": found["reconstruction_ssim"].mean(), "psnr_img_perfect": 0}
    wanted |= {"psnr_pooled": -10 * np.log10(errors.mean()), "psnr_img": (-10 * np.log10(errors)).mean()}
    assert metrics["reconstruction"] == pytest.approx(wanted)


def test_a_perfect_reconstruction_has_no_psnr(folder: Path, tmp_path: Path) -> None:
    for name in (IMAGES, LUNG_MASKS, INFECTION_MASKS, INDEX, "split.parquet"):
        shutil.copy(folder / name, tmp_path / name)
    np.save(tmp_path / IMAGES, np.full((9, 256, 256), 255, np.uint8))

    def white(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
        meta["tasks"] = ["reconstruction"]
        arrays["reconstruction"] = np.ones((6, 256, 256), np.float16)

    scored(tmp_path, tmp_path, white)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics == {"reconstruction": {"n": 6, "mse": 0, "ssim": 1, "psnr_img_perfect": 6}}


def edit_meta(key: str, value: object) -> Edit:
    return lambda meta, arrays: meta.update({key: value})


def drop_row(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    for key, value in arrays.items():
        arrays[key] = value[1:]


def train_row(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["row"] = arrays["row"] - 1


def not_finite(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["infection_logits"][2, 3, 4] = np.nan


def wide(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["infection_logits"] = arrays["infection_logits"].astype(np.float32)


def other_px(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    meta["px"] = 224


def class_diverged(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["class_logits"] = np.full((6, 3), np.inf, np.float32)


def class_lost(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    meta["tasks"] = ["infection", "class"]


def reconstruction_lost(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    meta["tasks"] = ["infection", "reconstruction"]


def reconstruction_small(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    meta["tasks"] = ["infection", "reconstruction"]
    arrays["reconstruction"] = np.zeros((6, 224, 224), np.float16)


def lost(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
    del arrays["lung_logits"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_meta("data_hash", "f" * 64), "predicted on other data"),
        (edit_meta("run", "another"), "made by run 'another'"),
        (edit_meta("split", "deduplicated"), "no split 'deduplicated'"),
        (drop_row, "its 5 rows are not the 6 Test images"),
        (train_row, "its 6 rows are not the 6 Test images"),
        (not_finite, "nan or inf"),
        (wide, "want .* float16"),
        (lost, "no 'lung_logits'"),
        (other_px, "want .6, 224, 224. float16"),
        (class_diverged, "class_logits hold nan or inf"),
        (class_lost, "no 'class_logits'"),
        (reconstruction_lost, "no 'reconstruction'"),
        (reconstruction_small, "want .6, 256, 256. float16"),
        (lambda meta, arrays: meta.pop("roi"), "meta lacks roi"),
        (lambda meta, arrays: arrays.pop("row"), "row missing"),
    ],
)
def test_faults_are_named_and_leave_nothing(folder: Path, tmp_path: Path, edit: Edit, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scored(folder, tmp_path, edit)
    assert [p.name for p in tmp_path.iterdir()] == ["predictions.npz"]


def test_a_torn_file_and_a_foreign_split(folder: Path, tmp_path: Path) -> None:
    path = write_predictions(folder, tmp_path / "predictions.npz")
    short = tmp_path / "split.parquet"
    pd.read_parquet(folder / "split.parquet").iloc[1:].to_parquet(short)
    with pytest.raises(ValueError, match="do not fit the index"):
        score("a-run", folder, short, path, tmp_path, CONFIG)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"predictions.npz: damaged.*run `predict` again"):
        score("a-run", folder, folder / "split.parquet", path, tmp_path, CONFIG)


def test_cross_entropy_does_not_overflow() -> None:
    """The largest float16 logits, right and wrong: 0 and |z|, not inf or nan; float16 probabilities would fail."""
    logits = np.full((2, 256, 256), 60000, np.float16)
    logits[1] = -60000
    truth = np.ones((2, 256, 256), bool)
    found = block_scores(logits, truth)
    assert found["bce"].tolist() == [0, 60000 - 60000 % 32]
    assert found["soft_prediction"].tolist() == [65536, 0]


def test_threshold_is_strict() -> None:
    found = block_scores(np.zeros((1, 256, 256), np.float16), np.ones((1, 256, 256), bool))
    assert (found["tp"][0], found["fn"][0]) == (0, 65536)


def brute_surface(mask: np.ndarray) -> list[tuple[int, int]]:
    inside = {(int(r), int(c)) for r, c in np.argwhere(mask)}
    return [
        (r, c) for r, c in sorted(inside) if not {(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)} <= inside
    ]  # fmt: skip


def brute_boundary(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    pa, pb = brute_surface(a), brute_surface(b)
    if not pa or not pb:
        return float("nan"), 1.0 if len(pa) == len(pb) else 0.0
    there = [min(((r - s) ** 2 + (c - d) ** 2) ** 0.5 for s, d in pb) for r, c in pa]
    back = [min(((r - s) ** 2 + (c - d) ** 2) ** 0.5 for s, d in pa) for r, c in pb]
    near = sum(x <= 2 for x in there + back)
    return max(float(np.percentile(there, 95)), float(np.percentile(back, 95))), near / (len(pa) + len(pb))


BITS = st.one_of(st.just(0), st.just(2**81 - 1), st.integers(0, 2**81 - 1))


@settings(max_examples=80, deadline=None)
@given(BITS, BITS, BITS, BITS)
def test_boundaries_against_all_pairs(a: int, b: int, keep_a: int, keep_b: int) -> None:
    """9 x 9 masks; `&` thins them, so that sparse, dense, full and empty ones all occur."""
    p, g = (np.array([bits >> k & 1 for k in range(81)], bool).reshape(9, 9) for bits in (a & keep_a, b & keep_b))
    assert [tuple(x) for x in np.argwhere(surface(p))] == brute_surface(p)
    np.testing.assert_allclose(boundary_scores(p, g), brute_boundary(p, g), rtol=1e-12)


def test_boundaries_of_known_shapes() -> None:
    a = np.zeros((256, 256), bool)
    a[20:60, 30:80] = True
    assert boundary_scores(a, a) == (0, 1)
    assert boundary_scores(a, np.roll(a, 2, axis=1)) == (2, 1)
    hd95, nsd2 = boundary_scores(a, np.roll(a, 150, axis=0))
    assert hd95 > 140
    assert nsd2 == 0
    corners = np.zeros((2, 256, 256), bool)
    corners[0, 0, 0] = corners[1, 255, 255] = True
    assert boundary_scores(*corners)[0] == pytest.approx(255 * 2**0.5, rel=1e-12)  # exact over the whole image
    nothing = np.zeros_like(a)
    assert np.isnan(boundary_scores(a, nothing)[0])
    assert (boundary_scores(a, nothing)[1], boundary_scores(nothing, nothing)[1]) == (0, 1)


def test_large_masks_are_as_exact_as_scipy() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(0)
    for sigma in (1, 12):
        p, g = (ndimage.gaussian_filter(rng.standard_normal((256, 256)), sigma) > 0.5 / sigma**2 for _ in range(2))
        a, b = surface(p), surface(g)
        there = ndimage.distance_transform_edt(~b)[a]
        back = ndimage.distance_transform_edt(~a)[b]
        wanted = max(np.percentile(there, 95), np.percentile(back, 95))
        near = np.mean(np.concatenate([there, back]) <= 2)
        assert boundary_scores(p, g) == pytest.approx((wanted, near), rel=1e-12)


def test_phantom_end_to_end(packed: Path, tmp_path: Path) -> None:
    """The annotation itself as prediction, on what `pack` wrote: every overlap is perfect."""
    data = open_packed(packed)
    split = tmp_path / "split.parquet"
    pd.DataFrame(
        {"row": np.arange(len(data.index)), "official": data.index["split"], "near_duplicate": False}
    ).to_parquet(split)

    def annotation(meta: dict[str, Any], arrays: dict[str, Any]) -> None:
        for task, masks in (("infection", data.infection_masks), ("lung", data.lung_masks)):
            arrays[f"{task}_logits"] = np.where(unpack_mask(masks[arrays["row"]]), 9, -9).astype(np.float16)

    path = write_predictions(packed, tmp_path / "predictions.npz", annotation)
    score("a-run", packed, split, path, tmp_path, CONFIG)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["infection"]["img_covid_dice"] == metrics["infection"]["pooled_covid_dice"] == 1
    assert metrics["infection"]["fp_normal_any"] == metrics["infection"]["fp_pneumonia_any"] == 0
    assert metrics["infection"]["hd95_median"] == 0
    assert metrics["lung"]["img_covid_dice"] == 1
    found, _ = read_scores(tmp_path / "scores.parquet")
    area = found["infection_tp"] + found["infection_fn"]
    assert area.tolist() == data.index.loc[found["row"], "infection_px"].tolist()
