"""The command line: light where it can be, plain in its errors."""

import inspect
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from covidqu import commands
from covidqu.cli import GROUPS, main
from covidqu.imports import step_modules
from support.parameters import text
from support.places import ROOT

HEAVY = ("torch", "segmentation_models_pytorch", "lightning_fabric", "matplotlib", "albumentations", "kaggle")


def imported(code: str) -> set[str]:
    """Top-level names in sys.modules after `code` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('modules', *sys.modules)"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return {m.split(".")[0] for m in done.stdout.splitlines()[-1].split()}


def test_help_imports_nothing_heavy() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = imported("from covidqu.cli import main\nassert main(['--help']) == 0")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "typer" in found and not found & {*HEAVY, "pandas", "numpy", "cv2", "pydantic", "yaml"}
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1, "seconds, whatever else runs"


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


def test_help_shows_every_command_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == main([]) == 0
    text = capsys.readouterr().out
    names = [function.__name__ for functions in GROUPS.values() for function in functions]
    shown = re.findall(r"^│ ([a-z_]+) {2,}\S|^╭─ (\w+) ─", text, re.MULTILINE)
    wanted = [word for group, functions in GROUPS.items() for word in (group, *(f.__name__ for f in functions))]
    assert [command or group for command, group in shown] == ["Options", *wanted] * 2
    assert step_modules().keys() | {"params"} == set(names) and len(set(names)) == len(names)


@pytest.mark.parametrize("name", [function.__name__ for functions in GROUPS.values() for function in functions])
def test_every_option_has_a_help_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, *own = inspect.signature(getattr(commands, name)).parameters.values()
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    for parameter in own:
        (about,) = parameter.annotation.__metadata__
        assert about.help and about.help.split()[0] in text, parameter.name
        assert parameter.name in text
    assert "--params" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tabels"], "covidqu: No such command 'tabels'. Did you mean 'tables'?"),
        (["check", "--reslts", "a"], "covidqu check: No such option: --reslts (Possible options: --results)"),
        (["pack", "--out", "a"], "covidqu pack: Missing option '--archive'."),
        (["--params"], "covidqu: Option '--params' requires an argument."),
    ],
)
def test_a_wrong_word_is_one_line_that_names_the_nearest(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_parameter_files_stand_before_or_after_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [ROOT / "params.yaml", tmp_path / "first.yaml", tmp_path / "second.yaml"]
    for file in files[1:]:
        file.write_text(f"report: {{title: {file.stem}}}\n")
    one, two, three = (["--params", str(file)] for file in files)
    for words in ([*one, *two, *three, "params"], [*one, *two, "params", *three], ["params", *one, *two, *three]):
        assert main(words) == 0
        assert yaml.safe_load(capsys.readouterr().out)["report"]["title"] == "second"
    assert main([*one, "params", f"--params={files[1]}"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["report"]["title"] == "first"


def test_completion_knows_the_commands() -> None:
    words = {"_COVIDQU_COMPLETE": "complete_bash", "COMP_WORDS": "covidqu tab", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "covidqu"], env=os.environ | words, capture_output=True, text=True,
                          check=False, cwd=ROOT)  # fmt: skip
    assert done.stdout.split() == ["tables"]


def test_a_fault_is_one_message_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = yaml.safe_load((ROOT / "params.yaml").read_text())
    bad["runs"]["unetpp-b3"]["epoch"] = 1
    (tmp_path / "params.yaml").write_text(text(bad))
    assert main(["--params", str(tmp_path / "params.yaml"), "params"]) == 2
    message = capsys.readouterr().err
    assert "runs.unetpp-b3.epoch: unknown key" in message
    assert "Traceback" not in message
    _, _, *options = inspect.signature(commands.train).parameters
    options = [word for name in options for word in (f"--{name}", "nowhere")]
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
