"""What happens on resume: the state after each epoch, kept in one file and continued by the very same training only."""

import hashlib
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from covidqu.files import replacing, set_aside
from covidqu.training.learner import Learner


@dataclass
class Progress:
    """What a loop has done so far; with the learner's state all that a resumed training needs."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = -math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


DIGEST = 32  # bytes of SHA-256 behind the state: torch's own format does not notice changed numbers


class State:
    """The file of a training's state, with its hash at the end."""

    def __init__(self, name: str, file: Path, identity: str) -> None:
        self.name, self.file, self.identity = name, file, identity

    def save(self, progress: Progress, learner: Learner) -> None:
        """Keep the state after an epoch, whole or not at all; only the first process writes."""
        if learner.fabric.global_rank == 0:
            with replacing(self.file, recorded=False) as part:
                whole = {"identity": self.identity, "progress": vars(progress), "learner": learner.state_dict()}
                torch.save(whole, part)
                with part.open("r+b") as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
                    file.write(digest)
        learner.fabric.barrier()

    def restore(self, learner: Learner) -> Progress:
        """Continue from the kept state when it is whole and of this very training, else start anew and say so."""
        if not self.file.is_file():
            return Progress()
        if (found := contents(self.file)) is None:
            learner.fabric.barrier()  # every process has looked
            if learner.fabric.global_rank == 0:
                aside = set_aside(self.file)
                print(f"{self.name}: {self.file} is damaged, now {aside.name}; starting anew", file=sys.stderr)
            return Progress()
        identity, progress, learnt = found
        if identity != self.identity:
            print(f"{self.name}: {self.file} is of other settings, data or code; starting anew", file=sys.stderr)
            return Progress()
        learner.load_state_dict(learnt)
        print(f"{self.name}: resumed after epoch {progress.epoch}", file=sys.stderr)
        return progress

    def remove(self) -> None:
        """The training is complete."""
        self.file.unlink(missing_ok=True)


def contents(file: Path) -> tuple[str, Progress, dict[str, Any]] | None:
    """Identity, progress and the learner's state as `State.save` wrote them; None for anything else."""
    if not is_whole(file):
        return None
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        return state["identity"], Progress(**state["progress"]), state["learner"]
    except (OSError, MemoryError):
        raise
    except Exception:  # torch lets through what its own parts raise: the hash fits, but is of something else
        return None


def is_whole(file: Path) -> bool:
    """Whether a file of a training's state is, to the byte, what `State.save` wrote."""
    size, found = file.stat().st_size, hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(min(1 << 20, max(size - DIGEST - opened.tell(), 0))):
            found.update(block)
        return size > DIGEST and opened.read() == found.digest()
