"""Numbers as readers see them: text of a table's CSV in, rounded text out; the page's source keeps the exact text."""

from decimal import Decimal, InvalidOperation

from markupsafe import Markup, escape

LEAST, SIGNIFICANT = 3, 3  # decimals of a fraction, digits of a small one


def shown(text: str, decimals: int = LEAST) -> str:
    """ "0.929911" -> "0.930", "51.457" -> "51.46", "0.000529" as it is, "5826" -> "5,826"; other text as it is."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if not value.is_finite() or "e" in text.lower():
        return text
    if "." not in text:
        return f"{int(value):,}"
    size = abs(value)
    if size == 0:
        return "0"
    if size < Decimal("0.01"):
        places = SIGNIFICANT - 1 - value.adjusted()
    else:
        places = max(1, decimals - max(0, value.adjusted()))
    places = min(places, -int(value.as_tuple().exponent))
    return f"{value:,.{places}f}"


def number(text: str, decimals: int = LEAST) -> Markup:
    """The shown number, with the exact one of the table in the attribute `value`; other text escaped."""
    try:
        Decimal(text)
    except InvalidOperation:
        return escape(text)
    return Markup('<data value="{}">{}</data>').format(text, shown(text, decimals))


def printed(text: str) -> Markup:
    """A value as its paper prints it; only whole numbers longer than a year are grouped."""
    return number(text) if text.isdecimal() and len(text) > 4 else escape(text)


def duration(seconds: float) -> str:
    """Seconds as a reader says them: "45 s", "19 min", "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
