"""What is measured of a run, as data: a frozen `Measure` of a mask, of classes, of a quantity per image, of a loss.

Input: sources; output: a `Number`, or `Missing` where there is none: no scores, no such output, no image that
qualifies. `evaluate` of `run_cells` puts any of them in a cell. A new kind of number is a new subclass.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from pydantic import model_validator

from covidqu.config.base import Strict
from covidqu.config.data import PX
from covidqu.config.evaluation import Evaluate
from covidqu.config.models import Task
from covidqu.evaluate import classification, protocols, quality
from covidqu.evaluate.statistics import Interval, bootstrap_mean, bootstrap_ratio, bootstrap_strata
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.sources import Sources

PERCENT = 100.0
HEADLINE = "img_covid"  # for lungs: all images with an annotated lung
ANY, OVER = MARKED = ("share with a positive pixel", "share with more than 1 % of the image positive")
MEDIAN = "area_median"  # the one measure of a protocol that is no mean
FALSE_POSITIVES = {  # column: measure of the protocols `fp_*`
    ANY: "any",
    OVER: "over_1_percent",
    "mean positive share of the image": "area",
    "mean positive share of the lung": "area_of_lung",
}
WITH_MEDIAN = FALSE_POSITIVES | {"median positive share of the image": MEDIAN}
APART = {"fp_normal": "Normal", "fp_pneumonia": "other pneumonia"}  # whose false infection it is, in words
Found = tuple[float | None, float | None, float | None]  # value, lower and upper bound
NONE: Found = (None, None, None)
Select = str | Callable[[pd.DataFrame], np.ndarray | pd.Series] | None  # a label, or which images; None: all


class Number(NamedTuple):
    """A value with its bounds under the protocol `how`, and what is to be known of it. `n`: images behind it.

    `paper` names the paper's protocol; `by_paper`: what it gives, where that is not the same.
    """

    found: Found
    how: str
    n: int
    note: str = ""
    unit: Unit | None = None
    kind: Kind | None = None
    paper: str = ""
    by_paper: Found | None = None


class Measure(Strict, ABC):
    """A number of `run`. `note`: what a reader has to know of it."""

    run: str
    note: str = ""

    @abstractmethod
    def number(self, sources: Sources) -> Number:
        """The number; Missing says why there is none."""

    def of(self, run: str) -> Self:
        """The same of another run."""
        return self.model_copy(update={"run": run})


class Mask(Measure):
    """`metric` of a mask under the paper's and the correct protocol, on one class or without near-duplicates if asked.

    `n` counts the images of the correct protocol, or of the paper's when there is no correct one. `px`: side of the
    masks that are counted, 256 or the run's `evaluate_px`.
    """

    task: str = "infection"
    metric: str
    paper: str = ""
    correct: str = ""
    label: str | None = None
    clean: bool = False
    px: int = PX
    percent: bool = False

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not (self.paper or self.correct):
            raise ValueError("a mask needs a protocol: `paper`, `correct` or both")
        for name in filter(None, (self.paper, self.correct)):
            if name not in protocols.PROTOCOLS:
                raise ValueError(f"no protocol is called '{name}'; protocols are: {', '.join(protocols.PROTOCOLS)}")
            protocol = protocols.PROTOCOLS[name]
            known = [*protocol.measures, *([MEDIAN] if protocol.images == "empty" else [])]
            if self.metric not in known:
                raise ValueError(f"{name} has no '{self.metric}'; it has: {', '.join(known)}")
        return self

    def number(self, sources: Sources) -> Number:
        """Of the test images."""
        scores = sources.scores(self.run)
        if f"{self.task}_tp" not in scores:
            raise Missing(Status.NO_OUTPUT, f"run {self.run} has no {self.task} mask")
        scores = selected(scores, self.label)
        scores = scores[~scores["near_duplicate"].astype(bool)] if self.clean else scores
        there, config = at_px(scores, self.task, self.px), sources.params.evaluate
        if there is None:
            raise Missing(Status.NOT_RUN, f"run {self.run} was not scored at {self.px} px")
        for name in filter(None, (self.paper, self.correct)):
            _require(name, there, self.task, self.metric, config)
        by_us, by_paper = (
            scaled(measure(name, there, self.task, self.metric, config), percent=self.percent) if name else NONE
            for name in (self.correct, self.paper)
        )
        n = len(_images(self.correct or self.paper, there, self.task, self.metric))
        shown = {"note": self.note, "unit": Unit.PERCENT if self.percent else Unit.FRACTION}
        return Number(by_us, self.correct, n, paper=self.paper, by_paper=by_paper, **shown)


def _require(name: str, scores: pd.DataFrame, task: str, metric: str, config: Evaluate) -> None:
    """Missing where no image qualifies, or the measure has no value."""
    images = protocols.PROTOCOLS[name].images
    if not len(scores) or not len(_images(name, scores, task, metric)):
        words = "an empty" if images == "empty" else "a"
        raise Missing(Status.UNDEFINED, f"no test image with {words} {task} mask for {name}")
    if not np.isfinite(value(name, scores, task, metric, config)):
        raise Missing(Status.UNDEFINED, f"{metric} is undefined under {name}")


def _images(protocol: str, scores: pd.DataFrame, task: str, metric: str) -> pd.DataFrame:
    """The images behind a number."""
    if protocols.PROTOCOLS[protocol].unit == "image":
        images = protocols.per_image(protocol, scores, task)
        return images.dropna(subset=images.columns.intersection([metric]))
    return protocols.select(protocol, scores, task)


def false_infection(run: str, protocol: str, suffix: str = "", note: str = "") -> dict[str, Mask]:
    """Infection marked on images of one class without any, by column: shares with intervals, and the median area.

    `protocol`: one of `APART`.
    """
    return {f"{c}{suffix}": Mask(run=run, metric=m, correct=protocol, note=note) for c, m in WITH_MEDIAN.items()}


def measure(protocol: str, scores: pd.DataFrame, task: str, metric: str, config: Evaluate) -> Interval:
    """Value and percentile interval over images; of a median the value alone.

    Of `batch8_seq` over batches, as they are in file order: those with and without annotated pixels apart, because
    file order fixes how many there are of each.
    """
    unit = protocols.PROTOCOLS[protocol].unit
    if metric == MEDIAN:
        return value(protocol, scores, task, metric, config), None, None
    if unit == "image":  # those for which the measure is defined: a share of the lung needs a lung
        return bootstrap_mean(_images(protocol, scores, task, metric)[metric].to_numpy(), config.bootstrap)
    if unit == "pixel":
        counts = protocols.pooled(protocol, scores, task)
        return bootstrap_ratio(counts, protocols.pooled_measure(metric), config.bootstrap)
    batches = protocols.per_batch(scores, task, config.protocol_batch)[metric].to_numpy()
    strata = protocols.infected_batches(scores, task, config.protocol_batch)
    return bootstrap_strata(batches, strata, config.bootstrap)


def value(protocol: str, scores: pd.DataFrame, task: str, metric: str, config: Evaluate) -> float:
    """The protocol's number alone."""
    return float(protocols.summary(protocol, scores, task, config.protocol_batch)[metric])


def at_px(scores: pd.DataFrame, task: str, px: int) -> pd.DataFrame | None:
    """Scores whose counts of a mask task are those at `px`; None if there are none at that side."""
    if px == PX:
        return scores
    there = {f"{task}_{c}_at_{px}": f"{task}_{c}" for c in protocols.COUNTS}
    if not set(there) <= set(scores.columns):
        return None
    lung = scores["lung_area_px"] * (px / PX) ** 2
    return scores.drop(columns=list(there.values())).rename(columns=there).assign(lung_area_px=lung, n_px=px * px)


def selected(scores: pd.DataFrame, select: Select) -> pd.DataFrame:
    """The images of a label, or those that a function chooses."""
    if select is None:
        return scores
    return scores[scores["label"] == select if isinstance(select, str) else np.asarray(select(scores), bool)]


def in_head(scores: pd.DataFrame) -> pd.Series:
    """(n,) bool: images whose label is a class of the head."""
    return scores["class_target"] >= 0


class Classes(Measure):
    """One of `classification.MEASURES` over the test images whose label is a class of the run's head.

    `label`: the class that is looked for, against the rest, COVID-19 unless another is named; not for accuracy, which
    is of all classes (that of one class is its sensitivity). `paper`: whether the paper decides in the same way.
    Without an interval where resamples lack a class.
    """

    metric: str
    label: str | None = None
    paper: bool = False
    percent: bool = False

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.metric not in classification.MEASURES:
            raise ValueError(f"no '{self.metric}' of classes; there are: {', '.join(classification.MEASURES)}")
        if self.label is not None and self.metric in classification.MULTI_CLASS:
            raise ValueError(f"{self.metric} is of all classes: it takes no `label`")
        return self

    def number(self, sources: Sources) -> Number:
        """Of the test images."""
        scores, classes = sources.scores(self.run), sources.params.run(self.run).class_map
        wanted, config = self.label or "COVID-19", sources.params.evaluate.bootstrap
        if "class_logit_0" not in scores or wanted not in classes:
            raise Missing(Status.NO_OUTPUT, f"run {self.run} tells no {wanted} apart")
        found, target = classification.of_scores(scores)
        positive, note = classes[wanted], self.note
        alone = classification.measure(self.metric, found, target, positive=positive)
        if np.isnan(alone):
            never = self.metric in ("precision", "f1") and not (found.argmax(axis=1) == positive).any()
            why = f"the class is never predicted for any of {len(target)} images"
            words = why if never else f"{self.metric} has no value for these {len(target)} images"
            raise Missing(Status.UNDEFINED, words)
        try:
            bounds: Found = classification.interval(self.metric, found, target, config, positive=positive)
        except ValueError as error:
            bounds, note = (alone, None, None), joined(note, f"no interval: {error}")
        how, unit = class_protocol(self.metric), Unit.PERCENT if self.percent else Unit.FRACTION
        bounds = scaled(bounds, percent=self.percent)
        return Number(bounds, how, len(target), note, unit, paper=how if self.paper else "")


class Prevalence(Measure):
    """Share of class 1 among the images of a head: the accuracy of one that finds class 1 in all of them."""

    percent: bool = False

    def number(self, sources: Sources) -> Number:
        """Of the test images."""
        what = {"quantity": lambda s: s["class_target"] == 1, "select": in_head, "how": "share of infected images"}
        return PerImage(run=self.run, note=self.note, percent=self.percent, **what).number(sources)


class PerImage(Measure):
    """Mean of a quantity per image of the scores, a column or a function of them; images where it is nan are left out.

    `paper`: whether the paper does the same.
    """

    quantity: str | Callable[[pd.DataFrame], np.ndarray | pd.Series]
    select: Select = None
    how: str = "mean over images"
    paper: bool = False
    percent: bool = False
    unit: Unit | None = None

    def number(self, sources: Sources) -> Number:
        """Of the test images; `n` counts those that have a value."""
        scores, of = selected(sources.scores(self.run), self.select), self.quantity
        try:
            values = np.asarray(of(scores) if callable(of) else scores[of], np.float64)
        except KeyError as error:
            raise Missing(Status.NOT_RUN, f"the scores of run {self.run} hold no {error.args[0]}") from None
        values = values[~np.isnan(values)]
        if not len(values) or not np.isfinite(values).all():
            why = "an infinite value" if len(values) else "no value"
            raise Missing(Status.UNDEFINED, f"{why} for these test images")
        found = scaled(bootstrap_mean(values, sources.params.evaluate.bootstrap), percent=self.percent)
        unit, paper = self.unit or (Unit.PERCENT if self.percent else None), self.how if self.paper else ""
        return Number(found, self.how, len(values), self.note, unit, paper=paper)


class Psnr(Measure):
    """PSNR (dB) from a column of MSE per image: that of the mean MSE, or the mean over images that have an error."""

    errors: str
    pooled: bool
    select: Select = None

    def number(self, sources: Sources) -> Number:
        """Of the test images."""
        scores = selected(sources.scores(self.run), self.select)
        if self.errors not in scores:
            raise Missing(Status.NOT_RUN, f"the scores of run {self.run} hold no {self.errors}")
        errors = scores[self.errors]
        if not errors.gt(0).any():
            raise Missing(Status.UNDEFINED, f"the scores of run {self.run} hold no error in {self.errors}")
        config = sources.params.evaluate.bootstrap
        if self.pooled:
            table = np.column_stack([errors, np.ones(len(errors))])
            found = bootstrap_ratio(table, lambda sums: quality.psnr(sums[..., 0] / sums[..., 1]), config)
            return Number(found, "from the pooled MSE", len(errors), self.note, Unit.DECIBEL)
        perfect = int(errors.eq(0).sum())
        note = joined(self.note, f"{perfect} images without an error are left out" if perfect else "")
        found = bootstrap_mean(np.asarray(quality.psnr(errors[errors > 0]), np.float64), config)
        return Number(found, "mean over images with MSE > 0", len(errors) - perfect, note, Unit.DECIBEL)


class Loss(Measure):
    """The training loss on the test images, pooled in batches of the run's size as the paper's mean loss is."""

    task: Task

    def number(self, sources: Sources) -> Number:
        """Under the paper's protocol alone."""
        scores, config = sources.scores(self.run), sources.params.run(self.run)
        terms = [term.model_dump() for term in config.loss[self.task]]
        try:
            losses = protocols.batch_losses(scores, self.task, config.batch, terms)
        except ValueError as error:
            raise Missing(Status.NOT_RUN, str(error)) from None
        if not np.isfinite(losses).all():
            raise Missing(Status.UNDEFINED, "no finite loss on these test images")
        strata = protocols.infected_batches(scores, self.task, config.batch)
        loss = bootstrap_strata(losses, strata, sources.params.evaluate.bootstrap)
        how = f"mean over batches of {config.batch} in file order"
        note = joined(self.note, "a loss depends on its batches and has no correct counterpart")
        return Number(NONE, "", len(scores), note, paper=how, by_paper=loss)


def scaled(found: Found, *, percent: bool = True) -> Found:
    """Value and bounds in percent, if so wanted."""
    value, low, high = (None if v is None else v * (PERCENT if percent else 1.0) for v in found)
    return value, low, high


def class_protocol(metric: str) -> str:
    """How a measure of the class head comes about: by the largest probability, or, for AUC, by its order alone."""
    return "class_ranking" if metric == "auc" else "class_argmax"


def joined(*words: str) -> str:
    """A note of those words that are not empty, each once."""
    return "; ".join(dict.fromkeys(word for word in words if word))
