"""Whole commands, in a clone of the tracked files: how long a person waits for an answer."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import Line, in_turns

COMMANDS = {  # arguments of Python, seconds allowed
    "covidqu --help": (["-m", "covidqu", "--help"], 1.0),
    "snakemake -n": (["-m", "snakemake", "-n", "--quiet"], 3.0),
    "dvc status": (["-m", "dvc", "status"], 3.0),
}
IMPORTS = {"snakemake -n": "import snakemake.cli, snakemake.workflow, pandas", "dvc status": "import dvc.repo, dvc.cli"}


def measure(place) -> list[Line]:
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
        for name in (name for name in listed if not name.startswith("results/") and Path(name).is_file()):
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, Path(folder) / name)
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        environment = os.environ | {"PYTHONPATH": "src"}

        def run(arguments: list[str]) -> None:
            command = [sys.executable, *arguments]
            subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)

        for name, (arguments, allowed) in COMMANDS.items():
            imports = ["-c", IMPORTS.get(name, "pass")]
            import_ms, ms = in_turns(1, lambda i=imports: run(i), lambda a=arguments: run(a), repeats=3)
            spent = ms - import_ms if name in IMPORTS else ms
            what = f"{name}, after imports" if name in IMPORTS else name
            lines.append(Line(what, f"{allowed:g} s", allowed * 1e3, spent, spent / allowed / 1e3, "<= 1", 1, True))
    return lines
