"""Numbers as readers see them: text of a table's CSV in, rounded text out; the page's source keeps the exact text.

One rule: a number with an interval has the decimals that two significant digits of the interval's width need, and so
have the interval's ends; a fraction has at least three, so that a column has one width. Whole numbers are grouped by
thousands.
"""

from decimal import Decimal, InvalidOperation
from math import floor, log10

from markupsafe import Markup, escape

LEAST, MOST = 3, 6  # decimals of a fraction, and of any number in a CSV
SIGNIFICANT = 3  # digits of a small number


def supported(value: str, low: str, high: str) -> int | None:
    """Decimals that an interval supports; None where there is none, or one without a width."""
    width = float(high) - float(low) if low and high else 0
    if width <= 0:
        return None
    least = LEAST if abs(float(value)) <= 1 else 0
    return min(MOST, max(least, 1 - floor(log10(width))))


def shown(text: str, decimals: int = LEAST, *, exact: int | None = None, padded: bool = False) -> str:
    """ "0.929911" -> "0.930", "51.457" -> "51.46", "0.000529" as it is, "5826" -> "5,826"; other text as it is.

    `exact`: so many decimals, whatever the size. `padded`: zeros at the end that the CSV leaves out, as of a
    measurement; else a number has the digits that it was given.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if not value.is_finite() or "e" in text.lower():
        return text
    if "." not in text:
        return f"{int(value):,}"
    if exact is not None:
        return f"{value:,.{exact}f}"
    size = abs(value)
    if size == 0:
        return f"{size:.{decimals}f}" if padded else "0"
    if size < Decimal("0.001" if padded else "0.01"):
        places = SIGNIFICANT - 1 - value.adjusted()
    else:
        places = max(1, decimals - max(0, value.adjusted()))
    if not padded:
        places = min(places, -int(value.as_tuple().exponent))
    return f"{value:,.{min(places, MOST)}f}"


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
