"""Train one run: packed data, split, lung masks and initial weights in; best and last weights, history, card out.

One visible loop on Lightning Fabric. Every random draw is a function of (seed, epoch, rank), and the state after each
epoch is kept beside the outputs, so that an interrupted training continues as if nothing had happened, bit by bit.
"""

import hashlib
import json
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from tqdm import tqdm

from covidqu.config.training import Run
from covidqu.data import augment
from covidqu.data.batches import (
    LABELS,
    Batch,
    Examples,
    Statistics,
    batches,
    foreground_ratios,
    in_sequence,
    intensity_statistics,
    load_roi,
    order,
    split_rows,
    trained_on,
)
from covidqu.data.index import open_packed
from covidqu.files import replacing, sha256, write_text
from covidqu.imports import digest
from covidqu.systems.base import System, build, load_weights, prepare
from covidqu.training.card import describe, git_commit, params_hash, weights_metadata
from covidqu.training.launch import launch, seed_all
from covidqu.training.losses import MEASURES, Sums, total_loss
from covidqu.training.optimization import averaged, freeze, optimization


@dataclass
class Progress:
    """What the loop has done so far; together with model and optimiser, all that a resumed training needs."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = -math.inf
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def train(
    name: str, run: Run, packed: Path, split: Path, roi: Path, init: Path, weights: Path, out: Path, resume: Path
) -> None:
    """Train `run` and write `weights` (the best epoch on Val by `run.monitor`), last.safetensors,
    history.csv and card.json in `out`. `resume` keeps the state after each epoch until the training is complete.

    ValueError: weights that do not fit, splits without images, a device that is not there, a loss that is not finite.
    """
    commit = git_commit()  # now: hours later the tree may be another
    fabric = launch(run)
    data = open_packed(packed)
    masks = load_roi(roi, data)
    parts = {
        part: Examples(data, trained_on(data, rows, run), masks, run.image_px, tuple(run.filters))
        for part, rows in split_rows(data, split, run.subset, run.split).items()
    }
    seed_all(run.seed, 0, 0)
    model = build(run.model, run.tasks, run.image_px)
    scope = load_weights(model, init)
    ratios, statistics = foreground_ratios(run, parts["Train"]), intensity_statistics(run, parts["Train"])
    identity = key(run, data.data_hash, init, roi, split)
    loop = Loop(name, run, fabric, model, parts, ratios, statistics, resume / "last.pt", identity)
    progress = loop.fit()
    if fabric.global_rank == 0:
        device = fabric.device
        facts = {
            "git_commit": commit,
            "data_hash": data.data_hash,
            "initial_weights": {"name": run.init, "scope": scope, "sha256": sha256(init)},
            "train_images": len(parts["Train"]),
            "val_images": len(parts["Val"]),
            "parameters": model.parameter_count(),
            "pos_weight": ratios,
            "intensity_statistics": statistics,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
            "devices": run.devices,
        }
        card = describe(name, run, history=progress.history, best_epoch=progress.best_epoch, facts=facts)
        write(model, progress, card, weights, out)
        (resume / "last.pt").unlink(missing_ok=True)
    fabric.barrier()


def key(run: Run, data_hash: str, *files: Path) -> str:
    """Identity of a training: settings, data, inputs, and the code that decides on its numbers.

    A state of another identity is never continued.
    """
    code = digest("steps.train", f"systems.{run.model.system}")
    text = json.dumps([params_hash(run), data_hash, *[sha256(file) for file in files], code])
    return hashlib.sha256(text.encode()).hexdigest()


class Loop:
    """The training loop: `fit` runs epochs until the last or until validation stops improving for `patience`."""

    def __init__(
        self,
        name: str,
        run: Run,
        fabric: Fabric,
        model: System,
        parts: dict[str, Examples],
        ratios: dict[str, float],
        statistics: Statistics | None,
        state_file: Path,
        identity: str,
    ) -> None:
        self.name, self.run, self.fabric, self.parts, self.ratios = name, run, fabric, parts, ratios
        self.statistics = statistics
        self.state_file, self.identity = state_file, identity
        self.model = model.to(memory_format=torch.channels_last)
        self.frozen = freeze(run, model)
        optimizer, self.scheduler = optimization(run, model)
        self.forward, self.optimizer = fabric.setup(self.model, optimizer)
        self.averaged = averaged(run, self.model)
        self.class_of_label = torch.tensor([run.class_map.get(label, -1) for label in LABELS])
        self.transform = augment.build(run.augment, run.image_px) if run.augment else None

    def fit(self) -> Progress:
        """Run all epochs; a run of 0 epochs leaves the initial weights as they are."""
        progress = self.restore()
        while progress.epoch < self.run.epochs and not self.patience_is_over(progress):
            self.epoch(progress)
            self.save(progress)
        if not progress.best_state:
            progress.best_state = self.snapshot()
        return progress

    def patience_is_over(self, progress: Progress) -> bool:
        return self.run.patience is not None and progress.epoch - progress.best_epoch >= self.run.patience

    def epoch(self, progress: Progress) -> None:
        """One pass over Train, one over Val, one line of history."""
        number, started = progress.epoch + 1, time.monotonic()
        lr = self.optimizer.param_groups[0]["lr"]
        trained = self.train_pass(number)
        seconds = time.monotonic() - started
        seen = len(self.parts["Train"])
        if self.scheduler:
            self.scheduler.step()
        validated = self.validate()
        monitor = self.run.monitor
        value = -validated["val_loss"] if monitor == "loss" else validated[f"val_{monitor}_dice"]
        best = value > progress.best_value
        if best:
            progress.best_epoch, progress.best_value, progress.best_state = number, value, self.snapshot()
        progress.epoch = number
        line = {"epoch": number, "lr": lr, **trained, **validated, "seconds": seconds, "images_per_s": seen / seconds}
        progress.history.append({**line, "best": int(best)})
        if self.fabric.global_rank == 0:
            shown = ", ".join(f"{k} {v:.4f}" for k, v in (trained | validated).items())
            print(f"{self.name}: epoch {number}/{self.run.epochs}: {shown}", file=sys.stderr)

    def train_pass(self, number: int) -> dict[str, float]:
        """Mean loss over batches and mean Dice over images with foreground, in training mode."""
        rank, world = self.fabric.global_rank, self.fabric.world_size
        draw = seed_all(self.run.seed, number, rank)
        if self.transform is not None:
            self.transform.set_random_seed(draw)
        train = self.parts["Train"]
        classes = None
        if self.run.sampler == "class_balanced":
            classes = np.array([self.run.class_map[label] for label in train.labels])
        positions = order(len(train), self.run.batch // world, self.run.seed, number, rank, world, classes)
        self.forward.train()
        for module in self.frozen if self.run.frozen_bn == "eval" else []:
            module.eval()
        sums = Sums(self.run.tasks, self.fabric.device)
        bar = tqdm(
            batches(train, positions, self.transform),
            desc=f"{self.name} epoch {number}/{self.run.epochs}",
            total=len(positions),
            disable=rank != 0,
            mininterval=2,
            leave=False,
        )
        for batch in bar:
            logits, targets, loss = self.step(batch, self.forward)
            self.fabric.backward(loss)
            self.optimizer.step()
            self.optimizer.zero_grad()
            if self.averaged:
                self.averaged.update_parameters(self.model)
            sums.add(loss.detach(), logits, targets)
        return sums.result(self.fabric, "train", f"{self.name} epoch {number}")

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The same over Val, not augmented, in evaluation mode, each image once."""
        network = (self.averaged or self.forward).eval()
        rank, world = self.fabric.global_rank, self.fabric.world_size
        sums = Sums(self.run.tasks, self.fabric.device)
        positions = in_sequence(len(self.parts["Val"]), self.run.batch)[rank::world]
        for batch in batches(self.parts["Val"], positions):
            logits, targets, loss = self.step(batch, network)
            sums.add(loss, logits, targets)
        return sums.result(self.fabric, "val", self.name)

    def step(
        self, batch: Batch, network: torch.nn.Module
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], torch.Tensor]:
        """Forward pass and loss of one batch."""
        device, targets = self.fabric.device, {}
        image = prepare(torch.from_numpy(batch.image).to(device), self.model.channels, self.statistics)
        label = torch.from_numpy(batch.label).to(device)
        for task in self.run.tasks:
            if task == "class":
                targets[task] = self.class_of_label.to(device)[label]
            elif task == "reconstruction":
                targets[task] = image[:, :1]
            else:
                targets[task] = torch.from_numpy(batch.target(task)).to(device).unsqueeze(1)
        with self.fabric.autocast():
            logits = network(image)
        return logits, targets, total_loss(self.run.loss, logits, targets, self.ratios, label)

    def snapshot(self) -> dict[str, torch.Tensor]:
        """A copy on the host of the weights that are validated."""
        kept = self.averaged.module if self.averaged else self.model
        return {k: v.detach().cpu().contiguous().clone() for k, v in kept.state_dict().items()}

    def save(self, progress: Progress) -> None:
        """Keep the state after an epoch, whole or not at all."""
        if self.fabric.global_rank == 0:
            state = {
                "identity": self.identity,
                "progress": vars(progress),
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict() if self.scheduler else {},
                "averaged": self.averaged.state_dict() if self.averaged else {},
                "precision": self.fabric.strategy.precision.state_dict(),
            }
            with replacing(self.state_file) as part:
                torch.save(state, part)
        self.fabric.barrier()

    def restore(self) -> Progress:
        """Continue from the kept state when it belongs to this very training, else start anew and say so."""
        if not self.state_file.is_file():
            return Progress()
        state = torch.load(self.state_file, map_location="cpu", weights_only=True)
        if state["identity"] != self.identity:
            print(f"{self.name}: {self.state_file} is of other settings or data; starting anew", file=sys.stderr)
            return Progress()
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler:
            self.scheduler.load_state_dict(state["scheduler"])
        if self.averaged:
            self.averaged.load_state_dict(state["averaged"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        progress = Progress(**state["progress"])
        print(f"{self.name}: resumed after epoch {progress.epoch}", file=sys.stderr)
        return progress


def write(model: System, progress: Progress, card: dict[str, Any], weights: Path, out: Path) -> None:
    """Write all outputs, each whole or not at all."""
    last = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    for target, state in ((weights, progress.best_state), (out / "last.safetensors", last)):
        with replacing(target) as part:
            save_file(state, part, metadata=weights_metadata(card))
    tasks = card["config"]["loss"]
    columns = ["epoch", "lr", "train_loss", *[f"train_{t}_{MEASURES[t]}" for t in tasks]]
    columns += ["val_loss", *[f"val_{t}_{MEASURES[t]}" for t in tasks], "seconds", "images_per_s", "best"]
    table = pd.DataFrame(progress.history, columns=columns)
    write_text(out / "history.csv", table.to_csv(index=False, float_format="%.8g"))
    write_text(out / "card.json", json.dumps(card, indent=1) + "\n")
