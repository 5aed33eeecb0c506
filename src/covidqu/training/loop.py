"""The training loop: a learner and the examples of Train and Val in, its progress out."""

import math
import sys
import time

import numpy as np
from tqdm import tqdm

from covidqu.config.machine import Machine
from covidqu.config.training import Run
from covidqu.data.augment import Augmenter
from covidqu.data.batches import Batches, Loader, in_sequence, shuffled
from covidqu.data.examples import LABELS, Examples
from covidqu.training.launch import seed_all, worker_processes
from covidqu.training.learner import Learner
from covidqu.training.losses import Epoch, total
from covidqu.training.resume import Progress, State


class Loop:
    """`fit` runs epochs until the last, or until validation stops improving for `patience` of them."""

    def __init__(
        self, name: str, learner: Learner, train: Examples, val: Examples, state: State, machine: Machine
    ) -> None:
        self.name, self.run, self.learner, self.fabric = name, learner.run, learner, learner.fabric
        self.train, self.val, self.state = train, val, state
        check_monitor(self.run, val)
        augmenter = Augmenter(self.run.augment, self.run.image_px, self.run.seed) if self.run.augment else None
        workers, pinned = worker_processes(machine, self.fabric), self.fabric.device.type == "cuda"
        self.train_batches = Loader(Batches(train, augmenter), workers, pinned)
        self.val_batches = Loader(Batches(val), workers, pinned)

    def fit(self) -> Progress:
        """Run all epochs; a run of 0 epochs leaves the initial weights as they are."""
        progress = self.state.restore(self.learner)
        while progress.epoch < self.run.epochs and not self.patience_is_over(progress):
            self.epoch(progress)
            self.state.save(progress, self.learner)
        if not progress.best_state:
            progress.best_state = self.learner.kept()
        return progress

    def patience_is_over(self, progress: Progress) -> bool:
        return self.run.patience is not None and progress.epoch - progress.best_epoch >= self.run.patience

    def epoch(self, progress: Progress) -> None:
        """One pass over Train, one over Val, one line of history."""
        number, started = progress.epoch + 1, time.monotonic()
        lr = self.learner.optimizer.param_groups[0]["lr"]
        trained = self.train_pass(number)
        seconds = time.monotonic() - started
        if self.learner.scheduler:
            self.learner.scheduler.step()
        validated = self.validate()
        worth = judged(self.run.monitor, validated)
        best = worth > progress.best_value
        if best:
            progress.best_epoch, progress.best_value, progress.best_state = number, worth, self.learner.kept()
        progress.epoch = number
        speed = {"seconds": seconds, "images_per_s": len(self.train) / seconds}
        line = {"epoch": number, "lr": lr, **trained, **validated, **speed, "best": int(best)}
        progress.history.append(line)
        if self.fabric.global_rank == 0:
            shown = ", ".join(f"{k} {v:.4f}" for k, v in (trained | validated).items())
            print(f"{self.name}: epoch {number}/{self.run.epochs}: {shown}", file=sys.stderr)
            self.fabric.log_dict({k: v for k, v in line.items() if not math.isnan(v)}, step=number)

    def train_pass(self, number: int) -> dict[str, float]:
        """Mean loss over batches and mean measures over images, in training mode."""
        rank, world = self.fabric.global_rank, self.fabric.world_size
        seed_all(self.run.seed, number, rank)
        order = shuffled(len(self.train), self.run.batch // world, self.run.seed, number, rank, world, self.classes())
        self.learner.train()
        found = Epoch(self.run.loss)
        bar = tqdm(
            self.train_batches(order, number),
            desc=f"{self.name} epoch {number}/{self.run.epochs}",
            total=len(order),
            disable=rank != 0,
            mininterval=2,
            leave=False,
        )
        for batch in bar:
            loss, logits, targets = self.learner.update(batch)
            found.add([loss, loss.new_ones(())], logits, targets)
        (loss, steps), means = found.result(self.fabric, "train")
        return self.finite("train", (loss / steps).item()) | means

    def validate(self) -> dict[str, float]:
        """The loss over the whole of Val, not augmented, in evaluation mode, each image once; and mean measures."""
        rank, world = self.fabric.global_rank, self.fabric.world_size
        found = Epoch(self.run.loss)
        for batch in self.val_batches(in_sequence(len(self.val), self.run.batch)[rank::world]):
            found.add(*self.learner.look(batch))
        sums, means = found.result(self.fabric, "val")
        return self.finite("val", total(self.run.loss, sums, len(self.val)).item()) | means

    def classes(self) -> np.ndarray | None:
        """(n,) classes that a balanced sampler draws equally often."""
        if self.run.sampler != "class_balanced":
            return None
        return np.array([self.run.class_map[LABELS[label]] for label in self.train.labels])

    def finite(self, part: str, loss: float) -> dict[str, float]:
        """The loss as an entry of history; ValueError where the training has diverged."""
        if not math.isfinite(loss):
            where = f"{self.name}: the {part} loss is not finite"
            raise ValueError(f"{where}; lower optimizer.lr or set precision: 32-true")
        return {f"{part}_loss": loss}


def judged(monitor: str, validated: dict[str, float]) -> float:
    """What an epoch is chosen by, the higher the better; see `Run.monitor`."""
    match monitor:
        case "loss":
            return -validated["val_loss"]
        case "infection_all":
            return validated["val_infection_dice_all"]
        case "infection_specific":
            return (validated["val_infection_dice"] + 1 - validated["val_infection_marked"]) / 2
    return validated[f"val_{monitor}_dice"]


def check_monitor(run: Run, val: Examples) -> None:
    """ValueError where what an epoch is to be chosen by is not defined on Val: before the first epoch."""
    if run.monitor in ("loss", "infection_all") or not run.epochs:
        return
    task = run.monitor.removesuffix("_specific")
    present = val.with_mask(task)
    missing = "without" if present.all() else "with"
    if not present.any() or (run.monitor == "infection_specific" and present.all()):
        raise ValueError(
            f"monitor: '{run.monitor}' is not defined: Val holds no image {missing} {task}; set monitor: loss, or use "
            "another split"
        )
