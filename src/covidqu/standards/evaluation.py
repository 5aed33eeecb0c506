"""What a model card says of a run's test: rows for people, `EvalResult`s for the card's header.

Input: the sources of the report. Output: cells that are made by the functions behind the tables, so that a card and
a table cannot differ.
"""

from functools import partial

from huggingface_hub import EvalResult

from covidqu.config.baselines import SPLIT, SUBSET
from covidqu.config.params import Params
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import APART, FALSE_POSITIVES, HEADLINE, Classes, Mask, Measure, PerImage
from covidqu.report.core.references import in_place_of
from covidqu.report.core.run_cells import across, not_run
from covidqu.report.core.sources import Sources

TEST = "test"  # the only row label: a card is about one run
CLASS_MEASURES = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "AUC of COVID-19": "auc"}
BESIDE = (
    "Dice",
    *(f"share with a positive pixel, {who}" for who in APART.values()),
    *CLASS_MEASURES,
)  # what baselines are shown for
TYPES = {"Dice": "dice", "IoU": "iou", "accuracy": "accuracy", "balanced accuracy": "balanced_accuracy"}
TYPES |= {"AUC of COVID-19": "roc_auc", "SSIM": "ssim"}  # measure, the last words of a row: name of the metric
TASK_TYPES = {"lung": "image-segmentation", "infection": "image-segmentation", "class": "image-classification"}


def results(sources: Sources, run: str) -> dict[str, list[Cell]]:
    """Task -> cells of the run, `column` is the measure; a cell without a value says why in its note."""
    return {task: of_task(sources, run, task) for task in sources.params.run(run).tasks}


def of_task(sources: Sources, run: str, task: str) -> list[Cell]:
    """Cells of one task."""
    return across(sources, TEST, _measures(run, task))


def beside(sources: Sources, run: str) -> dict[str, list[Cell]]:
    """Reference point -> cells under `BESIDE`, as if it were the run; one cell with the reason where it was not made.

    Only those that give an output of the run, and only for a run that is tested on their images.
    """
    config, found = sources.params.run(run), {}
    if (config.subset, config.split) != (SUBSET, SPLIT):
        return {}
    for name, baseline in sources.params.baselines.items():
        if baseline.gives not in config.tasks:
            continue
        reason = sources.why_no_baseline(name) or sources.why_no_run(run)
        if reason:
            found[name] = [not_run(name, "", reason)]
            continue
        cells = in_place_of(sources, name, [run], partial(of_task, run=run, task=baseline.gives))
        found[name] = [cell for cell in cells if cell.column in BESIDE]
    return found


def _measures(run: str, task: str) -> dict[str, Measure]:
    """By column. Of masks: overlap on images that have something to find, then infection marked where there is none."""
    if task == "class":
        return {label: Classes(run=run, metric=name) for label, name in CLASS_MEASURES.items()}
    if task == "reconstruction":
        return {"SSIM": PerImage(run=run, quantity="reconstruction_ssim")}
    found: dict[str, Measure] = {
        name: Mask(run=run, task=task, metric=name.lower(), correct=HEADLINE) for name in ("Dice", "IoU")
    }
    if task == "infection":
        found |= {
            f"{words}, {who}": Mask(run=run, metric=metric, correct=protocol)
            for protocol, who in APART.items()
            for words, metric in FALSE_POSITIVES.items()
        }
    return found


def eval_results(found: dict[str, list[Cell]], params: Params, run: str) -> list[EvalResult]:
    """One entry for each value that was measured; bounds and the number of images are its arguments."""
    name, confidence = dataset(params), params.evaluate.bootstrap.confidence
    return [
        EvalResult(
            task_type=TASK_TYPES.get(task, "image-to-image"),
            task_name=f"{task} ({params.run(run).classes})" if task == "class" else task,
            dataset_config=task,  # else the hub files the measures of all tasks under the first one
            dataset_type=name.lower().replace(" ", "-"),
            dataset_name=f"{name}, {params.run(run).subset} subset",
            dataset_split="Test",
            metric_type=TYPES.get(found_cell.column, "false_positives"),
            metric_name=found_cell.column,
            metric_value=round(float(found_cell.measured_correct), 6),
            metric_config=found_cell.protocol_correct,
            metric_args=_arguments(found_cell, confidence),
        )
        for task, cells in found.items()
        for found_cell in cells
        if found_cell.measured
    ]


def _arguments(found: Cell, confidence: float) -> dict[str, float | int | None]:
    bounds = {} if found.ci_low is None else {"ci_low": round(found.ci_low, 6), "ci_high": round(found.ci_high, 6)}
    return {"images": found.n, **(bounds | {"confidence": confidence} if bounds else {})}


def dataset(params: Params) -> str:
    """What the data are called: only the phantom is not COVID-QU-Ex."""
    return "synthetic phantoms" if params.download.source == "phantom" else "COVID-QU-Ex"
