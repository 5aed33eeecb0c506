"""Segmentation tables of paper 003 (3, 6 and 8): masks at 224 x 224 over the images of the class head.

Half or a third of these images are Normal, and their empty masks raise accuracy, SSIM and PSNR and lower MSE whatever
is found in the others; the infected and the Normal ones are therefore shown apart as well. MSE and SSIM compare the
probability with the mask: of a thresholded mask MSE is 1 - Acc, which the printed numbers are not. Acc and Dice are in
percent, as printed; every number is the mean over seeds.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import stdev

import numpy as np
import pandas as pd

from covidqu.config.data import PX
from covidqu.evaluate import protocols, quality
from covidqu.evaluate.statistics import bootstrap_mean
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.measures import (
    FALSE_POSITIVES,
    HEADLINE,
    MARKED,
    at_px,
    cell,
    image_cell,
    not_run,
    over_seeds,
    psnr_cell,
)
from covidqu.report.core.run_cells import SEEDS, joined, or_missing, scaled, tested_on
from covidqu.report.core.sources import Sources

RUN, PRE = "cbam-mtl-unet-proposed", "cbam-mtl-unet-pre"
MODELS = {"Simple Multi-Task Model": PRE, "Proposed Model": RUN}  # Tables 3 and 4
OURS = {"Proposed": RUN}  # Tables 6 and 7
BACKBONES = {  # Tables 8 and 9
    f"{label} / {shown}": f"cbam-mtl-{net}-{kind}"
    for label, kind in (("Simple Multi-Task", "simple"), ("Proposed Method", "proposed"))
    for shown, net in (("U-net", "unet"), ("U-net++", "unetpp"), ("RESUNET", "resunet"))
}
PERCENT = 100.0
TASK = "infection"
SPREAD = {"kind": Kind.PERFORMANCE, "unit": Unit.PERCENT}
ALL = "img_all_e1"
UNKNOWN = "the paper does not say how it averages"
BLANK = "of an empty mask: 1 for a blank prediction, else 0; a convention, no overlap"
Select = Callable[[pd.DataFrame], pd.Series]


def in_head(scores: pd.DataFrame) -> pd.Series:
    """Images whose label is a class of the head; (n,) bool, as for the next two."""
    return scores["class_target"] >= 0


def infected(scores: pd.DataFrame) -> pd.Series:
    """Images of class 1."""
    return scores["class_target"] == 1


def normal(scores: pd.DataFrame) -> pd.Series:
    """Images of class 0."""
    return scores["class_target"] == 0


GROUPS: dict[str, Select] = {"": in_head, ", infected": infected, ", Normal": normal}


def side(sources: Sources, run: str) -> int:
    """Pixels a side at which the run's masks are compared; 256 for a run that is not there."""
    return sources.params.run(run).evaluate_px if run in sources.params.resolved else PX


def per_image(scores: pd.DataFrame, px: int, protocol: str, measure: str) -> pd.Series:
    """A measure per image at `px`, over the images of the protocol; KeyError when nothing was counted there."""
    there = at_px(scores, TASK, px)
    if there is None:
        raise KeyError(f"{TASK}_tp_at_{px}")
    return protocols.per_image(protocol, there, TASK)[measure]


def table_3(sources: Sources) -> list[Cell]:
    """Table 3: with and without CBAM."""
    return _segmentation(sources, MODELS, apart=True)


def table_6(sources: Sources) -> list[Cell]:
    """Table 6: the proposed model."""
    return _segmentation(sources, OURS, apart=False)


def table_8(sources: Sources) -> list[Cell]:
    """Table 8: simple and proposed on three backbones."""
    return _segmentation(sources, BACKBONES, apart=False)


def _segmentation(sources: Sources, rows: dict[str, str], *, apart: bool) -> list[Cell]:
    """`rows`: label -> base run; `apart`: infected and Normal images by themselves too."""
    cells = []
    for row, run in rows.items():
        groups = GROUPS if apart else {"": in_head}
        for suffix, select in groups.items():
            cells += _group(sources, row, run, suffix, select)
        cells += _dice_cells(sources, row, run)
        cells += _empty_cells(sources, row, run) if apart else []
    return cells


def _group(sources: Sources, row: str, run: str, suffix: str, select: Select) -> list[Cell]:
    """Acc, MSE, PSNR and SSIM of one group of images."""

    def mean(
        column: str, quantity: str | Callable[[int], Callable[[pd.DataFrame], pd.Series]], **shown: object
    ) -> Cell:
        def make(one: str) -> Cell:
            px = side(sources, one)
            asked = f"{TASK}_{quantity}_at_{px}" if isinstance(quantity, str) else quantity(px)
            how = f"mean over images, {px} px"
            paper = how if select is in_head and "paper" not in shown else ""
            words = {"how": how, "paper": paper} | shown
            return image_cell(sources, row, f"{column}{suffix}", one, asked, select=select, **words)

        return over_seeds(sources, run, make)

    return [
        mean("Acc", lambda px: lambda s: per_image(s, px, ALL, "accuracy"), scale=PERCENT),
        mean("MSE", "mse"),
        mean("MSE, thresholded", lambda px: lambda s: 1 - per_image(s, px, ALL, "accuracy"), paper=""),
        over_seeds(sources, run, lambda one: _psnr(sources, row, f"PSNR{suffix}", one, select)),
        over_seeds(sources, run, lambda one: _hard_psnr(sources, row, f"PSNR, thresholded{suffix}", one, select)),
        mean("SSIM", "ssim"),
    ]


def _psnr(sources: Sources, row: str, column: str, run: str, select: Select) -> Cell:
    """Mean over images with an error beside that of the pooled MSE; probabilities, peak 1."""
    errors = f"{TASK}_mse_at_{side(sources, run)}"
    by_us = psnr_cell(sources, row, column, run, errors, pooled=True, select=select)
    each = psnr_cell(sources, row, column, run, errors, pooled=False, select=select)
    if not (by_us.measured and each.measured):
        return by_us
    left_out = by_us.n - each.n
    note = joined(UNKNOWN, f"{left_out} perfect images have no PSNR and are left out of the paper's column")
    if by_us.ci_low is not None and not np.isfinite([by_us.ci_low, by_us.ci_high]).all():
        by_us = replace(by_us, ci_low=None, ci_high=None)
        note = joined(note, "no interval: resamples without an error have no PSNR")
    return replace(
        by_us,
        measured_paper=each.measured_correct,
        protocol_paper=each.protocol_correct,
        paper_low=each.ci_low,
        paper_high=each.ci_high,
        note=note,
    )


def _hard_psnr(sources: Sources, row: str, column: str, run: str, select: Select) -> Cell:
    """Of thresholded masks: many are perfect, blank on blank."""
    px = side(sources, run)

    def decibels(scores: pd.DataFrame) -> np.ndarray:
        errors = 1 - per_image(scores, px, ALL, "accuracy")
        return quality.psnr(errors.where(errors > 0))

    how = f"mean over images with a wrong pixel, {px} px"
    found = image_cell(sources, row, column, run, decibels, select=select, how=how, unit=Unit.DECIBEL)
    if not found.measured:
        return found
    left_out = int(select(sources.scores(run)).sum()) - found.n
    return replace(found, note=f"{left_out} perfect images have no PSNR and are left out")


def _dice_cells(sources: Sources, row: str, run: str) -> list[Cell]:
    """Dice of all images with blank = 1 (paper) and of infected images (correct); SD over seeds and over images."""
    per_seed = {name: _dice(sources, row, name) for name in sources.params.seeds(run) or [run]}
    return [
        over_seeds(sources, run, per_seed.__getitem__),
        _std(row, [c for c in per_seed.values() if c.measured], per_seed[next(iter(per_seed))]),
        over_seeds(sources, run, lambda one: _std_of_images(sources, row, "Dice Std over images", one)),
    ]


def _dice(sources: Sources, row: str, run: str) -> Cell:
    px, note = side(sources, run), UNKNOWN
    found = cell(sources, row, "Dice", run, TASK, "dice", correct=HEADLINE, px=px, scale=PERCENT, note=note)
    if not found.measured:
        return found
    scores = sources.scores(run)
    every = per_image(scores[in_head(scores)], px, ALL, "dice").to_numpy()
    by_paper, low, high = scaled(bootstrap_mean(every, sources.params.evaluate.bootstrap), PERCENT)
    return replace(
        found,
        measured_paper=by_paper,
        paper_low=low,
        paper_high=high,
        protocol_paper=f"{ALL}, {px} px",
        protocol_correct=f"{HEADLINE}, {px} px",
    )


def _std(row: str, found: list[Cell], first: Cell) -> Cell:
    """Standard deviation of Dice over seeds, percent points."""
    column = "Dice Std"
    if not found:
        return replace(first, column=column)
    if len(found) < 2:
        return not_run(row, column, f"one seed of {first.run} has no standard deviation")
    how = "SD over seeds of {}, percent points"
    spread = [stdev(getattr(c, key) for c in found) for key in ("measured_paper", "measured_correct")]
    return Cell(
        *(row, column, None, *spread, how.format(ALL), how.format(HEADLINE)),
        n=found[0].n,
        run=found[0].run,
        split=found[0].split,
        seeds=len(found),
        note="the paper says neither of what nor in which unit its Std is",
        **SPREAD,
    )


@or_missing
def _std_of_images(sources: Sources, row: str, column: str, run: str) -> Cell:
    """Standard deviation of Dice over the images of one run, percent points."""
    scores, px = sources.scores(run), side(sources, run)
    if at_px(scores, TASK, px) is None:
        raise Missing(Status.NOT_RUN, f"run {run} was not scored at {px} px")
    values = [per_image(scores[in_head(scores)], px, protocol, "dice") for protocol in (ALL, HEADLINE)]
    if len(values[1]) < 2:
        raise Missing(Status.UNDEFINED, "fewer than two images have an annotated mask")
    spread = [PERCENT * float(v.std(ddof=1)) for v in values]
    how = "SD over images of {}, percent points"
    return Cell(
        *(row, column, None, *spread, how.format(ALL), how.format(HEADLINE)),
        n=len(values[1]),
        run=run,
        split=tested_on(sources, run),
        seeds=SEEDS,
        **SPREAD,
    )


def _empty_cells(sources: Sources, row: str, run: str) -> list[Cell]:
    """What empty masks do to Dice, and on how many of them infection is marked."""

    def dice(one: str) -> Cell:
        def quantity(scores: pd.DataFrame) -> pd.Series:
            return per_image(scores, side(sources, one), ALL, "dice")

        shown = {"select": normal, "scale": PERCENT, "how": f"{ALL}, {side(sources, one)} px"}
        found = image_cell(sources, row, "Dice, Normal", one, quantity, **shown, note=BLANK)
        if not found.measured:
            return found
        theirs = {"measured_paper": found.measured_correct, "protocol_paper": found.protocol_correct}
        theirs |= {"paper_low": found.ci_low, "paper_high": found.ci_high}
        ours = {"measured_correct": None, "protocol_correct": "", "ci_low": None, "ci_high": None}
        return replace(found, **theirs, **ours)

    def marked(one: str, column: str) -> Cell:
        px = side(sources, one)

        def quantity(scores: pd.DataFrame) -> pd.Series:
            return per_image(scores, px, "fp_normal", FALSE_POSITIVES[column])

        shown = {"select": normal, "scale": PERCENT, "how": f"fp_normal, {px} px"}
        return image_cell(sources, row, f"Normal, {column}", one, quantity, **shown)

    shares = [over_seeds(sources, run, partial(marked, column=column)) for column in MARKED]
    return [over_seeds(sources, run, dice), *shares]
