"""Grad-CAM against its definition, shares on maps of known mass, class heads asked with bare masks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covidqu.config.params import check, merge, read
from covidqu.config.training import Run
from covidqu.data.batches import Batch, Batches
from covidqu.data.examples import Inputs, examples, split_rows
from covidqu.data.index import Packed, open_packed, pack_mask
from covidqu.steps import explain
from covidqu.systems.base import System, build
from covidqu.systems.weights import save_weights
from support.places import ROOT

CPU = torch.device("cpu")
ANCHOR = {"batch": 4, "threads": 1, "precision": "32-true", "accelerator": "cpu"}
SMALL = {
    "swin-dual-lung": {"image_px": 64, "subset": "infection", "model": {"width": 12}},
    "swin-dual-infection": {"image_px": 64, "model": {"width": 12}},
    "cbam-mtl-unet-proposed": {"image_px": 64, "model": {"width": 16}},
    "recon-mtl-t123": {"image_px": 64, "model": {"width": 8, "class_width": 8}},
}


def settings(name: str) -> Run:
    return check(merge(read([ROOT / "params.yaml"]), {"anchor": ANCHOR, "runs": SMALL})).run(name)


class Probe(System):
    """Two maps of 4 x 4 and a class head that is linear in them, so that Grad-CAM is known in closed form."""

    channels = 1

    def __init__(self, weights: Tensor) -> None:
        super().__init__(("class",))
        self.layer, self.weights = nn.Identity(), weights

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        pooled = F.adaptive_avg_pool2d(image, 4)
        maps = self.layer(torch.cat([pooled, 1 - pooled], 1))
        return {"class": maps.sum((2, 3)) @ self.weights.T}

    def cam_layer(self) -> nn.Module:
        return self.layer


def batch(images: np.ndarray) -> Batch:
    none = np.zeros_like(images)
    arrays = (np.arange(len(images)), images, none + np.uint8(4), np.zeros(len(images), np.int64))
    return Batch(*(torch.from_numpy(array) for array in arrays))


@pytest.mark.parametrize("weights", [[[0.0, 0.0], [2.0, -1.0]], [[3.0, 1.0], [-1.0, -2.0]], [[0.5, -3.0]]])
def test_map_is_the_weighted_sum_of_the_layers_maps(weights: list[list[float]]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16)).astype(np.uint8)
    system = Probe(torch.tensor(weights))
    cam, found = explain.grad_cam(system, system.layer, batch(images), None, 1, CPU)
    own = weights[-1]  # the class asked for, or the only logit
    pooled = F.adaptive_avg_pool2d(torch.from_numpy(images)[:, None].float() / 255, 4)[:, 0].numpy()
    assert np.allclose(cam, np.maximum(own[0] * pooled + own[1] * (1 - pooled), 0), atol=1e-5)
    assert found["class"].shape == (3, len(weights))


def test_scaled_maps_end_at_one_and_empty_maps_stay_empty() -> None:
    cam = np.array([[[0.5, 4.0]], [[0.0, 0.0]]], np.float32)
    assert np.array_equal(explain.scaled(cam), np.array([[[0.125, 1.0]], [[0.0, 0.0]]], np.float16))


def test_shares_are_parts_of_the_maps_sum() -> None:
    left = np.zeros((256, 256), bool)
    left[:, :64] = True
    bits = pack_mask(np.stack([left, np.zeros_like(left), left]))
    data = Packed(pd.DataFrame(), np.zeros((3, 1, 1)), bits, bits[:2])
    even, step = np.ones((256, 256), np.float32), np.zeros((256, 256), np.float32)
    step[:, :32], step[:, 64:96] = 3, 1
    found = explain.shares(data, np.array([0, 1, 2]), np.stack([step, even, even]))
    assert np.allclose(found["cam_lung_share"], [0.75, np.nan, 0.25], equal_nan=True)
    assert np.allclose(found["cam_infection_share"], [0.75, np.nan, np.nan], equal_nan=True)  # none, not annotated
    assert np.isnan(explain.shares(data, np.array([0]), 0 * step[None])["cam_lung_share"]).all()  # an empty map


@pytest.fixture
def explained(packed: Path, tmp_path: Path):
    """Run name -> (run, random network, explain.parquet, cam.npz)."""
    data = open_packed(packed)
    pd.DataFrame({"official": data.index["split"]}).to_parquet(tmp_path / "split.parquet")
    np.save(tmp_path / "whole.npy", np.full((1, 8192), 255, np.uint8))

    def make(name: str) -> tuple[Run, System, pd.DataFrame, dict[str, np.ndarray]]:
        run = settings(name)
        torch.manual_seed(0)
        system = build(run.model, run.tasks, run.image_px).eval()
        save_weights(tmp_path / "w.safetensors", system.state_dict(), {"scope": "model"})
        out, files = tmp_path / "out", {"split": tmp_path / "split.parquet", "roi": tmp_path / "whole.npy"}
        explain.explain(name, run, Inputs(packed=packed, **files), weights=tmp_path / "w.safetensors", out=out)
        with np.load(out / "cam.npz") as arrays:
            return run, system, pd.read_parquet(out / "explain.parquet"), dict(arrays)

    return make


@pytest.mark.parametrize(
    ("name", "side"), [("swin-dual-infection", 2), ("cbam-mtl-unet-proposed", 8), ("recon-mtl-t123", 4)]
)
def test_every_test_image_of_every_label_has_a_map(
    explained, packed: Path, tmp_path: Path, name: str, side: int
) -> None:
    run, _, table, arrays = explained(name)
    data = open_packed(packed)
    test = split_rows(data, tmp_path / "split.parquet", run.subset, run.split)["Test"]
    assert np.array_equal(table["row"], test)
    assert np.array_equal(arrays["row"], test)
    assert table[["id", "label", "name"]].equals(data.index[["id", "label", "name"]].iloc[test].reset_index(drop=True))
    assert set(table["label"]) == {"Normal", "Non-COVID", "COVID-19"}
    cam = arrays["cam"]
    assert (cam.shape, cam.dtype) == ((len(test), side, side), np.float16)
    assert cam.min() >= 0
    assert set(cam.max((1, 2))) <= {0, 1}
    known = table["cam_lung_share"].dropna()
    assert known.between(0, 1).all()
    assert table.loc[table["label"] != "COVID-19", "cam_infection_share"].isna().all()
    assert (
        table["cam_infection_share"].dropna() <= table["cam_lung_share"][table["cam_infection_share"].notna()]
    ).all()
    assert any(c.endswith("_hard") for c in table) == (name == "swin-dual-infection")


@pytest.mark.parametrize("name", ["swin-dual-lung", "swin-dual-infection"])
def test_the_class_head_is_asked_with_the_masks_of_its_phase(
    explained, packed: Path, tmp_path: Path, name: str
) -> None:
    run, system, table, _ = explained(name)
    whole = np.full((1, 8192), 255, np.uint8)
    some = examples(open_packed(packed), table["row"].to_numpy(), whole, run.image_px)
    batch = Batches(some)[0, np.arange(len(some))]
    with torch.inference_mode():
        found = system(batch.seen()[:, None].float() / 255)
        hard = torch.cat([found[task].sigmoid() > 0.5 for task in run.masks], 1).float()
        annotated = torch.stack([batch.target(task) for task in run.masks], 1).float()
        assert hard.shape[1] == annotated.shape[1] == (1 if name == "swin-dual-lung" else 2)
        for how, masks in (("hard", hard), ("annotated", annotated)):
            columns = table[[f"class_logit_{k}_{how}" for k in range(3)]].to_numpy()
            assert np.allclose(columns, system.classify(masks).numpy(), atol=1e-4)


def test_what_cannot_be_explained_is_refused() -> None:
    run = settings("recon-mtl-cnn8")
    with pytest.raises(ValueError, match="Cnn8 names no layer"):
        explain.explained("recon-mtl-cnn8", run, build(run.model, run.tasks, run.image_px))
    run = settings("recon-mtl-t12")
    with pytest.raises(ValueError, match="no class head"):
        explain.explained("recon-mtl-t12", run, build(run.model, run.tasks, run.image_px))
