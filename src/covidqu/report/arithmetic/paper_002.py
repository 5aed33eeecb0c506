"""Paper 002 against itself: which averages can give Dice and IoU, and what the loss says of empty masks.

Input: printed values; output: cells of `common/published-consistency` (see `consistency`).
"""

from covidqu.report.arithmetic.rounded import (
    finding,
    iou_of,
    of_printed,
    reach,
    spread,
)
from covidqu.report.core.cells import Cell
from covidqu.report.core.published import printed


def findings() -> list[Cell]:
    """Tables III and IV: which averages can give Dice and IoU, and what the loss says of empty masks."""
    return [*_lung_means(), *_infection_means(), *_infection_loss()]


def _lung_means() -> list[Cell]:
    table = "unet-roi/table-3"
    dice, iou, loss = (of_printed(table, f"Mean {name}", "Value") for name in ("Dice Score", "IoU Score", "Loss"))
    least = reach(iou_of, [dice])[0]
    word = "possible" if iou.span[1] >= least else "impossible for means over images"
    how = "least mean IoU of images with this mean Dice, d / (2 - d)"
    soft = 1 - loss.value
    words = f"soft Dice is {'below' if soft < dice.value else 'not below'} the printed one of thresholded masks"
    return [
        finding(f"{table}: Mean IoU Score", "least value", how, iou_of(dice.value), word, iou.value),
        finding(f"{table}: Mean Loss", "soft Dice", "1 - loss", soft, words, loss.value),
    ]


def _infection_means() -> list[Cell]:
    """d, i: means of COVID-19 images; e: blank share of the others, which both means then hold once."""
    table, images = "unet-roi/table-4", printed("unet-roi/table-2")
    dice, iou = (of_printed(table, f"Mean {name}", "Value") for name in ("Dice Score", "IoU Score"))
    covid, total = int(images["COVID-19", "Test"]), int(images["Total Images", "Test"])
    others, row = total - covid, f"{table}: Mean Dice Score"
    cells = []

    def blank(d: float) -> float:
        return (dice.value * total - covid * d) / others

    def with_iou(d: float) -> float:
        return (iou.value * total - others * blank(d)) / covid

    for d in (0.75, 0.775, 0.8):
        words = f"mean IoU of the COVID-19 images would be {with_iou(d):.3f}, at least {iou_of(d):.3f} is needed"
        how = f"blank share of images without infection if COVID-19 Dice is {d:g} and blank counts 1"
        cells.append(finding(row, f"blank share at COVID-19 Dice {d:g}", how, blank(d), words, dice.value))
    grid = [d / 1000 for d in range(1001)]
    fits = [d for d in grid if 0 <= blank(d) <= 1 and iou_of(d) <= with_iou(d) <= d]
    words = f"COVID-19 Dice from {fits[0]:.3f} to {fits[-1]:.3f} fits both means" if fits else "no value fits both"
    how = "all d in steps of 0.001 with blank share in [0, 1] and d / (2 - d) <= i <= d"
    cells.append(finding(row, "highest COVID-19 Dice that fits", how, fits[-1] if fits else "none", words, dice.value))
    share = 1 - dice.value / (2 - dice.value / iou.value)
    words = f"as two kinds of images, {share:.0%} of them at Dice 0 and all others at {2 - dice.value / iou.value:.3f}"
    how = "SD of Dice that this gap to IoU needs (second order), were it a mean over COVID-19 images"
    return [*cells, finding(row, "SD if COVID-19 only", how, spread(dice.value, iou.value), words, dice.value)]


def _infection_loss() -> list[Cell]:
    """The loss is 0.5 BCE + 0.5 (1 - s), s the soft Dice."""
    table = "unet-roi/table-4"
    loss, dice = of_printed(table, "Mean Loss", "Value"), of_printed(table, "Mean Dice Score", "Value")
    cells = []
    for bce in (0.05, 0.1, 0.15):
        soft = 1 - 2 * (loss.value - 0.5 * bce)
        word = "below" if soft < dice.value else "not below"
        words = f"{word} the printed Dice: {dice.value - soft:.3f} less" if soft < dice.value else word
        how = f"1 - 2 (loss - BCE / 2) with BCE {bce:g}"
        cells.append(finding(f"{table}: Mean Loss", f"soft Dice at BCE {bce:g}", how, soft, words, loss.value))
    needed = 2 * (loss.value - 0.5 * (1 - dice.value))
    how, words = "2 loss - (1 - Dice)", "BCE that is needed if soft Dice were the printed Dice"
    return [*cells, finding(f"{table}: Mean Loss", "BCE at soft Dice = Dice", how, needed, words, loss.value)]
