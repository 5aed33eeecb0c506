"""What tables and figures read: the index, the audit, architectures, and each run's scores, card and history.

Input: `Params` and the two folders. Output: frames and dicts, None for what is not there, with the reason in words.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from covidqu.config.data import PX
from covidqu.config.params import Params
from covidqu.data.index import IMAGES, INDEX
from covidqu.report.core.kinds import Missing, Status
from covidqu.report.core.provenance import entries, overlay_of
from covidqu.stored import read_array, read_json, read_parquet, reading

Made = TypeVar("Made")
RUN_FILES = ("scores.parquet", "card.json")
VALIDATION = "validation.parquet"
CARD = ("config", "epochs_run", "best_epoch")  # of a card, what tables cannot do without


class Sources:
    """Files behind the report, each read once."""

    def __init__(self, params: Params, data: Path, results: Path) -> None:
        self.params, self.data, self.results = params, data, results
        self.scores, self.card, self.explain = cache(self._known_scores), cache(self._card), cache(self._explain)
        self.baseline, self.validation = cache(self._baseline), cache(self._validation)
        self._made: dict[Callable[[Sources], Any], Any] = {}

    def once(self, make: Callable[["Sources"], Made]) -> Made:
        """`make(self)`, made at the first call: tables that show cells of other tables share them."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    @contextmanager
    def without_intervals(self) -> Iterator[None]:
        """Inside, cells are made without bounds: 0 resamples, for values of which only the mean is shown."""
        whole = self.params
        evaluate = whole.evaluate
        bootstrap = evaluate.bootstrap.model_copy(update={"resamples": 0})
        plain = evaluate.model_copy(update={"bootstrap": bootstrap})
        self.params = whole.model_copy(update={"evaluate": plain})
        try:
            yield
        finally:
            self.params = whole

    @cached_property
    def index(self) -> pd.DataFrame | None:
        """The index of the packed data."""
        return self._frame(self.data / "packed" / INDEX)

    @cached_property
    def duplicates(self) -> pd.DataFrame | None:
        """Pairs of exact and near duplicates."""
        return self._frame(self.data / "audit" / "duplicates.parquet")

    @cached_property
    def splits(self) -> pd.DataFrame | None:
        """Splits, row-aligned with the index."""
        return self._frame(self.data / "split.parquet")

    @cached_property
    def audit(self) -> dict[str, Any] | None:
        """Facts found by the audit."""
        return self._json(self.data / "audit" / "audit.json", "audit")

    @cached_property
    def architectures(self) -> dict[str, Any] | None:
        """Base run -> its network as configured, and as the paper has it: layers, shapes, parameters."""
        return self._json(self.results / "architectures.json", "architectures")

    @cached_property
    def cost(self) -> dict[str, Any] | None:
        """What `cost` counted and measured: `versions`, and under `runs` base run -> its entry."""
        return self._json(self.results / "cost.json", "cost")

    @cached_property
    def image_shape(self) -> tuple[int, ...] | None:
        """(N, height, width) of the packed images, from the array's header."""
        path = self.data / "packed" / IMAGES
        return read_array(path, "run `pack` again").shape if path.is_file() else None

    def why_no_subset(self, subset: str) -> str | None:
        """Why nothing can be said about a subset; None when its images are packed."""
        if self.index is None:
            return "the data are not packed"
        return None if (self.index["subset"] == subset).any() else f"the {subset} subset is not in this archive"

    def why_no_run(self, run: str) -> str | None:
        """Why a run has no numbers; None when it has."""
        return self._why_without(run, RUN_FILES)

    def why_no_validation(self, run: str) -> str | None:
        """Why a run has no numbers on Val images; None when it has."""
        return self._why_without(run, (VALIDATION, "card.json"))

    def _why_without(self, run: str, files: tuple[str, ...]) -> str | None:
        if run not in self.params.resolved:
            return f"run {run} is not in the parameters{self._why_optional(run)}"
        missing = [name for name in files if not (self.folder(run) / name).is_file()]
        return f"run {run} has no {' and no '.join(missing)}" if missing else None

    def _why_optional(self, run: str) -> str:
        overlay = overlay_of(run)
        if overlay is None:
            return ""
        large = entries(run)["image_px"].value > PX
        vain = f", up-sampled {PX} px originals add no information" if large else ""
        return f": off by default{vain} ({overlay} switches it on)"

    def why_no_baseline(self, name: str) -> str | None:
        """Why a baseline has no numbers; None when it has."""
        path = self.results / "baselines" / name / "scores.parquet"
        return None if path.is_file() else f"baseline {name} has no scores.parquet"

    def has_card(self, run: str) -> bool:
        """Whether it is known how a run was trained, scored or not."""
        return run in self.params.resolved and (self.folder(run) / "card.json").is_file()

    def folder(self, run: str) -> Path:
        """Where a run's scores, card and history lie."""
        return self.results / "runs" / run

    def packed(self, subset: str) -> pd.DataFrame:
        """The index of a subset; Missing where its images are not packed."""
        reason = self.why_no_subset(subset)
        if reason or self.index is None:
            raise Missing(Status.NOT_RUN, reason or "")
        return self.index[self.index["subset"] == subset]

    def _known_scores(self, run: str) -> pd.DataFrame:
        """One row per test image; Missing with the reason of `why_no_run`."""
        if reason := self.why_no_run(run):
            raise Missing(Status.NOT_RUN, reason)
        return self._scores(run)

    def _scores(self, run: str) -> pd.DataFrame:
        return self._table(self.folder(run) / "scores.parquet")

    def _baseline(self, name: str) -> pd.DataFrame:
        """One row per test image of a baseline; ask `why_no_baseline` first."""
        return self._table(self.results / "baselines" / name / "scores.parquet")

    def _validation(self, run: str) -> pd.DataFrame | None:
        """One row per Val image; None when `validate` was not run."""
        return self._frame(self.folder(run) / VALIDATION)

    def _card(self, run: str) -> dict[str, Any]:
        """What was trained; ask `has_card` first."""
        path = self.folder(run) / "card.json"
        card = read_json(path, f"run `train {run}` again")
        if missing := [key for key in CARD if key not in card]:
            raise ValueError(f"{path}: lacks {', '.join(missing)}; run `train {run}` again")
        return card

    def _explain(self, run: str) -> pd.DataFrame | None:
        """What the class head looks at, one row per test image; None when it was not asked."""
        return self._frame(self.folder(run) / "explain.parquet")

    def history(self, run: str) -> pd.DataFrame | None:
        """One row per epoch; None when the run was not trained."""
        path = self.folder(run) / "history.csv"
        if not path.is_file():
            return None
        with reading(path, f"run `train {run}` again"):
            history = pd.read_csv(path)
            history[["epoch", "val_loss"]].astype(float)
        return history if len(history) else None

    @staticmethod
    def _frame(path: Path) -> pd.DataFrame | None:
        return Sources._table(path) if path.is_file() else None

    @staticmethod
    def _table(path: Path) -> pd.DataFrame:
        return read_parquet(path, "run the step that makes it")

    @staticmethod
    def _json(path: Path, step: str) -> dict[str, Any] | None:
        return read_json(path, f"run `{step}` again") if path.is_file() else None
