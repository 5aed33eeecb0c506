"""The conda environments hold what the steps import, in the versions of uv.lock."""

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker

from covidqu.imports import closure, step_modules
from support.engines import NO_RULES, third_party
from support.places import ROOT

ENVS = {path.stem: path for path in [*sorted((ROOT / "workflow/envs").glob("*.yaml")), ROOT / "environment.yml"]}
PACKAGE = ROOT / "src/covidqu"
COMMANDS = PACKAGE / "commands.py"
PYTHON = "3.11"  # of every environment


def locked() -> dict[str, str]:
    """Distribution -> version that uv.lock gives to `PYTHON`; some packages have another one for later Pythons."""
    found: dict[str, str] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        markers = package.get("resolution-markers", [])
        if "version" in package and (
            not markers or any(Marker(m).evaluate({"python_full_version": f"{PYTHON}.0"}) for m in markers)
        ):
            assert package["name"] not in found, f"{package['name']}: two versions for Python {PYTHON}"
            found[package["name"]] = package["version"]
    return found


LOCKED = locked()


def pins(file: Path) -> dict[str, str]:
    """Distribution -> version, from the pip section of an environment file."""
    content = yaml.safe_load(file.read_text())
    assert content["channels"] == ["conda-forge"]
    *conda, pip = content["dependencies"]
    assert conda == [f"python ={PYTHON}", "pip"]
    lines = [line for line in pip["pip"] if line != "-e ."]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in lines), lines
    return dict(line.split("==") for line in lines)


def steps_by_environment() -> dict[str, set[str]]:
    """Environment -> steps whose rules name it."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        for block in re.split(r"^ *rule\b", file.read_text(), flags=re.MULTILINE)[1:]:
            named = re.search(r'conda:\s+"\.\./envs/(\w+)\.yaml"', block)
            assert named, f"{file.name}: a rule without conda: {block.splitlines()[0]}"
            found.setdefault(named.group(1), set()).update(re.findall(r"python -m covidqu (\w+)", block))
    return found


def test_every_step_has_an_environment():
    found = steps_by_environment()
    assert found.keys() == ENVS.keys() - {"environment"}
    assert set().union(*found.values()) == step_modules().keys() - NO_RULES


@pytest.mark.parametrize("name", ENVS)
def test_versions_are_the_locked_ones(name: str):
    assert pins(ENVS[name]) == {package: LOCKED.get(package) for package in pins(ENVS[name])}


@pytest.mark.parametrize("name", sorted(ENVS.keys() - {"environment"}))
def test_environment_covers_the_imports_of_its_steps(name: str):
    steps = steps_by_environment()[name]
    files = [*closure("config.params", *(step_modules()[step] for step in steps)), PACKAGE / "cli.py", COMMANDS]
    if "train" in steps:  # imported by name
        files += (PACKAGE / "systems").glob("*.py")
    if "download" in steps:
        files += (PACKAGE / "ingest" / "sources").glob("*.py")
    held, distributions = pins(ENVS[name]), packages_distributions()
    missing = {
        package
        for package in third_party(files)
        if not {re.sub("[_.]", "-", d.lower()) for d in distributions[package]} & held.keys()
    }
    assert missing == set()


def test_conda_environment_holds_the_direct_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = {re.match(r"[\w-]+", line).group() for line in project["dependencies"]}
    assert pins(ENVS["environment"]).keys() == direct
