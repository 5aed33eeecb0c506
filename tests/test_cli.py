"""The command line: light where it can be, plain in its errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from parameters import text

from covidqu.cli import STEPS, main, parser

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "segmentation_models_pytorch", "lightning_fabric", "matplotlib", "albumentations", "kaggle")


def imported(code: str) -> set[str]:
    """Top-level names in sys.modules after `code` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('modules', *sys.modules)"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return {m.split(".")[0] for m in done.stdout.splitlines()[-1].split()}


def test_help_imports_nothing_heavy() -> None:
    found = imported("from covidqu.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass")
    assert not found & {*HEAVY, "pandas", "numpy", "cv2"}


def test_data_steps_and_scores_do_without_torch(phantom_archive: Path, tmp_path: Path) -> None:
    code = f"""
from covidqu.cli import main
t = {str(tmp_path)!r}
assert main(["pack", "--archive", {str(phantom_archive)!r}, "--out", t + "/packed"]) == 0
params = ["--params", "params.yaml", "--params", "workflow/overlays/demo.yaml"]
assert main([*params, "audit", "--packed", t + "/packed", "--out", t + "/audit"]) == 0
assert main([*params, "split", "--packed", t + "/packed", "--audit", t + "/audit", "--out", t + "/split.parquet"]) == 0
assert main(["roi", "whole", "--packed", t + "/packed", "--out", t + "/whole.npy", "--sheet", t + "/whole.png"]) == 0
import covidqu.evaluate.scores, covidqu.report.tables, covidqu.report.comparison, covidqu.report.checks.recompute
"""
    assert not imported(code) & {"torch", "lightning_fabric", "segmentation_models_pytorch"}


def test_every_step_has_its_name_everywhere() -> None:
    for name, (handler, *_) in STEPS.items():
        assert handler.__name__ == name
    assert parser().parse_args(["check", "--results", "a", "--data", "b"]).step == "check"


def test_a_fault_is_one_message_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = yaml.safe_load((ROOT / "params.yaml").read_text())
    bad["runs"]["unetpp-b3"]["epoch"] = 1
    (tmp_path / "params.yaml").write_text(text(bad))
    assert main(["--params", str(tmp_path / "params.yaml"), "params"]) == 2
    message = capsys.readouterr().err
    assert "runs.unetpp-b3.epoch: unknown key" in message
    assert "Traceback" not in message
    options = [word for o in STEPS["train"][3] for word in (f"--{o}", "nowhere")]
    assert main(["--params", str(ROOT / "params.yaml"), "train", "nope", *options]) == 2
    assert "run 'nope' is not in params.yaml; runs are: swin-dual-lung" in capsys.readouterr().err


def test_overlays_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text("report: {title: MINE}\n")
    environment = os.environ | {"COVIDQU_PARAMS": os.pathsep.join(["params.yaml", str(tmp_path / "overlay.yaml")])}
    done = subprocess.run([sys.executable, "-m", "covidqu", "params", "--out", str(tmp_path / "merged.yaml")],
                          env=environment, cwd=ROOT, check=True, capture_output=True)  # fmt: skip
    assert done.stdout == b""
    merged = yaml.safe_load((tmp_path / "merged.yaml").read_text())
    assert merged["report"]["title"] == "MINE"
    assert main(["--params", str(tmp_path / "merged.yaml"), "params"]) == 0, "merged settings are valid settings"


def test_a_dvc_stage_refuses_overlays(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DVC_STAGE", "train@unetpp-b3")
    monkeypatch.setenv("COVIDQU_PARAMS", "params.yaml:workflow/overlays/demo.yaml")
    assert main(["params"]) == 2
    assert "unset it" in capsys.readouterr().err
