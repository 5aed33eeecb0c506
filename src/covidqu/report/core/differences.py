"""The difference between two runs, paired over the images that both were tested on, which are resampled together."""

import numpy as np
import pandas as pd

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate import classification, protocols
from covidqu.evaluate.statistics import Interval, bootstrap_difference, bootstrap_ratio
from covidqu.report.core.kinds import Missing, Status, Unit
from covidqu.report.core.measures import Measure, Number, class_protocol, joined, scaled
from covidqu.report.core.sources import Sources


class Difference(Measure):
    """`metric` of `run` minus that of `other`.

    `task`: lung or infection with a protocol that averages images or pools pixels, or `class` with one of
    `classification.MEASURES` (COVID-19 is looked for), where `protocol` is not used.
    """

    other: str
    task: str = "infection"
    metric: str
    protocol: str = ""
    percent: bool = False

    def number(self, sources: Sources) -> Number:
        """Of the images that both were tested on."""
        a, b = on_shared_images(sources, self.run, self.other)
        config, how = sources.params.evaluate.bootstrap, self.protocol
        try:
            if self.task == "class":
                positive = sources.params.run(self.run).class_map.get("COVID-19", 1)
                found, n = class_difference(a, b, self.metric, config, positive)
                how = class_protocol(self.metric)
            else:
                found, n = mask_difference(a, b, self.task, self.metric, self.protocol, config)
        except ValueError as error:
            raise Missing(Status.UNDEFINED, str(error)) from None
        note = joined(self.note, f"{self.run} minus {self.other}, paired over images")
        unit = Unit.PERCENT if self.percent else Unit.FRACTION
        return Number(scaled(found, percent=self.percent), how, n, note, unit)


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
