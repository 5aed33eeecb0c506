"""Tables `audit/*`: questions that the papers leave open, answered by our runs of the same networks.

Input: scores and explain.parquet of runs. Output: cells. Differences are paired: both numbers come from the same test
images, which are resampled together.
"""

from collections.abc import Callable
from dataclasses import replace
from operator import itemgetter

import numpy as np
import pandas as pd

from covidqu.config.data import PX
from covidqu.evaluate import quality
from covidqu.evaluate.protocols import COUNTS, FALSE_INFECTION, counts, per_image
from covidqu.evaluate.statistics import bootstrap_difference, bootstrap_mean
from covidqu.report.arithmetic.rounded import of_printed
from covidqu.report.core.cells import Cell
from covidqu.report.core.differences import Difference, on_shared_images
from covidqu.report.core.kinds import Missing, Status
from covidqu.report.core.measures import (
    APART,
    FALSE_POSITIVES,
    HEADLINE,
    MARKED,
    Classes,
    Mask,
    Measure,
    Number,
    PerImage,
    Psnr,
    false_infection,
    joined,
    measure,
    selected,
)
from covidqu.report.core.published import printed
from covidqu.report.core.run_cells import across, evaluate, measured, or_missing
from covidqu.report.core.runs import RECON, SWIN, UNET_ROI
from covidqu.report.core.sources import Sources

LUNG_RUN, INFECTION_RUN = SWIN
OURS = RECON
PAPER = "img_smooth1"
NO_OVERLAP = "no infection is annotated, so the paper's value is false-positive area; see the shares below"
NO_SKIPS, DIFFERENCE = f"{OURS}-no-skips", "with minus without"
MASKS = {"soft": "", "thresholded": "_hard", "annotated": "_annotated"}  # what the class head sees: suffix of logits
WITHOUT_INFECTION = tuple(FALSE_INFECTION.values())
GATED = "gated by the predicted class"
GATING = "infection is kept only where the predicted class is COVID-19; the paper does no such thing"


def mask_channel(sources: Sources) -> list[Cell]:
    """Accuracy of paper 000's class head from the masks that it was trained on, from thresholded and annotated ones."""
    cells = []
    for run in (LUNG_RUN, INFECTION_RUN):
        cells += [_accuracy(sources, run, f"accuracy, {masks} masks", masks) for masks in MASKS]
        cells += [_accuracy(sources, run, f"{m} minus soft", m, minus_soft=True) for m in list(MASKS)[1:]]
    return cells


@or_missing
def _accuracy(sources: Sources, run: str, column: str, masks: str, *, minus_soft: bool = False) -> Cell:
    right, config = _right(sources, run), sources.params.evaluate.bootstrap
    if minus_soft:
        found, how = bootstrap_difference(right[masks], right["soft"], config), "paired difference of accuracy"
    else:
        found, how = bootstrap_mean(right[masks], config), f"argmax, {masks} masks"
    return measured(sources, run, column, run, Number(found, how, len(right)))


def _right(sources: Sources, run: str) -> pd.DataFrame:
    """Per kind of mask whether an image's class is right (0 or 1); Missing where that is not known."""
    scores, explained = sources.scores(run), sources.explain(run)
    if explained is None:
        raise Missing(Status.NOT_RUN, f"run {run} has no explain.parquet")
    if "class_target" not in scores:
        raise Missing(Status.NOT_RUN, f"run {run} has no class output")
    joint = scores.merge(explained.drop(columns=["id", "label", "name"], errors="ignore"), on="row")
    joint, classes = joint[joint["class_target"] >= 0], sorted(set(sources.params.run(run).class_map.values()))
    found = {}
    for name, suffix in MASKS.items():
        columns = [f"class_logit_{k}{suffix}" for k in classes]
        if not set(columns) <= set(joint):
            raise Missing(Status.NOT_RUN, f"explain.parquet of run {run} has no logits for {name} masks")
        found[name] = joint[columns].to_numpy().argmax(axis=1) == joint["class_target"].to_numpy()
    if joint.empty:
        raise Missing(Status.NOT_RUN, f"no test image of run {run} has a class that its head knows")
    return pd.DataFrame(found).astype(float)


def invented_infection(sources: Sources) -> list[Cell]:
    """What paper 000's network marks where nothing is annotated, and gated, and what the printed Dice implies."""
    cells = []
    for protocol, label in FALSE_INFECTION.items():
        cells += across(sources, label, false_infection(INFECTION_RUN, protocol))
        row = f"{label}, {GATED}"
        cells += [_gated(sources, row, column, m, protocol, label) for column, m in FALSE_POSITIVES.items()]
    row, column = "COVID-19", "infection Dice"
    cells.append(evaluate(sources, row, column, Mask(run=INFECTION_RUN, metric="dice", correct=HEADLINE)))
    cells.append(_gated(sources, f"{row}, {GATED}", column, "dice", HEADLINE, None))
    for label in WITHOUT_INFECTION:
        cells += _implied(sources, label)
    return cells


def gated(scores: pd.DataFrame, kept: int) -> pd.DataFrame:
    """Scores whose infection mask is blank wherever the class decided on is not `kept`."""
    blank = scores.filter(regex=r"^class_logit_\d+$").to_numpy().argmax(axis=1) != kept
    tp, fp, fn, tn = counts(scores, "infection").T
    after = np.where(blank, 0, tp), np.where(blank, 0, fp), np.where(blank, tp + fn, fn), np.where(blank, tn + fp, tn)
    return scores.assign(**{f"infection_{name}": column for name, column in zip(COUNTS, after, strict=True)})


@or_missing
def _gated(sources: Sources, row: str, column: str, metric: str, protocol: str, label: str | None) -> Cell:
    scores = sources.scores(INFECTION_RUN)
    if "class_logit_0" not in scores:
        raise Missing(Status.NOT_RUN, f"run {INFECTION_RUN} has no class output")
    scores = selected(gated(scores, sources.params.run(INFECTION_RUN).class_map["COVID-19"]), label)
    images = per_image(protocol, scores, "infection").dropna(subset=[metric]) if len(scores) else scores
    if not len(images):
        raise Missing(Status.NOT_RUN, f"no test image qualifies for {protocol}")
    found = measure(protocol, scores, "infection", metric, sources.params.evaluate)
    return measured(sources, row, column, INFECTION_RUN, Number(found, protocol, len(images), GATING))


def _implied(sources: Sources, label: str) -> list[Cell]:
    """The printed Dice of a class without annotated infection, what it can mean, and the same quantities of our run.

    An image without annotated infection scores 1 / (P + 1) under `img_smooth1`, so the printed mean is one over the
    harmonic mean of P + 1, and k blank predictions of n alone give k / n. That holds of thresholded masks; of
    probabilities P is their sum, which is never 0. `published` holds what follows from the printed value, which stands
    for all values that round to it.
    """
    stated = of_printed("swin-dual/table-5", label, "I.Dice")
    value, (low, high) = stated.value, stated.span
    images = int(printed("swin-dual/table-2")["Test", label])
    row, basis = (
        f"{label}: printed I.Dice",
        f"printed side: follows from {value:.4f} over {images} images by 1 / (P + 1), if masks were thresholded",
    )
    area = f"{1 / high:.0f} to {1 / low:.0f}" if low > 0 else f"more than {1 / high:.0f}"
    share = f"{1 / high / PX**2:.3f} to {1 / low / PX**2:.3f}" if low > 0 else f"more than {1 / high / PX**2:.3f}"
    inverse = PerImage(
        run=INFECTION_RUN, quantity=lambda s: 1 / (_predicted(s) + 1), select=label, how="harmonic mean over images"
    )
    dice, soft, pixels, of_image, blank = across(
        sources,
        row,
        {
            "I.Dice": Mask(run=INFECTION_RUN, metric="dice", paper=PAPER, label=label, note=NO_OVERLAP),
            "I.Dice of soft masks": SoftDice(run=INFECTION_RUN, label=label),
            "harmonic mean of P + 1, pixels": inverse,
            "harmonic mean of P + 1, share of the image": inverse,
            "blank predictions, share": PerImage(
                run=INFECTION_RUN, quantity=lambda s: _predicted(s) == 0, select=label
            ),
        },
    )
    found = [
        (dice, value, ""),
        (soft, value, ""),
        (_turned(pixels, 1.0), area, basis),
        (_turned(of_image, 1.0 / PX**2), share, basis),
        (blank, int(high * images) / images, f"{basis}; a single blank one gives a mean of {1 / images:.4f} or more"),
    ]
    return [replace(c, published=implied, note=joined(c.note, words)) for c, implied, words in found]


class SoftDice(Measure):
    """The same Dice of probabilities: a mask that is blank once thresholded still has a sum, and does not score 1."""

    label: str

    def number(self, sources: Sources) -> Number:
        """Of the test images of one class."""
        how = f"{PAPER}, probabilities, not thresholded masks"
        dice = PerImage(
            run=self.run, quantity=lambda s: 1 / (s["infection_soft_prediction"] + 1), select=self.label, how=how
        ).number(sources)
        blank = (_predicted(selected(sources.scores(self.run), self.label)) == 0).mean()
        return dice._replace(note=f"{blank:.1%} of these images are blank once thresholded")


def _predicted(scores: pd.DataFrame) -> np.ndarray:
    """(n,) predicted infection, pixels."""
    return counts(scores, "infection")[:, :2].sum(axis=1)


def _turned(inverse: Cell, scale: float) -> Cell:
    """Harmonic mean of P + 1 from the mean of 1 / (P + 1), and its interval from that one's."""
    if not inverse.measured:
        return inverse
    found = (inverse.measured_correct, inverse.ci_high, inverse.ci_low)
    value, low, high = (scale / v if isinstance(v, int | float) else None for v in found)
    return replace(inverse, measured_correct=value, ci_low=low, ci_high=high)


def roi_source(sources: Sources) -> list[Cell]:
    """Paper 002 with the annotated lung as region of interest, which no new patient has, and with a predicted one."""
    _, annotated, predicted = UNET_ROI
    columns = {"annotated ROI": annotated, "predicted ROI": predicted}
    names = {"Dice": "dice", "IoU": "iou", "precision": "precision", "recall": "recall"}
    rows = {f"infection {name}, COVID-19 images": (HEADLINE, metric) for name, metric in names.items()}
    rows |= {
        f"{who}, {column}": (protocol, metric)
        for protocol, who in APART.items()
        for column, metric in FALSE_POSITIVES.items()
    }
    cells = []
    for row, (protocol, metric) in rows.items():
        measures = {c: Mask(run=run, metric=metric, correct=protocol) for c, run in columns.items()}
        minus = Difference(run=annotated, other=predicted, metric=metric, protocol=protocol)
        cells += across(sources, row, {**measures, "annotated minus predicted": minus})
    return cells


def skips(sources: Sources) -> list[Cell]:
    """Paper 004 with and without the encoder's maps in the reconstruction decoder, where T1 is nearly a copy."""
    columns = {"with skips": OURS, "without skips": NO_SKIPS}
    cells = []
    for row, quantity in (("reconstruction MSE", "mse"), ("reconstruction SSIM", "ssim")):
        name = f"reconstruction_{quantity}"
        cells += across(sources, row, {c: PerImage(run=run, quantity=name) for c, run in columns.items()})
        cells.append(_paired(sources, row, DIFFERENCE, itemgetter(name)))
    row, errors = "reconstruction PSNR, dB", "reconstruction_mse"
    cells += across(sources, row, {c: Psnr(run=run, errors=errors, pooled=False) for c, run in columns.items()})
    cells.append(_paired(sources, row, DIFFERENCE, lambda s: quality.psnr(s[errors])))
    masks = {"infection Dice, COVID-19 images": (HEADLINE, "dice")}
    masks |= {f"{who}, {words}": (p, FALSE_POSITIVES[words]) for p, who in APART.items() for words in MARKED}
    for row, (protocol, metric) in masks.items():
        measures = {c: Mask(run=run, metric=metric, correct=protocol) for c, run in columns.items()}
        minus = Difference(run=OURS, other=NO_SKIPS, metric=metric, protocol=protocol)
        cells += across(sources, row, {**measures, DIFFERENCE: minus})
    for row, metric in (("AUC", "auc"), ("accuracy", "accuracy")):
        minus = Difference(run=OURS, other=NO_SKIPS, task="class", metric=metric)
        heads = {c: Classes(run=run, metric=metric) for c, run in columns.items()}
        cells += across(sources, row, {**heads, DIFFERENCE: minus})
    return cells


@or_missing
def _paired(
    sources: Sources, row: str, column: str, quantity: Callable[[pd.DataFrame], pd.Series | np.ndarray]
) -> Cell:
    """Mean difference of a quantity per image between the two runs; images where one is not finite are left out."""
    try:
        a, b = (np.asarray(quantity(scores), np.float64) for scores in on_shared_images(sources, OURS, NO_SKIPS))
    except KeyError as error:
        raise Missing(Status.NOT_RUN, f"the scores of {OURS} or {NO_SKIPS} hold no {error.args[0]}") from None
    there = np.isfinite(a) & np.isfinite(b)
    if not there.any():
        raise Missing(Status.NOT_RUN, "no test image has a value in both runs")
    found = bootstrap_difference(a[there], b[there], sources.params.evaluate.bootstrap)
    note = f"{OURS} minus {NO_SKIPS}, paired over images"
    return measured(sources, row, column, OURS, Number(found, "mean over images", int(there.sum()), note))
