"""Table and figure `common/ablations`: what each part of the reference system brings, on Val images.

Input: validation.parquet of the pairs of runs in `params.ablations`. Output: cells, a row per part, and one figure.
A difference is the run with the part minus the run without it, paired over images. Its interval is over images; whether
it is more than another seed does is judged by the runs that were trained with several.
"""

from dataclasses import replace
from math import sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from covidqu.evaluate.comparisons import wilcoxon
from covidqu.evaluate.protocols import per_image
from covidqu.evaluate.statistics import bootstrap_mean
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.cells import Cell
from covidqu.report.core.differences import class_difference, mask_difference, shared
from covidqu.report.core.kinds import Missing, Status
from covidqu.report.core.measures import APART, HEADLINE, Found, Number, class_protocol, joined
from covidqu.report.core.run_cells import absent, measured, not_run, or_missing
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.colours import BLUE, GREY
from covidqu.report.systems.cross_system import COVID
from covidqu.report.systems.headline_runs import headed
from covidqu.report.systems.pairwise import p_cell

WITH, WITHOUT = "infection Dice with", "infection Dice without"
DICE, P = "infection Dice, difference", "infection Dice, Wilcoxon p"
FALSE_INFECTION = {
    f"share of {who} images with more than 1 % positive, difference": protocol for protocol, who in APART.items()
}
LUNG, ACCURACY = "lung Dice, difference", "three-class accuracy, difference"
MASKS = {  # column: task, measure, protocol
    DICE: ("infection", "dice", HEADLINE),
    **{column: ("infection", "over_1_percent", protocol) for column, protocol in FALSE_INFECTION.items()},
    LUNG: ("lung", "dice", HEADLINE),
}
BEYOND = "infection Dice, more than seeds do"
NOISE, SPREAD = "chance of training, all seeds", "infection Dice, SD over seeds"  # a row, and its column
FEWEST = 3  # seeds; two have one degree of freedom, of which t is 12.7
Pair = tuple[str, str]  # the run with the part, the run without it


class Noise(NamedTuple):
    """What the seed alone does to a run's mean Dice: SD over seeds, pooled over `runs`, each trained with several."""

    sd: float
    freedom: int
    runs: list[str]

    @property
    def reach(self) -> float:
        """How far two trainings that differ in nothing but the seed are apart, at most, in 95 of 100 cases."""
        return float(stats.t.ppf(0.975, self.freedom)) * sqrt(2) * self.sd

    @property
    def tells(self) -> bool:
        """Whether there are enough seeds to judge a difference by."""
        return self.freedom >= FEWEST - 1

    @property
    def words(self) -> str:
        """What it rests on."""
        return f"{self.freedom + len(self.runs)} trainings of {', '.join(self.runs)}"


def table(sources: Sources) -> list[Cell]:
    """Rows are parts: Dice of both runs, then differences; "not run" where one of the two was not validated."""
    found = noise(sources)
    rows = [cell for part, pair in sources.params.ablations.items() for cell in _row(sources, part, pair, found)]
    if found is None:
        return [*rows, absent(NOISE, SPREAD, Missing(Status.NOT_RUN, "no run was validated with two seeds"))]
    reach = f"two trainings differ by up to {found.reach:.3f} in 95 of 100 cases"
    note = f"{found.words}; {reach if found.tells else 'too few seeds to tell'}"
    number = Number((found.sd, None, None), "SD over seeds", 0, note)
    shown = measured(sources, NOISE, SPREAD, found.runs[0], number)
    split = f"{sources.params.run(found.runs[0]).split} Val"
    return [*rows, replace(shown, n=None, split=split, seeds=found.freedom + len(found.runs))]


def noise(sources: Sources) -> Noise | None:
    """From all runs of the pairs that were validated with more than one seed; None without any."""
    means: dict[str, list[float]] = {}
    for run in sources.params.ablated:
        frame = None if sources.why_no_validation(run) else sources.validation(run)
        values = None if frame is None else per_image(HEADLINE, frame, "infection")["dice"]
        if values is not None and len(values):
            means.setdefault(sources.params.base(run), []).append(float(values.mean()))
    several = {run: found for run, found in means.items() if len(found) > 1}
    if not several:
        return None
    freedom = sum(len(found) - 1 for found in several.values())
    squares = sum((len(found) - 1) * np.var(found, ddof=1) for found in several.values())
    return Noise(sqrt(squares / freedom), freedom, list(several))


def _row(sources: Sources, part: str, pair: Pair, chance: Noise | None) -> list[Cell]:
    cells = [_mean(sources, part, column, run) for column, run in zip((WITH, WITHOUT), pair, strict=True)]
    reason = sources.why_no_validation(pair[0]) or sources.why_no_validation(pair[1])
    if reason:
        return [
            *cells,
            *(not_run(part, column, reason) for column in (DICE, P, BEYOND, *FALSE_INFECTION, LUNG, ACCURACY)),
        ]
    differences = [_of_masks(sources, part, column, pair) for column in MASKS]
    test = _test(sources, differences[0], pair)
    beyond = _beyond(sources, part, BEYOND, differences[0], pair, chance)
    return [*cells, differences[0], test, beyond, *differences[1:], _of_classes(sources, part, pair)]


def _mean(sources: Sources, part: str, column: str, run: str) -> Cell:
    reason, frame = sources.why_no_validation(run), sources.validation(run)
    if reason or frame is None:
        return not_run(part, column, str(reason))
    values = per_image(HEADLINE, frame, "infection")["dice"].to_numpy()
    if not len(values):
        return not_run(part, column, "no validation image with infection")
    found = bootstrap_mean(values, sources.params.evaluate.bootstrap)
    return _on_val(sources, part, column, run, found, HEADLINE, len(values), f"run {run}")


def _of_masks(sources: Sources, part: str, column: str, pair: Pair) -> Cell:
    task, metric, protocol = MASKS[column]
    for run in pair:
        if task not in sources.params.run(run).masks:
            return absent(part, column, Missing(Status.NO_OUTPUT, f"run {run} has no {task} mask"))
    try:
        found, n = mask_difference(*_frames(sources, pair), task, metric, protocol, sources.params.evaluate.bootstrap)
    except ValueError as error:
        return not_run(part, column, str(error))
    return _on_val(sources, part, column, pair[0], found, protocol, n, _note(sources, pair))


def _test(sources: Sources, difference: Cell, pair: Pair) -> Cell:
    """Wilcoxon's test of the images behind a difference of Dice."""
    if not difference.measured:
        return replace(difference, column=P)
    with_it, without = (per_image(HEADLINE, frame, "infection")["dice"] for frame in _frames(sources, pair))
    return p_cell(difference, P, wilcoxon(with_it.to_numpy(), without.to_numpy()), "Wilcoxon")


@or_missing
def _beyond(sources: Sources, part: str, column: str, difference: Cell, pair: Pair, chance: Noise | None) -> Cell:
    """Whether a difference of Dice is more than that of two seeds, and its interval over images leaves out zero."""
    if not difference.measured:
        return replace(difference, column=column)
    if sources.params.base(pair[0]) == sources.params.base(pair[1]):
        raise Missing(Status.NOT_APPLICABLE, "another seed, no part")
    value, low, high = (float(v or 0) for v in (difference.measured_correct, difference.ci_low, difference.ci_high))
    clear = low > 0 or high < 0
    if _same_weights(sources, pair):
        word, why = "yes" if clear else "no", "the same weights: no training stands between"
    elif chance is None or not chance.tells:
        raise Missing(Status.UNDEFINED, f"too few seeds to tell ({chance.words if chance else 'one each'})")
    else:
        word = "yes" if clear and abs(value) > chance.reach else "no"
        why = f"two seeds differ by up to {chance.reach:.3f} ({chance.words})"
    return replace(difference, column=column, measured_correct=word, ci_low=None, ci_high=None, unit=None, note=why)


def _of_classes(sources: Sources, part: str, pair: Pair) -> Cell:
    for run in pair:
        if len(set(sources.params.run(run).class_map.values())) != 3:
            return absent(part, ACCURACY, Missing(Status.NO_OUTPUT, f"run {run} does not tell three classes apart"))
    config, positive = sources.params.evaluate.bootstrap, sources.params.run(pair[0]).class_map[COVID]
    try:
        found, n = class_difference(*_frames(sources, pair), "accuracy", config, positive)
    except ValueError as error:
        return not_run(part, ACCURACY, str(error))
    return _on_val(sources, part, ACCURACY, pair[0], found, class_protocol("accuracy"), n, _note(sources, pair))


def _frames(sources: Sources, pair: Pair) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Val images that both runs have, in the same order."""
    found = [sources.validation(run) for run in pair]
    assert found[0] is not None and found[1] is not None, f"{pair}: ask `why_no_validation` first"
    return shared(found[0], found[1])


def _on_val(sources: Sources, part: str, column: str, run: str, found: Found, how: str, n: int, note: str) -> Cell:
    cell = measured(sources, part, column, run, Number(found, how, n, note))
    return replace(cell, split=f"{sources.params.run(run).split} Val")


def _note(sources: Sources, pair: Pair) -> str:
    same = "the same weights" if _same_weights(sources, pair) else ""
    return joined(f"{pair[0]} minus {pair[1]}, paired over images", same)


def _same_weights(sources: Sources, pair: Pair) -> bool:
    configs = [(sources.params.run(run), other) for run, other in (pair, pair[::-1])]
    return any(config.epochs == 0 and config.init == other for config, other in configs)


def figure(sources: Sources, wanted: Wanted) -> Figure:
    """Differences with their intervals, a line per part, the largest gain of Dice on top.

    A filled dot: the interval lies on one side of zero. ValueError when a run was not validated.
    """
    for run in sources.params.ablated:
        reason = sources.why_no_validation(run)
        if reason:
            raise ValueError(f"{sources.folder(run)}: {reason}; run its `validate` step")
    cells = {(cell.row, cell.column): cell for cell in sources.once(table)}
    lost = [cell for (_, column), cell in cells.items() if column in (DICE, *FALSE_INFECTION) and not cell.measured]
    if lost:
        raise ValueError(f"{sources.results}: no {lost[0].column} for '{lost[0].row}': {lost[0].note}")
    parts = sorted(sources.params.ablations, key=lambda part: float(cells[part, DICE].measured_correct))
    drawn = Figure(figsize=(13, 2.2 + 0.36 * len(parts)), layout="constrained")
    left, *others = drawn.subplots(1, 3, sharey=True)
    panels = {DICE: "COVID-19", **{column: APART[protocol] for column, protocol in FALSE_INFECTION.items()}}
    for axes, (column, images) in zip((left, *others), panels.items(), strict=True):
        _dots(axes, [cells[part, column] for part in parts])
        counts = sorted({n for part in parts if (n := cells[part, column].n) is not None})
        axes.set_title(f"{images} images, n = {' or '.join(map(str, counts))}", fontsize=10)
    left.set_yticks(range(len(parts)), parts)
    left.set_ylim(-0.6, len(parts) - 0.4)
    left.set_xlabel("infection Dice, with minus without\n(right of zero: the part helps)")
    for axes in others:
        axes.set_xlabel("share with more than 1 % positive,\nwith minus without (left of zero: it helps)")
    share = sources.params.evaluate.bootstrap.confidence
    words = f"bars: {share:.0%} interval over images, filled where it leaves out zero; one training each"
    headed(drawn, f"{wanted.title}; {words}")
    return drawn


def _dots(axes: Axes, cells: list[Cell]) -> None:
    value, low, high = np.array([(c.measured_correct, c.ci_low, c.ci_high) for c in cells], float).T
    reach, places = np.maximum(np.stack([value - low, high - value]), 0), np.arange(len(cells))
    axes.axvline(0, color=GREY, linewidth=1)
    axes.errorbar(value, places, xerr=reach, color=BLUE, linestyle="none", linewidth=1.4, capsize=3)
    clear = (low > 0) | (high < 0)
    for chosen, inside in ((clear, BLUE), (~clear, "white")):
        axes.plot(value[chosen], places[chosen], "o", color=BLUE, markerfacecolor=inside, markersize=7)
    axes.grid(axis="y", visible=False)
