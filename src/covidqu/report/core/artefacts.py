"""What the catalogue says of a table or figure, and what follows: its runs and the files that it reads.

Imports nothing heavy: the function that makes an artefact is named as text and imported when it is wanted. A run that
is not in `params.resolved` is never read: its cells say "not run", and figures that need it are not drawn.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from enum import Enum, Flag, auto
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from covidqu.config.params import Params
from covidqu.report.core.cells import Cell, with_published
from covidqu.report.core.published import OURS, SYSTEMS, paper
from covidqu.report.core.runs import lineage

if TYPE_CHECKING:
    from covidqu.report.core.sources import Sources

Runs = tuple[str, ...] | Callable[[Params], list[str]]  # base runs, or a rule
MEASURED = "papers.measured:cells"
OF_RUN = ("scores.parquet", "card.json", "history.csv")


class Reads(Flag):
    """What an artefact reads."""

    RUNS = auto()  # OF_RUN of its runs, and of those that they build on: their shortcuts are in the title
    HISTORY = auto()  # OF_RUN of its runs alone
    EXPLAIN = auto()  # explain.parquet of those of its runs that are explained
    CAMS = auto()  # cam.npz of the same
    VALIDATION = auto()  # validation.parquet of those of its runs that have an infection mask
    PREDICTIONS = auto()  # predictions.npz of its runs
    BASELINES = auto()  # scores.parquet of all baselines
    ARCHITECTURES = auto()  # architectures.json
    COST = auto()  # cost.json
    DATA = auto()  # the index, the audit and the splits
    IMAGES = auto()  # the packed arrays
    ROI = auto()  # lung masks that its runs saw
    TABLES = auto()  # cells of other tables


class Page(Enum):
    """Which page of the site shows an artefact of `common` or `audit`; a paper's are on the page of the paper."""

    STATISTICS = auto()
    OURS = auto()
    OTHER = auto()  # one with a place for it


class Baselines(NamedTuple):
    """Baselines below the runs of a table: those that give a mask or classes, and the runs whose place they take.

    `one_row`: rows are runs, so that a baseline is one row; else it has each row of the runs.
    """

    gives: tuple[str, ...]
    runs: tuple[str, ...]
    one_row: bool = False


class Wanted(NamedTuple):
    """What a figure is to show: its runs, and the title that says what it is."""

    runs: list[str]
    title: str


@dataclass(frozen=True)
class Artefact:
    """A table or figure called `{system}/{name}`, or `common/...` across systems, `audit/...` of one claim.

    `make`: "module:function" below `covidqu.report`; left out of a table whose paper's file says how its cells are
    measured. `caption`: what it shows; of a paper's table the paper says it.
    """

    name: str
    make: str = MEASURED
    _: KW_ONLY
    runs: Runs = ()
    reads: Reads = Reads.RUNS
    caption: str = ""
    page: Page = Page.STATISTICS

    @property
    def group(self) -> str:
        """System, `common` or `audit`."""
        return self.name.split("/")[0]

    @property
    def short(self) -> str:
        """The name within its group."""
        return self.name.split("/", 1)[1]

    @property
    def source(self) -> str:
        """Paper and number, or that it is ours; empty across systems."""
        if self.group in SYSTEMS:
            source = paper(self.group)
            return f"Paper {source.paper} ({source.name}), {self.short.replace('-', ' ')}"
        return f"Ours ({self.group})" if self.group in OURS else ""

    @property
    def shows(self) -> str:
        """What it shows, in words."""
        return self.caption

    @property
    def module(self) -> str:
        """Where it is made: a module of this package, as "report.systems.cost"."""
        return f"report.{self.make.split(':')[0]}"

    def function(self) -> Callable[..., Any]:
        """What makes it."""
        return getattr(import_module(f"covidqu.{self.module}"), self.make.split(":")[1])

    def shown(self, params: Params) -> list[str]:
        """Its runs, as far as they are there."""
        return self.runs(params) if callable(self.runs) else [run for run in self.runs if run in params.resolved]

    def made(self, params: Params) -> bool:
        """Whether there is anything to show."""
        return not callable(self.runs) or bool(self.runs(params))

    def behind(self, params: Params) -> list[str]:
        """Runs whose scores, cards and histories are read."""
        shown = self.shown(params)
        return lineage(params, shown) if Reads.RUNS in self.reads else shown if Reads.HISTORY in self.reads else []

    def explained(self, params: Params) -> list[str]:
        """Runs whose explain.parquet is read."""
        return [run for run in self.shown(params) if run in params.explain] if Reads.EXPLAIN in self.reads else []

    def validated(self, params: Params) -> list[str]:
        """Runs whose validation.parquet is read."""
        shown = self.shown(params) if Reads.VALIDATION in self.reads else []
        return [run for run in shown if "infection" in params.run(run).tasks]

    def baselines_read(self, params: Params) -> list[str]:
        """Baselines whose scores are read."""
        return list(params.baselines) if Reads.BASELINES in self.reads else []

    def results(self, params: Params) -> list[str]:
        """Files that are read of the results folder."""
        shown, explained = self.shown(params), self.explained(params)
        return [
            *(f"runs/{run}/{file}" for run in self.behind(params) for file in OF_RUN),
            *(f"baselines/{name}/scores.parquet" for name in self.baselines_read(params)),
            *(f"runs/{run}/explain.parquet" for run in explained),
            *(f"runs/{run}/validation.parquet" for run in self.validated(params)),
            *(["architectures.json"] if Reads.ARCHITECTURES in self.reads else []),
            *(["cost.json"] if Reads.COST in self.reads else []),
            *(f"runs/{run}/predictions.npz" for run in shown if Reads.PREDICTIONS in self.reads),
            *(f"runs/{run}/cam.npz" for run in explained if Reads.CAMS in self.reads),
        ]

    def rois(self, params: Params) -> list[str]:
        """Names of the lung masks that are shown, as roi/{name}.npy of the data folder."""
        seen = [params.run(run).roi for run in self.shown(params) if Reads.ROI in self.reads]
        return list(dict.fromkeys(seen))


@cache
def _of_name(made: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same function at each call: `Sources.once` knows what it has made by that."""
    return partial(made, name=name)


@dataclass(frozen=True)
class Table(Artefact):
    """A table; `make` gives its cells from the sources.

    `one_seed`: of runs that are repeated it shows the first. `settings`: a run whose parameters it shows untrained.
    `ours`: its place among those that the page of our system shows, also where they are on another one.
    """

    _: KW_ONLY
    one_seed: bool = False
    settings: str | None = None
    baselines: Baselines | None = None
    ours: int | None = None

    def shown(self, params: Params) -> list[str]:
        """Its runs, as far as they are there, with their repetitions."""
        if callable(self.runs) or self.one_seed:
            return super().shown(params)
        return [training for run in self.runs for training in params.seeds(run)]

    def baselines_read(self, params: Params) -> list[str]:
        """Also those below its runs."""
        gives = self.baselines.gives if self.baselines else ()
        below = [name for name, config in params.baselines.items() if config.gives in gives]
        return super().baselines_read(params) or below

    @property
    def shows(self) -> str:
        """The caption, of a paper's table the paper's."""
        return self.caption or paper(self.group).tables[self.short].caption

    def function(self) -> Callable[..., Any]:
        """What makes its cells from the sources; of one that the paper's file describes, from its name as well."""
        made = super().function()
        return _of_name(made, self.name) if self.make == MEASURED else made

    def cells(self, sources: "Sources") -> list[Cell]:
        """Its cells, of a paper's table with the printed values beside ours."""
        cells = sources.once(self.function())
        return with_published(self.name, cells) if self.group in SYSTEMS else cells


@dataclass(frozen=True)
class Figure(Artefact):
    """A figure; `make` draws what is `Wanted` from the sources. `needs`: runs without which there is none, if not all.

    A file is `png` where images are shown, else `svg`.
    """

    _: KW_ONLY
    kind: Literal["svg", "png"] = "svg"
    needs: tuple[str, ...] | None = None

    def made(self, params: Params) -> bool:
        """Whether all that it needs is there."""
        needs = self.runs if self.needs is None else self.needs
        return super().made(params) and (callable(needs) or all(run in params.resolved for run in needs))

    @property
    def source(self) -> str:
        """As of a table; a figure without a number is none of the paper's own."""
        if self.group in SYSTEMS and "figure" not in self.short:
            return super().source.split(",")[0]
        return super().source
