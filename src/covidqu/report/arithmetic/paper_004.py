"""Paper 004 against itself: what one count of images or patients can give, and gains in Dice.

Input: printed values; output: cells of `common/published-consistency` (see `consistency`).
"""

from itertools import product

from covidqu.report.arithmetic.rounded import (
    AGREES,
    DISAGREES,
    counts_that_fit,
    finding,
    of_printed,
)
from covidqu.report.core.cells import Cell
from covidqu.report.core.published import printed

TWO = 2  # decimals of differences that are counted as the same


def findings() -> list[Cell]:
    """Shares of 50 + 50 test images, sums over sources, sizes of images, gains in Dice."""
    return [*_steps(), *_sums(), *_sizes(), *_gains()]


def _steps() -> list[Cell]:
    table, images = "recon-mtl/table-2", printed("recon-mtl/table-1")
    sizes = {"Sens": int(images["Test", "COVID"]), "Spec": int(images["Test", "Non-COVID"])}
    values = printed(table)
    cells = []
    for row in dict.fromkeys(row for row, _ in values):
        if (row, "Sens") not in values:
            continue
        for column, n in sizes.items():
            share = of_printed(table, row, column)
            nearest = round(share.value * n) / n
            fits = abs(nearest - share.value) < 1e-9
            word = "a multiple" if fits else f"not a multiple: no whole number of {n} images gives it"
            how = f"nearest multiple of 1 / {n}"
            cells.append(finding(f"{table}: {row}", column, how, nearest, word, share.value))
        cells.append(_whole_images(table, row, sizes))
    return cells


def _whole_images(table: str, row: str, sizes: dict[str, int]) -> Cell:
    """Accuracy of Sens and Spec; is there a whole number of right images of each class for all three?"""
    total, accuracy = sum(sizes.values()), of_printed(table, row, "Acc")
    shares = {column: of_printed(table, row, column) for column in sizes}
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


def _sizes() -> list[Cell]:
    """A mean lies between the smallest and the largest."""
    values, cells = printed("recon-mtl/text"), []
    for side in ("height", "width"):
        row = f"public COVID-CT: {side}"
        low, high, mean = (int(values[f"{row}, {which}", "value"]) for which in ("smallest", "largest", "mean"))
        words = AGREES if low <= mean <= high else f"{DISAGREES}: outside"
        words += "; largest and mean exchanged would fit" if low <= high < mean else ""
        how = "smallest to largest"
        cells.append(finding(f"recon-mtl/text: {row}, mean", "range", how, f"{low} to {high}", words, mean))
    return cells


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
        gain = round(of_printed(table, best, "Dice").value - of_printed(table, row, "Dice").value, TWO)
        relative = gain / of_printed(table, row, "Dice").value
        cells.append(
            finding(name, f"gain over {row}", how, gain, f"{relative:+.1%} relative", values[best, "Dice"]),
        )
    return cells
