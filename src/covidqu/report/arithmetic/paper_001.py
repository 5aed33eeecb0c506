"""Paper 001 against itself: does Table II follow from Table III, and which batch size gives its values?

Input: printed values. Output: cells of `common/published-consistency` (see `consistency`). File order and the rule for
empty masks are those of the protocol `batch8_seq`.
"""

from math import ceil

from covidqu.report.arithmetic.rounded import (
    Rounded,
    Span,
    compared,
    counts_that_fit,
    finding,
    harmonic,
    listed,
    mean_by,
    of_printed,
    overlap,
    reach,
)
from covidqu.report.core.cells import Cell
from covidqu.report.core.published import printed

LABELS = ("COVID-19", "Non-COVID", "Normal")
TABLE = "unetpp-b3/table-2"
OVERALL = {"Dice": "Dice Coefficient", "IoU": "IoU Score", "Recall": "Recall"}
LARGEST_BATCH = 64


def findings() -> list[Cell]:
    """Tables II and III, and how the first can come from batches."""
    return [*_averages(), *_batches()]


def _score(row: str) -> Rounded:
    return of_printed(TABLE, row, "Score")


def _category(label: str, column: str) -> Rounded:
    return of_printed("unetpp-b3/table-3", label, column)


def _images() -> dict[str, int]:
    return {label: int(printed("unetpp-b3/table-3")[label, "Samples"]) for label in LABELS}


def _averages() -> list[Cell]:
    cells, images = [], _images()
    for column, row in OVERALL.items():
        values, target = [_category(label, column) for label in LABELS], _score(row)
        name = f"{TABLE}: {row}"
        how = "mean of Table III over all images"
        cells.append(compared(name, "weighted by images", how, target, mean_by(images.values()), values))
        how = "mean of the three rows of Table III"
        cells.append(compared(name, "three classes", how, target, mean_by((1, 1, 1)), values))
    pair = [_score("Precision"), _score("Recall")]
    how = "harmonic mean of printed precision and recall"
    return [*cells, compared(f"{TABLE}: F1-Score", "one confusion table", how, _score("F1-Score"), harmonic, pair)]


def layout(batch: int) -> tuple[int, int]:
    """(batches, batches with a COVID-19 image) of the test images in file order."""
    images = _images()
    return ceil(sum(images.values()) / batch), ceil(images["COVID-19"] / batch)


def infected(row: str, batch: int, false_positive: int, *, empty: float) -> Span:
    """Mean over the batches with COVID-19 images that gives the printed mean over all batches.

    The other batches score `empty`, except `false_positive` of them, which score 0.
    """
    batches, with_covid = layout(batch)
    ones = empty * (batches - with_covid - false_positive)
    return reach(lambda v: (v * batches - ones) / with_covid, [_score(row)])


def fits(batch: int, false_positive: int) -> Span | None:
    """Mean Dice of the COVID-19 batches that agrees with F1, IoU, precision and recall; None when there is none.

    Pooled in a batch, Dice equals F1; IoU is at least d / (2 - d); F1 at most the harmonic mean of the mean precision
    and recall.
    """
    dice, iou = (infected(OVERALL[k], batch, false_positive, empty=1) for k in ("Dice", "IoU"))
    f1, precision, recall = (infected(row, batch, 0, empty=0) for row in ("F1-Score", "Precision", "Recall"))
    both = overlap(dice, f1)
    if both is None or max(precision[0], recall[0], dice[0]) > 1:
        return None
    low, high = both
    possible = iou[1] >= low / (2 - low) and low <= harmonic(min(1.0, precision[1]), min(1.0, recall[1]))
    return (low, high) if possible else None


def _batches() -> list[Cell]:
    batch = int(printed("unetpp-b3/table-1")["Batch size", "Value"])
    batches, with_covid = layout(batch)
    images = _images()
    marked = _marked(images["Non-COVID"])
    how = "whole k with (n - k) / n rounding to the printed Dice; each scores 0, all others 1"
    same = _category("Non-COVID", "Dice").value == _category("Non-COVID", "IoU").value
    words = "IoU is the same number, as it must be for zeros and ones" if same else "IoU differs: not zeros and ones"
    cells = [
        finding(
            "unetpp-b3/table-3: Non-COVID",
            "images with false positives",
            *(how, listed(marked), words, _category("Non-COVID", "Dice").value),
        ),
        finding(
            f"{TABLE}: batches",
            "in file order",
            *(f"{sum(images.values())} images in batches of {batch}", batches, f"{with_covid} hold a COVID-19 image"),
        ),
    ]
    for row in ("Precision", "Recall", "F1-Score"):
        low, high = infected(row, batch, 0, empty=0)
        how = f"printed value x {batches} / {with_covid}: batches without infection count 0"
        words = f"{low:.4f} to {high:.4f} within rounding" + ("" if high <= 1 else "; above 1 is impossible")
        value = _score(row).value
        column = "mean over COVID-19 batches"
        cells.append(finding(f"{TABLE}: {row}", column, how, value * batches / with_covid, words, value))
    return [*cells, *_false_positive_batches(batch, marked), _batch_sizes(max(marked, default=0))]


def _marked(images: int) -> list[int]:
    dice = _category("Non-COVID", "Dice")
    return [images - k for k in counts_that_fit(images, dice)]


def _false_positive_batches(batch: int, marked: list[int]) -> list[Cell]:
    batches, with_covid = layout(batch)
    possible = [k for k in range(batches - with_covid + 1) if fits(batch, k)]
    agree = any(min(p, 1) <= k <= p for k in possible for p in marked)  # p images fall into 1 to p batches
    how = f"k of {batches - with_covid} other batches with false positives for which Table II agrees with itself"
    words = "as many batches as Table III allows" if agree else "Table III has no such number of images"
    row, dice = f"{TABLE}: Dice Coefficient", _score("Dice Coefficient").value
    cells = [finding(row, "false-positive batches that fit", how, listed(possible), words, dice)]
    for k in possible:
        low, high = infected("Dice Coefficient", batch, k, empty=1)
        f1, iou = infected("F1-Score", batch, 0, empty=0), infected("IoU Score", batch, k, empty=1)
        shared = fits(batch, k)
        assert shared is not None
        words = f"F1 over these batches is {f1[0]:.4f} to {f1[1]:.4f}; both from {shared[0]:.4f} to {shared[1]:.4f}"
        column = f"mean over COVID-19 batches, {k} false-positive batches"
        how = "all other batches without infection count 1"
        cells.append(finding(row, column, how, (low + high) / 2, f"{low:.4f} to {high:.4f}; {words}", dice))
        least = shared[0] / (2 - shared[0])
        words = f"at least {least:.4f} is needed for this Dice: " + ("possible" if iou[1] >= least else "impossible")
        cells.append(
            finding(f"{TABLE}: IoU Score", column, how, sum(iou) / 2, words, _score("IoU Score").value),
        )
    upper = harmonic(*(infected(row, batch, 0, empty=0)[1] for row in ("Precision", "Recall")))
    f1 = infected("F1-Score", batch, 0, empty=0)
    words = "possible" if f1[0] <= upper else "impossible"
    how = "largest mean F1 for the mean precision and recall of the COVID-19 batches: their harmonic mean"
    return [
        *cells,
        finding(f"{TABLE}: F1-Score", "largest value", how, upper, words, _score("F1-Score").value),
    ]


def _batch_sizes(most: int) -> Cell:
    found = [
        (b, k)
        for b in range(1, LARGEST_BATCH + 1)
        for k in range(most + 1)
        if k <= _without_infection(b) and fits(b, k)
    ]
    stated = int(printed("unetpp-b3/table-1")["Batch size", "Value"])
    words = "; ".join(f"{b} (k = {k})" for b, k in found) or "none"
    verdict = "the printed batch size is among them" if stated in {b for b, _ in found} else "the printed one is not"
    how = f"sizes up to {LARGEST_BATCH} for which Table II agrees with itself, k <= {most} false-positive batches"
    return finding(f"{TABLE}: batch size", "sizes that fit", how, words, verdict, stated)


def _without_infection(batch: int) -> int:
    batches, with_covid = layout(batch)
    return batches - with_covid
