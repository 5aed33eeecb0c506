"""Cells of one run under named protocols, with the bootstrap interval of the correct one.

Enters: sources, run, task, protocol names of `covidqu.evaluate.protocols`; leaves: `Cell`s. A run without scores, or a
protocol for which no image qualifies, gives a cell that says so. `scale` multiplies values and bounds (100: percent).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from covidqu.config.data import PX
from covidqu.config.evaluation import Evaluate
from covidqu.evaluate import classification, protocols, quality
from covidqu.evaluate.statistics import bootstrap_mean, bootstrap_ratio, bootstrap_strata
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.run_cells import (
    SEEDS,
    Found,
    class_protocol,
    joined,
    measured,
    not_run,
    or_missing,
    share,
    tested_on,
)
from covidqu.report.core.several_runs import difference_cell, over_seeds
from covidqu.report.core.sources import Sources

__all__ = [
    "ANY", "APART", "FALSE_POSITIVES", "HEADLINE", "MARKED", "OVER", "SEEDS", "Interval", "at_px", "cell", "class_cell",
    "difference_cell", "false_positive_cells", "image_cell", "loss_cell", "measure", "not_run", "over_seeds",
    "psnr_cell", "value",
]  # fmt: skip
PERCENT = 100.0
HEADLINE = "img_covid"  # for lungs: all images with an annotated lung
ANY, OVER = MARKED = ("share with a positive pixel", "share with more than 1 % of the image positive")
FALSE_POSITIVES = {  # column: measure of the protocols `fp_*`
    ANY: "any",
    OVER: "over_1_percent",
    "mean positive share of the image": "area",
    "mean positive share of the lung": "area_of_lung",
}
APART = {"fp_normal": "Normal", "fp_pneumonia": "other pneumonia"}  # whose false infection it is, in words
Interval = tuple[float, float | None, float | None]
Quantity = str | Callable[[pd.DataFrame], np.ndarray | pd.Series]  # a column, or a function of the scores
Select = str | Callable[[pd.DataFrame], np.ndarray | pd.Series] | None  # a label, or which images; None: all


def measure(protocol: str, scores: pd.DataFrame, task: str, metric: str, config: Evaluate) -> Interval:
    """Value and percentile interval over images.

    Of `batch8_seq` over batches, as they are in file order: those with and without annotated pixels apart, because
    file order fixes how many there are of each.
    """
    unit = protocols.PROTOCOLS[protocol].unit
    if unit == "image":
        return bootstrap_mean(_finite(protocols.per_image(protocol, scores, task)[metric]), config.bootstrap)
    if unit == "pixel":
        counts = protocols.pooled(protocol, scores, task)
        return bootstrap_ratio(counts, protocols.pooled_measure(metric), config.bootstrap)
    batches = protocols.per_batch(scores, task, config.protocol_batch)[metric].to_numpy()
    strata = protocols.infected_batches(scores, task, config.protocol_batch)
    return bootstrap_strata(batches, strata, config.bootstrap)


def value(protocol: str, scores: pd.DataFrame, task: str, metric: str, config: Evaluate) -> float:
    """The protocol's number alone."""
    return float(protocols.summary(protocol, scores, task, config.protocol_batch)[metric])


def _finite(column: pd.Series) -> np.ndarray:
    """Images for which the measure is defined (a share of the lung needs a lung)."""
    return column.dropna().to_numpy()


@or_missing
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
    px: int = PX,
    scale: float = 1.0,
    note: str = "",
) -> Cell:
    """`metric` under the paper's and the correct protocol, on one class or without near-duplicates where asked.

    `n` counts the images of the correct protocol, or of the paper's when there is no correct one. `px`: side of the
    masks that are counted, 256 or the run's `evaluate_px`.
    """
    if f"{task}_tp" not in sources.scores(run):
        raise Missing(Status.NO_OUTPUT, f"run {run} has no {task} mask")
    config, scores = sources.params.evaluate, at_px(_chosen(sources, run, label, clean), task, px)
    counted = correct or paper
    assert counted is not None, f"{row} / {column}: no protocol"
    if scores is None:
        raise Missing(Status.NOT_RUN, f"run {run} was not scored at {px} px")
    reason = _why_undefined([p for p in (paper, correct) if p], scores, task, metric, config)
    if reason:
        raise Missing(Status.UNDEFINED, reason)
    by_paper = None if paper is None else measure(paper, scores, task, metric, config)
    found: Found = (None, None, None) if correct is None else measure(correct, scores, task, metric, config)
    n = len(_images(counted, scores, task, metric))
    what = {"paper": paper or "", "by_paper": by_paper, "note": note, "kind": Kind.PERFORMANCE, "unit": share(scale)}
    return measured(sources, row, column, run, found, correct or "", n=n, scale=scale, **what)


def at_px(scores: pd.DataFrame, task: str, px: int) -> pd.DataFrame | None:
    """Scores whose counts of a mask task are those at `px`; None if there are none at that side."""
    if px == PX:
        return scores
    there = {f"{task}_{c}_at_{px}": f"{task}_{c}" for c in protocols.COUNTS}
    if not set(there) <= set(scores.columns):
        return None
    lung = scores["lung_area_px"] * (px / PX) ** 2
    return scores.drop(columns=list(there.values())).rename(columns=there).assign(lung_area_px=lung, n_px=px * px)


def _chosen(sources: Sources, run: str, label: str | None, clean: bool) -> pd.DataFrame:
    scores = _selected(sources.scores(run), label)
    return scores[~scores["near_duplicate"].astype(bool)] if clean else scores


def _selected(scores: pd.DataFrame, select: Select) -> pd.DataFrame:
    if select is None:
        return scores
    return scores[scores["label"] == select if isinstance(select, str) else np.asarray(select(scores), bool)]


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


def false_positive_cells(
    sources: Sources, row: str, run: str, protocol: str, suffix: str = "", note: str = ""
) -> list[Cell]:
    """Infection marked on images of one class without any: shares with intervals, and the median area.

    `protocol`: one of `FALSE_INFECTION`, whose words are in `APART`.
    """
    task = "infection"
    cells = [
        cell(sources, row, f"{column}{suffix}", run, task, m, correct=protocol, note=note)
        for column, m in FALSE_POSITIVES.items()
    ]
    column, usable = f"median positive share of the image{suffix}", cells[0].measured
    if not usable:
        return [*cells, replace(cells[0], column=column)]
    median = value(protocol, sources.scores(run), task, "area_median", sources.params.evaluate)
    middle = Cell(
        *(row, column, None, None, median, "", protocol),
        n=cells[0].n,
        run=run,
        split=tested_on(sources, run),
        seeds=SEEDS,
        note=note,
        kind=Kind.PERFORMANCE,
        unit=Unit.FRACTION,
    )
    return [*cells, middle]


@or_missing
def class_cell(
    sources: Sources,
    row: str,
    column: str,
    run: str,
    metric: str,
    *,
    label: str | None = None,
    paper: str = "",
    scale: float = 1.0,
    note: str = "",
) -> Cell:
    """One of `classification.MEASURES` over the test images whose label is a class of the run's head.

    `label`: the class that is looked for, against the rest, COVID-19 unless another is named; not for accuracy, which
    is of all classes (that of one class is its sensitivity). Without an interval where resamples lack a class.
    """
    assert label is None or metric not in classification.MULTI_CLASS, f"{row} / {column}: {metric} is of all classes"
    scores, classes, config = sources.scores(run), sources.params.run(run).class_map, sources.params.evaluate.bootstrap
    if "class_logit_0" not in scores or (label or "COVID-19") not in classes:
        raise Missing(Status.NO_OUTPUT, f"run {run} tells no {label or 'COVID-19'} apart")
    found, target = classification.of_scores(scores)
    positive = classes[label or "COVID-19"]
    alone = classification.measure(metric, found, target, positive=positive)
    if np.isnan(alone):
        never = metric in ("precision", "f1") and not (found.argmax(axis=1) == positive).any()
        why = f"the class is never predicted for any of {len(target)} images"
        raise Missing(Status.UNDEFINED, why if never else f"{metric} has no value for these {len(target)} images")
    try:
        bounds = classification.interval(metric, found, target, config, positive=positive)
    except ValueError as error:
        bounds, note = (alone, None, None), joined(note, f"no interval: {error}")
    how = class_protocol(metric)
    what = {"paper": paper, "scale": scale, "note": note, "kind": Kind.PERFORMANCE, "unit": share(scale)}
    return measured(sources, row, column, run, bounds, how, n=len(target), **what)


@or_missing
def image_cell(
    sources: Sources,
    row: str,
    column: str,
    run: str,
    quantity: Quantity,
    *,
    select: Select = None,
    paper: str = "",
    scale: float = 1.0,
    how: str = "mean over images",
    note: str = "",
    unit: Unit | None = None,
) -> Cell:
    """Mean of a quantity per image of the scores; images for which it is nan are left out, `n` counts the others."""
    scores = _selected(sources.scores(run), select)
    try:
        values = np.asarray(quantity(scores) if callable(quantity) else scores[quantity], np.float64)
    except KeyError as error:
        raise Missing(Status.NOT_RUN, f"the scores of run {run} hold no {error.args[0]}") from None
    values = values[~np.isnan(values)]
    if not len(values) or not np.isfinite(values).all():
        raise Missing(Status.UNDEFINED, f"{'an infinite value' if len(values) else 'no value'} for these test images")
    found = bootstrap_mean(values, sources.params.evaluate.bootstrap)
    what = {"paper": paper, "scale": scale, "note": note, "kind": Kind.PERFORMANCE}
    what |= {"unit": unit or (Unit.PERCENT if scale == PERCENT else None)}
    return measured(sources, row, column, run, found, how, n=len(values), **what)


@or_missing
def psnr_cell(
    sources: Sources,
    row: str,
    column: str,
    run: str,
    errors: str,
    *,
    pooled: bool,
    select: Select = None,
    paper: str = "",
    note: str = "",
) -> Cell:
    """PSNR (dB) from a column of MSE per image: that of the mean MSE, or the mean over images that have an error."""
    scores = _selected(sources.scores(run), select)
    if errors not in scores:
        raise Missing(Status.NOT_RUN, f"the scores of run {run} hold no {errors}")
    if not scores[errors].gt(0).any():
        raise Missing(Status.UNDEFINED, f"the scores of run {run} hold no error in {errors}")
    if not pooled:
        perfect = int(scores[errors].eq(0).sum())
        shown = {"select": select, "paper": paper, "how": "mean over images with MSE > 0", "unit": Unit.DECIBEL}
        words = joined(note, f"{perfect} images without an error are left out" if perfect else "")
        return image_cell(sources, row, column, run, lambda s: _psnr(s[errors]), **shown, note=words)
    table = np.column_stack([scores[errors], np.ones(len(scores))])
    config = sources.params.evaluate.bootstrap
    found = bootstrap_ratio(table, lambda sums: quality.psnr(sums[..., 0] / sums[..., 1]), config)
    what = {"paper": paper, "note": note, "kind": Kind.PERFORMANCE, "unit": Unit.DECIBEL}
    return measured(sources, row, column, run, found, "from the pooled MSE", n=len(scores), **what)


def _psnr(errors: pd.Series) -> np.ndarray:
    """nan for images without an error."""
    return quality.psnr(errors.where(errors > 0))


@or_missing
def loss_cell(sources: Sources, row: str, column: str, run: str, task: str, note: str = "") -> Cell:
    """The training loss on the test images, pooled in batches of the run's size as the paper's mean loss is."""
    scores, config = sources.scores(run), sources.params.run(run)
    terms = [term.model_dump() for term in config.loss[task]]
    try:
        losses = protocols.batch_losses(scores, task, config.batch, terms)
    except ValueError as error:
        raise Missing(Status.NOT_RUN, str(error)) from None
    if not np.isfinite(losses).all():
        raise Missing(Status.UNDEFINED, "no finite loss on these test images")
    strata, bootstrap = protocols.infected_batches(scores, task, config.batch), sources.params.evaluate.bootstrap
    loss, low, high = bootstrap_strata(losses, strata, bootstrap)
    how = f"mean over batches of {config.batch} in file order"
    words = [note, "a loss depends on its batches and has no correct counterpart"]
    return Cell(
        *(row, column, None, loss, None, how, ""),
        n=len(scores),
        run=run,
        split=tested_on(sources, run),
        seeds=SEEDS,
        note=joined(*words),
        kind=Kind.PERFORMANCE,
        paper_low=low,
        paper_high=high,
    )
