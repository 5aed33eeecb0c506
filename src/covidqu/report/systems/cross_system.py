"""Table `common/cross-system`: headline runs of the five systems and ours on the test images of the infection subset.

Enters: scores of runs; leaves: cells, rows are runs. Classes are put on one footing: COVID-19 against Normal and
Non-COVID together, over all images, also those that a head was never taught.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from covidqu.evaluate import classification
from covidqu.evaluate.statistics import bootstrap_mean
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.measures import (
    APART,
    FALSE_POSITIVES,
    HEADLINE,
    MARKED,
    cell,
    false_positive_cells,
    not_run,
    over_seeds,
)
from covidqu.report.core.run_cells import absent, class_protocol, measured
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
    note = f"run {run}"
    return [
        cell(sources, row, DICE, run, "infection", "dice", correct=HEADLINE, note=note),
        *(c for how, who in APART.items() for c in false_positive_cells(sources, row, run, how, f", {who}")),
        _lung(sources, row, run, lung),
        _class(sources, row, AUC, run),
        _class(sources, row, ACCURACY, run),
    ]


def _mean_over_seeds(sources: Sources, row: str, run: str, lung: str | None) -> list[Cell]:
    def dice(name: str) -> Cell:
        return cell(sources, row, DICE, name, "infection", "dice", correct=HEADLINE)

    def touched(name: str, protocol: str, column: str) -> Cell:
        measure = FALSE_POSITIVES[column]
        return cell(sources, row, f"{column}, {APART[protocol]}", name, "infection", measure, correct=protocol)

    makes: list[Callable[[str], Cell]] = [dice]
    makes += [partial(touched, protocol=protocol, column=column) for protocol in APART for column in MARKED]
    makes += [lambda name: _lung(sources, row, name, name)] if lung == run else []
    makes += [lambda name, column=column: _class(sources, row, column, name) for column in (AUC, ACCURACY)]
    return [over_seeds(sources, run, make) for make in makes]


def _lung(sources: Sources, row: str, run: str, lung: str | None) -> Cell:
    """Only from a run that was tested on the images of this table."""
    reason = sources.why_no_run(lung or run)
    if reason:
        return not_run(row, LUNG, reason)
    if lung is None:
        return absent(row, LUNG, NO_OUTPUT)
    if set(sources.scores(lung)["subset"]) != {SUBSET}:
        reason = f"run {lung} was tested on the images of the lung subset"
        return absent(row, LUNG, Missing(Status.NOT_APPLICABLE, reason))
    return cell(sources, row, LUNG, lung, "lung", "dice", correct=HEADLINE, note=f"run {lung}")


def _class(sources: Sources, row: str, column: str, run: str) -> Cell:
    reason = sources.why_no_run(run)
    if reason:
        return not_run(row, column, reason)
    scores, classes = sources.scores(run), sources.params.run(run).class_map
    if "class_logit_0" not in scores or COVID not in classes:
        return absent(row, column, NO_OUTPUT)
    truth, order, decided = covid_against_rest(scores, classes[COVID])
    config = sources.params.evaluate.bootstrap
    if column == ACCURACY:
        found = bootstrap_mean((decided == truth).astype(float), config)
    else:
        try:
            found = classification.auc_interval(order, truth, config)
        except ValueError as error:
            return not_run(row, column, str(error))
    how = class_protocol("accuracy" if column == ACCURACY else "auc")
    what = {"note": _untaught(scores, classes), "kind": Kind.PERFORMANCE, "unit": Unit.FRACTION}
    return measured(sources, row, column, run, found, how, n=len(truth), **what)


def covid_against_rest(scores: pd.DataFrame, positive: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all n images: is it COVID-19 (bool), log-odds of COVID-19, is it decided to be COVID-19 (bool).

    `positive`: class of the head that COVID-19 belongs to. Of three classes the decision is the largest probability.
    """
    found = classification.probabilities(scores.filter(regex=r"^class_logit_\d+$").to_numpy())
    truth = (scores["label"] == COVID).to_numpy()
    return truth, classification.log_odds(found, positive), found.argmax(axis=1) == positive


def _untaught(scores: pd.DataFrame, classes: dict[str, int]) -> str:
    unknown = sorted(set(scores["label"]) - set(classes))
    if not unknown:
        return ""
    count, known = int(scores["label"].isin(unknown).sum()), " and ".join(sorted(classes))
    images = f"{count} {' and '.join(unknown)} images"
    return f"the head was taught {known} only: {images} are judged by its infected probability"
