"""Papers 003 and 004 against themselves: what one confusion matrix, one mask or one count of patients can give.

Enters: printed values; leaves: cells of `common/published-consistency` (see `consistency`). Shares of paper 003 are
printed in percent with two decimals; its classes are balanced (Table 2).
"""

from collections import Counter
from collections.abc import Callable
from itertools import product

from scipy import stats

from covidqu.report.arithmetic.rounded import (
    AGREES,
    DISAGREES,
    Rounded,
    compared,
    counts_that_fit,
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


def paper_003() -> list[Cell]:
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


def _value(table: str, row: str, column: str) -> Rounded:
    return of_printed(table, row, column)


def _percent(table: str, row: str, column: str) -> Rounded:
    """A share in percent as a fraction."""
    found = of_printed(table, row, column)
    return Rounded(found.value / 100, found.decimals + 2)


def _masks(table: str) -> list[Cell]:
    """PSNR from MSE at peak 1; MSE of a thresholded mask is its share of wrong pixels."""
    cells = []
    for row in _rows(table):
        mse, psnr, accuracy = _value(table, row, "MSE"), _value(table, row, "PSNR"), _percent(table, row, "Acc")
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
    gain = _value(table, PROPOSED, "Dice").value - _value(table, SIMPLE, "Dice").value
    std = _value(table, PROPOSED, "Dice Std")
    words = f"{gain:.2f} points are {gain / std.value:.3g} of it in points, {gain / std.value / 100:.3g} as a fraction"
    how = "gain in Dice by CBAM, in percent points"
    return [finding(f"{table}: Dice Std", "gain in Dice", how, gain, f"unit and samples unknown: {words}", std.value)]


def _one_confusion_matrix(table: str) -> list[Cell]:
    """Accuracy, F1, precision and MCC of two classes of equal size, from sensitivity and specificity."""
    cells = []
    for row in _rows(table):
        accuracy, f1 = _value(table, row, "Acc"), _value(table, row, "F1")
        pair = [_value(table, row, column) for column in ("Sens", "Spec")]
        name = f"{table}: {row}"
        low, high = sorted(pair, key=lambda p: p.value)
        inside = overlap(accuracy.span, (low.span[0], high.span[1]))
        how = "Sens to Spec, between which the accuracy of any confusion matrix lies"
        between = f"{low.value:.2f} to {high.value:.2f}"
        word = "between them" if inside else "outside: no confusion matrix gives these three"
        cells.append(finding(name, "Acc", how, between, word, accuracy.value))
        for column, function in (("Precision", balanced_precision), ("F1", balanced_f1), ("MCC", balanced_mcc)):
            how = "from Sens and Spec, as many infected as not"
            cells.append(compared(name, column, how, _value(table, row, column), _in_percent(function), pair))
        parts = sorted((_value(table, row, c) for c in ("Precision", "Sens")), key=lambda p: p.value)
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
            row: round(_value(table, row, column).value - _value(table, row, "Acc").value, TWO) for row in _rows(table)
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
            pair = [_value(table, name, column) for name in (row, f"Simple Multi-Task / {row.split(' / ')[1]}")]
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


def paper_004() -> list[Cell]:
    """Shares of 50 + 50 test images, sums over sources, gains in Dice."""
    return [*_steps(), *_sums(), *_gains()]


def _steps() -> list[Cell]:
    table, images = "recon-mtl/table-2", printed("recon-mtl/table-1")
    sizes = {"Sens": int(images["Test", "COVID"]), "Spec": int(images["Test", "Non-COVID"])}
    values = printed(table)
    cells = []
    for row in _rows(table):
        if (row, "Sens") not in values:
            continue
        for column, n in sizes.items():
            share = _value(table, row, column)
            nearest = round(share.value * n) / n
            fits = abs(nearest - share.value) < 1e-9
            word = "a multiple" if fits else f"not a multiple: no whole number of {n} images gives it"
            how = f"nearest multiple of 1 / {n}"
            cells.append(finding(f"{table}: {row}", column, how, nearest, word, share.value))
        cells.append(_whole_images(table, row, sizes))
    return cells


def _whole_images(table: str, row: str, sizes: dict[str, int]) -> Cell:
    """Accuracy of Sens and Spec; is there a whole number of right images of each class for all three?"""
    total, accuracy = sum(sizes.values()), _value(table, row, "Acc")
    shares = {column: _value(table, row, column) for column in sizes}
    value = sum(shares[column].value * n for column, n in sizes.items()) / total
    right = [counts_that_fit(n, shares[column]) for column, n in sizes.items()]
    fits = [counts for counts in product(*right) if sum(counts) in counts_that_fit(total, accuracy)]
    if not all(right):
        word = "no whole numbers of images give Sens and Spec"
    else:
        word = AGREES if fits else f"{DISAGREES}: no whole numbers of images give all three"
    how = " and ".join(f"{column} of {n}" for column, n in sizes.items())
    return finding(f"{table}: {row}", "Acc", f"accuracy of {how} test images", value, word, accuracy.value)


def _sums() -> list[Cell]:
    text = {row: int(value) for (row, _), value in printed("recon-mtl/text").items() if isinstance(value, int)}
    table = {key: int(value) for key, value in printed("recon-mtl/table-1").items()}
    public = ["public COVID-CT: COVID images", "MedSeg COVID CT with lesion masks"]
    others = ["normal", "lung cancer", "other pathology"]
    masks = [f"COVID {split} images with mask" for split in ("train", "validation", "test")]
    splits = ("Train", "Validation", "Test")
    lines = {
        ("COVID-19", "two public sources"): (text[public[0]] + text[public[1]], " + ".join(public)),
        ("COVID-19", "Table 1"): (sum(table[s, "COVID"] for s in splits), "sum over splits"),
        ("patients total", "classes"): (sum(text[k] for k in ["COVID-19", *others]), "COVID-19 + all others"),
        ("patients total", "sources"): (sum(text[k] for k in [*public, *others]), " + ".join([*public, *others])),
        ("patients total", "Table 1"): (sum(table[s, "Total"] for s in splits), "sum over splits"),
        (public[1], "images with mask"): (sum(text[k] for k in masks), " + ".join(masks)),
    }
    return [
        finding(f"recon-mtl/text: {row}", column, how, total, _difference(total, text[row]), text[row])
        for (row, column), (total, how) in lines.items()
    ]


def _difference(total: int, stated: int) -> str:
    return "agrees" if total == stated else f"does not agree: {total - stated:+d}"


def _gains() -> list[Cell]:
    """Which comparison gives the "+7 %" of the text? One of the named rows prints no Dice."""
    table, best = "recon-mtl/table-2", "Exp1: Ours (T1&T2&T3 256 x 256)"
    values = printed(table)
    cells = []
    for row in ("Exp1: T1 & T2", "Exp1: T1 & T3", "Exp1: T2 & T3"):
        name, how = f"{table}: {best}", f"Dice - that of {row}, percent points"
        if (row, "Dice") not in values:
            words = f"{row} prints no Dice: nothing can be gained over it"
            cells.append(finding(name, f"gain over {row}", how, "none", words, values[best, "Dice"]))
            continue
        gain = round(_value(table, best, "Dice").value - _value(table, row, "Dice").value, TWO)
        relative = gain / _value(table, row, "Dice").value
        cells.append(
            finding(name, f"gain over {row}", how, gain, f"{relative:+.1%} relative", values[best, "Dice"]),
        )
    return cells
