"""Tables `audit/*`: questions that the papers leave open, asked of our runs of the same networks.

Enters: scores and explain.parquet of runs; leaves: cells. Differences are paired: both numbers come from the same test
images, which are resampled together.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from covidqu.config.data import PX
from covidqu.evaluate import quality
from covidqu.evaluate.protocols import COUNTS, FALSE_INFECTION, counts, per_image
from covidqu.evaluate.statistics import bootstrap_difference, bootstrap_mean
from covidqu.report.arithmetic.rounded import of_printed
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import (
    APART,
    FALSE_POSITIVES,
    HEADLINE,
    MARKED,
    cell,
    class_cell,
    difference_cell,
    false_positive_cells,
    image_cell,
    measure,
    not_run,
    psnr_cell,
)
from covidqu.report.core.published import printed
from covidqu.report.core.run_cells import joined, measured
from covidqu.report.core.sources import Sources
from covidqu.report.papers.paper_000 import INFECTION_RUN, LUNG_RUN, NO_OVERLAP, PAPER
from covidqu.report.papers.paper_002 import INFECTION_RUNS
from covidqu.report.papers.paper_004 import OURS

NO_SKIPS, DIFFERENCE = f"{OURS}-no-skips", "with minus without"
MASKS = {"soft": "", "thresholded": "_hard", "annotated": "_annotated"}  # what the class head sees: suffix of logits
WITHOUT_INFECTION = tuple(FALSE_INFECTION.values())
GATED = "gated by the predicted class"
GATING = "infection is kept only where the predicted class is COVID-19; the paper does no such thing"


def mask_channel(sources: Sources) -> list[Cell]:
    """Accuracy of paper 000's class head from the masks that it was trained on, from thresholded and annotated ones."""
    cells = []
    for run in (LUNG_RUN, INFECTION_RUN):
        right, reason = _right(sources, run)
        for name in MASKS:
            column, how = f"accuracy, {name} masks", f"argmax, {name} masks"
            found = None if right is None else bootstrap_mean(right[name], sources.params.evaluate.bootstrap)
            cells.append(_of_images(sources, run, column, found, how, right, reason))
        for name in list(MASKS)[1:]:
            column, found = f"{name} minus soft", None
            if right is not None:
                found = bootstrap_difference(right[name], right["soft"], sources.params.evaluate.bootstrap)
            cells.append(_of_images(sources, run, column, found, "paired difference of accuracy", right, reason))
    return cells


def _right(sources: Sources, run: str) -> tuple[pd.DataFrame | None, str]:
    """Per kind of mask whether an image's class is right (0 or 1), or why that is not known."""
    reason = sources.why_no_run(run)
    if reason:
        return None, reason
    explained = sources.explain(run)
    if explained is None:
        return None, f"run {run} has no explain.parquet"
    scores = sources.scores(run)
    if "class_target" not in scores:
        return None, f"run {run} has no class output"
    joint = scores.merge(explained.drop(columns=["id", "label", "name"], errors="ignore"), on="row")
    joint, classes = joint[joint["class_target"] >= 0], sorted(set(sources.params.run(run).class_map.values()))
    found = {}
    for name, suffix in MASKS.items():
        columns = [f"class_logit_{k}{suffix}" for k in classes]
        if not set(columns) <= set(joint):
            return None, f"explain.parquet of run {run} has no logits for {name} masks"
        found[name] = joint[columns].to_numpy().argmax(axis=1) == joint["class_target"].to_numpy()
    if joint.empty:
        return None, f"no test image of run {run} has a class that its head knows"
    return pd.DataFrame(found).astype(float), ""


def _of_images(
    sources: Sources,
    run: str,
    column: str,
    found: tuple[float, float, float] | None,
    how: str,
    images: pd.DataFrame | None,
    reason: str,
) -> Cell:
    if found is None or images is None:
        return not_run(run, column, reason)
    return measured(sources, run, column, run, found, how, n=len(images))


def false_infection(sources: Sources) -> list[Cell]:
    """What paper 000's network paints where nothing is annotated, and gated, and what the printed Dice implies."""
    run, cells = INFECTION_RUN, []
    for protocol, label in FALSE_INFECTION.items():
        cells += false_positive_cells(sources, label, run, protocol)
        for column, metric in FALSE_POSITIVES.items():
            cells.append(_gated(sources, f"{label}, {GATED}", column, metric, protocol, label))
    row, column = "COVID-19", "infection Dice"
    cells.append(cell(sources, row, column, run, "infection", "dice", correct=HEADLINE))
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


def _gated(sources: Sources, row: str, column: str, metric: str, protocol: str, label: str | None) -> Cell:
    reason = sources.why_no_run(INFECTION_RUN)
    if reason:
        return not_run(row, column, reason)
    scores = sources.scores(INFECTION_RUN)
    if "class_logit_0" not in scores:
        return not_run(row, column, f"run {INFECTION_RUN} has no class output")
    scores = gated(scores, sources.params.run(INFECTION_RUN).class_map["COVID-19"])
    scores = scores if label is None else scores[scores["label"] == label]
    images = per_image(protocol, scores, "infection").dropna(subset=[metric]) if len(scores) else scores
    if not len(images):
        return not_run(row, column, f"no test image qualifies for {protocol}")
    found = measure(protocol, scores, "infection", metric, sources.params.evaluate)
    return measured(sources, row, column, INFECTION_RUN, found, protocol, n=len(images), note=GATING)


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
    dice = cell(sources, row, "I.Dice", INFECTION_RUN, "infection", "dice", paper=PAPER, label=label, note=NO_OVERLAP)
    inverse = partial(_false_pixels, sources, row, label)
    blank = image_cell(
        sources, row, "blank predictions, share", INFECTION_RUN, lambda s: _predicted(s) == 0, select=label
    )
    found = [
        (dice, value, ""),
        (_soft_dice(sources, row, label), value, ""),
        (inverse("harmonic mean of P + 1, pixels", 1.0), area, basis),
        (inverse("harmonic mean of P + 1, share of the image", 1.0 / PX**2), share, basis),
        (blank, int(high * images) / images, f"{basis}; a single blank one gives a mean of {1 / images:.4f} or more"),
    ]
    return [replace(c, published=implied, note=joined(c.note, words)) for c, implied, words in found]


def _soft_dice(sources: Sources, row: str, label: str) -> Cell:
    """The same Dice of probabilities: a mask that is blank once thresholded still has a sum, and does not score 1."""
    column, how = "I.Dice of soft masks", f"{PAPER}, probabilities, not thresholded masks"
    found = image_cell(
        sources, row, column, INFECTION_RUN, lambda s: 1 / (s["infection_soft_prediction"] + 1), select=label, how=how
    )
    if not found.measured:
        return found
    scores = sources.scores(INFECTION_RUN)
    blank = (_predicted(scores[scores["label"] == label]) == 0).mean()
    return replace(found, note=f"{blank:.1%} of these images are blank once thresholded")


def _predicted(scores: pd.DataFrame) -> np.ndarray:
    """(n,) predicted infection, pixels."""
    return counts(scores, "infection")[:, :2].sum(axis=1)


def _false_pixels(sources: Sources, row: str, label: str, column: str, scale: float) -> Cell:
    """Harmonic mean of P + 1; its interval is that of the mean of 1 / (P + 1), turned round."""
    how = "harmonic mean over images"
    found = image_cell(sources, row, column, INFECTION_RUN, lambda s: 1 / (_predicted(s) + 1), select=label, how=how)
    if not found.measured:
        return found
    value, low, high = (scale / v for v in (found.measured_correct, found.ci_high, found.ci_low))
    return replace(found, measured_correct=value, ci_low=low, ci_high=high)


def roi_source(sources: Sources) -> list[Cell]:
    """Paper 002 with the annotated lung as region of interest, which no new patient has, and with a predicted one."""
    annotated, predicted = INFECTION_RUNS
    names = {"Dice": "dice", "IoU": "iou", "precision": "precision", "recall": "recall"}
    rows = {f"infection {name}, COVID-19 images": (HEADLINE, metric) for name, metric in names.items()}
    rows |= {
        f"{who}, {column}": (protocol, metric)
        for protocol, who in APART.items()
        for column, metric in FALSE_POSITIVES.items()
    }
    cells = []
    for row, (protocol, metric) in rows.items():
        for column, run in (("annotated ROI", annotated), ("predicted ROI", predicted)):
            cells.append(cell(sources, row, column, run, "infection", metric, correct=protocol))
        column = "annotated minus predicted"
        cells.append(difference_cell(sources, row, column, annotated, predicted, "infection", metric, protocol))
    return cells


def skips(sources: Sources) -> list[Cell]:
    """Paper 004 with and without the encoder's maps in the reconstruction decoder, where T1 is nearly a copy."""
    columns = {"with skips": OURS, "without skips": NO_SKIPS}
    cells = []
    for row, quantity in (("reconstruction MSE", "mse"), ("reconstruction SSIM", "ssim")):
        name = f"reconstruction_{quantity}"
        cells += [image_cell(sources, row, column, run, name) for column, run in columns.items()]
        cells.append(_paired(sources, row, lambda s, name=name: s[name]))
    row = "reconstruction PSNR, dB"
    cells += [psnr_cell(sources, row, c, run, "reconstruction_mse", pooled=False) for c, run in columns.items()]
    cells.append(_paired(sources, row, lambda s: quality.psnr(s["reconstruction_mse"])))
    for row, protocol, metric in (
        ("infection Dice, COVID-19 images", HEADLINE, "dice"),
        *((f"{who}, {words}", protocol, FALSE_POSITIVES[words]) for protocol, who in APART.items() for words in MARKED),
    ):
        cells += [cell(sources, row, c, run, "infection", metric, correct=protocol) for c, run in columns.items()]
        cells.append(difference_cell(sources, row, DIFFERENCE, OURS, NO_SKIPS, "infection", metric, protocol))
    for row, metric in (("AUC", "auc"), ("accuracy", "accuracy")):
        cells += [class_cell(sources, row, column, run, metric) for column, run in columns.items()]
        cells.append(difference_cell(sources, row, DIFFERENCE, OURS, NO_SKIPS, "class", metric))
    return cells


def _paired(sources: Sources, row: str, quantity: Callable[[pd.DataFrame], pd.Series | np.ndarray]) -> Cell:
    """Mean difference of a quantity per image between the two runs; images where one is not finite are left out."""
    reason = sources.why_no_run(OURS) or sources.why_no_run(NO_SKIPS)
    if reason:
        return not_run(row, DIFFERENCE, reason)
    frames = [sources.scores(run).set_index("id") for run in (OURS, NO_SKIPS)]
    both = frames[0].index.intersection(frames[1].index, sort=False)
    try:
        a, b = (np.asarray(quantity(frame.loc[both]), np.float64) for frame in frames)
    except KeyError as error:
        return not_run(row, DIFFERENCE, f"the scores of {OURS} or {NO_SKIPS} hold no {error.args[0]}")
    there = np.isfinite(a) & np.isfinite(b)
    if not there.any():
        return not_run(row, DIFFERENCE, "no test image has a value in both runs")
    found = bootstrap_difference(a[there], b[there], sources.params.evaluate.bootstrap)
    note = f"{OURS} minus {NO_SKIPS}, paired over images"
    return measured(sources, row, DIFFERENCE, OURS, found, "mean over images", n=int(there.sum()), note=note)
