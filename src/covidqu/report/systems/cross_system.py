"""Table `common/cross-system`: headline runs of the five systems and ours on the test images of the infection subset.

Input: scores of runs. Output: cells, rows are runs. Classes are put on one footing: COVID-19 against Normal and
Non-COVID together, over all images, also those that a head was not trained on.
"""

from typing import Literal

import numpy as np
import pandas as pd

from covidqu.evaluate import classification
from covidqu.evaluate.statistics import bootstrap_mean
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Missing, Status, Unit
from covidqu.report.core.measures import (
    APART,
    HEADLINE,
    MARKED,
    Mask,
    Measure,
    Number,
    class_protocol,
    false_infection,
)
from covidqu.report.core.run_cells import across, over_seeds
from covidqu.report.core.runs import CBAM, OURS, RECON, SWIN, UNET_ROI
from covidqu.report.core.sources import Sources

SUBSET, COVID = "infection", "COVID-19"
ROWS = {  # row: run whose infection mask and class are shown, run whose lung mask is
    "swin-dual": (SWIN[1], SWIN[1]),
    "unetpp-b3": ("unetpp-b3", None),
    "unet-roi, annotated ROI": (UNET_ROI[1], None),
    "unet-roi, predicted ROI": (UNET_ROI[2], UNET_ROI[0]),
    "cbam-mtl": (CBAM, None),
    "recon-mtl": (RECON, None),
    "reference (ours)": (OURS, OURS),
}
DICE, LUNG, AUC, ACCURACY = "infection Dice", "lung Dice", "COVID-19 vs rest AUC", "COVID-19 vs rest accuracy"
MEAN = ", mean over seeds"  # the end of the name of a row
NO_OUTPUT = Missing(Status.NO_OUTPUT, "no output of this kind")


def table(sources: Sources) -> list[Cell]:
    """One row per system and one more for the mean over seeds where there are several."""
    cells = []
    for row, (run, lung) in ROWS.items():
        cells += _row(sources, row, run, lung)
        if len(sources.params.seeds(run)) > 1:
            cells += _mean_over_seeds(sources, f"{row}{MEAN}", run, lung)
    return cells


def _row(sources: Sources, row: str, run: str, lung: str | None) -> list[Cell]:
    measures: dict[str, Measure] = {DICE: Mask(run=run, metric="dice", correct=HEADLINE, note=f"run {run}")}
    for protocol, who in APART.items():
        measures |= false_infection(run, protocol, f", {who}")
    return across(sources, row, measures | {LUNG: Lung(run=lung or run, there=lung is not None)} | _classes(run))


def _mean_over_seeds(sources: Sources, row: str, run: str, lung: str | None) -> list[Cell]:
    measures: dict[str, Measure] = {DICE: Mask(run=run, metric="dice", correct=HEADLINE)}
    for protocol, who in APART.items():
        found = false_infection(run, protocol, f", {who}")
        measures |= {column: found[column] for words in MARKED if (column := f"{words}, {who}")}
    measures |= {LUNG: Lung(run=run)} if lung == run else {}
    return [over_seeds(sources, row, column, one) for column, one in (measures | _classes(run)).items()]


class Lung(Measure):
    """Dice of a lung mask, only of a run that was tested on the images of this table; `there`: whether it has one."""

    there: bool = True

    def number(self, sources: Sources) -> Number:
        """Of the test images."""
        scores = sources.scores(self.run)
        if not self.there:
            raise NO_OUTPUT
        if set(scores["subset"]) != {SUBSET}:
            reason = f"run {self.run} was tested on the images of the lung subset"
            raise Missing(Status.NOT_APPLICABLE, reason)
        lung = Mask(run=self.run, task="lung", metric="dice", correct=HEADLINE, note=f"run {self.run}")
        return lung.number(sources)


def _classes(run: str) -> dict[str, Measure]:
    return {AUC: CovidAgainstRest(run=run, metric="auc"), ACCURACY: CovidAgainstRest(run=run, metric="accuracy")}


class CovidAgainstRest(Measure):
    """COVID-19 against all other test images."""

    metric: Literal["auc", "accuracy"]

    def number(self, sources: Sources) -> Number:
        """Of the test images."""
        scores, classes = sources.scores(self.run), sources.params.run(self.run).class_map
        if "class_logit_0" not in scores or COVID not in classes:
            raise NO_OUTPUT
        truth, order, decided = covid_against_rest(scores, classes[COVID])
        config = sources.params.evaluate.bootstrap
        if self.metric == "accuracy":
            found = bootstrap_mean((decided == truth).astype(float), config)
        else:
            try:
                found = classification.auc_interval(order, truth, config)
            except ValueError as error:
                raise Missing(Status.NOT_RUN, str(error)) from None
        return Number(found, class_protocol(self.metric), len(truth), _unknown(scores, classes), Unit.FRACTION)


def covid_against_rest(scores: pd.DataFrame, positive: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all n images: is it COVID-19 (bool), log-odds of COVID-19, is it decided to be COVID-19 (bool).

    `positive`: class of the head that COVID-19 belongs to. Of three classes the decision is the largest probability.
    """
    found = classification.probabilities(scores.filter(regex=r"^class_logit_\d+$").to_numpy())
    truth = (scores["label"] == COVID).to_numpy()
    return truth, classification.log_odds(found, positive), found.argmax(axis=1) == positive


def _unknown(scores: pd.DataFrame, classes: dict[str, int]) -> str:
    unknown = sorted(set(scores["label"]) - set(classes))
    if not unknown:
        return ""
    count, known = int(scores["label"].isin(unknown).sum()), " and ".join(sorted(classes))
    images = f"{count} {' and '.join(unknown)} images"
    return f"the head was trained on {known} only: {images} are judged by its infected probability"
