"""What happens on resume: the state after each epoch, kept in one file and continued by the very same training only."""

import hashlib
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from covidqu.config.training import Run
from covidqu.files import replacing, sha256
from covidqu.imports import digest
from covidqu.training.card import params_hash, versions
from covidqu.training.learner import Learner


@dataclass
class Progress:
    """What a loop has done so far; with the learner's state all that a resumed training needs."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = -math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def identity(run: Run, data_hash: str, *files: Path) -> str:
    """Hash of all that decides on a training: settings, pixels and masks, input files, this package's code, libraries.

    A state of another identity is never continued.
    """
    code = digest("steps.train", f"systems.{run.model.system}")
    text = json.dumps([params_hash(run), data_hash, *[sha256(file) for file in files], code, versions()])
    return hashlib.sha256(text.encode()).hexdigest()


class State:
    """The file of a training's state."""

    def __init__(self, name: str, file: Path, identity: str) -> None:
        self.name, self.file, self.identity = name, file, identity

    def save(self, progress: Progress, learner: Learner) -> None:
        """Keep the state after an epoch, whole or not at all; only the first process writes."""
        if learner.fabric.global_rank == 0:
            with replacing(self.file) as part:
                whole = {"identity": self.identity, "progress": vars(progress), "learner": learner.state_dict()}
                torch.save(whole, part)
        learner.fabric.barrier()

    def restore(self, learner: Learner) -> Progress:
        """Continue from the kept state when it belongs to this very training, else start anew and say so."""
        if not self.file.is_file():
            return Progress()
        state = torch.load(self.file, map_location="cpu", weights_only=True)
        if state["identity"] != self.identity:
            print(f"{self.name}: {self.file} is of other settings, data or code; starting anew", file=sys.stderr)
            return Progress()
        learner.load_state_dict(state["learner"])
        progress = Progress(**state["progress"])
        print(f"{self.name}: resumed after epoch {progress.epoch}", file=sys.stderr)
        return progress

    def remove(self) -> None:
        """The training is complete."""
        self.file.unlink(missing_ok=True)
