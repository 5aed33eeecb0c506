"""Cells of one run under named protocols, with the bootstrap interval of the correct one.

Enters: sources, run, task, protocol names of `covidqu.evaluate.protocols`; leaves: `Cell`s. A run without scores, or a
protocol for which no image qualifies, gives a cell that says so.
"""

import numpy as np
import pandas as pd

from covidqu.config.evaluation import Evaluate
from covidqu.evaluate import protocols
from covidqu.evaluate.statistics import bootstrap_mean, bootstrap_ratio
from covidqu.report.cells import NOT_RUN, Cell
from covidqu.report.sources import Sources

HEADLINE = "img_covid"  # for lungs: all images with an annotated lung
SEEDS = 1  # a run is one training with one seed
FALSE_POSITIVES = {  # column: measure of the protocol fp_healthy
    "share with a positive pixel": "any",
    "share with more than 1 % of the image positive": "over_1_percent",
    "mean positive share of the image": "area",
    "mean positive share of the lung": "area_of_lung",
}
Interval = tuple[float, float | None, float | None]


def not_run(row: str, column: str, reason: str) -> Cell:
    """An empty cell with the reason."""
    return Cell(row, column, note=NOT_RUN + reason)


def measure(protocol: str, scores: pd.DataFrame, task: str, metric: str, config: Evaluate) -> Interval:
    """Value and percentile interval over images; `batch8_seq` has no interval, its batches are no sample of images."""
    unit = protocols.PROTOCOLS[protocol].unit
    if unit == "image":
        return bootstrap_mean(_finite(protocols.per_image(protocol, scores, task)[metric]), config.bootstrap)
    if unit == "pixel":
        counts = protocols.pooled(protocol, scores, task)
        return bootstrap_ratio(counts, protocols.pooled_measure(metric), config.bootstrap)
    return value(protocol, scores, task, metric, config), None, None


def value(protocol: str, scores: pd.DataFrame, task: str, metric: str, config: Evaluate) -> float:
    """The protocol's number alone."""
    return float(protocols.summary(protocol, scores, task, config.protocol_batch)[metric])


def _finite(column: pd.Series) -> np.ndarray:
    """Images for which the measure is defined (a share of the lung needs a lung)."""
    return column.dropna().to_numpy()


def cell(
    sources: Sources,
    row: str,
    column: str,
    run: str,
    task: str,
    metric: str,
    *,
    paper: str | None = None,
    correct: str | None = None,
    label: str | None = None,
    clean: bool = False,
    note: str = "",
) -> Cell:
    """`metric` under the paper's and the correct protocol, on one class or without near-duplicates where asked.

    `n` counts the images of the correct protocol, or of the paper's when there is no correct one.
    """
    reason = sources.why_no_run(run)
    if reason:
        return not_run(row, column, reason)
    config, scores = sources.params.evaluate, _chosen(sources, run, label, clean)
    counted = correct or paper
    assert counted is not None, f"{row} / {column}: no protocol"
    reason = _why_undefined([p for p in (paper, correct) if p], scores, task, metric, config)
    if reason:
        return not_run(row, column, reason)
    by_paper = None if paper is None else value(paper, scores, task, metric, config)
    by_us, low, high = (None, None, None) if correct is None else measure(correct, scores, task, metric, config)
    return Cell(
        *(row, column, None, by_paper, by_us, paper or "", correct or ""),
        n=len(_images(counted, scores, task, metric)),
        ci_low=low,
        ci_high=high,
        run=run,
        split=_split(sources, run),
        seeds=SEEDS,
        note=note,
    )


def _chosen(sources: Sources, run: str, label: str | None, clean: bool) -> pd.DataFrame:
    scores = sources.scores(run)
    scores = scores if label is None else scores[scores["label"] == label]
    return scores[~scores["near_duplicate"].astype(bool)] if clean else scores


def _images(protocol: str, scores: pd.DataFrame, task: str, metric: str) -> pd.DataFrame:
    """The images behind a number."""
    if protocols.PROTOCOLS[protocol].unit == "image":
        return protocols.per_image(protocol, scores, task).dropna(subset=[metric])
    return protocols.select(protocol, scores, task)


def _why_undefined(names: list[str], scores: pd.DataFrame, task: str, metric: str, config: Evaluate) -> str | None:
    for name in names:
        images = protocols.PROTOCOLS[name].images
        if not len(scores) or not len(_images(name, scores, task, metric)):
            return f"no test image with {'an empty' if images == 'empty' else 'a'} {task} mask for {name}"
        if not np.isfinite(value(name, scores, task, metric, config)):
            return f"{metric} is undefined under {name}"
    return None


def _split(sources: Sources, run: str) -> str:
    return f"{sources.params.run(run).split} Test"


def false_positive_cells(
    sources: Sources, row: str, run: str, task: str, label: str | None = None, suffix: str = "", note: str = ""
) -> list[Cell]:
    """What is painted on images whose annotated mask is empty: shares with intervals, and the median area."""
    cells = [
        cell(sources, row, f"{column}{suffix}", run, task, m, correct="fp_healthy", label=label, note=note)
        for column, m in FALSE_POSITIVES.items()
    ]
    column, usable = f"median positive share of the image{suffix}", cells[0].measured
    if not usable:
        return [*cells, Cell(row, column, note=cells[0].note)]
    median = value("fp_healthy", _chosen(sources, run, label, False), task, "area_median", sources.params.evaluate)
    middle = Cell(
        *(row, column, None, None, median, "", "fp_healthy"),
        n=cells[0].n,
        run=run,
        split=_split(sources, run),
        seeds=SEEDS,
        note=note,
    )
    return [*cells, middle]


def loss_cell(sources: Sources, row: str, column: str, run: str, task: str, note: str = "") -> Cell:
    """The training loss on the test images, pooled in batches of the run's size as the paper's mean loss is."""
    reason = sources.why_no_run(run)
    if reason:
        return not_run(row, column, reason)
    config, scores = sources.params.run(run), sources.scores(run)
    terms = [term.model_dump() for term in config.loss[task]]
    try:
        loss = protocols.batched_loss(scores, task, config.batch, terms)
    except ValueError as error:
        return not_run(row, column, str(error))
    how = f"mean over batches of {config.batch} in file order"
    words = [note, "a loss depends on its batches and has no correct counterpart"]
    return Cell(
        *(row, column, None, loss, None, how, ""),
        n=len(scores),
        run=run,
        split=_split(sources, run),
        seeds=SEEDS,
        note="; ".join(word for word in words if word),
    )
