"""Cells of more than one run: the mean over repetitions with other seeds, and the difference between two runs.

Enters: sources and run names; leaves: `Cell`s. What varies between trainings (the standard deviation over seeds) and
what varies between test images (the interval) are different things and never mixed.
"""

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pandas as pd

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate import classification, protocols
from covidqu.evaluate.statistics import Interval, bootstrap_difference, bootstrap_ratio
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind, Missing, Status
from covidqu.report.core.run_cells import class_protocol, joined, measured, or_missing, share
from covidqu.report.core.sources import Sources


def over_seeds(sources: Sources, run: str, make: Callable[[str], Cell]) -> Cell:
    """The cell of a base run from `make(name)` of it and of each repetition: means over those that were measured.

    With two or more, the note gives standard deviation and range over seeds, and there is no interval: that of one
    training is not that of their mean. With one, its own cell.
    """
    names = sources.params.seeds(run) or [run]
    with sources.without_intervals():
        cells = [make(name) for name in names]
    found = [cell for cell in cells if cell.measured]
    absent = [name for name, cell in zip(names, cells, strict=True) if not cell.measured]
    if not found:
        return cells[0]
    without = f"without {', '.join(absent)}" if absent else ""
    if len(found) == 1:
        whole = make(next(name for name, cell in zip(names, cells, strict=True) if cell.measured))
        return replace(whole, note=joined(whole.note, without))
    by_paper, by_us = ([getattr(c, key) for c in found] for key in ("measured_paper", "measured_correct"))
    values = by_paper if by_us[0] is None else by_us
    spread = f"SD {stdev(values):.4g} over {len(found)} seeds, from {min(values):.4g} to {max(values):.4g}"
    images = sorted({cell.n for cell in found if cell.n is not None})
    counted = f"n from {images[0]} to {images[-1]}" if len(images) > 1 else ""
    return replace(
        found[0],
        measured_paper=_mean(by_paper),
        measured_correct=_mean(by_us),
        n=images[0] if len(images) == 1 else None,
        ci_low=None,
        ci_high=None,
        paper_low=None,
        paper_high=None,
        seeds=len(found),
        note=joined(*(cell.note for cell in found), spread, counted, without),
        sd=stdev(values),
    )


def _mean(values: list[Value]) -> float | None:
    """None unless every seed has the number."""
    return None if None in values else fmean(values)


@or_missing
def difference_cell(
    sources: Sources,
    row: str,
    column: str,
    run_a: str,
    run_b: str,
    task: str,
    metric: str,
    protocol: str = "",
    *,
    scale: float = 1.0,
    note: str = "",
) -> Cell:
    """`metric` of `run_a` minus that of `run_b` over the images that both were tested on, resampled together.

    `task`: lung or infection with a protocol that averages images or pools pixels, or `class` with one of
    `classification.MEASURES` (COVID-19 is looked for), where `protocol` is not used.
    """
    a, b = on_shared_images(sources, run_a, run_b)
    config = sources.params.evaluate.bootstrap
    try:
        if task == "class":
            positive = sources.params.run(run_a).class_map.get("COVID-19", 1)
            found, n = class_difference(a, b, metric, config, positive)
            protocol = class_protocol(metric)
        else:
            found, n = mask_difference(a, b, task, metric, protocol, config)
    except ValueError as error:
        raise Missing(Status.UNDEFINED, str(error)) from None
    words = joined(note, f"{run_a} minus {run_b}, paired over images")
    what = {"note": words, "kind": Kind.PERFORMANCE, "unit": share(scale)}
    return measured(sources, row, column, run_a, found, protocol, n=n, scale=scale, **what)


def on_shared_images(sources: Sources, run_a: str, run_b: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of two runs on the images that both were tested on, in the same order, indexed by id."""
    return shared(sources.scores(run_a), sources.scores(run_b))


def shared(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of both frames with the same id, in the order of `a`, indexed by id."""
    a, b = (scores.set_index("id", drop=False) for scores in (a, b))
    both = a.index.intersection(b.index, sort=False)
    return a.loc[both], b.loc[both]


def mask_difference(
    a: pd.DataFrame, b: pd.DataFrame, task: str, metric: str, protocol: str, config: Bootstrap
) -> tuple[Interval, int]:
    """`metric` of `a` minus that of `b`, scores of the same images (`shared`), and the number of images behind it.

    ValueError where no image qualifies.
    """
    if protocols.PROTOCOLS[protocol].unit == "pixel":
        of = protocols.pooled_measure(metric)
        counts = np.hstack([protocols.pooled(protocol, scores, task) for scores in (a, b)])
        return bootstrap_ratio(counts, lambda t: of(t[..., :4]) - of(t[..., 4:]), config), len(counts)
    pair = [protocols.per_image(protocol, scores, task)[metric] for scores in (a, b)]
    values = pd.concat(pair, axis=1, join="inner").dropna().to_numpy()
    return bootstrap_difference(values[:, 0], values[:, 1], config), len(values)


def class_difference(
    a: pd.DataFrame, b: pd.DataFrame, metric: str, config: Bootstrap, positive: int
) -> tuple[Interval, int]:
    """The same of class heads, over images of classes that both know; ValueError for heads of different classes."""
    if not {"class_target"} <= set(a.columns) & set(b.columns):
        raise ValueError("one of the two runs has no class output")
    known = ((a["class_target"] >= 0) & (b["class_target"] >= 0)).to_numpy()
    (one, target), (other, same) = (classification.of_scores(scores[known]) for scores in (a, b))
    if one.shape != other.shape or not np.array_equal(target, same):
        raise ValueError("the two runs tell different classes apart")
    return classification.difference(metric, one, other, target, config, positive=positive), len(target)
