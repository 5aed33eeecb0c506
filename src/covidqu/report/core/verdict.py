"""What is to be said of a printed value and ours beside it: a cell in, one word with its reason out.

Only performance can be reproduced, and only by a run as large as the printed one, on images like those of the paper.
The rule (`RULE` states it to readers): both stand under the paper's own protocol. The printed value stands for all
values that round to it, the measured one for its own bootstrap interval. They reproduce each other when both overlap.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from covidqu.report.arithmetic.rounded import Rounded, overlap
from covidqu.report.core.cells import Cell, text
from covidqu.report.core.kinds import Kind, Status
from covidqu.report.core.provenance import full
from covidqu.report.core.published import SYSTEMS, paper
from covidqu.report.core.runs import lineage
from covidqu.report.core.sources import Sources
from covidqu.report.core.titles import deviations_of

REPRODUCED, ABOVE, BELOW, REDUCED = "reproduced", "above", "below", "reduced run: no verdict"
AGREES, DIFFERS, SETTING, BY_DEFINITION = "agrees", "differs", "setting", "by definition"
NOT_COMPARABLE = "not comparable"
JUDGED = (REPRODUCED, ABOVE, BELOW)  # words for performance at full size
WITHOUT_NUMBER = tuple(status.value for status in Status if status is not Status.MEASURED)
WORDS = (*JUDGED, REDUCED, AGREES, DIFFERS, SETTING, BY_DEFINITION, NOT_COMPARABLE, *WITHOUT_NUMBER)
RULE = (
    "A printed value stands for everything that rounds to it. The value measured under the paper's protocol stands "
    "for its own bootstrap interval over test images, or over batches where the paper's protocol averages batches "
    "(those with and without annotated pixels apart). If the two ranges overlap the word is “reproduced”, otherwise "
    "“above” or “below” says on which side of the printed value ours lies, not which is better. Without one only "
    "rounding counts. A performance is judged so only if it is that of a run as large as the printed one; of others "
    "the difference is shown, and no verdict given. Counts of images, properties of the data and counts of parameters "
    "“agree” or “differ”; “by definition” marks a value that no run could miss. “Not comparable”: printed for other "
    "images (CT, another subset, or real ones where ours are phantoms), or not measured under the paper's protocol."
)
MAGNITUDES = {"K": 3, "M": 6}
OF_IMAGES = (Kind.DATA, Kind.PERFORMANCE)  # kinds that other images have other values of


@dataclass(frozen=True)
class Verdict:
    """`word` is one of `WORDS`; `reason` says in words why."""

    word: str
    reason: str


def of_cell(sources: Sources, table: str, cell: Cell) -> Verdict | None:
    """The verdict on a cell of the paper's table `{system}/{name}`, or on one taken from it; None: nothing printed."""
    system, short = table.split("/", 1)
    decimals = paper(system).tables[short].decimals_of(cell.column) if system in SYSTEMS else None
    return judge(cell, decimals, other_images(sources, system, cell.run), reduced=bool(changed(sources, cell)))


def judge(cell: Cell, decimals: int | None = None, other_images: str = "", *, reduced: bool = False) -> Verdict | None:
    """The verdict on one cell; None where nothing is printed.

    `decimals`: to how many the paper prints (trailing zeros are lost in a number), where that is more than the value
    shows. `other_images`: why printed and measured value are of different images. `reduced`: the run, or one that it
    rests on, is not the full one.
    """
    if cell.published is None:
        return None
    if not cell.measured:
        return Verdict(cell.status.value, cell.note)
    if other_images and cell.kind in (*OF_IMAGES, None):
        return Verdict(NOT_COMPARABLE, other_images)
    printed = text(cell.published)
    if printed.startswith("<"):
        return _below(float(printed.removeprefix("<")), cell)
    if cell.measured_paper is None:
        same = cell.kind is Kind.SETTING
        return Verdict(SETTING if same else NOT_COMPARABLE, "" if same else "not measured under the paper's protocol")
    if cell.kind is Kind.DEFINITION:
        return Verdict(BY_DEFINITION, "no run could give another value")
    known, value = rounded(printed, decimals), rounded(text(cell.measured_paper))
    if known is None or value is None:
        same_words = printed.casefold() == text(cell.measured_paper).casefold()
        word, why = (REPRODUCED, "the same words") if same_words else ("", "other words")
        word = word or (DIFFERS if cell.kind in (Kind.DATA, Kind.SETTING) else NOT_COMPARABLE)
    else:
        word, why = _numbers(known, value.value, cell)
    if cell.kind is Kind.SETTING:
        other = "not as printed" if any(map(str.isdigit, printed)) else "printed in other words"
        return Verdict(SETTING, "as printed" if word == REPRODUCED else other)
    if cell.kind in (Kind.DATA, Kind.ARCHITECTURE, Kind.ARITHMETIC):
        return Verdict(AGREES if word == REPRODUCED else DIFFERS, why)
    return Verdict(REDUCED, why) if reduced and word in JUDGED else Verdict(word, why)


def _below(limit: float, cell: Cell) -> Verdict:
    """A printed statement "< limit"; ours is the value under the correct protocol."""
    ours = float(cell.measured_correct if cell.measured_correct is not None else cell.measured_paper)  # type: ignore[arg-type]
    word = AGREES if ours < limit else DIFFERS
    return Verdict(word, f"ours is {ours:.4g}: the statement {'holds' if word == AGREES else 'does not hold'}")


def _numbers(printed: Rounded, ours: float, cell: Cell) -> tuple[str, str]:
    if cell.paper_low is not None and cell.paper_high is not None:
        span = cell.paper_low, cell.paper_high
    else:
        span = ours, ours
    if overlap(printed.span, span) is not None:
        return REPRODUCED, "within the interval of ours" if span[0] < span[1] else "rounds to the printed value"
    side = ABOVE if ours > printed.value else BELOW
    return side, f"ours is {abs(ours - printed.value):.4g} {side} the printed value"


def rounded(text: str, decimals: int | None = None) -> Rounded | None:
    """A number as printed, "44.09M" included; None for other text. `decimals` can only make it more precise."""
    try:
        value = Decimal(text[:-1]).scaleb(MAGNITUDES[text[-1]]) if text[-1:] in MAGNITUDES else Decimal(text)
    except InvalidOperation:
        return None
    shown = -int(value.as_tuple().exponent)
    return Rounded(float(value), max(shown, decimals) if decimals is not None and shown >= 0 else shown)


def other_images(sources: Sources, system: str, run: str) -> str:
    """Why the printed values of a system are of other images than those of `run`; empty when they are not."""
    if system in SYSTEMS and sources.params.download.source == "phantom":
        return "printed for real images, measured on drawn phantoms"
    if system in SYSTEMS and paper(system).modality == "CT":
        return "printed for CT images, measured on chest X-rays"
    if run and sources.has_card(run):
        here, wanted = sources.card(run)["config"]["subset"], full(sources.params, run).get("subset")
        if wanted not in (None, here):
            return f"printed for test images of the {wanted} subset, measured on those of the {here} subset"
    return ""


def behind(sources: Sources, cell: Cell) -> list[str]:
    """The runs that a number is from, all seeds of a mean, and those whose weights they start from."""
    repetitions = sources.params.seeds(cell.run) if (cell.seeds or 1) > 1 else [cell.run]
    known = [run for run in repetitions if run in sources.params.resolved]
    return lineage(sources.params, known) if cell.measured else []


def changed(sources: Sources, cell: Cell) -> set[str]:
    """Keys of the settings in which runs behind a number differ from the full ones."""
    return {key for run in behind(sources, cell) for key in deviations_of(sources, run)}
