"""Networks with class and reconstruction outputs, trained and asked: both phases of paper 000, papers 003 and 004."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from covidqu.config.params import load
from covidqu.data.examples import LABELS
from covidqu.data.index import open_packed
from support.places import ROOT
from support.training import Workplace

Make = Callable[..., Workplace]


def test_both_phases_of_paper_000(workplace: Make) -> None:
    place = workplace(
        anchor={"epochs": 2}, runs={"swin-dual-lung": {"epochs": 2}, "swin-dual-infection": {"epochs": 1}}
    )
    first = place.train("swin-dual-lung")
    history = place.history("swin-dual-lung")
    assert {"train_lung_dice", "val_lung_dice", "train_class_accuracy", "val_class_accuracy"} <= set(history.columns)
    best = history[history["best"] == 1].iloc[-1]
    assert (best["val_lung_dice"], best["epoch"]) == (history["val_lung_dice"].max(), first["best_epoch"])
    card = place.train("swin-dual-infection")
    assert card["initial_weights"]["scope"] == "model"
    lung, both = (load_file(place.weights(run)) for run in ("swin-dual-lung", "swin-dual-infection"))
    moved = {key.split(".")[0] for key in lung if not torch.equal(lung[key], both[key])}
    assert moved == {"swin", "pool", "lung", "infection", "classify"}


def frozen_weights(workplace: Make, frozen_bn: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Weights of the frozen infection branch after one and after two epochs."""
    places = [workplace(runs={"swin-dual-lung": {"epochs": n, "frozen_bn": frozen_bn}}) for n in (1, 2)]
    for place in places:
        place.train("swin-dual-lung")
    states = [load_file(place.out("swin-dual-lung") / "last.safetensors") for place in places]
    one, two = ({k: v for k, v in state.items() if k.startswith("infection.")} for state in states)
    return one, two


@pytest.mark.parametrize("frozen_bn", ["train", "eval"])
def test_the_frozen_branch_keeps_its_weights_and_its_statistics_as_told(workplace: Make, frozen_bn: str) -> None:
    one, two = frozen_weights(workplace, frozen_bn)
    moved = {key for key in one if not torch.equal(one[key], two[key])}
    assert all("running_" in key or "num_batches" in key for key in moved), "no weight of the branch moves"
    assert bool(moved) == (frozen_bn == "train")


def test_the_class_head_is_taught_its_classes_and_asked_about_all(workplace: Make, tmp_path: Path) -> None:
    place = workplace(runs={"cbam-mtl-unet-proposed": {"epochs": 1, "image_px": 32, "batch": 4}})
    card = place.train("cbam-mtl-unet-proposed")
    data = open_packed(place.packed)
    train = data.index[(data.index["subset"] == "infection") & (data.index["split"] == "Train")]
    assert card["train_images"] == (train["label"] != "Non-COVID").sum() < len(train)
    mean, deviation = card["intensity_statistics"]
    assert 0 < mean[0] < 1 and 0 < deviation[0] < 1
    found = place.predict("cbam-mtl-unet-proposed", tmp_path / "p.npz")
    meta = json.loads(str(found["meta"]))
    test = data.index[(data.index["subset"] == "infection") & (data.index["split"] == "Test")]
    assert set(test["label"]) == set(LABELS)
    assert len(found["row"]) == len(test) and found["class_logits"].shape == (len(test), 2)
    assert found["infection_logits"].shape[1:] == (224, 224)
    assert (meta["px"], meta["classes"]) == (224, {"Normal": 0, "COVID-19": 1})


def test_reconstruction_comes_out_in_intensities(workplace: Make, tmp_path: Path) -> None:
    place = workplace(runs={"recon-mtl-t123": {"epochs": 4, "optimizer": {"lr": 2.0e-4}}})
    place.train("recon-mtl-t123")
    history = place.history("recon-mtl-t123")
    assert history.loc[3, "train_reconstruction_mse"] < history.loc[0, "train_reconstruction_mse"]
    assert history.loc[history["best"] == 1, "val_loss"].iloc[-1] == history["val_loss"].min()
    found = place.predict("recon-mtl-t123", tmp_path / "p.npz")
    assert found["reconstruction"].shape[1:] == found["infection_logits"].shape[1:] == (256, 256)
    assert found["reconstruction"].dtype == np.float16
    assert found["class_logits"].shape[1] == 1


def test_a_run_without_masks_trains(workplace: Make) -> None:
    place = workplace(runs={"recon-mtl-cnn8": {"epochs": 1}})
    assert place.train("recon-mtl-cnn8")["pos_weight"] == {}
    assert list(place.history("recon-mtl-cnn8").columns[2:6]) == [
        *("train_loss", "train_class_accuracy", "val_loss", "val_class_accuracy"),
    ]


def test_logits_beyond_float16_stay_finite(workplace: Make, tmp_path: Path) -> None:
    """A U-Net that collapses to blank masks has logits of -100,000: a valid, if poor, prediction."""
    place = workplace(anchor={"epochs": 1})
    place.train("unet-roi-lung")
    state = load_file(place.weights("unet-roi-lung"))
    state["head.bias"] -= 1e6
    save_file(state, place.weights("unet-roi-lung"))
    logits = place.predict("unet-roi-lung", tmp_path / "p.npz")["lung_logits"]
    assert np.isfinite(logits).all() and (logits < -50_000).all()


def test_an_overlay_may_add_runs() -> None:
    assert "recon-mtl-t123-512" not in load([ROOT / "params.yaml"]).resolved
    with_them = load([ROOT / "params.yaml", ROOT / "workflow/overlays/optional.yaml"])
    assert with_them.run("recon-mtl-t123-512").image_px == 512
    assert with_them.run("cbam-mtl-unet-proposed-rest").class_map == {"Normal": 0, "Non-COVID": 0, "COVID-19": 1}
