"""Table `common/rank-stability`: how sure is the order of the systems by Dice, with other images and other seeds?

Input: scores of the headline runs and of their repetitions with other seeds, and the audit's pairs of copies. Output:
cells, rows are systems, columns their ranks. The oracle that sees annotated lungs has no rank.
"""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from covidqu.evaluate.protocols import per_image
from covidqu.evaluate.statistics import resampled_sums
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Unit
from covidqu.report.core.measures import HEADLINE, Number
from covidqu.report.core.run_cells import measured, not_run
from covidqu.report.core.sources import Sources
from covidqu.report.systems.headline_runs import HEADLINE_RUNS

ORACLE = "unet-roi, annotated ROI"
SYSTEMS = {row: run for row, run in HEADLINE_RUNS.items() if row != ORACLE}
RANKS = [f"rank {place}" for place in range(1, len(SYSTEMS) + 1)]
MEAN = "mean rank"


def table(sources: Sources) -> list[Cell]:
    """Probability of each rank: images drawn anew, copies of one another together, and a seed of each system."""
    reason = _why_not(sources)
    if reason or sources.duplicates is None:
        return [not_run(row, column, str(reason)) for row in SYSTEMS for column in (*RANKS, MEAN)]
    runs = {row: _scored(sources, run) for row, run in SYSTEMS.items()}
    names = [run for found in runs.values() for run in found]
    dice = pd.concat({run: _dice(sources, run) for run in names}, axis=1, join="inner")
    groups = copies(list(dice.index), sources.duplicates)
    ranks = ranked(dice.to_numpy(), groups, [len(found) for found in runs.values()], sources)
    how = f"{HEADLINE}, images and seeds drawn anew, {groups.max() + 1} groups of images"
    cells = []
    for place, (row, found) in enumerate(runs.items()):
        what = {"n": len(dice), "note": f"seeds: {len(found)}", "kind": Kind.PERFORMANCE}
        shares = {column: float((ranks[:, place] == k).mean()) for k, column in enumerate(RANKS, start=1)}
        for column, value in shares.items():
            number = Number((value, None, None), how, unit=Unit.FRACTION, **what)
            cells.append(measured(sources, row, column, found[0], number))
        middle = float(ranks[:, place].mean()), *(float(v) for v in np.quantile(ranks[:, place], [0.025, 0.975]))
        cells.append(measured(sources, row, MEAN, found[0], Number(middle, how, **what)))
    return cells


def _why_not(sources: Sources) -> str | None:
    """Why there is no rank of all systems."""
    reasons = [reason for run in SYSTEMS.values() if (reason := sources.why_no_run(run))]
    return next(iter(reasons), None) or ("the audit was not made" if sources.duplicates is None else None)


def _scored(sources: Sources, run: str) -> list[str]:
    """The run and its repetitions with other seeds, as far as they have scores."""
    return [name for name in sources.params.seeds(run) if sources.why_no_run(name) is None]


def _dice(sources: Sources, run: str) -> pd.Series:
    scores = sources.scores(run).set_index("id")
    return per_image(HEADLINE, scores, "infection")["dice"]


def copies(ids: list[str], pairs: pd.DataFrame) -> np.ndarray:
    """(n,) number of the group of each image: images that the audit found to be copies, also by way of others.

    `pairs`: `id_a`, `id_b`; images that are none of `ids` connect nothing.
    """
    place = {name: k for k, name in enumerate(ids)}
    here = pairs[pairs["id_a"].isin(place) & pairs["id_b"].isin(place)]
    one, other = (here[column].map(place).to_numpy(int) for column in ("id_a", "id_b"))
    links = coo_array((np.ones(len(here)), (one, other)), shape=(len(ids), len(ids)))
    return connected_components(links, directed=False)[1]


def by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(n,) or (n, k) values -> (groups, k + 1): their sums in each group, and how many there are."""
    table = np.column_stack([values, np.ones(len(values))])
    sums = np.zeros((groups.max() + 1, table.shape[1]))
    np.add.at(sums, groups, table)
    return sums


def ranked(dice: np.ndarray, groups: np.ndarray, seeds: list[int], sources: Sources) -> np.ndarray:
    """(n, runs) Dice -> (resamples, systems) ranks, 1 for the highest mean; `seeds`: runs of each system, in a row.

    Groups are drawn with replacement, all images of one together; of each system one of its runs is drawn.
    """
    config = sources.params.evaluate.bootstrap
    sums = resampled_sums(by_group(dice, groups), config)
    means = sums[:, :-1] / sums[:, -1:]
    drawn = np.random.default_rng(config.seed).integers(0, seeds, (len(means), len(seeds)))
    chosen = np.take_along_axis(means, drawn + np.cumsum([0, *seeds[:-1]]), axis=1)
    return (-chosen).argsort(axis=1).argsort(axis=1) + 1
