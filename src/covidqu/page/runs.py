"""The runs as their cards tell them: what was trained, where, when, and how it differs from the full run."""

from dataclasses import dataclass
from typing import Any

from covidqu.config.params import Params
from covidqu.page.numbers import duration
from covidqu.report.core.provenance import Setting, deviations, full
from covidqu.report.core.published import SHOWN
from covidqu.report.core.sources import Sources
from covidqu.report.core.titles import of_settings

NOT_TRAINED = "not trained"


@dataclass(frozen=True)
class RunState:
    """`card` is None for a run that was not trained; `changed`: settings that differ from the full run."""

    name: str
    system: str
    seed: int
    card: dict[str, Any] | None
    scored: bool
    changed: dict[str, Setting]
    full_epochs: int | None

    @property
    def state(self) -> str:
        """In words: trained for how long and whether scored."""
        if self.card is None:
            return NOT_TRAINED
        epochs = self.card["epochs_run"]
        words = f"{epochs} epoch{'' if epochs == 1 else 's'}" if epochs else "weights of another run"
        return words if self.scored else f"{words}, not scored"

    @property
    def not_pretrained(self) -> bool:
        """Whether an encoder started from random weights where the paper's was pretrained."""
        return any(text.startswith("NOT PRETRAINED") for text in of_settings(self.changed))

    @property
    def commit(self) -> str:
        """Short name of the commit that trained it, with the mark of changed files."""
        commit, _, changed = ((self.card or {}).get("git_commit") or "").partition("-")
        return f"{commit[:9]}{'-' + changed if changed else ''}"

    @property
    def time(self) -> str:
        """How long the training took."""
        seconds = (self.card or {}).get("seconds")
        return duration(seconds) if seconds else ""

    @property
    def versions(self) -> str:
        """Packages and their versions."""
        return ", ".join(f"{name} {version}" for name, version in (self.card or {}).get("versions", {}).items())

    def of_card(self, key: str) -> Any:
        """An entry of the card; empty text where there is none."""
        value = (self.card or {}).get(key)
        return "" if value is None else value


def states(sources: Sources) -> list[RunState]:
    """All runs of the parameters, in their order."""
    return [_state(sources, name) for name in sources.params.resolved]


def _state(sources: Sources, name: str) -> RunState:
    params = sources.params
    card = sources.card(name) if sources.has_card(name) else None
    config = card["config"] if card else params.run(name).model_dump(mode="json")
    return RunState(
        name=name,
        system=params.run(name).model.system.replace("_", "-"),
        seed=params.run(name).seed,
        card=card,
        scored=sources.why_no_run(name) is None,
        changed=deviations(params, name, config),
        full_epochs=full(params, name).get("epochs"),
    )


def by_system(found: list[RunState]) -> dict[str, list[RunState]]:
    """System -> its runs, papers in their order, then ours."""
    groups: dict[str, list[RunState]] = {}
    for run in sorted(found, key=lambda run: SHOWN.index(run.system)):
        groups.setdefault(run.system, []).append(run)
    return groups


def reduced(params: Params, found: list[RunState]) -> str:
    """The banner's words on reduced runs; empty where all runs are full ones."""
    trained = [run for run in found if run.card]
    short = [run for run in trained if run.changed]
    if not short and not params.report.title:
        return ""
    variant = f"{params.report.title}: " if params.report.title else ""
    if params.download.source == "phantom":
        return f"{variant}drawn images of no patient; the numbers mean nothing."
    return f"{variant}{len(short)} of {len(trained)} runs are reduced; their numbers are not those of a full training."
