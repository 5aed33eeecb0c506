"""The whole of `params.yaml`: read, merged with overlays, checked. The first act of the Snakefile and of the CLI."""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, Field, ValidationError

from covidqu.config.base import Strict, explain
from covidqu.config.baselines import Baseline
from covidqu.config.data import PX, Audit, Download, Roi, Split
from covidqu.config.evaluation import Evaluate, Report
from covidqu.config.machine import Machine
from covidqu.config.training import Run, deviations

REPEATED = re.compile(r"-seed\d+$")


class Paths(Strict):
    data: str
    results: str


class Params(Strict):
    """All settings; `runs` are diffs from `anchor` until `resolved` merges them.

    `full_runs`: run -> dotted key -> the paper's setting; what a run has otherwise is in the title of its tables.
    `optional_runs` are runs only where an overlay names them in `include` (see `read`). `RUN-seedN` repeats RUN.
    `ablations`: part of the method -> the run with it, the run without it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    paths: Paths
    download: Download
    audit: Audit
    split: Split
    roi: Roi
    initial: list[str]
    anchor: dict[str, Any]
    runs: dict[str, dict[str, Any]] = Field(min_length=1)
    optional_runs: dict[str, dict[str, Any]]
    include: list[str]
    full_runs: dict[str, dict[str, Any]]
    ablations: dict[str, tuple[str, str]]
    explain: list[str]
    baselines: dict[str, Baseline]
    evaluate: Evaluate
    report: Report
    machine: Machine

    @cached_property
    def resolved(self) -> dict[str, Run]:
        """Run name -> complete configuration."""
        return {name: resolve(self.anchor, diff, name) for name, diff in self.runs.items()}

    @property
    def ablated(self) -> list[str]:
        """Runs that `ablations` compares."""
        named = {name for pair in self.ablations.values() for name in pair}
        return [name for name in self.runs if name in named]

    @property
    def base_runs(self) -> list[str]:
        """Runs without the repetitions with other seeds."""
        return [name for name in self.runs if self.base(name) == name]

    @staticmethod
    def base(name: str) -> str:
        """The run that `name` repeats, or `name` itself."""
        return REPEATED.sub("", name)

    def seeds(self, name: str) -> list[str]:
        """The run and its repetitions with other seeds, those that are there."""
        return [run for run in self.runs if self.base(run) == name]

    def full(self, name: str) -> dict[str, Any]:
        """The paper's settings of a run or of what it repeats: dotted key -> value."""
        return self.full_runs.get(self.base(name), {})

    def run(self, name: str) -> Run:
        """The complete configuration of one run; ValueError names the valid ones."""
        if name not in self.runs:
            raise ValueError(f"run '{name}' is not in params.yaml; runs are: {', '.join(self.runs)}")
        return self.resolved[name]

    def baseline(self, name: str) -> Baseline:
        """The settings of one reference point; ValueError names the valid ones."""
        if name not in self.baselines:
            raise ValueError(f"baseline '{name}' is not in params.yaml; baselines are: {', '.join(self.baselines)}")
        return self.baselines[name]


def resolve(anchor: dict[str, Any], diff: dict[str, Any], name: str) -> Run:
    """Apply a run's diff to the anchor and check the result."""
    try:
        return Run.model_validate(merge(anchor, diff))
    except ValidationError as error:
        raise ValueError(_prefix(f"runs.{name}", explain(error, Run))) from None


def merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Deep merge: dicts are merged, all else is replaced; a dict of another `kind` or `system` replaces."""
    out = dict(base)
    for key, value in top.items():
        old = out.get(key)
        same = isinstance(old, dict) and isinstance(value, dict)
        tagged = same and any(tag in value and tag in old and value[tag] != old[tag] for tag in ("kind", "system"))
        out[key] = merge(old, value) if same and not tagged else value
    return out


def read(files: list[Path]) -> dict[str, Any]:
    """Merge parameter files, later ones on top; ValueError for what cannot be read as a mapping."""
    merged: dict[str, Any] = {}
    for file in files:
        if not file.is_file():
            raise ValueError(f"{file}: no such parameter file; name one with --params or COVIDQU_PARAMS")
        try:
            content = yaml.safe_load(file.read_text())
        except yaml.YAMLError as error:
            raise ValueError(f"{file}: not valid YAML: {error}") from None
        if not isinstance(content, dict):
            raise ValueError(f"{file}: holds {type(content).__name__}, a mapping of settings is wanted")
        merged = merge(merged, content)
    return included(merged)


def included(raw: dict[str, Any]) -> dict[str, Any]:
    """Make runs of the optional ones that `include` names; leave out those that an overlay set to null, and what
    `full_runs` and `ablations` say of these.
    """
    if not isinstance(raw.get("runs"), dict):
        return raw  # refused by `check`, with its path
    runs = {name: run for name, run in raw["runs"].items() if run is not None}
    left_out = raw["runs"].keys() - runs.keys()
    optional, names = raw.get("optional_runs") or {}, raw.get("include") or []
    unknown = [name for name in names if name not in optional]
    if unknown:
        raise ValueError(f"include: '{unknown[0]}' is no optional run; valid: {', '.join(optional)}")
    full = {name: settings for name, settings in (raw.get("full_runs") or {}).items() if name not in left_out}
    pairs = {part: pair for part, pair in (raw.get("ablations") or {}).items() if not left_out.intersection(pair)}
    return raw | {"runs": runs | {name: optional[name] for name in names}, "full_runs": full, "ablations": pairs}


def check(raw: dict[str, Any]) -> Params:
    """Validate merged settings and the graph of runs; ValueError lists every fault with its path."""
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        raise ValueError(explain(error, Params)) from None
    faults = []
    for name, diff in (params.optional_runs | params.runs).items():
        try:
            resolve(params.anchor, diff, name)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("\n".join(faults))
    check_graph(params)
    return params


def load(files: list[Path]) -> Params:
    """Read and validate; ValueError names the files and every fault."""
    try:
        return check(read(files))
    except ValueError as error:
        raise ValueError(f"{' + '.join(map(str, files))}:\n{error}") from None


def check_graph(params: Params) -> None:
    """Every `init` and `roi` must exist, fit, and lead back to initial weights without a cycle."""
    runs, sources = params.resolved, [*params.roi.annotated, *params.roi.predicted]
    for name, run in runs.items():
        if name in params.initial or name in ("whole", "ground-truth"):
            raise ValueError(f"runs.{name}: this name is taken by initial weights or an ROI source")
        if run.init not in runs and run.init not in params.initial:
            valid = ", ".join([*params.initial, *runs])
            raise ValueError(f"runs.{name}.init: '{run.init}' is neither initial weights nor a run; valid: {valid}")
        if run.roi not in sources:
            raise ValueError(f"runs.{name}.roi: '{run.roi}' is not listed under roi; valid: {', '.join(sources)}")
        if run.subset == "lung" and ("infection" in run.tasks or run.roi != "whole"):
            raise ValueError(f"runs.{name}.subset: 'lung' has no infection masks and no ROI; set it to infection")
    _check_names(params)
    _check_sides(params)
    for name in runs:
        _follow(name, runs, params.roi.predicted, ())


def _check_names(params: Params) -> None:
    """Every run that another key names must exist and give what it is named for."""
    runs = params.resolved
    known = {name: resolve(params.anchor, diff, name) for name, diff in params.optional_runs.items()} | runs
    for name, full in params.full_runs.items():
        if name not in known:
            raise ValueError(f"full_runs.{name}: no such run; runs are: {', '.join(known)}")
        try:
            deviations(known[name].model_dump(mode="json"), full)
        except ValueError as error:
            raise ValueError(f"full_runs.{name}.{error}") from None
    for part, pair in params.ablations.items():
        for name in pair:
            if name not in runs or "infection" not in runs[name].tasks:
                raise ValueError(f"ablations.{part}: '{name}' is not a run with an infection mask")
    for name in params.explain:
        if name not in runs or "class" not in runs[name].tasks:
            raise ValueError(f"explain: '{name}' is not a run with a class head")
        if runs[name].roi != "whole":
            raise ValueError(f"explain: '{name}' does not see the whole image; name a run with `roi: whole`")
    for name in params.roi.predicted:
        if name not in runs or "lung" not in runs[name].tasks or runs[name].evaluate_px != PX:
            raise ValueError(f"roi.predicted: '{name}' is not a run with a lung output at {PX} px")


def _check_sides(params: Params) -> None:
    """A reference mask must be counted wherever a run's infection is, or it cannot stand beside it."""
    sides = {run.evaluate_px for run in params.resolved.values() if "infection" in run.tasks} - {PX}
    for name, baseline in params.baselines.items():
        if missing := sorted(sides - set(getattr(baseline, "also_px", sides))):
            raise ValueError(f"baselines.{name}.also_px: runs are evaluated at {missing[0]} px as well; add it")


def _follow(name: str, runs: dict[str, Run], predicted: list[str], seen: tuple[str, ...]) -> None:
    if name in seen:
        raise ValueError(f"runs.{name}: runs wait for each other: {' -> '.join([*seen, name])}; break the cycle")
    for parent in {runs[name].init, runs[name].roi} & runs.keys():
        _follow(parent, runs, predicted, (*seen, name))


def canonical(value: Any) -> str:
    """JSON text that does not depend on key order, for hashes and for Snakemake's comparison of params."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def pick(raw: dict[str, Any], *keys: str) -> str:
    """Canonical text of the named (dotted) settings: the same keys as `params:` of the DVC stage."""

    def get(key: str) -> Any:
        node: Any = raw
        for part in key.split("."):
            node = node[part]
        return node

    return canonical({key: get(key) for key in keys})


def _prefix(path: str, lines: str) -> str:
    return "\n".join(f"{path}.{line}" for line in lines.splitlines())
