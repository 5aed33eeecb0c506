"""Which results folders are committed, which files of them, and the settings they were made with.

Input: the working directory (a clone, or a copy of its files without git). Output: folders with `Params`, file names.
"""

import subprocess
from pathlib import Path

from covidqu.config.params import Params, load

PARAMETERS, OVERLAYS = Path("params.yaml"), Path("workflow/overlays")
SCORES = "runs/*/scores.parquet"
MADE = (("tables/", ".csv"), ("tables/", ".md"), ("figures/", ".svg"), ("comparison", ".csv"))  # how files begin, end


def variants() -> dict[Path, Params]:
    """Results folder -> settings that write there: params.yaml alone, or under one overlay; the first one counts."""
    found: dict[Path, Params] = {}
    for files in ([PARAMETERS], *([PARAMETERS, overlay] for overlay in sorted(OVERLAYS.glob("*.yaml")))):
        params = load(files)
        found.setdefault(Path(params.paths.results), params)
    return found


def chosen(folders: list[Path] | None, settings: Params | None) -> dict[Path, Params]:
    """The folders to check with their settings; without `folders`, all that hold committed scores.

    `settings`: those that were named on the command line, else the ones of `variants`. ValueError for a folder that no
    settings write to, or that is none.
    """
    known = variants() if settings is None else {Path(settings.paths.results): settings}
    if not folders:
        return {folder: params for folder, params in known.items() if holds_scores(folder)}
    by_path = {folder.resolve(): params for folder, params in known.items()}
    found = {}
    for folder in folders:
        params = settings or by_path.get(folder.resolve())
        if params is None:
            raise ValueError(f"{folder}: no overlay writes there ({', '.join(map(str, known))}); name its --params")
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder of results; run the pipeline first")
        found[folder] = params
    return found


def holds_scores(folder: Path) -> bool:
    """Whether scores of runs are committed there; outside a repository, whether they are there."""
    names = in_git(folder)
    if names is None:
        return any(folder.glob(SCORES))
    return any(Path(name).match(SCORES) and len(Path(name).parts) == 3 for name in names)


def files(folder: Path) -> set[str]:
    """Tables and figures of a results folder, relative to it: those that are committed, or, if none is, all."""
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return _made(in_git(folder) or set()) or _made(there)


def _made(names: set[str]) -> set[str]:
    return {name for name in names if any(name.startswith(start) and name.endswith(end) for start, end in MADE)}


def in_git(folder: Path) -> set[str] | None:
    """Files below `folder` that git knows, relative to it; None outside a repository."""
    if not folder.is_dir():
        return set()
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # a copy of the files on a machine without git
        return None
    return {name for name in done.stdout.split("\0") if name} if done.returncode == 0 else None
