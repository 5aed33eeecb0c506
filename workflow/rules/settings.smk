# The first act: params.yaml and the overlays of --configfile are merged and checked, before any job exists.
import glob
import os
import re
import shutil
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, os.path.join(workflow.basedir, "src"))

from covidqu.config.params import load, pick, read
from covidqu.imports import step_files as code
from covidqu.ingest import outside
from covidqu.ingest.source import look
from covidqu.locks import clear_engine_locks
from covidqu.report import catalogue

OVERLAYS = workflow.configfiles[:-1]  # Snakemake appends params.yaml to those of the command line
FILES = [Path(os.path.relpath(file)) for file in ["params.yaml", *OVERLAYS]]

if workflow.config_settings.config or workflow.config_settings.replace_workflow_config:
    raise WorkflowError("the steps do not see --config; write an overlay file and name it with --configfile")
if sum(word.startswith("--configf") for word in sys.argv[1:]) > 1:
    raise WorkflowError(
        "of several --configfile, Snakemake reads the last only; name all files after one: --configfile A B"
    )
try:
    PARAMS, config = load(FILES), read(FILES)
except ValueError as error:
    raise WorkflowError(str(error)) from None

# every job, on every node, reads the same files as this process, and the package from this tree
os.environ["COVIDQU_PARAMS"] = os.pathsep.join(map(str, FILES))
shell.prefix("set -euo pipefail; export PYTHONPATH=src; ")

# A lock of Snakemake's names no process and outlives one that was killed. Steps of that one may still run: they hold
# locks of their own, and a step that wants to write the same waits.
if workflow.is_main_process and not workflow.output_settings.dryrun and clear_engine_locks(Path(".snakemake")):
    print("The lock of a Snakemake that was killed is removed.", file=sys.stderr)

D, R, RUNS = PARAMS.paths.data, PARAMS.paths.results, PARAMS.resolved

try:  # rule source: what the archive is to be made of, as it is now
    SOURCE, source_warning = look(PARAMS.download, Path(D) / "source.json")
    if source_warning and workflow.is_main_process:
        print(f"source: {source_warning}", file=sys.stderr)
except outside.Absent as error:
    if error.path:
        raise WorkflowError(str(error)) from None
    SOURCE = ""  # nothing is named: rule source says so when its turn comes
except (ValueError, OSError) as error:
    raise WorkflowError(str(error)) from None


def one_of(names):
    """Wildcard constraint: one of the names, as they are."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def settings(run):
    """Dotted keys of what decides on a training, in params.yaml: the same as in dvc.yaml."""
    base = PARAMS.base(run)
    return "anchor", f"systems.{PARAMS.runs[base]['system']}", f"runs.{base}"


def system(wildcards):
    """The module of a run's network."""
    return f"src/covidqu/systems/{RUNS[wildcards.run].model.system}.py"


def gpus(wildcards):
    """GPUs that a run may use; none where it asks for the CPU."""
    run = RUNS[wildcards.run]
    return 0 if run.accelerator == "cpu" else run.devices


def cores(wildcards):
    """Threads that a run uses; Snakemake gives no more than --cores."""
    return RUNS[wildcards.run].threads or 8


wildcard_constraints:
    run=one_of(RUNS),
    name=r"[\w-]+",
