"""Which files of this package decide what a step writes: its import closure, computed, never typed.

Input: a module's name; output: paths. Snakemake's rules, the lists in `dvc.yaml`, the identity of a training and that
of a measured speed all use it. A network is imported by its name in the settings, so it is not in a closure: whoever
depends on one adds its module.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
ROOT = "covidqu"


def closure(*modules: str) -> list[Path]:
    """Files of the modules of this package that `modules` ("steps.train") import, directly or not, themselves included.

    Sorted; a file without code (a docstring only) is left out. ValueError for a module that does not exist.
    """
    waiting, seen = [f"{ROOT}.{name}" for name in modules], set()
    for name in waiting:
        if module_file(name) is None:
            raise ValueError(f"{name}: this package has no such module")
    while waiting:
        name = waiting.pop()
        for candidate in {name, *(name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1))}:
            file = module_file(candidate)
            if file is not None and file not in seen:
                seen.add(file)
                waiting += [found for found in imported(file) if found.split(".")[0] == ROOT]
    return sorted(file for file in seen if file.name != "__init__.py" or has_code(file))


def step_files(step: str) -> list[str]:
    """Files behind a subcommand, relative to the repository's root: `src/covidqu/...`, sorted."""
    names = [file.relative_to(PACKAGE).as_posix() for file in closure(step_modules()[step])]
    return [f"src/{ROOT}/{name}" for name in names]


def digest(*modules: str) -> str:
    """SHA-256 over the names and texts of the closure of `modules`."""
    found = hashlib.sha256()
    for file in closure(*modules):
        found.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


@cache
def step_modules() -> dict[str, str]:
    """Subcommand -> module of its function: what `commands.py` imports under the name `step`."""
    functions = [node for node in parsed(PACKAGE / "commands.py").body if isinstance(node, ast.FunctionDef)]
    return {
        function.name: node.module.removeprefix(f"{ROOT}.")
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and node.module and any(alias.asname == "step" for alias in node.names)
    }


@cache
def imported(file: Path) -> frozenset[str]:
    """Names of all modules that a file imports, also inside functions; `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{file}: relative imports are not followed"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


@cache
def module_file(module: str) -> Path | None:
    """File of `covidqu.<...>`; None where that name is not a module (but a function, say)."""
    first, *rest = module.split(".")
    base = PACKAGE.joinpath(*rest) if first == ROOT else PACKAGE / "?"
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def has_code(file: Path) -> bool:
    """Whether a file holds more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in parsed(file).body)


@cache
def parsed(file: Path) -> ast.Module:
    """The syntax tree of a file; a file is read once."""
    return ast.parse(file.read_text(encoding="utf-8"))
