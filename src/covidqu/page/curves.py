"""Page curves.html: the history of every trained run, chosen and drawn in the browser.

Input: histories. Output: the columns of each run and a specification for the template.
"""

from math import isnan
from typing import Any

from covidqu.page import charts
from covidqu.page.runs import RunState, by_system
from covidqu.report.core.runs import HEADLINES
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.colours import BLUE, GREEN, LIGHT_BLUE, ORANGE, PURPLE

AMBER = "#E69F00"
METRICS = {  # end of the columns train_* and val_*: words
    "loss": "loss",
    "infection_dice": "infection Dice",
    "lung_dice": "lung Dice",
    "class_accuracy": "accuracy of the class head",
    "reconstruction_mse": "squared error of the reconstruction",
}
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, LIGHT_BLUE, AMBER, charts.NEUTRAL)  # one for each run that is shown first
DIGITS = 6  # significant; histories hold more than a curve can show


def context(sources: Sources, runs: list[RunState]) -> dict[str, Any]:
    """Values of the template: `histories` run -> column -> numbers, the metrics that any run has, first choices.

    Runs that are shown first stand first, so that each has a colour of its own.
    """
    histories = {run.name: _columns(sources, run.name) for run in runs}
    first = [name for name in HEADLINES if name in histories]
    histories = {name: histories[name] for name in dict.fromkeys((*first, *histories)) if histories[name]}
    trained = [run for run in runs if run.name in histories]
    metrics = {key: words for key, words in METRICS.items() if any(f"val_{key}" in h for h in histories.values())}
    return {
        "groups": by_system(trained),
        "histories": charts.as_json(histories),
        "metrics": metrics,
        "palette": charts.as_json(PALETTE),
        "spec": charts.embedded(charts.training()),
        "first": HEADLINES,
        "absent": [run.name for run in runs if run.name not in histories],
    }


def _columns(sources: Sources, name: str) -> dict[str, list[float | None]]:
    history = sources.history(name)
    if history is None:
        return {}
    kept = ["epoch", *(f"{part}_{key}" for key in METRICS for part in ("train", "val")), "best"]
    return {
        column: [None if isnan(value) else float(f"{value:.{DIGITS}g}") for value in history[column].tolist()]
        for column in kept
        if column in history
    }
