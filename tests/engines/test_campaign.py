"""A campaign on a lent machine: time is up, the same command goes on, and what is small is kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from support.places import ROOT

FEW = {"Train": [4, 2, 2], "Val": [2, 1, 1], "Test": [3, 1, 1]}


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """Tiny phantoms and networks, two runs of which one starts from the other, in folders of their own."""
    settings = {
        "paths": {"data": str(tmp_path / "data"), "results": str(tmp_path / "results")},
        "download": {"source": "phantom", "phantom": {"lung": FEW, "infection": FEW}},
        "audit": {"expect_counts": "none"},
        "split": {"folds": 2},
        "anchor": {"image_px": 32, "precision": "32-true", "accelerator": "cpu", "threads": 1},
        "systems": {"unet_roi": {"model": {"width": 4}, "batch": 2, "epochs": 1}, "recon_mtl": {"image_px": 64}},
    }
    file = tmp_path / "tiny.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML, and has no aliases
    return file


def campaign(overlay: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "workflow/campaign.py", "--params", "params.yaml", "--params", str(overlay), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_what_is_small_comes_back_and_the_same_command_goes_on(overlay: Path, tmp_path: Path) -> None:
    words = ("unet-roi-infection", "--keep", str(tmp_path / "kept"))
    short = campaign(overlay, *words, "--minutes", "0")
    assert short.returncode == 1 and "time is up; not done: unet-roi-infection" in short.stderr
    assert not (tmp_path / "kept").exists()
    done = campaign(overlay, *words)
    assert done.returncode == 0, done.stderr[-2000:]
    kept = tmp_path / "kept/unet-roi-infection"
    assert {f.name for f in kept.iterdir()} == {
        *("card.json", "history.csv", "scores.parquet", "metrics.json", "validation.parquet")
    }
    assert json.loads((kept / "card.json").read_text())["initial_weights"]["name"] == "unet-roi-lung"
    assert len(pd.read_parquet(kept / "scores.parquet")) == 5
    again = campaign(overlay, *words)
    assert again.returncode == 0 and "epoch 1/1" not in again.stderr, "nothing is made twice"


def test_unknown_runs_and_failing_steps_are_named(overlay: Path) -> None:
    wrong = campaign(overlay, "unet-roi-nose")
    assert wrong.returncode == 2 and "run 'unet-roi-nose' is not in params.yaml" in wrong.stderr
    text = overlay.read_text().replace('"source": "phantom"', '"source": "zip"')
    overlay.write_text(text)
    failed = campaign(overlay, "unet-roi-infection")
    assert failed.returncode == 1 and "a step failed" in failed.stderr
