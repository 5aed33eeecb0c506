"""What both engines would run: one `Step` per Snakemake job or DVC stage of a repository."""

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from covidqu.imports import imported

REDIRECTION = re.compile(r" 2>&1 \| tee \S+ >&2$")
# subcommands that are no rules: comparisons, a listing, a package of results, pages of the repository, manuscripts,
# one's own pictures, and what warnings find
NO_RULES = {"check", "verify", "readme", "systems", "crate", "claim", "export", "ready", "read", "reader", "trust"}
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


def third_party(files: Iterable[Path]) -> set[str]:
    """Top-level names imported by these files that are neither ours nor Python's."""
    names = {name.split(".")[0] for file in files for name in imported(file)}
    return names - {"covidqu"} - set(sys.stdlib_module_names)
