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
    NONE,
    PERCENT,
    Mask,
    Measure,
    Number,
    PerImage,
    Psnr,
    at_px,
    in_head,
    joined,
    scaled,
)
from covidqu.report.core.run_cells import not_run, over_seeds, per_seed
from covidqu.report.core.sources import Sources

RUN, PRE = "cbam-mtl-unet-proposed", "cbam-mtl-unet-pre"
MODELS = {"Simple Multi-Task Model": PRE, "Proposed Model": RUN}  # Tables 3 and 4
OURS = {"Proposed": RUN}  # Tables 6 and 7
BACKBONES = {  # Tables 8 and 9
    f"{label} / {shown}": f"cbam-mtl-{net}-{kind}"
    for label, kind in (("Simple Multi-Task", "simple"), ("Proposed Method", "proposed"))
    for shown, net in (("U-net", "unet"), ("U-net++", "unetpp"), ("RESUNET", "resunet"))
}
TASK = "infection"
ALL = "img_all_e1"
UNKNOWN = "the paper does not say how it averages"
BLANK = "of an empty mask: 1 for a blank prediction, else 0; a convention, no overlap"
Select = Callable[[pd.DataFrame], pd.Series]


def infected(scores: pd.DataFrame) -> pd.Series:
    """(n,) bool: images of class 1."""
    return scores["class_target"] == 1


def normal(scores: pd.DataFrame) -> pd.Series:
    """(n,) bool: images of class 0."""
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
        measures: dict[str, Measure] = {}
        for suffix, select in GROUPS.items() if apart else [("", in_head)]:
            measures |= {f"{column}{suffix}": one for column, one in _of_group(run, select).items()}
        dice, over_images = Dice(run=run), StdOfImages(run=run)
        empty = _of_empty_masks(run) if apart else {}
        cells += [over_seeds(sources, row, column, one) for column, one in (measures | {"Dice": dice}).items()]
        cells.append(_std(row, "Dice Std", per_seed(sources, row, "Dice", dice)))
        last = {"Dice Std over images": over_images} | empty
        cells += [over_seeds(sources, row, column, one) for column, one in last.items()]
    return cells


def _of_group(run: str, select: Select) -> dict[str, Measure]:
    """Acc, MSE, PSNR and SSIM of one group of images; the paper's are of all images of the head."""
    paper = select is in_head

    def wrong(scores: pd.DataFrame, px: int) -> pd.Series:
        return 1 - per_image(scores, px, ALL, "accuracy")

    def right(scores: pd.DataFrame, px: int) -> pd.Series:
        return per_image(scores, px, ALL, "accuracy")

    return {
        "Acc": AtSide(run=run, quantity=right, select=select, paper=paper, percent=True),
        "MSE": AtSide(run=run, quantity=lambda s, px: s[f"{TASK}_mse_at_{px}"], select=select, paper=paper),
        "MSE, thresholded": AtSide(run=run, quantity=wrong, select=select),
        "PSNR": BothPsnr(run=run, select=select),
        "PSNR, thresholded": HardPsnr(run=run, select=select),
        "SSIM": AtSide(run=run, quantity=lambda s, px: s[f"{TASK}_ssim_at_{px}"], select=select, paper=paper),
    }


class AtSide(Measure):
    """Mean of a quantity per image, a function of the scores and the side of the run's masks."""

    quantity: Callable[[pd.DataFrame, int], np.ndarray | pd.Series]
    select: Select
    how: str = "mean over images"
    paper: bool = False
    percent: bool = False
    unit: Unit | None = None

    def number(self, sources: Sources) -> Number:
        """Of the test images that `select` chooses."""
        px = side(sources, self.run)
        what = {name: getattr(self, name) for name in ("run", "note", "select", "paper", "percent", "unit")}
        of = PerImage(**what, quantity=lambda s: self.quantity(s, px), how=f"{self.how}, {px} px")
        return of.number(sources)


class BothPsnr(Measure):
    """Mean over images with an error beside that of the pooled MSE; probabilities, peak 1."""

    select: Select

    def number(self, sources: Sources) -> Number:
        """Of the test images that `select` chooses."""
        what = {"run": self.run, "errors": f"{TASK}_mse_at_{side(sources, self.run)}", "select": self.select}
        by_us, each = (Psnr(**what, pooled=pooled).number(sources) for pooled in (True, False))
        note = joined(UNKNOWN, f"{by_us.n - each.n} perfect images have no PSNR and are left out of the paper's column")
        value, *bounds = by_us.found
        if bounds[0] is not None and not np.isfinite(bounds).all():
            by_us = by_us._replace(found=(value, None, None))
            note = joined(note, "no interval: resamples without an error have no PSNR")
        return by_us._replace(paper=each.how, by_paper=each.found, note=note)


class HardPsnr(Measure):
    """Of thresholded masks: many are perfect, blank on blank."""

    select: Select

    def number(self, sources: Sources) -> Number:
        """Of the test images that `select` chooses."""

        def decibels(scores: pd.DataFrame, px: int) -> np.ndarray:
            errors = 1 - per_image(scores, px, ALL, "accuracy")
            return quality.psnr(errors.where(errors > 0))

        what = {"select": self.select, "how": "mean over images with a wrong pixel", "unit": Unit.DECIBEL}
        found = AtSide(run=self.run, quantity=decibels, **what).number(sources)
        left_out = int(self.select(sources.scores(self.run)).sum()) - found.n
        return found._replace(note=f"{left_out} perfect images have no PSNR and are left out")


class Dice(Measure):
    """Of all images with blank = 1 (paper) and of infected images (correct), percent."""

    def number(self, sources: Sources) -> Number:
        """Of the test images of the head's classes."""
        px, scores = side(sources, self.run), sources.scores(self.run)
        mask = Mask(run=self.run, metric="dice", correct=HEADLINE, px=px, percent=True, note=UNKNOWN).number(sources)
        every = per_image(scores[in_head(scores)], px, ALL, "dice").to_numpy()
        by_paper = scaled(bootstrap_mean(every, sources.params.evaluate.bootstrap))
        return mask._replace(how=f"{HEADLINE}, {px} px", paper=f"{ALL}, {px} px", by_paper=by_paper)


def _std(row: str, column: str, cells: list[Cell]) -> Cell:
    """Standard deviation of Dice over seeds, percent points."""
    found = [cell for cell in cells if cell.measured]
    if not found:
        return replace(cells[0], column=column)
    if len(found) < 2:
        return not_run(row, column, f"one seed of {cells[0].run} has no standard deviation")
    how = "SD over seeds of {}, percent points"
    theirs, ours = (stdev(getattr(c, key) for c in found) for key in ("measured_paper", "measured_correct"))
    return Cell(
        row,
        column,
        measured_paper=theirs,
        measured_correct=ours,
        protocol_paper=how.format(ALL),
        protocol_correct=how.format(HEADLINE),
        n=found[0].n,
        run=found[0].run,
        split=found[0].split,
        seeds=len(found),
        note="the paper says neither of what nor in which unit its Std is",
        kind=Kind.PERFORMANCE,
        unit=Unit.PERCENT,
    )


class StdOfImages(Measure):
    """Standard deviation of Dice over the images of one run, percent points."""

    def number(self, sources: Sources) -> Number:
        """Of the test images of the head's classes."""
        scores, px = sources.scores(self.run), side(sources, self.run)
        if at_px(scores, TASK, px) is None:
            raise Missing(Status.NOT_RUN, f"run {self.run} was not scored at {px} px")
        values = [per_image(scores[in_head(scores)], px, protocol, "dice") for protocol in (ALL, HEADLINE)]
        if len(values[1]) < 2:
            raise Missing(Status.UNDEFINED, "fewer than two images have an annotated mask")
        theirs, ours = ((PERCENT * float(v.std(ddof=1)), None, None) for v in values)
        how = "SD over images of {}, percent points"
        shown = {"paper": how.format(ALL), "by_paper": theirs, "unit": Unit.PERCENT}
        return Number(ours, how.format(HEADLINE), len(values[1]), **shown)


def _of_empty_masks(run: str) -> dict[str, Measure]:
    """What empty masks do to Dice, and on how many of them infection is marked."""
    shares = {
        f"Normal, {column}": AtSide(
            run=run,
            quantity=partial(per_image, protocol="fp_normal", measure=FALSE_POSITIVES[column]),
            select=normal,
            percent=True,
            how="fp_normal",
        )
        for column in MARKED
    }
    return {"Dice, Normal": DiceOfBlank(run=run), **shares}


class DiceOfBlank(Measure):
    """Dice of the paper where nothing is annotated."""

    def number(self, sources: Sources) -> Number:
        """Of the Normal test images."""
        what = {"select": normal, "percent": True, "how": ALL, "note": BLANK}
        found = AtSide(run=self.run, quantity=lambda s, px: per_image(s, px, ALL, "dice"), **what).number(sources)
        return found._replace(found=NONE, how="", paper=found.how, by_paper=found.found)
