"""Table `common/printed-gap`: which kind of average a printed pair of Dice and IoU betrays. Nothing is measured.

Input: report/published/*.yaml. Output: cells, three per printed pair: the gap 2 J / (1 + J) - D with its range under
rounding, the spread of Dice that this gap needs, and the largest gap that is possible. `common/protocols` has the gaps
of our runs under each protocol.
"""

from typing import NamedTuple

from covidqu.report.arithmetic.rounded import SLACK, Rounded, finding, gap, of_printed, reach, spread
from covidqu.report.core.cells import Cell
from covidqu.report.core.published import SYSTEMS, paper
from covidqu.report.core.sources import Sources

NAMES = (("Dice", "IoU"), ("Dice Coefficient", "IoU Score"))  # how papers name the two, in a row or in a column


class Pair(NamedTuple):
    """A printed Dice and the IoU beside it; `where` names table and place."""

    where: str
    dice: Rounded
    iou: Rounded


def pairs() -> list[Pair]:
    """Every printed Dice that has an IoU of the same images in the same table, in the papers' order."""
    found = []
    for system in SYSTEMS:
        for short, table in paper(system).tables.items():
            cells = table.cells()
            for place in cells:
                partner = _partner(place, cells)
                if partner is not None:
                    both = (of_printed(f"{system}/{short}", *at) for at in (place, partner))
                    found.append(Pair(f"{system}/{short}: {' / '.join(place)}", *both))
    return found


def _partner(place: tuple[str, str], cells: dict[tuple[str, str], object]) -> tuple[str, str] | None:
    row, column = place
    for dice, iou in NAMES:
        for other in ((row.replace(dice, iou), column), (row, column.replace(dice, iou))):
            if other != place and other in cells:
                return other
    return None


def table(_: Sources) -> list[Cell]:
    """All pairs, paper by paper."""
    return [cell for pair in pairs() for cell in _cells(pair)]


def _cells(pair: Pair) -> list[Cell]:
    dice, iou = pair.dice.value, pair.iou.value
    low, high = reach(gap, [pair.dice, pair.iou])
    shown = f"{dice:g} and {iou:g}"
    between = f"{low:+.5f} to {high:+.5f} with the inputs' rounding"
    how = "2 IoU / (1 + IoU) - Dice"
    needed = "SD of Dice over images that gives this gap, to second order"
    most = "gap if every image had a Dice of 0 or 1, where mean IoU and mean Dice are the same number"
    return [
        finding(pair.where, "gap", how, gap(dice, iou), f"{implied(pair)} ({between})", shown),
        finding(pair.where, "SD of Dice that it needs", needed, spread(dice, iou), "", shown),
        finding(pair.where, "largest possible gap", most, gap(dice, dice), "", shown),
    ]


def implied(pair: Pair) -> str:
    """What the pair says of its averages, whatever both were rounded from."""
    low, high = reach(gap, [pair.dice, pair.iou])
    if high < -SLACK:
        return "impossible: the Dice is larger than this IoU allows in any average of the same masks"
    if pair.iou.span[0] > pair.dice.span[1] + SLACK:
        return "impossible: no mask has an IoU above its Dice"
    if low <= SLACK:
        return "pooled pixels, or images that are all alike: both are possible"
    if pair.dice.value == pair.iou.value:
        return "a mean over images (or batches) of which each scores 0 or 1"
    return "not pooled: a mean over images or batches that differ"
