"""Numbers on the pages: rounded as `report.core.numbers` says, the exact text beside them in the page's source."""

from decimal import Decimal, InvalidOperation

from markupsafe import Markup, escape

from covidqu.report.core.numbers import LEAST, shown


def number(text: str, decimals: int = LEAST, *, exact: int | None = None, padded: bool = False) -> Markup:
    """The shown number, with the exact one of the table in the attribute `value`; other text escaped."""
    try:
        Decimal(text)
    except InvalidOperation:
        return escape(text)
    return Markup('<data value="{}">{}</data>').format(text, shown(text, decimals, exact=exact, padded=padded))


def percent(text: str, unit: str = " %") -> Markup:
    """A share as a percentage, "0.443299" -> "44.3 %"; the exact share in the attribute `value`."""
    return Markup('<data value="{}">{}{}</data>').format(text, f"{100 * float(text):.1f}", unit)


def printed(text: str, column: str = "") -> Markup:
    """A value as its paper prints it; whole numbers are grouped by thousands as ours are, but for a year."""
    return number(text) if text.isdecimal() and len(text) > 3 and column != "Year" else escape(text)


def duration(seconds: float) -> str:
    """Seconds as a reader says them: "45 s", "19 min", "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
