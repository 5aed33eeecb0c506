"""Table `common/protocols`: each infection run under each protocol, so that no number stands without its protocol."""

from dataclasses import replace

import numpy as np
import pandas as pd

from covidqu.config.evaluation import Evaluate
from covidqu.evaluate.protocols import PROTOCOLS, per_image
from covidqu.evaluate.statistics import Interval, bootstrap_ratio
from covidqu.report.arithmetic.rounded import gap
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import APART, Mask, false_infection
from covidqu.report.core.run_cells import across
from covidqu.report.core.sources import Sources

METRICS = ("dice", "iou")
CORRECT = ("img_covid", "pooled_covid", "pooled_all")
GAP = "gap 2 IoU / (1 + IoU) - Dice"


def table(sources: Sources) -> list[Cell]:
    """Rows are runs, columns protocol and metric; false positives where nothing is annotated at the end of each run.

    Repetitions with other seeds are left to the tables of their paper. Protocols of the papers fill `measured_paper`,
    the correct ones `measured_correct` with their interval.
    """
    cells = []
    for run in sources.params.base_runs:
        if "infection" not in sources.params.run(run).tasks:
            continue
        for protocol, known in PROTOCOLS.items():
            side = {"correct" if protocol in CORRECT else "paper": protocol}
            masks = {f"{protocol} {m}": Mask(run=run, metric=m, **side) for m in METRICS if m in known.measures}
            found = across(sources, run, masks)
            cells += [*found, _gap(sources, run, protocol, *found)] if found else []
        for protocol, who in APART.items():
            cells += across(sources, run, false_infection(run, protocol, f", {who}"))
    return cells


def _gap(sources: Sources, run: str, protocol: str, dice: Cell, iou: Cell) -> Cell:
    """From the two averages beside it; an average over images has an interval, and pooled pixels have no gap."""
    column = f"{protocol} {GAP}"
    if not (dice.measured and iou.measured):
        return replace(dice if not dice.measured else iou, column=column)
    if dice.measured_correct is None:
        theirs = gap(float(dice.measured_paper), float(iou.measured_paper))
        return replace(dice, column=column, measured_paper=theirs, paper_low=None, paper_high=None)
    if PROTOCOLS[protocol].unit == "image":
        value, low, high = _of_means(protocol, sources.scores(run), sources.params.evaluate)
        return replace(dice, column=column, measured_correct=value, ci_low=low, ci_high=high)
    value = gap(float(dice.measured_correct), float(iou.measured_correct))
    return replace(dice, column=column, measured_correct=value, ci_low=None, ci_high=None)


def _of_means(protocol: str, scores: pd.DataFrame, config: Evaluate) -> Interval:
    images = per_image(protocol, scores, "infection")
    sums = np.column_stack([images["dice"], images["iou"], np.ones(len(images))])
    return bootstrap_ratio(sums, lambda s: gap(s[..., 0] / s[..., 2], s[..., 1] / s[..., 2]), config.bootstrap)


def definitions() -> list[str]:
    """One line per protocol: what is averaged, over which images, and what empty masks count."""
    units = {
        "image": "mean over images",
        "pixel": "pixels of all images pooled",
        "batch": "mean over batches of images",
    }
    which = {"all": "all test images", "foreground": "images with an annotated mask", "empty": "images without one"}
    return [f"- `{p.name}`: {units[p.unit]}; {which[p.images]}; {p.empty_masks}" for p in PROTOCOLS.values()]
