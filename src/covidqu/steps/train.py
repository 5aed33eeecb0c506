"""Train one run: packed data, split, lung masks and initial weights in; best and last weights, history, card out.

Every random draw is a function of (seed, epoch, image) or (seed, epoch, rank), and the state after each epoch is kept
beside the outputs: an interrupted training continues as if nothing had happened, bit by bit.
"""

import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from covidqu.config.machine import Machine
from covidqu.config.training import Run
from covidqu.data.examples import Inputs, RunData
from covidqu.files import keep, kept_as, sha256, take_back, write_text
from covidqu.locks import only_writer
from covidqu.systems.base import build, load_weights
from covidqu.systems.weights import save_weights
from covidqu.training.card import about_weights, describe, git_commit, identity
from covidqu.training.launch import launch, seed_all
from covidqu.training.learner import Learner
from covidqu.training.loop import Loop
from covidqu.training.losses import MEASURES
from covidqu.training.resume import Progress, State

MORE = {"infection": ["dice_all", "marked"]}  # measures of Val beside the first one


def train(
    name: str, run: Run, inputs: Inputs, machine: Machine, *, init: Path, weights: Path, out: Path, resume: Path,
    live: Path | None = None,
) -> None:  # fmt: skip
    """`trained`, by one process at a time: a training whose engine was killed goes on, the next call waits for it."""
    first = int(os.environ.get("LOCAL_RANK", "0")) == 0  # of several devices the first process writes
    with only_writer(resume) if first else nullcontext():
        trained(name, run, inputs, machine, init=init, weights=weights, out=out, resume=resume, live=live)


def trained(
    name: str, run: Run, inputs: Inputs, machine: Machine, *, init: Path, weights: Path, out: Path, resume: Path,
    live: Path | None,
) -> None:  # fmt: skip
    """Train `run` and write `weights` (the best epoch on Val by `run.monitor`), last.safetensors,
    history.csv and card.json in `out`. `resume` keeps the state after each epoch until the training is complete, then
    a second name of its outputs: asked for again, the same training takes them from there. `live` is the folder of a
    logger.

    ValueError: data that are not those of the index, weights that do not fit, parts without images, a monitor that is
    not defined on Val, a device that is not there, a loss that is not finite.
    """
    commit = git_commit()  # now: hours later the tree may be another
    fabric = launch(run, machine, live)
    data = RunData.open(run, inputs)
    known = identity("train", run, data.packed.data_hash, init, inputs.roi, inputs.split)
    outputs = [weights, *(out / file for file in ("last.safetensors", "history.csv", "card.json"))]
    kept = resume / "finished"
    if kept_as(kept) == known:
        fabric.barrier()  # every process has looked
        if fabric.global_rank == 0:
            take_back(kept, known, outputs)
        return
    parts = data.examples("Train"), data.examples("Val")
    seed_all(run.seed, 0, 0)
    model = build(run.model, run.tasks, run.image_px)
    scope = load_weights(model, init)
    learner = Learner(run, fabric, model, data.ratios, data.statistics)
    state = State(name, resume / "last.pt", known)
    progress = Loop(name, learner, *parts, state, machine).fit()
    if fabric.global_rank == 0:
        facts = {
            "git_commit": commit,
            "data_hash": data.packed.data_hash,
            "initial_weights": {"name": run.init, "scope": scope, "sha256": sha256(init)},
            "train_images": len(parts[0]),
            "val_images": len(parts[1]),
            "parameters": model.parameter_count(),
            "pos_weight": data.ratios,
            "intensity_statistics": data.statistics,
            "device": torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else "CPU",
            "devices": run.devices,
        }
        card = describe(name, run, history=progress.history, best_epoch=progress.best_epoch, facts=facts)
        write(learner, progress, card, weights, out)
        if keep(kept, known, outputs):  # else the state is the only thing that outlives the engine's cleaning up
            state.remove()
    fabric.barrier()


def write(learner: Learner, progress: Progress, card: dict[str, Any], weights: Path, out: Path) -> None:
    """Write all outputs, each whole or not at all."""
    save_weights(weights, progress.best_state, about_weights(card))
    save_weights(out / "last.safetensors", learner.model.state_dict(), about_weights(card))
    tasks = card["config"]["loss"]
    columns = ["epoch", "lr", "train_loss", *[f"train_{t}_{MEASURES[t]}" for t in tasks], "val_loss"]
    columns += [f"val_{t}_{measure}" for t in tasks for measure in (MEASURES[t], *MORE.get(t, []))]
    table = pd.DataFrame(progress.history, columns=[*columns, "seconds", "images_per_s", "best"])
    write_text(out / "history.csv", table.to_csv(index=False, float_format="%.8g"))
    write_text(out / "card.json", json.dumps(card, indent=1) + "\n")
