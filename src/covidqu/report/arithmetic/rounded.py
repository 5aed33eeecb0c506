"""Arithmetic on printed numbers: what a rounded value can stand for, and what follows from several of them.

Input: values as printed and their decimals. Output: ranges, counts, and `Cell`s that name printed value, recomputed
value and a verdict. Nothing here is measured.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import log10
from typing import TypeVar

import numpy as np

from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind
from covidqu.report.core.published import paper

Span = tuple[float, float]
Dice = TypeVar("Dice", float, np.ndarray)
SLACK = 1e-9  # a printed value may lie on the edge of what rounds to it
AGREES, DISAGREES = "agrees", "does not agree"
UNPRINTED = "follows from printed values; the paper prints no such number"


@dataclass(frozen=True)
class Rounded:
    """A printed value and the decimals that it was rounded to."""

    value: float
    decimals: int

    @property
    def span(self) -> Span:
        """Smallest and largest value that is printed so."""
        half = 0.5 * 10.0**-self.decimals
        return self.value - half, self.value + half


def of_printed(table: str, row: str, column: str) -> Rounded:
    """A printed number, with the decimals of its column."""
    system, short = table.split("/", 1)
    known = paper(system).tables[short]
    decimals = known.decimals_of(column)
    assert decimals is not None, f"{table}: {column} holds no number"
    return Rounded(float(known.cells()[row, column]), decimals)


def reach(function: Callable[..., float], inputs: Iterable[Rounded]) -> Span:
    """Range of `function` over all values that the inputs can stand for, taken at the corners of the box.

    Exact for a function that is monotone in each argument, as all that are used here are.
    """
    found = [function(*corner) for corner in product(*(item.span for item in inputs))]
    return min(found), max(found)


def overlap(one: Span, other: Span) -> Span | None:
    """The values in both ranges; None when there are none."""
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low <= high + SLACK else None


def counts_that_fit(total: int, share: Rounded) -> list[int]:
    """All k with k / total rounding to the printed share."""
    low, high = share.span
    return [k for k in range(total + 1) if low - SLACK <= k / total <= high + SLACK]


def totals_that_fit(part: int, share: Rounded, limit: int) -> list[int]:
    """All n from 1 to `limit` with part / n rounding to the printed share."""
    low, high = share.span
    return [n for n in range(max(1, part), limit + 1) if low - SLACK <= part / n <= high + SLACK]


def confusion_matrices(
    diagonal: tuple[int, ...], rows: tuple[int, ...], columns: tuple[int, ...]
) -> list[tuple[tuple[int, ...], ...]]:
    """All 3 x 3 matrices of counts with this diagonal and these margins (rows are the truth), in order of [0][1]."""
    assert len(diagonal) == len(rows) == len(columns) == 3, "three classes"
    found: list[tuple[tuple[int, ...], ...]] = []
    for first in range(rows[0] - diagonal[0] + 1):
        top = (diagonal[0], first, rows[0] - diagonal[0] - first)
        last_middle = columns[1] - diagonal[1] - first
        bottom = (rows[2] - diagonal[2] - last_middle, last_middle, diagonal[2])
        middle_left = columns[0] - diagonal[0] - bottom[0]
        middle = (middle_left, diagonal[1], rows[1] - diagonal[1] - middle_left)
        fits = top[2] + middle[2] + diagonal[2] == columns[2]
        if fits and min(*top, *middle, *bottom) >= 0:
            found.append((top, middle, bottom))
    return found


def finding(row: str, column: str, how: str, recomputed: Value, verdict: str, printed: Value = None) -> Cell:
    """One line: printed value, what the printed numbers give (`how`), and the verdict in words."""
    return Cell(row, column, printed, None, recomputed, "", how, note=verdict, kind=Kind.ARITHMETIC)


def compared(
    row: str, column: str, how: str, printed: Rounded | None, function: Callable[..., float], inputs: list[Rounded]
) -> Cell:
    """`function` of printed inputs beside the printed outcome; they agree when one rounding can give both."""
    value = float(function(*(item.value for item in inputs)))
    low, high = reach(function, inputs)
    possible = f"{low:.6g} to {high:.6g} with the inputs' rounding"
    if printed is None:
        return finding(row, column, how, value, f"{UNPRINTED} ({possible})")
    word = AGREES if overlap(printed.span, (low, high)) else DISAGREES
    return finding(row, column, how, value, f"{word} ({possible})", printed.value)


def mean_by(weights: Iterable[float]) -> Callable[..., float]:
    """A weighted mean of as many arguments as there are weights."""
    fixed = tuple(weights)
    return lambda *values: sum(w * v for w, v in zip(fixed, values, strict=True)) / sum(fixed)


def harmonic(a: float, b: float) -> float:
    """Harmonic mean of two positive numbers, such as F1 of precision and recall."""
    return 2 * a * b / (a + b)


def iou_of(dice: float) -> float:
    """IoU of one mask, or of pooled pixels, with this Dice; the least mean IoU of images with this mean Dice."""
    return dice / (2 - dice)


def gap(dice: Dice, iou: Dice) -> Dice:
    """2 J / (1 + J) - D: the Dice that the IoU J has in one mask, or in pooled pixels, minus the stated Dice D.

    0 when both were computed from one set of counts; above 0 when both are means over images or batches that differ
    (Jensen's inequality: 2 J / (1 + J) is concave); below 0 never, with the same masks and averages.
    """
    return 2 * iou / (1 + iou) - dice


def spread(dice: float, iou: float) -> float:
    """SD of Dice over images that puts their mean IoU this far above `iou_of(dice)`, to second order; 0 if below."""
    return max(0.0, (iou - iou_of(dice)) * (2 - dice) ** 3 / 2) ** 0.5


def listed(values: Iterable[float]) -> Value:
    """A single number as it is, several as words."""
    found = list(values)
    return found[0] if len(found) == 1 else " or ".join(f"{v:g}" for v in found) or "none"


def decibel(mse: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error, peak 1."""
    return -10 * log10(mse)
