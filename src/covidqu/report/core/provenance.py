"""Where every setting of every run comes from: stated by the paper, inferred, or chosen here.

Input: `settings/*.yaml` of this package, one per system, and `common.yaml` for what all share; output: per run the full
settings with their origin, and how a run differs from the full run. Dotted keys lead into a run's configuration,
through lists by `kind`: `augment.affine.p`. Keys under `code` are no settings: the code fixes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from yaml import load as load_yaml

from covidqu.config.base import Strict
from covidqu.config.faults import explain
from covidqu.config.params import Params
from covidqu.config.reading import Loader
from covidqu.report.core.published import SHOWN

How = Literal["stated", "inferred", "chosen"]


class Entry(Strict):
    """`value` of the full run, `how` it is known and `why`: what the paper says, or what it was inferred from."""

    value: Any
    how: How
    why: str = Field(min_length=1)


class Fixed(Entry):
    """What the code fixes for all runs; `ours` where that is not `value`."""

    ours: str | None = None


class File(Strict):
    """One file: entries for all runs of a system, those of each run, and what the code fixes.

    Of a run, `of` names another one whose entries it has but for its own, `overlay` the file that has the run.
    """

    settings: dict[str, Entry]
    runs: dict[str, dict[str, Entry | str]] = Field(default={})
    code: dict[str, Fixed] = Field(default={})


@dataclass(frozen=True)
class Setting:
    """A setting of the full run beside what the run at hand has (`actual`)."""

    key: str
    value: Any
    how: How
    why: str
    actual: Any

    @property
    def words(self) -> str:
        """`instead of` only for what a paper says or implies."""
        if self.how == "chosen":
            return f"{self.key} {self.actual} (full size: {self.value})"
        return f"{self.key} {self.actual} instead of {self.value}"


@cache
def read(name: str) -> File:
    """The file of a system, or `common`; AssertionError for one that does not fit."""
    text = (files("covidqu.report") / "settings" / f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return TypeAdapter(File).validate_python(load_yaml(text, Loader))
    except ValidationError as error:
        raise AssertionError(f"settings/{name}.yaml:\n{explain(error, File)}") from None


@cache
def entries(run: str) -> dict[str, Entry]:
    """Dotted key -> entry of a run by its base name; empty for a run of which no file knows."""
    for system in SHOWN:
        known = read(system).runs
        if run in known:
            chain = [run]
            while isinstance(of := known[chain[-1]].get("of"), str):
                chain.append(of)
            found: dict[str, Entry] = {}
            layers: list[Mapping[str, Entry | str]] = [read("common").settings, read(system).settings]
            for layer in [*layers, *(known[name] for name in reversed(chain))]:
                for key, entry in layer.items():
                    if isinstance(entry, Entry):
                        found = {k: e for k, e in found.items() if not nested(k, key)} | {key: entry}
            common = read("common").settings
            return dict(sorted(found.items(), key=lambda item: item[0] in common))  # the system's own first
    return {}


def overlay_of(run: str) -> str | None:
    """The overlay that has a run which params.yaml has not; None for any other run."""
    found = [known[run].get("overlay") for system in SHOWN if run in (known := read(system).runs)]
    return found[0] if found and isinstance(found[0], str) else None


def nested(one: str, other: str) -> bool:
    """Whether one key is the other, or leads into it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def full_entries(params: Params, run: str) -> dict[str, Entry]:
    """Entries of the run that a training is of."""
    return entries(params.base(run))


def full(params: Params, run: str) -> dict[str, Any]:
    """Dotted key -> value of the full run."""
    return {key: entry.value for key, entry in full_entries(params, run).items()}


def value_at(config: dict[str, Any], key: str) -> Any:
    """The value that a dotted key leads to; None for an absent list entry or loss. KeyError for what no run has."""
    node: Any = config
    for part in key.split("."):
        if node is None:
            return None
        if isinstance(node, list):
            node = next((item for item in node if item.get("kind") == part), None)
        elif node is config.get("loss", {}):
            node = node.get(part)
        else:
            node = node[part]
    return node


def provenance(params: Params, run: str, config: dict[str, Any] | None = None) -> list[Setting]:
    """Every setting of a run's full version, beside that of `config` (default: the run as it is configured).

    A setting that a card of an older version does not have is left out.
    """
    here = params.run(run).model_dump(mode="json") if config is None else config
    found = []
    for key, entry in full_entries(params, run).items():
        try:
            found.append(Setting(key, entry.value, entry.how, entry.why, value_at(here, key)))
        except KeyError:
            continue
    return found


def lacks_settings(params: Params, run: str, config: dict[str, Any]) -> bool:
    """Whether a card's configuration is of a version that did not have all settings of today."""
    return len(provenance(params, run, config)) < len(full_entries(params, run))


def deviations(params: Params, run: str, config: dict[str, Any] | None = None) -> dict[str, Setting]:
    """Dotted key -> setting, where the run differs; another seed is no deviation."""
    found = provenance(params, run, config)
    return {s.key: s for s in found if s.actual != s.value and s.key != "seed"}


def fixed(system: str) -> dict[str, Fixed]:
    """What the code of a system fixes, that of all systems first."""
    return read("common").code | read(system).code
