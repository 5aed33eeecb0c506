"""The whole of `params.yaml`: merged, checked, resolved to trainings. The first act of the Snakefile and of the CLI.

Input: parameter files (`reading.read`); output: `Params`. A training is a run with one of its seeds.
"""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from covidqu.config.base import Once, Strict
from covidqu.config.baselines import Baseline
from covidqu.config.data import PX, Audit, Download, Roi, Split
from covidqu.config.evaluation import Evaluate, Report
from covidqu.config.faults import Fault, explain, faults, few, lines, shown, written
from covidqu.config.machine import Machine
from covidqu.config.models import Model, OfAnEncoder, encoder
from covidqu.config.reading import merge, read
from covidqu.config.training import Run

__all__ = ["Params", "canonical", "check", "load", "merge", "pick", "read"]

NAME = re.compile(r"\w[\w-]{0,99}")  # a word to the shell, a folder, a part of a dotted key: no blank, slash or dot
PATH = re.compile(r"[\w./+@=,:%][\w./+@=,:%-]*")  # what the shell takes as it is


RANDOM, IMAGENET = "random", "imagenet-"  # initial weights: drawn by the run, or of an encoder
SYSTEMS = [get_args(model.model_fields["system"].annotation)[0] for model in get_args(get_args(Model)[0])]


SETTING: dict[str, TypeAdapter[Any]] = {  # setting of a run -> what is valid for it alone
    name: TypeAdapter(Annotated[field.annotation, field], config=ConfigDict(allow_inf_nan=False))
    for name, field in Run.model_fields.items()
    if field.annotation is not Model
}


class Paths(Strict):
    """Folders of all that is made. They stand in commands of both engines: to the shell, each must be one word."""

    data: str
    results: str

    @field_validator("data", "results")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not PATH.fullmatch(value):
            raise ValueError("the shell would not take it as one word; use letters, digits and . / _ - (or a link)")
        return value


class Params(Strict):
    """All settings. A run is `anchor` + `systems[run.system]` + its own lines; `resolved` has all trainings.

    `seeds: [0, 1, 2]` of a run RUN (or of its system) gives the trainings RUN, RUN-seed1, RUN-seed2; without the key
    there is one, with the anchor's seed. `ablations`: part of the method -> the training with it, the one without it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    paths: Paths
    download: Download
    audit: Audit
    split: Split
    roi: Roi
    initial: Annotated[list[str], Once]
    anchor: dict[str, Any]
    systems: dict[str, dict[str, Any]]
    runs: dict[str, dict[str, Any]] = Field(min_length=1)
    ablations: dict[str, tuple[str, str]]
    explain: Annotated[list[str], Once]
    baselines: dict[str, Baseline]
    evaluate: Evaluate
    report: Report
    machine: Machine

    @field_validator("runs", "baselines")
    @classmethod
    def _words(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not NAME.fullmatch(name):
                raise ValueError(f"{shown(name)} is no name; use letters, digits, _ and - (not first)")
        return value

    @field_validator("initial")
    @classmethod
    def _word_or_dots(cls, value: list[str]) -> list[str]:
        for name in value:
            if not NAME.fullmatch(name.replace(".", "_")) or name.startswith("."):
                raise ValueError(f"{shown(name)} is no name; use letters, digits, _, and - or . (not first)")
            if name != RANDOM and not name.startswith(IMAGENET):
                raise ValueError(f"{shown(name)} is not known; valid: {RANDOM}, {IMAGENET}ENCODER")
            if name != RANDOM:
                encoder(name.removeprefix(IMAGENET))
        return value

    @cached_property
    def resolved(self) -> dict[str, Run]:
        """Training -> complete configuration; the seeds of a run one after the other."""
        return {name: run for base in self.runs for name, run in trainings(self, base).items()}

    @cached_property
    def bases(self) -> dict[str, str]:
        """Training -> the run that it is of."""
        return {name: base for base in self.runs for name in trainings(self, base)}

    @property
    def ablated(self) -> list[str]:
        """Trainings that `ablations` compares."""
        named = {name for pair in self.ablations.values() for name in pair}
        return [name for name in self.resolved if name in named]

    @property
    def base_runs(self) -> list[str]:
        """Runs without the repetitions with other seeds, as far as they are in `resolved`."""
        return [name for name in self.runs if name in self.resolved]

    def base(self, name: str) -> str:
        """The run that a training is of; any other name is returned as it is."""
        return self.bases.get(name, name)

    def seeds(self, name: str) -> list[str]:
        """The trainings of a run, none for an unknown one."""
        return [training for training in self.resolved if self.base(training) == name]

    def only(self, names: list[str]) -> "Params":
        """The same settings, with these trainings alone."""
        copy = self.model_copy()
        copy.__dict__["resolved"] = {name: self.resolved[name] for name in names}  # in place of the cached one
        return copy

    def run(self, name: str) -> Run:
        """The complete configuration of one training; ValueError names the valid ones."""
        if name not in self.resolved:
            raise ValueError(f"run {shown(name)} is not in params.yaml; runs are: {', '.join(self.resolved)}")
        return self.resolved[name]

    def baseline(self, name: str) -> Baseline:
        """The settings of one baseline; ValueError names the valid ones."""
        if name not in self.baselines:
            raise ValueError(
                f"baseline {shown(name)} is not in params.yaml; baselines are: {', '.join(self.baselines)}"
            )
        return self.baselines[name]


def trainings(params: Params, base: str) -> dict[str, Run]:
    """The trainings of one run; ValueError with the run's path for settings that do not fit."""
    diff, where = params.runs[base], f"runs.{base}"
    system = diff.get("system")
    if not isinstance(system, str) or system not in params.systems:
        raise ValueError(f"{where}.system: {system!r} is not under `systems`; valid: {', '.join(params.systems)}")
    config = merge(merge(params.anchor, params.systems[system]), {k: v for k, v in diff.items() if k != "system"})
    if isinstance(config.setdefault("model", {}), dict):
        config["model"] = {"system": system} | config["model"]
    if isinstance(config.get("loss"), dict):
        config["loss"] = {task: terms for task, terms in config["loss"].items() if terms is not None}
    for level, part in ((f"systems.{system}", params.systems[system]), (where, diff)):
        if "seed" in part:
            raise ValueError(f"{level}.seed: write seeds: [{part['seed']}] (the first of the list trains RUN itself)")
    seeds = config.pop("seeds", [config.get("seed")])
    if not isinstance(seeds, list) or not seeds or len(set(map(repr, seeds))) != len(seeds):
        raise ValueError(
            f"{written(('seeds',), levels_of(params, base), False)}.seeds: {seeds!r} is no list of different numbers"
        )
    runs = []
    for seed in seeds:
        try:
            runs.append(Run.model_validate(config | {"seed": seed}))
        except ValidationError as error:
            found, levels = faults(error, Run, config | {"seed": seed}), levels_of(params, base)
            raise Unfit([placed(fault, levels) for fault in found]) from None
    return {base if place == 0 else f"{base}-seed{run.seed}": run for place, run in enumerate(runs)}


def levels_of(params: Params, base: str) -> dict[str, dict[str, Any]]:
    """Where the settings of a run are written, the later ones on top."""
    diff = params.runs[base]
    return {"anchor": params.anchor, f"systems.{diff['system']}": params.systems[diff["system"]], f"runs.{base}": diff}


def key(params: Params, name: str, setting: str) -> str:
    """The key that gives a training this setting, as it was typed."""
    return f"{written((setting,), levels_of(params, params.base(name)), True)}.{setting}"


class Unfit(ValueError):
    """Settings of a run that do not fit, one line per fault, each with the key that was typed."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def placed(fault: Fault, levels: dict[str, Any]) -> str:
    """The fault with the level that its key was typed in."""
    if fault.path[:1] == ("seed",) and (level := written(("seeds",), levels, False)) != next(iter(levels)):
        fault = fault._replace(path=("seeds", *fault.path[1:]))
    else:
        level = written(fault.path, levels, fault.absent)
    return f"{level}.{fault}"


def check(raw: dict[str, Any]) -> Params:
    """Validate merged settings and the graph of runs; ValueError lists every fault with its path."""
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        raise ValueError(explain(error, Params, raw)) from None
    found, of_runs = _unknown(params), []
    seen: dict[str, str] = {}
    for base in params.runs if not found else ():
        try:
            for name in trainings(params, base):
                if name in seen:
                    found.append(f"runs.{base}: {shown(name)} is a training of run {seen[name]} as well; rename one")
                seen[name] = base
        except Unfit as error:
            of_runs += [(line, base) for line in error.lines]
        except ValueError as error:
            found.append(str(error))
    if found or of_runs:
        raise ValueError(few([*lines(of_runs), *found]))
    check_graph(params)
    return params


def _unknown(params: Params) -> list[str]:
    """Networks that do not exist; keys of the anchor and of systems that no run has: once, not once per run."""
    valid = sorted(Run.model_fields)
    systems = [f"systems.{name}: no such network; valid: {', '.join(SYSTEMS)}" for name in params.systems
               if name not in SYSTEMS]  # fmt: skip
    levels = {"anchor": params.anchor} | {f"systems.{name}": diff for name, diff in params.systems.items()}
    unknown = [
        f"{where}.{key}: unknown key; valid here: {', '.join(valid)}"
        for where, diff in levels.items()
        for key in diff
        if key not in valid and (key != "seeds" or where == "anchor")
    ]
    return systems + unknown + [line for where, diff in levels.items() for line in _unfit(where, diff)]


def _unfit(where: str, diff: dict[str, Any]) -> list[str]:
    """Single values that no run can have, whether or not one has them; parts of a setting are seen in the runs."""
    found = []
    for key, value in diff.items():
        if key in Run.model_fields and not isinstance(value, dict):
            try:
                SETTING[key].validate_python(value)
            except ValidationError as error:
                found += [f"{where}.{fault}" for fault in faults(error, Run, {key: value}, (key,))]
    return found


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
            where = key(params, name, "init")
            raise ValueError(f"{where}: {shown(run.init)} is neither initial weights nor a run; valid: {valid}")
        if run.roi not in sources:
            where = key(params, name, "roi")
            raise ValueError(f"{where}: {shown(run.roi)} is not listed under roi; valid: {', '.join(sources)}")
        if run.subset == "lung" and ("infection" in run.tasks or run.roi != "whole"):
            where = key(params, name, "subset")
            raise ValueError(f"{where}: 'lung' has no infection masks and no ROI; set it to infection")
        _check_init(key(params, name, "init"), run, runs)
    _check_names(params)
    _check_sides(params)
    for name in runs:
        _follow(name, runs, params.roi.predicted, ())


def _check_init(where: str, run: Run, runs: dict[str, Run]) -> None:
    """The weights that a run starts from must be of its own network."""
    where += f": {shown(run.init)}"
    if run.init in runs:
        parent = runs[run.init]
        own, given = (one.model.weights(one.tasks, one.image_px) for one in (run, parent))
        if other := [key for key in own.keys() | given.keys() if own.get(key) != given.get(key)]:
            values = ", ".join(f"{key} {given.get(key)} there, {own.get(key)} here" for key in sorted(other))
            raise ValueError(f"{where} has another network: {values}; make them equal, or start elsewhere")
    elif run.init != RANDOM:
        if not isinstance(run.model, OfAnEncoder):
            raise ValueError(f"{where}: {run.model.system} has no encoder of that kind; set init: {RANDOM}")
        if run.init != f"{IMAGENET}{run.model.encoder}":
            raise ValueError(f"{where} is not of this run's encoder, {run.model.encoder}; name the weights of that one")


def _check_names(params: Params) -> None:
    """Every run that another key names must exist and give what it is named for."""
    runs = params.resolved
    for part, pair in params.ablations.items():
        for name in pair:
            if name not in runs or "infection" not in runs[name].tasks:
                raise ValueError(f"ablations.{part}: {shown(name)} is not a run with an infection mask")
    for name in params.explain:
        if name not in runs or "class" not in runs[name].tasks:
            raise ValueError(f"explain: {shown(name)} is not a run with a class head")
        if runs[name].roi != "whole":
            raise ValueError(f"explain: {shown(name)} does not see the whole image; name a run with `roi: whole`")
    for name in params.roi.predicted:
        if name not in runs or "lung" not in runs[name].tasks or runs[name].evaluate_px != PX:
            raise ValueError(f"roi.predicted: {shown(name)} is not a run with a lung output at {PX} px")


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
