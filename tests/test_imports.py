"""Every module that a step imports is declared, to both engines, as something that the step depends on."""

import ast
import glob
import shutil
from pathlib import Path

import pytest
from engines import SNAKEMAKE_ONLY, STEP_MODULES, closure, inside

REPORT = ("tables", "figures", "comparison", "cards", "page")
BY_PATTERN = ("src/covidqu/report/", "src/covidqu/evaluate/", "src/covidqu/page/")  # whole folders, for these steps
ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = sorted(p.stem for p in (ROOT / "src/covidqu/systems").glob("*.py") if p.stem not in ("__init__", "base"))


def declared_to_snakemake(root: Path) -> dict[str, set[str]]:
    """Step -> modules, from the mapping in code.smk."""
    scope: dict = {"glob": glob}
    exec((root / "workflow/rules/code.smk").read_text(), scope)  # plain Python
    with inside(root):
        return {step: set(scope["code"](step)) for step in scope["CODE"]}


def declared_to_dvc(root: Path) -> dict[str, set[str]]:
    """Step -> modules, from dvc.yaml; the system of a run is not resolved."""
    import yaml

    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    return {
        step: {d for d in stage.get("do", stage)["deps"] if d.startswith("src/") and "${" not in d}
        for step, stage in stages.items()
    }


def faults(root: Path) -> list[str]:
    """Differences between imports and declarations, in words."""
    snakemake, dvc = declared_to_snakemake(root), declared_to_dvc(root)
    found = []
    for step, module in STEP_MODULES.items():
        needed = closure(root, f"covidqu.{module}")
        books = {"code.smk": snakemake.get(step, set())}
        if step not in SNAKEMAKE_ONLY:
            books["dvc.yaml"] = dvc.get(step, set())
        for book, declared in books.items():
            found += [f"{book}: {step} imports {file}, not declared" for file in sorted(needed - declared)]
            found += [
                f"{book}: {step} declares {file}, not imported"
                for file in sorted(declared - needed)
                if not (step in REPORT and file.startswith(BY_PATTERN))
                and not (step == "explain" and Path(file).stem in SYSTEMS)  # imported by name
            ]
    return found


def test_declared_modules_are_the_imported_ones():
    assert faults(ROOT) == []


def test_step_modules_are_those_of_the_command_line():
    tree = ast.parse((ROOT / "src/covidqu/commands.py").read_text())
    lazy = {
        function.name: node.module.removeprefix("covidqu.")
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and any(alias.asname == "step" for alias in node.names)
    }
    # no rules: comparisons, a page that is no artefact, a listing, a package of results, a page of the repository
    for name in ("check", "readme", "systems", "tolerances", "crate", "claim"):
        lazy.pop(name)
    assert lazy == STEP_MODULES


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_brings_no_undeclared_module(system: str):
    """`systems.base.build` imports the run's system by name, and rules declare that one file."""
    own = f"src/covidqu/systems/{system}.py"
    for step in ("train", "predict"):
        assert closure(ROOT, f"covidqu.systems.{system}") - {own} <= closure(ROOT, f"covidqu.{step}")


def test_engines_declare_the_system_of_the_run():
    rules = (ROOT / "workflow/rules/train.smk").read_text(), (ROOT / "workflow/rules/evaluate.smk").read_text()
    assert all("        system=system,\n" in text for text in rules)
    assert (ROOT / "dvc.yaml").read_text().count("- src/covidqu/systems/${item.model.system}.py\n") == 2


@pytest.mark.parametrize(
    ("file", "line", "step"),
    [
        ("losses.py", "from covidqu.files import sha256", None),  # already declared: nothing changes
        ("losses.py", "import covidqu.new", "train"),
        ("data/index.py", "def late():\n    from covidqu import new", "pack"),
    ],
)
def test_an_undeclared_import_is_found(tmp_path: Path, file: str, line: str, step: str | None):
    for folder in ("src/covidqu", "workflow/rules"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    package = tmp_path / "src/covidqu"
    (package / "new.py").write_text("VALUE = 1\n")
    changed = package / file
    changed.write_text(changed.read_text() + f"\n\n{line}\n")
    with inside(tmp_path):
        found = faults(tmp_path)
    if step is None:
        assert found == []
    else:
        for book in ("code.smk", "dvc.yaml"):
            assert f"{book}: {step} imports src/covidqu/new.py, not declared" in found
