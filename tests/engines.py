"""What both engines would run, and what the steps import: the material of the agreement tests.

Enters: a repository's root. Leaves: one `Step` per Snakemake job or DVC stage, and import closures found by AST.
"""

import ast
import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REDIRECTION = re.compile(r" 2>&1 \| tee \S+ >&2$")
STEP_MODULES = {  # what the subcommands of commands.py import
    "download": "data.archive",
    "pack": "data.pack",
    "audit": "data.audit",
    "split": "data.split",
    "roi": "data.roi",
    "roi_predicted": "data.roi",
    "initial": "initial",
    "train": "train",
    "predict": "predict",
    "explain": "explain",
    "validate": "validate",
    "score": "evaluate.scores",
    "baseline": "baselines",
    "architectures": "architectures",
    "cost": "cost",
    "tables": "report.tables",
    "figures": "report.figures",
    "comparison": "report.comparison",
    "cards": "standards.cards",
    "page": "page.site",
}
SNAKEMAKE_ONLY = ("architectures", "cost", "validate", "tables", "figures", "comparison", "cards", "page")


@dataclass(frozen=True)
class Step:
    """One job or stage: its step (the subcommand; stages are called the same), command, files and settings."""

    step: str
    command: str
    deps: frozenset[str]
    outs: frozenset[str]
    params: str  # canonical JSON of the settings that it depends on


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Run with another working directory, and leave no trace in the environment."""
    before, environment = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)


def snakemake_jobs(root: Path, overlays: tuple[Path, ...] = ()) -> list[Step]:
    """Every job of `rule all`, whether or not it is up to date."""
    from snakemake.api import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings, SnakemakeApi
    from snakemake.settings.types import Quietness

    with inside(root), SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=list(overlays)),
            snakefile=root / "Snakefile",
        )
        dag = workflow.dag(DAGSettings(forceall=True))
        with contextlib.redirect_stdout(io.StringIO()):
            dag.summary()  # the cheapest public call that builds the graph
        jobs = [job for job in dag.workflow_api._workflow.dag.jobs if job.rule.name != "all"]
        return [
            Step(
                step=job.shellcmd.split()[job.shellcmd.split().index("covidqu") + 1],
                command=REDIRECTION.sub("", " ".join(job.shellcmd.split())),
                deps=frozenset(map(str, job.input)),
                outs=frozenset(map(str, job.output)),
                params=job.params.get("values", "{}"),
            )
            for job in jobs
        ]


def dvc_stages(root: Path) -> list[Step]:
    """Every stage of dvc.yaml, expanded."""
    from dvc.dependency import ParamsDependency
    from dvc.repo import Repo

    with inside(root), Repo(str(root)) as repo:
        found = []
        for stage in repo.index.stages:
            settings: dict = {}
            for dep in stage.deps:
                if isinstance(dep, ParamsDependency):
                    settings |= dep.read_params()
            found.append(
                Step(
                    step=stage.name.split("@")[0],
                    command=" ".join(stage.cmd.split()),
                    deps=frozenset(d.def_path for d in stage.deps if not isinstance(d, ParamsDependency)),
                    outs=frozenset(out.def_path for out in stage.outs),
                    params=json.dumps(settings, sort_keys=True, separators=(",", ":")),
                )
            )
        return found


def module_file(root: Path, module: str) -> Path | None:
    """File of `covidqu.<...>`; None where that name is not a module (but a function, say)."""
    base = root / "src" / Path(*module.split("."))
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return file
    return None


def imported(file: Path) -> set[str]:
    """Names of all modules that a file imports, also inside functions; `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{file}: relative imports are not followed"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def has_code(file: Path) -> bool:
    """Whether a file holds more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(file.read_text()).body)


def closure(root: Path, module: str) -> set[str]:
    """Paths (relative to root) of the modules of `covidqu` that `module` imports, itself included."""
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        parents = {name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)}
        for candidate in {name, *parents}:
            file = module_file(root, candidate)
            if file is None or file in seen:
                continue
            seen.add(file)
            waiting += [found for found in imported(file) if found.split(".")[0] == "covidqu"]
    kept = {file for file in seen if file.name != "__init__.py" or has_code(file)}
    return {file.relative_to(root).as_posix() for file in kept}


def third_party(root: Path, files: set[str]) -> set[str]:
    """Top-level names imported by these files that are neither ours nor Python's."""
    import sys

    names = {name.split(".")[0] for file in files for name in imported(root / file)}
    return names - {"covidqu"} - set(sys.stdlib_module_names)
