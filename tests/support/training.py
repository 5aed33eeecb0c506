"""A place to train in: small settings, inputs on the phantom's packed data, and a short way to call the steps."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from covidqu.config.params import check, merge, read
from covidqu.data.examples import Inputs, resized
from covidqu.data.index import open_packed
from covidqu.steps.initial import initial
from covidqu.steps.predict import predict
from covidqu.steps.train import train
from covidqu.systems.base import build, prepare
from covidqu.systems.weights import save_weights
from support.parameters import text
from support.places import ROOT

SMALL = {
    "initial": ["random", "imagenet-resnet34"],  # the second only named: its weights are not made
    "anchor": {
        "image_px": 32,
        "epochs": 3,
        "batch": 4,
        "threads": 1,
        "precision": "32-true",
        "accelerator": "cpu",
        "optimizer": {"lr": 1.0e-3},
    },
    "systems": {"recon_mtl": {"image_px": 64}},
    "runs": {
        "unet-roi-lung": {"model": {"width": 4}},
        "unet-roi-infection": {"model": {"width": 4}},
        "unet-roi-infection-predicted": {"model": {"width": 4}},
        "swin-dual-lung": {"model": {"width": 12}},
        "swin-dual-infection": {"model": {"width": 12}},
        "cbam-mtl-unet-proposed": {"model": {"width": 8}},
        "recon-mtl-t123": {"model": {"width": 8, "class_width": 4}, "image_px": 64},
        "recon-mtl-cnn8": {"model": {"width": 8, "class_width": 4}, "image_px": 64, "batch": 4},
        "unetpp-b3": {"init": "random", "batch": 4, "patience": None,
                      "model": {"encoder": "efficientnet-b0", "decoder_channels": [8, 8, 8, 8, 8]}},
    },
}  # fmt: skip
# Tests make `reference` and `reference-lung` smaller, so that no other run can start from their weights.
OF_THEM = [name for name, run in read([ROOT / "params.yaml"])["runs"].items() if run["init"].startswith("reference")]
SMALL["runs"] |= {name: {"init": "random"} for name in OF_THEM}


class Workplace:
    """Inputs of the steps in a folder, and a short way to call them."""

    def __init__(self, folder: Path, packed: Path, changes: dict[str, Any]) -> None:
        self.folder, self.packed = folder, packed
        raw = merge(merge(read([ROOT / "params.yaml"]), SMALL), changes)
        self.raw, self.params = raw, check(raw)
        (folder / "params.yaml").write_text(text(raw))
        data = open_packed(packed)
        pd.DataFrame({"official": data.index["split"]}).to_parquet(folder / "split.parquet")
        (folder / "roi").mkdir()
        np.save(folder / "roi" / "whole.npy", np.full((1, 8192), 255, np.uint8))
        np.save(folder / "roi" / "ground-truth.npy", data.lung_masks[: len(data.infection_masks)])
        initial("random", self.weights("random"))

    def set_run(self, name: str, changes: dict[str, Any]) -> None:
        """Other settings of one run from now on."""
        self.raw = merge(self.raw, {"runs": {name: changes}})
        self.params = check(self.raw)

    def weights(self, name: str) -> Path:
        return self.folder / "weights" / f"{name}.safetensors"

    def out(self, name: str) -> Path:
        return self.folder / "runs" / name

    def state(self, name: str) -> Path:
        return self.folder / "resume" / name / "last.pt"

    def inputs(self, name: str) -> Inputs:
        roi = self.folder / "roi" / f"{self.params.run(name).roi}.npy"
        return Inputs(packed=self.packed, split=self.folder / "split.parquet", roi=roi)

    def train(self, name: str, live: Path | None = None) -> dict[str, Any]:
        run, resume = self.params.run(name), self.state(name).parent
        places = {"init": self.weights(run.init), "weights": self.weights(name), "out": self.out(name)}
        train(name, run, self.inputs(name), self.params.machine, **places, resume=resume, live=live)
        return json.loads((self.out(name) / "card.json").read_text())

    def history(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.out(name) / "history.csv")

    def predict(self, name: str, target: Path, *, roi_masks: bool = False) -> Any:
        places = {"weights": self.weights(name), "out": target}
        predict(name, self.params.run(name), self.inputs(name), **places, roi_masks=roi_masks)
        return np.load(target)

    def command(self, name: str) -> list[str]:
        run = self.params.run(name)
        return [sys.executable, "-m", "covidqu", "--params", str(self.folder / "params.yaml"), "train", name,
                "--packed", str(self.packed), "--split", str(self.folder / "split.parquet"),
                "--roi", str(self.folder / "roi" / f"{run.roi}.npy"), "--init", str(self.weights(run.init)),
                "--weights", str(self.weights(name)), "--out", str(self.out(name)),
                "--resume", str(self.state(name).parent)]  # fmt: skip


def awake(place: Workplace, name: str, seed: int = 0) -> None:
    """Weights of a network that answers differently to different images, without a training: fresh ones, and the
    running statistics of the phantom's images.
    """
    torch.manual_seed(seed)
    settings = place.params.run(name)
    system = build(settings.model, settings.tasks, settings.image_px)
    for module in system.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    images = np.stack([resized(np.asarray(one), settings.image_px) for one in open_packed(place.packed).images[:16]])
    with torch.no_grad():
        system.train()(prepare(torch.from_numpy(images), system.channels))
    for module in system.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.clamp_(min=0.05)  # a channel that is all alike would blow rounding up
    about = {"scope": "model", "run": name, "config": settings.model_dump(mode="json"), "data_hash": "0" * 64}
    save_weights(place.weights(name), system.state_dict(), about | {"params_hash": "0"})
