"""Table `common/boundary`: distances between predicted and annotated outlines of infection, COVID-19 images.

Input: scores of the headline runs. Output: cells, rows are runs. HD95 (pixels of 256 x 256) is the larger of the two
directed 95th percentiles of distances between surfaces, NSD the share of both surfaces within 2 px of the other;
surfaces are pixels with a 4-neighbour outside the mask. MONAI's `compute_hausdorff_distance` and
`compute_surface_dice` give the same numbers where both masks have pixels. Definitions that differ: a percentile over
both directions together, as in some challenges, is not larger than ours; boundaries between pixels instead of on
them (DeepMind's `surface-distance`) weigh corners otherwise. Of an empty prediction MONAI's HD95 is nan or infinite;
here it is not counted, and the number of such images is shown. Its NSD counts 0.
"""

import numpy as np

from covidqu.evaluate.protocols import select
from covidqu.evaluate.statistics import bootstrap_mean, bootstrap_median
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import HEADLINE, Number
from covidqu.report.core.run_cells import measured, not_run
from covidqu.report.core.sources import Sources
from covidqu.report.systems.headline_runs import HEADLINE_RUNS

HD95, NSD, BLANK = "HD95 (px)", "NSD at 2 px", "share of images without a prediction"
STATISTICS = {"mean": bootstrap_mean, "median": bootstrap_median}


def table(sources: Sources) -> list[Cell]:
    """Mean and median with intervals of HD95 where it exists, of NSD, and how many images have no prediction."""
    return [cell for row, run in HEADLINE_RUNS.items() for cell in _row(sources, row, run)]


def _row(sources: Sources, row: str, run: str) -> list[Cell]:
    names = [f"{what}, {kind}" for what in (HD95, NSD) for kind in STATISTICS]
    reason = sources.why_no_run(run)
    if reason:
        return [not_run(row, column, reason) for column in [*names, BLANK]]
    scores = select(HEADLINE, sources.scores(run), "infection")
    blank = (scores["infection_tp"] + scores["infection_fp"]).to_numpy() == 0
    distances, near = (scores[f"infection_{name}"].to_numpy(np.float64) for name in ("hd95", "nsd2"))
    words = f"{int(blank.sum())} of {len(blank)} images have no prediction and no distance"
    cells = [_cell(sources, row, f"{HD95}, {kind}", run, kind, distances[~blank], words) for kind in STATISTICS]
    cells += [_cell(sources, row, f"{NSD}, {kind}", run, kind, near, "") for kind in STATISTICS]
    return [*cells, _cell(sources, row, BLANK, run, "mean", blank.astype(float), words)]


def _cell(sources: Sources, row: str, column: str, run: str, kind: str, values: np.ndarray, note: str) -> Cell:
    if not len(values):
        return not_run(row, column, "no test image with an annotated and a predicted mask")
    found = STATISTICS[kind](values, sources.params.evaluate.bootstrap)
    how = f"{HEADLINE}, {kind} over images"
    return measured(sources, row, column, run, Number(found, how, len(values), note))
