"""What a step imports is what both engines say that it depends on."""

import subprocess
import sys
from pathlib import Path

import pytest

from covidqu.imports import closure, digest, step_files, step_modules
from support.copies import copied
from support.engines import NO_RULES, SNAKEMAKE_ONLY, dvc_stages
from support.places import ROOT

SYSTEMS = sorted(p.stem for p in (ROOT / "src/covidqu/systems").glob("*.py") if p.stem not in ("__init__", "base"))


def dvc_lists(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "workflow/dvc_lists.py", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package, dvc.yaml and the script that writes its lists."""
    return copied(tmp_path, "src/covidqu", "workflow", "dvc.yaml", "params.yaml")


def test_the_lists_of_dvc_yaml_are_what_the_steps_import() -> None:
    done = dvc_lists(ROOT)
    assert done.returncode == 0, done.stderr


def test_a_new_import_is_found_and_written(copy: Path) -> None:
    package = copy / "src/covidqu"
    (package / "new.py").write_text("VALUE = 1\n")
    losses = package / "training/losses.py"
    losses.write_text(losses.read_text() + "\n\ndef late():\n    from covidqu import new\n")
    assert dvc_lists(copy).returncode == 1
    assert dvc_lists(copy, "--fix").returncode == 0
    text = (copy / "dvc.yaml").read_text()
    stages = {part.split(":")[0]: part for part in text.split("\n  ") if part.split(":")[0] in ("train", "pack")}
    assert text.count("- src/covidqu/new.py\n") == 1  # training only
    assert dvc_lists(copy).returncode == 0 and stages.keys() == {"train", "pack"}


def test_a_stage_without_markers_is_refused(copy: Path) -> None:
    text = (copy / "dvc.yaml").read_text()
    (copy / "dvc.yaml").write_text(text.replace("# end of code", "# end", 1))
    done = dvc_lists(copy)
    assert done.returncode == 1 and "stage source has 0 lists" in done.stderr


def test_a_closure_holds_what_is_imported_anywhere_and_no_more() -> None:
    names = {file.name for file in closure("steps.train")}
    assert {"train.py", "batches.py", "losses.py", "augment.py", "base.py"} <= names
    assert not names & {"swin_dual.py", "audit.py", "phantom.py", "kaggle.py", "cli.py", "verdict.py"}
    assert digest("steps.train") == digest("steps.train") != digest("steps.predict")
    with pytest.raises(ValueError, match=r"steps\.tran: this package has no such module"):
        closure("steps.tran")


def test_every_subcommand_that_is_a_rule_has_a_module() -> None:
    rules = {stage.step for stage in dvc_stages(ROOT)} | set(SNAKEMAKE_ONLY)
    assert rules == step_modules().keys() - NO_RULES
    for step in rules:
        assert all((ROOT / file).is_file() for file in step_files(step))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_brings_no_undeclared_module(system: str) -> None:
    """`systems.base.build` imports the run's system by name, and rules declare that one file."""
    own = ROOT / f"src/covidqu/systems/{system}.py"
    for step in ("steps.train", "steps.predict"):
        assert {*closure(f"systems.{system}")} - {own} <= {*closure(step)}
