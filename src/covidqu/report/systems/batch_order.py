"""Table `common/batch-order`: how far the mean over batches, paper 001's protocol, depends on the order of images.

Input: scores of base runs with an infection mask. Output: cells, rows are runs. The protocol takes images in file
order; no other order is less right, so a value is worth what all of them give.
"""

from dataclasses import replace

import numpy as np

from covidqu.evaluate.orders import dice_over_orders
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Unit
from covidqu.report.core.measures import Found, Mask, Number
from covidqu.report.core.run_cells import evaluate, measured
from covidqu.report.core.runs import with_infection
from covidqu.report.core.sources import Sources

PROTOCOL = "batch8_seq"
ORDERS = 1000
FILE, MEAN, HIGHEST = "Dice in file order", "Dice, mean over orders", "Dice, highest of the orders"
ABOVE = "share of orders with a lower Dice than file order"


def table(sources: Sources) -> list[Cell]:
    """Dice in file order, then over permutations within classes; bounds are the middle 95 % of the orders."""
    return [found for run in with_infection(sources.params) for found in _row(sources, run)]


def _row(sources: Sources, run: str) -> list[Cell]:
    first = evaluate(sources, run, FILE, Mask(run=run, metric="dice", paper=PROTOCOL))
    if not first.measured:
        return [replace(first, column=column) for column in (FILE, MEAN, HIGHEST, ABOVE)]
    scores, config = sources.scores(run), sources.params.evaluate
    dice = dice_over_orders(scores, "infection", config.protocol_batch, ORDERS, config.bootstrap.seed)
    tail = (1 - config.bootstrap.confidence) / 2
    low, high = np.quantile(dice, [tail, 1 - tail])
    lower = float((dice < float(first.measured_paper)).mean())  # type: ignore[arg-type]
    values: dict[str, Found] = {
        MEAN: (dice.mean(), low, high),
        HIGHEST: (dice.max(), None, None),
        ABOVE: (lower, None, None),
    }
    how = f"{PROTOCOL}, {ORDERS:,} orders within classes"
    what = {"n": len(scores), "kind": Kind.PERFORMANCE, "unit": Unit.FRACTION}
    return [first, *(measured(sources, run, c, run, Number(found, how, **what)) for c, found in values.items())]
