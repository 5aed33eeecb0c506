"""Paper 000 against itself: counts behind its shares, how overall numbers were averaged, Dice without infection.

Input: printed values; output: cells of `common/published-consistency` (see `consistency`).
"""

from itertools import product

from covidqu.config.data import PX
from covidqu.report.arithmetic.rounded import (
    AGREES,
    DISAGREES,
    compared,
    confusion_matrices,
    counts_that_fit,
    finding,
    harmonic,
    listed,
    mean_by,
    of_printed,
    overlap,
    reach,
    totals_that_fit,
)
from covidqu.report.core.cells import Cell
from covidqu.report.core.published import printed

LABELS = ("Normal", "Non-COVID", "COVID-19")
WITHOUT_INFECTION = ("Normal", "Non-COVID")
TEXT = "swin-dual/text"
NONE_BLANK = (
    "no prediction was blank if masks were thresholded; of probabilities, none scores 1 and any number may be blank "
    "once thresholded (audit/000-false-infection: I.Dice of soft masks)"
)


def findings() -> list[Cell]:
    """Tables IV and V: counts behind the shares, how overall numbers were averaged, Dice without infection."""
    return [
        *_classification("table-4", _test_images("swin-dual/table-1"), "phase1 accuracy"),
        *_overall("table-4", "Dice", "phase1 lung Dice (test 6788)", "swin-dual/table-1"),
        *_overall("table-4", "IoU", "phase1 lung IoU (test 6788)", "swin-dual/table-1"),
        *_classification("table-5", _test_images("swin-dual/table-2"), "phase2 accuracy"),
        *_overall("table-5", "L.Dice", "phase2 lung Dice (test 1166)", "swin-dual/table-2"),
        *_empty_dice(),
        *_phases(),
    ]


def _test_images(table: str) -> dict[str, int]:
    return {label: int(printed(table)["Test", label]) for label in LABELS}


def _classification(short: str, images: dict[str, int], accuracy: str) -> list[Cell]:
    """Whole numbers behind recall and precision, accuracy, F1 and the confusion matrices that fit them."""
    table, total = f"swin-dual/{short}", sum(images.values())
    cells, right, predicted = [], [], []
    for label, n in images.items():
        recall = of_printed(table, label, "Recall")
        fits = counts_that_fit(n, recall)
        right.append(fits)
        how = f"whole k with k / {n} rounding to the printed recall"
        cells.append(
            finding(f"{table}: {label}", "correct images", how, listed(fits), _unique(len(fits)), recall.value)
        )
        precision = of_printed(table, label, "Precision")
        predicted.append(sorted({t for k in fits for t in totals_that_fit(k, precision, total)}))
        doubled = printed(table)[label, "Acc"] == recall.value
        verdict = "the recall printed twice" if doubled else "differs from the recall"
        how = "recall of the class"
        cells.append(finding(f"{table}: {label}", "Acc", how, recall.value, verdict, printed(table)[label, "Acc"]))
    joint = [totals for totals in product(*predicted) if sum(totals) == total]
    for i, label in enumerate(images):
        fits = sorted({totals[i] for totals in joint})
        how = f"whole n with correct / n rounding to the printed precision; the three add up to {total}"
        value = printed(table)[label, "Precision"]
        cells.append(
            finding(f"{table}: {label}", "images given this class", how, listed(fits), _unique(len(fits)), value)
        )
    cells += _accuracy(table, accuracy, right, total)
    cells += _f1(table)
    return [*cells, *_matrices(table, right, joint, tuple(images.values()))]


def _unique(count: int) -> str:
    return {0: "no count fits", 1: "one count fits"}.get(count, f"{count} counts fit")


def _accuracy(table: str, row: str, right: list[list[int]], total: int) -> list[Cell]:
    stated = of_printed(TEXT, row, "value")
    low, high = (sum(pick(fits) for fits in right) / total for pick in (min, max)) if all(right) else (0.0, 0.0)
    word = AGREES if all(right) and overlap(stated.span, (low, high)) else DISAGREES
    how = f"correct images of the three classes / {total}"
    return [finding(f"{table}: accuracy", "all images", how, low, word, stated.value)]


def _f1(table: str) -> list[Cell]:
    cells = []
    for label in LABELS:
        pair = [of_printed(table, label, column) for column in ("Precision", "Recall")]
        stated = of_printed(table, label, "F1") if (label, "F1") in printed(table) else None
        cells.append(
            compared(f"{table}: {label}", "F1", "harmonic mean of printed precision and recall", stated, harmonic, pair)
        )
    for column in ("Precision", "Recall"):
        values = [of_printed(table, label, column) for label in LABELS]
        cells.append(
            compared(
                f"{table}: macro {column}", "three classes", "mean of the classes", None, mean_by((1, 1, 1)), values
            )
        )
    six = [of_printed(table, label, column) for label in LABELS for column in ("Precision", "Recall")]

    def macro(*values: float) -> float:
        return sum(harmonic(p, r) for p, r in zip(values[::2], values[1::2], strict=True)) / 3

    return [*cells, compared(f"{table}: macro F1", "three classes", "mean of the classes' F1", None, macro, six)]


def _matrices(table: str, right: list[list[int]], joint: list[tuple[int, ...]], rows: tuple[int, ...]) -> list[Cell]:
    found = [m for diagonal in product(*right) for totals in joint for m in confusion_matrices(diagonal, rows, totals)]
    how = "3 x 3 matrices of whole numbers with these correct counts and margins"
    if not found:
        return [finding(f"{table}: confusion matrix", "matrices", how, 0, "no confusion matrix gives these values")]
    low, high = min(m[0][1] for m in found), max(m[0][1] for m in found)
    words = f"Normal taken for Non-COVID between {low} and {high}; the margins leave the rest open"
    return [finding(f"{table}: confusion matrix", "matrices", how, len(found), words)]


def _overall(short: str, column: str, stated: str, counts: str) -> list[Cell]:
    """Two ways to average over classes; the one that agrees is the paper's."""
    images = _test_images(counts)
    values = [of_printed(f"swin-dual/{short}", label, column) for label in LABELS]
    target = of_printed(TEXT, stated, "value")
    row = f"swin-dual/{short}: overall {column}"
    return [
        compared(row, "weighted by images", "mean over all test images", target, mean_by(images.values()), values),
        compared(row, "three classes", "mean of the three class means", target, mean_by((1, 1, 1)), values),
    ]


def _empty_dice() -> list[Cell]:
    """An empty target has no overlap: what a smoothed Dice of 0.0001 says about blank ones, if of masks."""
    cells, images = [], _test_images("swin-dual/table-2")
    for label in WITHOUT_INFECTION:
        value = of_printed("swin-dual/table-5", label, "I.Dice")
        one = 1 / images[label]
        low, high = max(0.0, value.span[0]), value.span[1]
        word = f"above the printed value: {NONE_BLANK}" if one > high else "one blank prediction is possible"
        row = f"swin-dual/table-5: {label} I.Dice"
        needs = "the printed mean is larger: something is added to the numerator" if low > 0 else "agrees"
        cells.append(finding(row, "without smoothing", "no overlap with an empty target", 0.0, needs, value.value))
        how = f"a single blank prediction of {images[label]}, which a smoothed Dice counts as 1"
        cells.append(finding(row, "least mean with one blank", how, one, word, value.value))
        least = 1 / high - 1
        most = 1 / low - 1 if low else float("inf")
        upper = f"to {most:.0f} ({most / PX**2:.1%})" if low else "or more"
        words = f"{least:.0f} ({least / PX**2:.1%} of the image) {upper} pixels (of probabilities: their sum) per image"
        how = "harmonic mean of P + 1 is 1 / Dice where the target is empty and 1 is added"
        cells.append(finding(row, "false pixels, at least", how, least, words, value.value))
    values = [of_printed("swin-dual/table-5", label, "I.Dice") for label in LABELS]
    how, target = "mean over all test images", of_printed(TEXT, "phase2 infection Dice (COVID-19 only, 583)", "value")
    row = "swin-dual/table-5: overall I.Dice"
    return [*cells, compared(row, "weighted by images", how, target, mean_by(images.values()), values)]


def _phases() -> list[Cell]:
    """What the second phase costs; the two test sets differ."""
    pairs = {
        "lung Dice": ("phase1 lung Dice (test 6788)", "phase2 lung Dice (test 1166)"),
        "accuracy": ("phase1 accuracy", "phase2 accuracy"),
    }
    cells = []
    for name, (first, second) in pairs.items():
        inputs = [of_printed(TEXT, second, "value"), of_printed(TEXT, first, "value")]
        change = inputs[0].value - inputs[1].value
        low, high = reach(lambda after, before: after - before, inputs)
        word = "lower after phase 2" if high < 0 else "higher after phase 2" if low > 0 else "the same within rounding"
        words = f"{word}, on another test set"
        cells.append(finding(f"swin-dual/text: {name}", "phase 2 - phase 1", "difference", change, words))
    return cells
