"""Table `common/references`: what numbers to expect without a network, and from a second annotation.

Input: scores of the baselines and the pairs that the audit found, with the overlap of their masks. Output: cells.
Masks under each protocol, shortcut classifiers under each label map, and the agreement of two annotations of one
radiograph, after alignment: as much as a network can be asked for, or a little less.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from covidqu.config.baselines import SPLIT
from covidqu.config.training import CLASS_MAPS
from covidqu.evaluate import classification
from covidqu.evaluate.statistics import bootstrap_ratio
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import class_protocol
from covidqu.report.core.references import EVERY, description, in_place_of, under
from covidqu.report.core.run_cells import not_run
from covidqu.report.core.sources import Sources
from covidqu.report.systems import protocols

QUESTIONS = {
    "three": "three classes",
    "covid_vs_normal": "COVID-19 or Normal",
    "covid_vs_rest": "COVID-19 or not",
}
MEASURES = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "COVID-19 AUC": "auc"}
TWICE = "two annotations of near-duplicates"
MASKS = ("infection", "lung")
OVERLAPS = {"Dice": "dice", "IoU": "iou"}


def table(sources: Sources) -> list[Cell]:
    """Trivial masks, shortcut classifiers, annotations against each other."""
    cells = []
    for name, config in sources.params.baselines.items():
        reason = sources.why_no_baseline(name)
        if reason:
            cells.append(not_run(name, EVERY, reason))
        else:
            cells += _masks(sources, name) if config.gives == "infection" else _classes(sources, name)
    return [*cells, *_annotated_twice(sources)]


def _masks(sources: Sources, name: str) -> list[Cell]:
    """As `common/protocols` has them of runs, in the place of any run with infection masks."""
    runs = [run for run in sources.params.base_runs if "infection" in sources.params.run(run).tasks]
    if not runs:
        return [not_run(name, EVERY, "no run in the parameters has infection masks to be compared with")]
    return [replace(cell, row=name) for cell in in_place_of(sources, name, runs[:1], protocols.table)]


def _classes(sources: Sources, name: str) -> list[Cell]:
    """Under each label map, over the test images whose label is in it."""
    cells, config = [], sources.params.evaluate.bootstrap
    for label_map, question in QUESTIONS.items():
        found, target = classification.of_scores(under(sources.baseline(name), label_map))
        row, positive = f"{name}: {question}", CLASS_MAPS[label_map]["COVID-19"]
        for column, metric in MEASURES.items():
            try:
                value, low, high = classification.interval(metric, found, target, config, positive=positive)
            except ValueError as error:
                cells.append(not_run(row, column, str(error)))
                continue
            how, words = class_protocol(metric), description(sources.params.baselines[name])
            shown = {"n": len(target), "ci_low": low, "ci_high": high, "split": f"{SPLIT} Test", "note": words}
            cells.append(Cell(row, column, measured_correct=value, protocol_correct=how, **shown))
    return cells


def _annotated_twice(sources: Sources) -> list[Cell]:
    """Overlap of the two masks of each pair of the audit, aligned; pairs with a common image are resampled together."""
    columns = [f"{task} {column}" for task in MASKS for column in OVERLAPS]
    pairs = sources.duplicates
    if pairs is None:
        return [not_run(TWICE, column, "the audit was not made") for column in columns]
    across = pairs["across_splits"].astype(bool)
    groups = {"": across | ~across, ", across splits": across, ", inside a split": ~across}
    cells = []
    for end, chosen in groups.items():
        for task in MASKS:
            cells += _agreement(sources, f"{TWICE}{end}", task, pairs[chosen])
    return cells


def _agreement(sources: Sources, row: str, task: str, pairs: pd.DataFrame) -> list[Cell]:
    """Mean Dice and IoU over pairs, from the audit's Dice after alignment; infection needs two images that have any."""
    pairs = pairs[(pairs["subset_a"] == "infection") & (pairs["subset_b"] == "infection")]
    pairs = pairs[pairs[f"{task}_dice"].notna()]
    if pairs.empty:
        return [not_run(row, f"{task} {column}", f"no pair has two {task} masks") for column in OVERLAPS]
    dice = pairs[f"{task}_dice"].to_numpy(np.float64)
    found = {"dice": dice, "iou": dice / (2 - dice)}
    group = grouped(pairs[["a", "b"]].to_numpy())
    note = f"{len(np.unique(pairs[['a', 'b']]))} images in {group.max() + 1} groups, which are resampled whole"
    cells = []
    for column, metric in OVERLAPS.items():
        sums = np.stack([np.bincount(group, weights=w) for w in (found[metric], np.ones(len(group)))], axis=1)
        value, low, high = bootstrap_ratio(sums, lambda s: s[..., 0] / s[..., 1], sources.params.evaluate.bootstrap)
        shown = {"n": len(pairs), "ci_low": low, "ci_high": high, "split": "all", "note": note}
        shown |= {"measured_correct": value, "protocol_correct": "mean over pairs of near-duplicates"}
        cells.append(Cell(row, f"{task} {column}", **shown))
    return cells


def grouped(pairs: np.ndarray) -> np.ndarray:
    """(n, 2) images -> (n,) group 0..: two pairs with a common image are of one group, directly or by others."""
    images, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(pairs.shape)
    links = coo_array((np.ones(len(pairs)), place.T), shape=(len(images), len(images)))
    return np.unique(connected_components(links, directed=False)[1][place[:, 0]], return_inverse=True)[1]
