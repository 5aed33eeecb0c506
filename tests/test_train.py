"""Training: what it writes, that it resumes bit by bit after a real crash, and what it refuses."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training import Workplace

from covidqu.data.index import open_packed, unpack_mask
from covidqu.steps.predict import predict


def same(first: Path, second: Path) -> bool:
    a, b = load_file(first), load_file(second)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_both_phases_write_everything(workplace: Callable[..., Workplace]) -> None:
    place = workplace()
    lung = place.train("unet-roi-lung")
    assert (lung["epochs_run"], lung["train_images"], lung["val_images"]) == (3, 12, 8)
    assert lung["initial_weights"]["scope"] == "none"
    assert lung["config"] == place.params.run("unet-roi-lung").model_dump(mode="json")
    infection = place.train("unet-roi-infection")
    assert infection["initial_weights"]["scope"] == "model"
    assert lung["data_hash"] == infection["data_hash"] == open_packed(place.packed).data_hash
    history = place.history("unet-roi-infection")
    assert list(history["epoch"]) == [1, 2, 3]
    assert np.allclose(history["lr"], [1e-3, 0.75e-3, 0.25e-3]), "cosine from the rate to 0"
    best = history[history["best"] == 1].iloc[-1]
    assert best["val_infection_dice"] == history["val_infection_dice"].max()
    assert infection["best_epoch"] == best["epoch"]
    assert not place.state("unet-roi-infection").exists()


def test_zero_epochs_pass_the_weights_on(workplace: Callable[..., Workplace]) -> None:
    place = workplace(anchor={"epochs": 1}, runs={"unet-roi-infection-predicted": {"roi": "ground-truth"}})
    place.train("unet-roi-lung")
    place.train("unet-roi-infection")
    card = place.train("unet-roi-infection-predicted")
    assert (card["epochs_run"], card["best_epoch"], card["images_per_s"]) == (0, 0, None)
    assert same(place.weights("unet-roi-infection-predicted"), place.weights("unet-roi-infection"))
    assert not same(place.weights("unet-roi-infection"), place.weights("unet-roi-lung"))
    assert len(place.history("unet-roi-infection-predicted")) == 0


def test_two_trainings_are_bit_equal_and_the_seed_matters(workplace: Callable[..., Workplace]) -> None:
    places = [workplace(), workplace(), workplace(anchor={"seed": 1})]
    for place in places:
        place.train("unetpp-b3")
    assert same(places[0].weights("unetpp-b3"), places[1].weights("unetpp-b3"))
    assert not same(places[0].weights("unetpp-b3"), places[2].weights("unetpp-b3"))


def test_resume_after_a_kill_is_bit_equal(workplace: Callable[..., Workplace]) -> None:
    """A real process, killed by SIGKILL after its second epoch; another one finishes the job."""
    whole, killed = workplace(anchor={"epochs": 4}), workplace(anchor={"epochs": 4})
    whole.train("unetpp-b3")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(killed.command("unetpp-b3"), env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 2/4: train_loss" in line:
            break
    deadline = time.monotonic() + 30
    while not killed.state("unetpp-b3").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.weights("unetpp-b3").exists()
    done = subprocess.run(killed.command("unetpp-b3"), env=environment, capture_output=True, text=True, check=True)
    assert "resumed after epoch" in done.stderr
    assert "epoch 1/4: train_loss" not in done.stderr
    for name in ("weights/unetpp-b3.safetensors", "runs/unetpp-b3/last.safetensors"):
        assert same(whole.folder / name, killed.folder / name)
    columns = ["epoch", "lr", "train_loss", "train_infection_dice", "val_loss", "val_infection_dice", "best"]
    assert whole.history("unetpp-b3")[columns].equals(killed.history("unetpp-b3")[columns])


def test_a_state_of_other_settings_is_never_continued(
    workplace: Callable[..., Workplace], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, fresh = workplace(), workplace(anchor={"seed": 5})
    monkeypatch.setattr("covidqu.steps.train.write", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        place.train("unet-roi-lung")
    monkeypatch.undo()
    os.makedirs(fresh.state("unet-roi-lung").parent)
    os.rename(place.state("unet-roi-lung"), fresh.state("unet-roi-lung"))
    fresh.train("unet-roi-lung")
    assert "starting anew" in capsys.readouterr().err
    assert fresh.history("unet-roi-lung")["seconds"].gt(0).all()


def test_a_state_of_other_code_is_never_continued(
    workplace: Callable[..., Workplace], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After an edit of the network the old weights of a broken-off training must not come back."""
    place = workplace()
    with monkeypatch.context() as patch:
        patch.setattr("covidqu.steps.train.write", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            place.train("unet-roi-lung")
    assert place.state("unet-roi-lung").is_file()
    monkeypatch.setattr("covidqu.steps.train.digest", lambda *modules: f"of edited {modules}")
    place.train("unet-roi-lung")
    assert "starting anew" in capsys.readouterr().err


def test_patience_stops_early(workplace: Callable[..., Workplace]) -> None:
    place = workplace(
        anchor={"epochs": 40},
        runs={"unet-roi-lung": {"patience": 2, "optimizer": {"lr": 1e-12}, "schedule": {"kind": "constant"}}},
    )
    card = place.train("unet-roi-lung")
    assert card["epochs_run"] < 40
    assert card["epochs_run"] - card["best_epoch"] == 2


def test_pos_weight_is_the_ratio_of_the_training_pixels(workplace: Callable[..., Workplace]) -> None:
    place = workplace(anchor={"epochs": 1})
    card = place.train("unetpp-b3")
    data = open_packed(place.packed)
    rows = np.flatnonzero((data.index["subset"] == "infection") & (data.index["split"] == "Train"))
    share = unpack_mask(np.asarray(data.infection_masks[rows])).mean()
    assert card["pos_weight"]["infection"] == pytest.approx((1 - share) / share)


def test_bad_input_is_refused_before_anything_is_written(workplace: Callable[..., Workplace]) -> None:
    place = workplace(runs={"unet-roi-infection": {"model": {"width": 8}}})
    place.train("unet-roi-lung")
    with pytest.raises(ValueError, match="tensors do not fit"):
        place.train("unet-roi-infection")
    assert not place.out("unet-roi-infection").exists()
    with pytest.raises(ValueError, match="not finite"):
        workplace(anchor={"optimizer": {"lr": 1e30}}).train("unet-roi-lung")
    with pytest.raises(ValueError, match="cannot be shared by 3 devices"):
        workplace(anchor={"devices": 3}).train("unet-roi-lung")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="16-mixed needs a GPU"):
            workplace(anchor={"precision": "16-mixed"}).train("unet-roi-lung")
        with pytest.raises(ValueError, match="accelerator: cuda"):
            workplace(anchor={"accelerator": "cuda"}).train("unet-roi-lung")


def test_two_processes_train_one_model(workplace: Callable[..., Workplace]) -> None:
    place = workplace(anchor={"devices": 2, "epochs": 2})
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(place.command("unetpp-b3"), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    card = json.loads((place.out("unetpp-b3") / "card.json").read_text())
    assert (card["devices"], card["epochs_run"]) == (2, 2)
    assert place.history("unetpp-b3")["val_infection_dice"].between(0, 1).all()


def test_bf16_trains(workplace: Callable[..., Workplace]) -> None:
    place = workplace(anchor={"precision": "bf16-mixed", "epochs": 1})
    assert np.isfinite(place.train("unet-roi-lung")["images_per_s"])
    assert all(v.dtype != torch.bfloat16 for v in load_file(place.weights("unet-roi-lung")).values())


def test_predictions(workplace: Callable[..., Workplace]) -> None:
    place = workplace(anchor={"epochs": 1})
    place.train("unet-roi-lung")
    target, roi = place.folder / "p.npz", place.folder / "roi" / "whole.npy"

    def run(roi_masks: bool) -> Any:
        predict("unet-roi-lung", place.params.run("unet-roi-lung"), place.packed, place.folder / "split.parquet", roi,
                place.weights("unet-roi-lung"), target, roi_masks=roi_masks)  # fmt: skip
        return np.load(target)

    plain, masks = run(False), run(True)
    data = open_packed(place.packed)
    test = np.flatnonzero((data.index["subset"] == "lung") & (data.index["split"] == "Test"))
    assert np.array_equal(plain["row"], test)
    assert "roi_masks" not in plain
    assert np.array_equal(plain["lung_logits"], masks["lung_logits"])
    assert plain["lung_logits"].shape == (len(test), 256, 256)
    assert plain["lung_logits"].dtype == np.float16
    assert masks["roi_masks"].shape == (len(data.infection_masks), 8192)
    meta = json.loads(str(masks["meta"]))
    assert (meta["run"], meta["subset"], meta["data_hash"]) == ("unet-roi-lung", "lung", data.data_hash)
    same_pixels = {row["image_sha256"]: i for i, row in data.index.head(len(data.infection_masks)).iterrows()}
    shared = [(k, same_pixels[s]) for k, s in enumerate(data.index["image_sha256"].iloc[test]) if s in same_pixels]
    assert shared, "the phantom's infection images occur in its lung subset"
    for k, row in shared:
        assert np.array_equal(unpack_mask(masks["roi_masks"][row]), plain["lung_logits"][k] > 0)
