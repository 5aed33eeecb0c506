"""Linters and formatters, and the one test command."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import FAST
from support.places import ROOT, TESTS


@pytest.mark.parametrize(
    "command",
    ["ruff check .", "ruff format --check .", "snakefmt --check Snakefile workflow/rules"],
)
def test_style(command: str) -> None:
    name, *arguments = command.split()
    program = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert program, f"{name} is not installed; run: uv sync"
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def shell(page: str) -> list[str]:
    """The commands of a page, without remarks."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [" ".join(part.split()) for line in lines for part in line.split("#")[0].split("&&") if part.strip()]


def test_ci_runs_the_documented_test_command() -> None:
    tests = "uv run pytest -n 2 --dist loadfile"
    readme, contributing = shell("README.md"), shell("CONTRIBUTING.md")
    assert {"uv run snakemake --cores 2 --configfile workflow/overlays/demo.yaml", tests} <= set(readme)
    script, last = (ROOT / ".ci" / "run").read_text(), contributing.index(tests)
    for command in contributing[last - 3 : last + 1]:
        assert command in script, f"CONTRIBUTING's test command has `{command}`, .ci/run has not"
    assert "bash .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_patients_without_annotated_infection_are_named() -> None:
    """They are Normal or have another pneumonia; the word stands only where a column that a paper prints is quoted."""
    command = ["git", "grep", "-n", "-i", "healthy", "--", f":!{Path(__file__).relative_to(ROOT)}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    assert found and not [line for line in found if "Class 2 (Healthy)" not in line]


def test_the_quick_tests_are_files_that_are_there() -> None:
    assert [name for name in sorted(FAST) if not [*TESTS.rglob(name)]] == []


def test_the_makefile_runs_the_documented_commands() -> None:
    rules = dict(re.findall(r"^(\w+):\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    rows = re.findall(r"^\| `make (\w+)` \| (?:`(.*?)`)?", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == list(rules)
    assert all(command.split("`")[0] in rules[name] for name, command in rows)
    assert "uv run pytest -n 2 --dist loadfile" in rules["test"] and "workflow/overlays/demo.yaml" not in rules["lite"]


def test_the_hooks_are_the_tools_of_the_lock_file() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {repo["repo"] for repo in hooks} == {"local"}, "no other versions than those of uv.lock"
    (patients,) = (hook for hook in hooks[0]["hooks"] if hook["id"] == "patients")
    kept = ("results/lite/figures/swin-dual/figure-6.png", "results/runs/a/predictions.npz")
    assert all(re.search(patients["files"], name) for name in kept)
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [name for name in tracked.splitlines() if re.search(patients["files"], name)] == []
