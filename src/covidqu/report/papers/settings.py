"""Settings of a run in the tables of papers that print theirs."""

from collections.abc import Callable
from typing import Self

from pydantic import model_validator

from covidqu.config.base import Strict
from covidqu.config.training import Run
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind
from covidqu.report.core.run_cells import not_run
from covidqu.report.core.sources import Sources

HOW = "settings of the run"


def _loss(run: Run) -> str:
    """Terms with their weights; the task is named where there are several."""
    several = len(run.loss) > 1
    return " + ".join(
        f"{term.weight:g} x {term.kind}{_weighting(term)}{f' ({task})' if several else ''}"
        for task, terms in run.loss.items()
        for term in terms
    )


def _weighting(term: object) -> str:
    weight = getattr(term, "pos_weight", 1.0)
    return "" if weight == 1.0 else f" (pos_weight {weight})"


SETTINGS: dict[str, Callable[[Run], Value]] = {
    "image size": lambda run: f"{run.image_px}x{run.image_px}",
    "batch": lambda run: run.batch,
    "learning rate": lambda run: f"{run.optimizer.lr:g}",
    "optimizer": lambda run: run.optimizer.kind,
    "first beta": lambda run: getattr(run.optimizer, "betas", ["none"])[0],
    "loss": _loss,
    "epochs": lambda run: run.epochs,
    "patience": lambda run: "none" if run.patience is None else run.patience,
    "init": lambda run: run.init,
    "encoder": lambda run: getattr(run.model, "encoder", run.model.system),
    "preprocessing": lambda run: ", ".join([*(f"{f.kind} {f.px}x{f.px}" for f in run.filters), run.normalise]),
    "augmentation": lambda run: ", ".join(a.kind for a in run.augment) or "none",
    "classes": lambda run: ", ".join(f"{label} {k}" for label, k in run.class_map.items()) or "none",
    "sampler": lambda run: run.sampler,
}


class Setting(Strict):
    """One of `SETTINGS` of a run, or a `value` that holds of all of them."""

    run: str
    of: str = ""
    value: str = ""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if bool(self.value) == bool(self.of) or (self.of and self.of not in SETTINGS):
            raise ValueError(f"a setting needs a `value`, or `of`: {', '.join(SETTINGS)}")
        return self

    def cell(self, sources: Sources, row: str, column: str) -> Cell:
        """The resolved setting, also of a run that was not trained."""
        if self.run not in sources.params.resolved:
            return not_run(row, column, f"run {self.run} is not in the parameters")
        value = self.value or SETTINGS[self.of](sources.params.run(self.run))
        return Cell(row, column, None, value, value, HOW, HOW, run=self.run, kind=Kind.SETTING)
