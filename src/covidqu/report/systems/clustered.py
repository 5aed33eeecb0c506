"""Table `common/clustered`: what copies among the test images do to the intervals of the headline runs.

Input: scores of the headline runs and the audit's pairs of copies. Output: cells, rows are systems. A value is the
same both ways; its interval is over images, or over groups of images that are copies of one another.
"""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from covidqu.config.evaluation import Bootstrap
from covidqu.evaluate.protocols import FALSE_INFECTION, per_image
from covidqu.evaluate.statistics import Interval, bootstrap_mean, bootstrap_ratio
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.measures import APART, FALSE_POSITIVES, HEADLINE, OVER, Number
from covidqu.report.core.run_cells import measured, or_missing
from covidqu.report.core.runs import OURS
from covidqu.report.core.sources import Sources
from covidqu.report.systems.headline_runs import HEADLINE_RUNS

ALONE, TOGETHER = "each image alone", "copies together"
DICE, DIFFERENCE = "infection Dice", f"infection Dice minus that of {OURS}"
SHARES = {f"{OVER}, {who}": protocol for protocol, who in APART.items()}
WHAT = {DICE: HEADLINE, DIFFERENCE: HEADLINE, **SHARES}  # in words: protocol


def table(sources: Sources) -> list[Cell]:
    """Each quantity with both intervals, system by system."""
    return [
        _cell(sources, row, f"{what}, {how}", run, what, how)
        for row, run in HEADLINE_RUNS.items()
        for what in WHAT
        if not (what == DIFFERENCE and run == OURS)
        for how in (ALONE, TOGETHER)
    ]


@or_missing
def _cell(sources: Sources, row: str, column: str, run: str, what: str, how: str) -> Cell:
    values = _values(sources, run, what)
    if what == DIFFERENCE:
        values = (values - _values(sources, OURS, DICE)).dropna()
    config, protocol = sources.params.evaluate.bootstrap, WHAT[what]
    if how == ALONE:
        found, note = bootstrap_mean(values.to_numpy(), config), ""
    else:
        if sources.duplicates is None:
            raise Missing(Status.NOT_RUN, "the audit was not made")
        groups = copies(list(values.index), sources.duplicates)
        found = of_groups(values.to_numpy(), groups, config)
        note = f"{len(values) - groups.max() - 1} of {len(values)} images are copies of others among them"
    number = Number(found, protocol, len(values), note=note, kind=Kind.PERFORMANCE, unit=Unit.FRACTION)
    return measured(sources, row, column, run, number)


def _values(sources: Sources, run: str, what: str) -> pd.Series:
    """The quantity of each image, by id."""
    reason, protocol = sources.why_no_run(run), WHAT[what]
    if reason:
        raise Missing(Status.NOT_RUN, reason)
    scores = sources.scores(run).set_index("id")
    found = per_image(protocol, scores, "infection")[FALSE_POSITIVES[OVER] if protocol in FALSE_INFECTION else "dice"]
    if not len(found):
        raise Missing(Status.UNDEFINED, f"no test image for {protocol}")
    return found.dropna()


def of_groups(values: np.ndarray, groups: np.ndarray, config: Bootstrap) -> Interval:
    """Mean of (n,) values, and its interval where the (n,) `groups` are drawn with replacement, each whole."""
    return bootstrap_ratio(by_group(values, groups), lambda sums: sums[..., 0] / sums[..., 1], config)


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
