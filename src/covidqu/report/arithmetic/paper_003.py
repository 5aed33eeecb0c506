"""Paper 003 against itself: what one confusion matrix or one mask can give, and a t-test over names of measures.

Input: printed values; output: cells of `common/published-consistency` (see `consistency`).
Shares are printed in percent with two decimals; the classes are balanced (Table 2).
"""

from collections import Counter
from collections.abc import Callable

from scipy import stats

from covidqu.report.arithmetic.rounded import (
    AGREES,
    DISAGREES,
    Rounded,
    compared,
    decibel,
    finding,
    of_printed,
    overlap,
    reach,
)
from covidqu.report.core.cells import Cell
from covidqu.report.core.published import printed

TWO = 2  # decimals of differences that are counted as the same
MASKS = ("table-3", "table-6", "table-8")
CLASSES = ("table-4", "table-7", "table-9")
SIMPLE, PROPOSED = "Simple Multi-Task Model", "Proposed Model"


def findings() -> list[Cell]:
    """Segmentation (MSE, PSNR, accuracy, Std), classification tables, the t-test."""
    return [
        *(cell for short in MASKS for cell in _masks(f"cbam-mtl/{short}")),
        *_spread(),
        *(cell for short in CLASSES for cell in _one_confusion_matrix(f"cbam-mtl/{short}")),
        *(cell for short in CLASSES for cell in _offsets(f"cbam-mtl/{short}")),
        *_cbam_effect(),
        *t_test_cells(),
    ]


def _rows(table: str) -> list[str]:
    return list(dict.fromkeys(row for row, _ in printed(table)))


def _percent(table: str, row: str, column: str) -> Rounded:
    """A share in percent as a fraction."""
    found = of_printed(table, row, column)
    return Rounded(found.value / 100, found.decimals + 2)


def _masks(table: str) -> list[Cell]:
    """PSNR from MSE at peak 1; MSE of a thresholded mask is its share of wrong pixels."""
    cells = []
    for row in _rows(table):
        mse, psnr, accuracy = of_printed(table, row, "MSE"), of_printed(table, row, "PSNR"), _percent(table, row, "Acc")
        name = f"{table}: {row}"
        cells.append(compared(name, "PSNR", "-10 log10(printed MSE), peak 1", psnr, decibel, [mse]))
        needed = 10 ** (-psnr.value / 10)
        word = AGREES if overlap(mse.span, reach(lambda db: 10 ** (-db / 10), [psnr])) else DISAGREES
        how = "MSE that the printed PSNR needs, peak 1"
        cells.append(finding(name, "MSE for this PSNR", how, needed, word, mse.value))
        cells.append(compared(name, "MSE", "1 - Acc, for thresholded masks", mse, lambda a: 1 - a, [accuracy]))
    return cells


def _spread() -> list[Cell]:
    """Std 0.01: read in percent points or as a fraction, how many of them is the gain from CBAM?"""
    table = "cbam-mtl/table-3"
    gain = of_printed(table, PROPOSED, "Dice").value - of_printed(table, SIMPLE, "Dice").value
    std = of_printed(table, PROPOSED, "Dice Std")
    words = f"{gain:.2f} points are {gain / std.value:.3g} of it in points, {gain / std.value / 100:.3g} as a fraction"
    how = "gain in Dice by CBAM, in percent points"
    return [finding(f"{table}: Dice Std", "gain in Dice", how, gain, f"unit and samples unknown: {words}", std.value)]


def _one_confusion_matrix(table: str) -> list[Cell]:
    """Accuracy, F1, precision and MCC of two classes of equal size, from sensitivity and specificity."""
    cells = []
    for row in _rows(table):
        accuracy, f1 = of_printed(table, row, "Acc"), of_printed(table, row, "F1")
        pair = [of_printed(table, row, column) for column in ("Sens", "Spec")]
        name = f"{table}: {row}"
        low, high = sorted(pair, key=lambda p: p.value)
        inside = overlap(accuracy.span, (low.span[0], high.span[1]))
        how = "Sens to Spec, between which the accuracy of any confusion matrix lies"
        between = f"{low.value:.2f} to {high.value:.2f}"
        word = "between them" if inside else "outside: no confusion matrix gives these three"
        cells.append(finding(name, "Acc", how, between, word, accuracy.value))
        for column, function in (("Precision", balanced_precision), ("F1", balanced_f1), ("MCC", balanced_mcc)):
            how = "from Sens and Spec, as many infected as not"
            cells.append(compared(name, column, how, of_printed(table, row, column), _in_percent(function), pair))
        parts = sorted((of_printed(table, row, c) for c in ("Precision", "Sens")), key=lambda p: p.value)
        inside = overlap(f1.span, (parts[0].span[0], parts[1].span[1]))
        word = "between them" if inside else "outside: no mean of the two"
        between = f"{parts[0].value:.2f} to {parts[1].value:.2f}"
        how = "Precision to Sens, between which their harmonic mean lies"
        cells.append(finding(name, "F1 between Precision and Sens", how, between, word, f1.value))
    return cells


def _in_percent(function: Callable[..., float]) -> Callable[..., float]:
    """A function of fractions as one of percent."""
    return lambda *values: 100 * function(*(v / 100 for v in values))


def balanced_precision(sensitivity: float, specificity: float) -> float:
    """Precision when both classes have as many images; fractions."""
    return sensitivity / (sensitivity + 1 - specificity)


def balanced_f1(sensitivity: float, specificity: float) -> float:
    """F1 when both classes have as many images; fractions."""
    return 2 * sensitivity / (2 * sensitivity + (1 - specificity) + (1 - sensitivity))


def balanced_mcc(sensitivity: float, specificity: float) -> float:
    """Matthews correlation when both classes have as many images; fractions."""
    positive = sensitivity + 1 - specificity
    return (sensitivity + specificity - 1) / (positive * (2 - positive)) ** 0.5


def _offsets(table: str) -> list[Cell]:
    """Columns that are Acc plus the same constant in several rows."""
    cells = []
    for column in ("Sens", "Spec", "AUC", "MCC"):
        rows = {
            row: round(of_printed(table, row, column).value - of_printed(table, row, "Acc").value, TWO)
            for row in _rows(table)
        }
        constant, times = Counter(rows.values()).most_common(1)[0]
        others = [row for row, offset in rows.items() if offset != constant]
        words = f"in {times} of {len(rows)} rows" + (f"; not in {', '.join(others)}" if others else "")
        how = "most frequent difference to Acc, percent points"
        cells.append(finding(f"{table}: all rows", f"{column} - Acc", how, constant, words))
    return cells


def _cbam_effect() -> list[Cell]:
    """Proposed minus simple on each backbone, Tables 8 and 9."""
    cells = []
    for table, column in (("cbam-mtl/table-8", "Dice"), ("cbam-mtl/table-9", "Acc")):
        for row in (row for row in _rows(table) if row.startswith("Proposed")):
            pair = [of_printed(table, name, column) for name in (row, f"Simple Multi-Task / {row.split(' / ')[1]}")]
            change = round(pair[0].value - pair[1].value, TWO)
            word = "higher with CBAM" if change > 0 else "lower with CBAM" if change < 0 else "the same"
            how = "proposed - simple, percent points"
            cells.append(finding(f"{table}: {row}", f"{column}, gain", how, change, word))
    return cells


def t_test() -> tuple[float, float, int]:
    """(t, two-sided p, pairs) of simple against proposed over the metric names of the printed Table 4."""
    values = printed("cbam-mtl/table-4")
    columns = [column for row, column in values if row == SIMPLE]
    found = stats.ttest_rel([values[SIMPLE, c] for c in columns], [values[PROPOSED, c] for c in columns])
    return float(found.statistic), float(found.pvalue), len(columns)


def t_test_cells() -> list[Cell]:
    """The paper's t and p beside those of a paired test over seven metric names."""
    t, p, pairs = t_test()
    how = f"paired t-test over the {pairs} columns of the printed Table 4"
    text = printed("cbam-mtl/text")
    stated_t, stated_p = (text[f"paired t-test on Table 4: {k}", "value"] for k in ("t", "p"))
    same_t = AGREES if f"{t:.2f}" == f"{float(stated_t):.2f}" else DISAGREES
    same_p = AGREES if f"{p:.2e}" == f"{float(stated_p):.2e}" else DISAGREES
    reason = "the samples are metrics of two models, neither images nor runs"
    row = "cbam-mtl/text: paired t-test"
    return [
        finding(row, "t", how, t, f"{same_t}; {reason}", stated_t),
        finding(row, "p", how, f"{p:.3e}", f"{same_p}; {reason}", stated_p),
    ]
