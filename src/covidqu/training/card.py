"""The run card: what a result was made from (commit, versions, hashes), by what, for how long."""

import hashlib
import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from covidqu.config.training import Run
from covidqu.files import sha256
from covidqu.imports import digest

PACKAGES = ("torch", "numpy", "albumentations", "segmentation-models-pytorch", "lightning-fabric")


def git_commit() -> str | None:
    """Commit of the source tree, with `-dirty` when tracked files were changed; None outside git."""
    here = Path(__file__).parent.parent  # the package

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", here, *arguments], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    return commit and commit + ("-dirty" if git("status", "--porcelain", "--untracked-files=no", "--", here) else "")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def params_hash(run: Run) -> str:
    """SHA-256 of a run's complete configuration."""
    return hashlib.sha256(run.model_dump_json().encode()).hexdigest()


def identity(step: str, run: Run, data_hash: str, *files: Path) -> str:
    """Hash of all that decides on what a step of a run makes: settings, pixels and masks, input files, this package's
    code, libraries.

    What has another identity is never continued nor taken for this outcome.
    """
    code = digest(f"steps.{step}", f"systems.{run.model.system}")
    text = json.dumps([params_hash(run), data_hash, *[sha256(file) for file in files], code, versions()])
    return hashlib.sha256(text.encode()).hexdigest()


def describe(
    name: str, run: Run, *, history: list[dict[str, float]], best_epoch: int, facts: dict[str, Any]
) -> dict[str, Any]:
    """The card of a finished run; `facts` are what only the training knows (commit, device, data)."""
    rates = [line["images_per_s"] for line in history]
    return {
        "run": name,
        "system": run.model.system,
        "config": run.model_dump(mode="json"),
        "params_hash": params_hash(run),
        **facts,
        "epochs_run": len(history),
        "best_epoch": best_epoch,
        "seconds": round(sum(line["seconds"] for line in history), 1),
        "images_per_s": round(float(np.mean(rates)), 2) if rates else None,
        "versions": versions(),
    }


def about_weights(card: dict[str, Any]) -> dict[str, Any]:
    """What a file of weights says of itself: nothing that another making of the same weights would say otherwise."""
    return {"scope": "model"} | {key: card[key] for key in ("run", "config", "data_hash", "params_hash")}
