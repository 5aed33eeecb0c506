"""Does a measured value reproduce the printed one? A printed and a measured value in, one word with its reason out.

The rule (`RULE` states it to readers): both stand under the paper's own protocol. The printed value stands for all
values that round to it, the measured one for its bootstrap interval. They reproduce each other when the two overlap.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from covidqu.report.arithmetic.rounded import Rounded, overlap
from covidqu.report.core.cells import NOT_RUN
from covidqu.report.core.provenance import full
from covidqu.report.core.published import SYSTEMS, paper
from covidqu.report.core.sources import Sources
from covidqu.report.papers.paper_001 import A_SETTING

REPRODUCED, ABOVE, BELOW = "reproduced", "above", "below"
NOT_COMPARABLE, MISSING, SETTING = "not comparable", "not run", "setting"
WORDS = (REPRODUCED, ABOVE, BELOW, NOT_COMPARABLE, MISSING, SETTING)
RULE = (
    "A printed value stands for everything that rounds to it. The value measured under the paper's protocol stands "
    "for its bootstrap interval over test images; the interval is that of the correct protocol, moved to the "
    "value under the paper's. If the two ranges overlap the word is “reproduced”, otherwise “above” or "
    "“below” says on which side of the printed value ours lies, not which is better. Without an interval only "
    "rounding counts. “Not comparable”: printed for other images (CT, or another subset), not measured under the "
    "paper's protocol, or no number."
)
MAGNITUDES = {"K": 3, "M": 6}


@dataclass(frozen=True)
class Verdict:
    """`word` is one of `WORDS`; `reason` says in words why."""

    word: str
    reason: str


def judge(row: dict[str, str], decimals: int | None = None, other_images: str = "") -> Verdict | None:
    """The verdict on one row of a table's CSV; None where nothing is printed.

    `decimals`: to how many the paper prints (trailing zeros are lost in a number), where that is more than the value
    shows. `other_images`: why printed and measured value are of different images.
    """
    printed, ours = row["published"], row["measured_paper"]
    if not printed:
        return None
    if not ours and not row["measured_correct"]:
        return Verdict(MISSING, row["note"].removeprefix(NOT_RUN))
    if row["note"] == A_SETTING:
        return Verdict(SETTING, A_SETTING)
    if other_images:
        return Verdict(NOT_COMPARABLE, other_images)
    if not ours:
        return Verdict(NOT_COMPARABLE, "not measured under the paper's protocol")
    known, value = rounded(printed, decimals), rounded(ours)
    if known is None or value is None:
        same = printed == ours
        return Verdict(REPRODUCED, "the same words") if same else Verdict(NOT_COMPARABLE, "no number is printed")
    return _numbers(known, value.value, row)


def _numbers(printed: Rounded, ours: float, row: dict[str, str]) -> Verdict:
    below = above = 0.0
    if row["ci_low"] and row["ci_high"]:
        centre = float(row["measured_correct"])
        below, above = centre - float(row["ci_low"]), float(row["ci_high"]) - centre
    if overlap(printed.span, (ours - below, ours + above)) is not None:
        return Verdict(REPRODUCED, "within the interval of ours" if below or above else "rounds to the printed value")
    side = ABOVE if ours > printed.value else BELOW
    return Verdict(side, f"ours is {abs(ours - printed.value):.4g} {side} the printed value")


def rounded(text: str, decimals: int | None = None) -> Rounded | None:
    """A number as printed, "44.09M" included; None for other text. `decimals` can only make it more precise."""
    try:
        value = Decimal(text[:-1]).scaleb(MAGNITUDES[text[-1]]) if text[-1:] in MAGNITUDES else Decimal(text)
    except InvalidOperation:
        return None
    shown = -int(value.as_tuple().exponent)
    return Rounded(float(value), max(shown, decimals) if decimals is not None and shown >= 0 else shown)


def printed_decimals(table: str) -> dict[str, int]:
    """Column -> most decimals printed in it, of one of a paper's tables; empty for other tables."""
    system, short = table.split("/", 1)
    found: dict[str, int] = {}
    if system in SYSTEMS:
        for (_, column), value in paper(system).tables[short].cells().items():
            number = rounded(str(value))
            if number is not None:
                found[column] = max(found.get(column, 0), number.decimals)
    return found


def other_images(sources: Sources, system: str, run: str) -> str:
    """Why the printed values of a system are of other images than those of `run`; empty when they are not."""
    if system in SYSTEMS and paper(system).name.endswith("on CT"):
        return "printed for CT images, measured on chest X-rays"
    if run and sources.has_card(run):
        here, wanted = sources.card(run)["config"]["subset"], full(sources.params, run).get("subset")
        if wanted not in (None, here):
            return f"printed for test images of the {wanted} subset, measured on those of the {here} subset"
    return ""
