"""Table `cbam-mtl/text`: is CBAM worth anything? Paired tests over images, beside the paper's over metric names.

Input: scores of `cbam-mtl-unet-pre` and `cbam-mtl-unet-proposed` with the same seed, on the same test images. Output:
one column per seed, and one for each image's mean over seeds. The paper's t-test takes the seven metrics of its Table 4
for samples; it is repeated on the printed numbers, to show what was done, and is no test of anything.
"""

from dataclasses import replace
from math import inf

import numpy as np
import pandas as pd
from scipy import stats

from covidqu.evaluate import classification
from covidqu.evaluate.comparisons import mcnemar
from covidqu.evaluate.statistics import bootstrap_difference
from covidqu.report.arithmetic.paper_003 import t_test
from covidqu.report.core.cells import Cell, Value, p_value
from covidqu.report.core.kinds import Kind
from covidqu.report.core.measures import HEADLINE, Number, class_protocol, in_head, scaled
from covidqu.report.core.run_cells import SEEDS, measured, not_run, tested_on
from covidqu.report.core.sources import Sources
from covidqu.report.papers.paper_003_masks import PRE, RUN, per_image, side

MEAN = "mean over seeds"
ROWS = (
    *("McNemar: only simple right", "McNemar: only proposed right", "McNemar, exact: p"),
    *("accuracy, proposed - simple", "Dice, proposed - simple", "Wilcoxon signed-rank of Dice: p"),
)


def tests(sources: Sources) -> list[Cell]:
    """The paper's procedure, then paired tests per seed and over the mean of the seeds."""
    pairs = _pairs(sources)
    cells = [c for column, (one, other) in pairs.items() for c in _one_seed(sources, column, one, other)]
    return [*_printed(), *cells, *_mean_of_seeds(sources, list(pairs.values()))]


def _printed() -> list[Cell]:
    """t and p recomputed from the printed Table 4."""
    t, p, columns = t_test()
    how = f"the paper's: paired t-test over the {columns} metric names of the printed Table 4"
    note = "recomputed from printed numbers; metrics of two models are neither images nor runs"
    rows = {"paired t-test on Table 4: t": t, "paired t-test on Table 4: p": p_value(p)}
    return [Cell(row, "value", None, v, None, how, "", note=note, kind=Kind.ARITHMETIC) for row, v in rows.items()]


def _pairs(sources: Sources) -> dict[str, tuple[str, str]]:
    """Column -> (simple, proposed) with the same seed; those of the base runs even where they are absent."""
    found = {}
    for run in sources.params.seeds(PRE) or [PRE]:
        other = RUN + run.removeprefix(PRE)
        if run == PRE or other in sources.params.resolved:
            assert sources.params.base(other) == RUN
            found[f"seed {sources.params.run(run).seed if run in sources.params.resolved else 0}"] = (run, other)
    return found


def paired(sources: Sources, one: str, other: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of two runs on the same images of the head; ValueError when the images differ."""
    frames = [sources.scores(run) for run in (one, other)]
    frames = [frame[in_head(frame)].reset_index(drop=True) for frame in frames]
    if not frames[0]["id"].equals(frames[1]["id"]):
        raise ValueError(f"{one} and {other} were not tested on the same images; score both on the same data and split")
    return frames[0], frames[1]


def _one_seed(sources: Sources, column: str, one: str, other: str) -> list[Cell]:
    reason = sources.why_no_run(one) or sources.why_no_run(other)
    if reason:
        return [not_run(row, column, reason) for row in ROWS]
    a, b = paired(sources, one, other)
    return [*_classes(sources, column, other, a, b), *_dice(sources, column, [(one, a, other, b)])]


def _classes(sources: Sources, column: str, run: str, a: pd.DataFrame, b: pd.DataFrame) -> list[Cell]:
    """McNemar's test and the paired interval of the accuracies' difference."""
    (first, target), (second, _) = classification.of_scores(a), classification.of_scores(b)
    right_a, right_b = (logits.argmax(axis=1) == target for logits in (first, second))
    found = mcnemar(right_a, right_b, exact_below=inf)
    values: tuple[Value, ...] = (found.only_a, found.only_b, p_value(found.p))
    how = ("count of images", "count of images", "exact binomial test of the discordant images")
    cells = [
        _plain(sources, row, column, run, value, protocol, len(target))
        for row, value, protocol in zip(ROWS[:3], values, how, strict=True)
    ]
    config = sources.params.evaluate.bootstrap
    change = classification.difference("accuracy", second, first, target, config)
    protocol = f"{class_protocol('accuracy')}, paired bootstrap, percent points"
    return [*cells, measured(sources, ROWS[3], column, run, Number(scaled(change), protocol, len(target)))]


def _plain(sources: Sources, row: str, column: str, run: str, value: Value, how: str, n: int) -> Cell:
    split = tested_on(sources, run)
    return Cell(row, column, None, None, value, "", how, n=n, run=run, split=split, seeds=SEEDS)


def _mean_of_seeds(sources: Sources, pairs: list[tuple[str, str]]) -> list[Cell]:
    """Each image's Dice as its mean over seeds, then the same tests; needs two seeds of both runs."""
    ready = [p for p in pairs if not (sources.why_no_run(p[0]) or sources.why_no_run(p[1]))]
    if len(ready) < 2:
        reason = f"{len(ready)} of two or more seeds have scores of both runs"
        return [not_run(row, MEAN, reason) for row in ROWS[4:]]
    return _dice(sources, MEAN, [(one, a, other, b) for one, other in ready for a, b in [paired(sources, one, other)]])


def _dice(sources: Sources, column: str, pairs: list[tuple[str, pd.DataFrame, str, pd.DataFrame]]) -> list[Cell]:
    """Paired bootstrap interval and Wilcoxon test of Dice, infected images, the mean over `pairs` per image."""
    run = pairs[0][2]
    try:
        simple = np.mean([_of_infected(sources, one, a) for one, a, _, _ in pairs], axis=0)
        proposed = np.mean([_of_infected(sources, other, b) for _, _, other, b in pairs], axis=0)
    except KeyError as error:
        return [not_run(row, column, f"the scores hold no {error.args[0]}") for row in ROWS[4:]]
    n, change = len(simple), proposed - simple
    if not n:
        return [not_run(row, column, "no test image has an annotated infection") for row in ROWS[4:]]
    protocol = f"{HEADLINE}, {side(sources, run)} px, paired bootstrap, percent points"
    found = bootstrap_difference(proposed, simple, sources.params.evaluate.bootstrap)
    first = measured(sources, ROWS[4], column, run, Number(scaled(found), protocol, n))
    if not change.any():
        second = not_run(ROWS[5], column, "no image has another Dice")
    else:
        p = p_value(float(stats.wilcoxon(change).pvalue))
        how = f"{HEADLINE}, {side(sources, run)} px, two-sided; {int((change == 0).sum())} images without a difference"
        second = _plain(sources, ROWS[5], column, run, p, how, n)
    seeds = len(pairs)
    return [_with_seeds(cell, seeds) for cell in (first, second)]


def _with_seeds(cell: Cell, seeds: int) -> Cell:
    return replace(cell, seeds=seeds) if cell.measured else cell


def _of_infected(sources: Sources, run: str, scores: pd.DataFrame) -> np.ndarray:
    """(images with an annotated infection,) Dice."""
    return per_image(scores, side(sources, run), HEADLINE, "dice").to_numpy()
