"""Linters and formatters, and the one test command."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
    command = ["git", "grep", "-n", "-i", "healthy", "--", ":!tests/test_style.py"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    assert found and not [line for line in found if "Class 2 (Healthy)" not in line]
