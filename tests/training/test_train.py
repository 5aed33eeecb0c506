"""Training: what it writes, that it resumes bit by bit after a real crash, and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from covidqu.data.index import open_packed, unpack_mask
from support.places import ROOT
from support.training import Workplace


def same(first: Path, second: Path) -> bool:
    """Whether two files hold the same bytes: tensors, and what they say of themselves."""
    return first.read_bytes() == second.read_bytes()


def same_tensors(first: Path, second: Path) -> bool:
    a, b = load_file(first), load_file(second)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def broken_off(place: Workplace, name: str) -> None:
    """A training that is interrupted when all epochs are done, before it writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("covidqu.steps.train.write", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            place.train(name)
    assert place.state(name).is_file()


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
    assert same_tensors(place.weights("unet-roi-infection-predicted"), place.weights("unet-roi-infection"))
    assert not same_tensors(place.weights("unet-roi-infection"), place.weights("unet-roi-lung"))
    assert len(place.history("unet-roi-infection-predicted")) == 0


def test_two_trainings_are_bit_equal_and_the_seed_matters(workplace: Callable[..., Workplace]) -> None:
    places = [workplace(), workplace(), workplace(anchor={"seed": 1})]
    for place in places:
        place.train("unetpp-b3")
    for file in ("weights/unetpp-b3.safetensors", "runs/unetpp-b3/last.safetensors", "weights/random.safetensors"):
        assert same(places[0].folder / file, places[1].folder / file)
    assert not same_tensors(places[0].weights("unetpp-b3"), places[2].weights("unetpp-b3"))
    assert oct(places[0].weights("unetpp-b3").stat().st_mode) == oct((places[0].folder / "params.yaml").stat().st_mode)


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
    workplace: Callable[..., Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    place, fresh = workplace(), workplace(anchor={"seed": 5})
    broken_off(place, "unet-roi-lung")
    os.makedirs(fresh.state("unet-roi-lung").parent)
    os.rename(place.state("unet-roi-lung"), fresh.state("unet-roi-lung"))
    fresh.train("unet-roi-lung")
    assert "starting anew" in capsys.readouterr().err
    assert fresh.history("unet-roi-lung")["seconds"].gt(0).all()


def test_a_state_of_other_code_is_never_continued(workplace: Callable[..., Workplace], tmp_path: Path) -> None:
    """After an edit of the label map, which is no setting, or of the network, old weights must not come back."""
    place, package = workplace(), tmp_path / "edited" / "covidqu"
    shutil.copytree(ROOT / "src/covidqu", package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(package.parent)}
    rest = '"covid_vs_rest": {"Normal": 0, "Non-COVID": '
    edits = (
        ("config/training.py", f"{rest}0", f"{rest}1"),
        ("systems/unet_roi.py", "LEVELS = 5", "LEVELS = 5  # five"),
    )
    for name, old, new in edits:
        broken_off(place, "unet-roi-lung")
        file = package / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))
        command = place.command("unet-roi-lung")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert "starting anew" in done.stderr and "epoch 1/3: train_loss" in done.stderr


def test_a_state_is_never_continued_over_other_pixels(workplace: Callable[..., Workplace], tmp_path: Path) -> None:
    place = workplace()
    broken_off(place, "unet-roi-lung")
    shutil.copytree(place.packed, tmp_path / "packed")
    images = np.load(tmp_path / "packed/images.npy", mmap_mode="r+")
    images[:] = 255 - images
    images.flush()
    place.packed = tmp_path / "packed"
    with pytest.raises(ValueError, match="are not those that were packed"):
        place.train("unet-roi-lung")
    assert place.state("unet-roi-lung").is_file() and not place.weights("unet-roi-lung").exists()


def test_what_a_monitor_needs_is_looked_for_before_the_first_epoch(
    workplace: Callable[..., Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without infection in Val every epoch had a Dice of 0.0, and the first one was kept."""
    place = workplace(runs={"unet-roi-infection": {"init": "random"}})
    table = pd.read_parquet(place.folder / "split.parquet")
    labels = open_packed(place.packed).index["label"].to_numpy()
    changed = table.assign(
        official=table["official"].where(~((table["official"] == "Val") & (labels == "COVID-19")), "-")
    )
    changed.to_parquet(place.folder / "split.parquet")
    with pytest.raises(ValueError, match=r"monitor: 'infection' is not defined: Val holds no image with infection"):
        workplace_with(place, monitor="infection").train("unet-roi-infection")
    with pytest.raises(ValueError, match="Val has no image that the class head knows"):
        only = (labels == "Non-COVID") | (table["official"] != "Val")
        table.assign(official=table["official"].where(only, "-")).to_parquet(place.folder / "split.parquet")
        place.train("cbam-mtl-unet-proposed")
    assert "epoch 1/" not in capsys.readouterr().err
    changed.to_parquet(place.folder / "split.parquet")
    workplace_with(place, monitor="loss").train("unet-roi-infection")
    history = place.history("unet-roi-infection")
    assert history["val_infection_dice"].isna().all() and history["val_infection_dice_all"].notna().all()


def workplace_with(place: Workplace, **changes: Any) -> Workplace:
    """The same place with other settings of paper 002's infection run."""
    place.set_run("unet-roi-infection", changes)
    return place


def test_a_training_can_be_watched(workplace: Callable[..., Workplace], tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    place = workplace(anchor={"epochs": 2}, machine={"logger": "tensorboard"})
    place.train("unet-roi-lung", live=tmp_path / "live" / "unet-roi-lung")
    events = tensorboard.EventAccumulator(str(tmp_path / "live" / "unet-roi-lung"))
    events.Reload()
    shown = [event.value for event in events.Scalars("val_lung_dice")]
    assert np.allclose(shown, place.history("unet-roi-lung")["val_lung_dice"])
    plain = workplace(anchor={"epochs": 2})
    plain.train("unet-roi-lung")
    assert same(plain.weights("unet-roi-lung"), place.weights("unet-roi-lung")), "watching changes nothing"


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


def put(place: Workplace, name: str, part: str, **values: Any) -> None:
    """Settings of a run that `check` would refuse."""
    run = place.params.run(name)
    place.params.resolved[name] = run.model_copy(update={part: getattr(run, part).model_copy(update=values)})


def test_bad_input_is_refused_before_anything_is_written(workplace: Callable[..., Workplace]) -> None:
    with pytest.raises(ValueError, match="'unet-roi-lung' has another network: width 4 there, 8 here"):
        workplace(runs={"unet-roi-infection": {"model": {"width": 8}}})
    place = workplace()
    place.train("unet-roi-lung")
    put(place, "unet-roi-infection", "model", width=8)
    with pytest.raises(ValueError, match="tensors do not fit"):
        place.train("unet-roi-infection")
    assert not place.out("unet-roi-infection").exists()
    with pytest.raises(ValueError, match="not finite"):
        put(place, "unet-roi-lung", "optimizer", lr=1e30)
        place.train("unet-roi-lung")
    with pytest.raises(ValueError, match="cannot be shared by 3 devices"):
        workplace(anchor={"devices": 3}).train("unet-roi-lung")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="16-mixed needs a GPU"):
            workplace(anchor={"precision": "16-mixed"}).train("unet-roi-lung")
        with pytest.raises(ValueError, match="accelerator: cuda"):
            workplace(anchor={"accelerator": "cuda"}).train("unet-roi-lung")


def two_processes(place: Workplace, name: str, **variables: str) -> None:
    """Train with `devices: 2` on the CPU: two processes that exchange gradients with gloo."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    done = subprocess.run(place.command(name), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Starting with 2 processes" in done.stderr, done.stderr[-2000:]


def test_two_processes_train_one_model(workplace: Callable[..., Workplace]) -> None:
    place = workplace(anchor={"devices": 2, "epochs": 2})
    # inside a job of Slurm, Fabric left the second process to the scheduler, and one trained alone
    two_processes(place, "unetpp-b3", SLURM_NTASKS="1", SLURM_JOB_NAME="train", SLURM_JOB_ID="1", SLURM_PROCID="0",
                  SLURM_LOCALID="0", SLURM_NODEID="0", SLURM_NODELIST="one")  # fmt: skip
    card = json.loads((place.out("unetpp-b3") / "card.json").read_text())
    assert (card["devices"], card["epochs_run"]) == (2, 2)
    assert place.history("unetpp-b3")["val_infection_dice"].between(0, 1).all()


def test_two_processes_give_what_one_gives(workplace: Callable[..., Workplace]) -> None:
    """To rounding, where a batch can be cut in two: no batch normalisation, no pooled Dice, no dropout."""
    name, own = "recon-mtl-t12", {"loss": {"infection": [{"kind": "bce", "weight": 1.0}]}, "monitor": "loss"}
    own |= {"epochs": 3, "patience": None}
    own |= {"model": {"width": 8, "class_width": 4}, "image_px": 64, "augment": [{"kind": "horizontal_flip", "p": 0.5}]}
    one, two = workplace(runs={name: own}), workplace(runs={name: own}, anchor={"devices": 2})
    one.train(name)
    two_processes(two, name)
    losses = ["train_loss", "val_loss", "train_reconstruction_mse", "val_reconstruction_mse"]
    histories = [place.history(name)[losses].to_numpy() for place in (one, two)]
    assert np.allclose(*histories, rtol=1e-3), "2e-5 when this was written"
    assert histories[0][0, 0] == pytest.approx(histories[1][0, 0], rel=1e-5), "the first epoch has the same draws"


def test_bf16_trains(workplace: Callable[..., Workplace]) -> None:
    place = workplace(anchor={"precision": "bf16-mixed", "epochs": 1})
    assert np.isfinite(place.train("unet-roi-lung")["images_per_s"])
    assert all(v.dtype != torch.bfloat16 for v in load_file(place.weights("unet-roi-lung")).values())


def test_predictions(workplace: Callable[..., Workplace]) -> None:
    place = workplace(anchor={"epochs": 1})
    place.train("unet-roi-lung")
    plain, masks = (
        place.predict("unet-roi-lung", place.folder / "p.npz", roi_masks=wanted) for wanted in (False, True)
    )
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
