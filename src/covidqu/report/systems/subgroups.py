"""Table `common/subgroups` and figure `common/dice-by-area`: for which images do the headline runs work?

Input: scores. Output: cells and one figure. COVID-19 images are put in quarters by annotated infected area, other
images by class, all images by whether a near-duplicate of theirs is in Train or Val.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covidqu.evaluate.protocols import per_image
from covidqu.evaluate.statistics import Interval, bootstrap_mean, bootstrap_unpaired
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import APART, FALSE_POSITIVES, HEADLINE, MARKED, OVER, Number
from covidqu.report.core.run_cells import measured, not_run
from covidqu.report.core.sources import Sources
from covidqu.report.systems.headline_runs import DRAWN_AS, HEADLINE_RUNS, headed, require

QUARTERS = 4
STATUS = {"with a near-duplicate in Train or Val": True, "without one": False}
LARGEST = f"infection Dice, largest minus smallest of {QUARTERS} area groups"


def table(sources: Sources) -> list[Cell]:
    """Rows are runs; Dice by area and near-duplicates, false infection by class and near-duplicates."""
    return [cell for row, run in HEADLINE_RUNS.items() for cell in _row(sources, row, run)]


def _row(sources: Sources, row: str, run: str) -> list[Cell]:
    reason = sources.why_no_run(run)
    scores = None if reason else sources.scores(run)
    groups = _groups(scores)
    if scores is None:
        return [not_run(row, column, str(reason)) for column in [*groups, LARGEST]]
    cells = [_mean(sources, row, column, run, *group) for column, group in groups.items()]
    place = [c.column for c in cells].index(_quarter(QUARTERS - 1)) + 1
    return [*cells[:place], _largest_minus_smallest(sources, row, run, scores), *cells[place:]]


def _quarter(place: int) -> str:
    kind = {0: " (smallest)", QUARTERS - 1: " (largest)"}.get(place, "")
    return f"infection Dice, area group {place + 1} of {QUARTERS}{kind}"


def _groups(scores: pd.DataFrame | None) -> dict[str, tuple[np.ndarray, str, str]]:
    """Column -> (values per image, protocol, note); of no scores: the columns alone."""
    empty = pd.DataFrame(columns=["dice", "area", "near_duplicate"])
    dice = empty if scores is None else with_area(scores)
    found = {}
    for place, part in enumerate(quarters(dice)):
        words = f"annotated {part['area'].min():.1%} to {part['area'].max():.1%} of the image" if len(part) else ""
        found[_quarter(place)] = part["dice"].to_numpy(), HEADLINE, words
    for words, status in STATUS.items():
        chosen = dice["near_duplicate"].astype(bool) == status
        found[f"infection Dice, {words}"] = dice.loc[chosen, "dice"].to_numpy(), HEADLINE, ""
    for column in MARKED:
        for protocol, who in APART.items():
            values = np.empty(0) if scores is None else _marked(scores, protocol, column)
            found[f"{column}, {who}"] = values, protocol, ""
    return found


def with_area(scores: pd.DataFrame) -> pd.DataFrame:
    """COVID-19 images: Dice, annotated `area` (share of the image) and near-duplicate status, smallest area first."""
    found = per_image(HEADLINE, scores, "infection")[["dice"]]
    chosen = scores.loc[found.index]
    area = (chosen["infection_tp"] + chosen["infection_fn"]) / chosen["n_px"]
    found = found.assign(area=area, near_duplicate=chosen["near_duplicate"], id=chosen["id"])
    return found.sort_values(["area", "id"])


def quarters(images: pd.DataFrame, groups: int = QUARTERS) -> list[pd.DataFrame]:
    """Consecutive groups, as equal in size as can be; ties at an edge go by id."""
    return [images.iloc[part] for part in np.array_split(np.arange(len(images)), groups)]


def _marked(scores: pd.DataFrame, protocol: str, column: str) -> np.ndarray:
    """0 or 1 per image of a class without infection: is any pixel, or more than 1 % of them, positive?"""
    return per_image(protocol, scores, "infection")[FALSE_POSITIVES[column]].to_numpy()


def _mean(sources: Sources, row: str, column: str, run: str, values: np.ndarray, how: str, note: str) -> Cell:
    if not len(values):
        return not_run(row, column, "no such test image")
    found = bootstrap_mean(values, sources.params.evaluate.bootstrap)
    return measured(sources, row, column, run, Number(found, how, len(values), note))


def _largest_minus_smallest(sources: Sources, row: str, run: str, scores: pd.DataFrame) -> Cell:
    smallest, *_, largest = quarters(with_area(scores))
    if not len(smallest) or not len(largest):
        return not_run(row, LARGEST, "no such test image")
    config, n = sources.params.evaluate.bootstrap, len(largest) + len(smallest)
    found = bootstrap_unpaired(largest["dice"].to_numpy(), smallest["dice"].to_numpy(), config)
    return measured(sources, row, LARGEST, run, Number(found, HEADLINE, n, "not paired: different images"))


def dice_by_area(sources: Sources, wanted: Wanted) -> Figure:
    """Mean Dice with its interval by annotated area, and the share of other images with more than 1 % positive."""
    require(sources)
    config = sources.params.evaluate.bootstrap
    drawn = Figure(figsize=(11, 5.4), layout="constrained")
    left, right = drawn.subplots(1, 2, width_ratios=(2, 1))
    for place, (row, run) in enumerate(HEADLINE_RUNS.items()):
        scores, shift = sources.scores(run), 0.08 * (place - (len(HEADLINE_RUNS) - 1) / 2)
        parts = quarters(with_area(scores))
        means = [bootstrap_mean(part["dice"].to_numpy(), config) for part in parts if len(part)]
        _points(left, np.arange(len(means)) + shift, means, row, line=True)
        values = [_marked(scores, protocol, OVER) for protocol in APART]
        _points(
            right,
            np.arange(len(APART)) + shift,
            [bootstrap_mean(v, config) for v in values],
            row,
            line=False,
        )
    edges = [f"{100 * p['area'].min():.1f} to {100 * p['area'].max():.1f} %\nn = {len(p)}" for p in parts if len(p)]
    left.set_xticks(range(len(edges)), edges)
    left.set_xlabel("annotated infected share of the image, COVID-19 images")
    left.set_ylabel("mean infection Dice")
    right.set_xticks(
        range(len(APART)),
        [f"{who}\nn = {len(v)}" for who, v in zip(APART.values(), values, strict=True)],
    )
    right.set_xlim(-0.5, len(APART) - 0.5)
    right.set_ylabel("share of images with more than 1 % positive")
    for axes in (left, right):
        axes.set_ylim(0, 1.02)
        axes.grid(axis="x", visible=False)
    left.legend(loc="lower right", ncols=2, fontsize=9)
    headed(drawn, f"{wanted.title}; bars: {config.confidence:.0%} interval over images")
    return drawn


def _points(axes: Axes, x: np.ndarray, means: list[Interval], row: str, *, line: bool) -> None:
    colour, marker, style = DRAWN_AS[row]
    value, low, high = np.array(means, float).T
    reach = np.stack([value - low, high - value])
    axes.errorbar(
        *(x, value),
        yerr=np.maximum(reach, 0),
        color=colour,
        marker=marker,
        linestyle=style if line else "none",
        linewidth=1.2,
        markersize=5,
        capsize=2,
        label=row,
    )
