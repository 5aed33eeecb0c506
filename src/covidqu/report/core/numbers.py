"""Numbers as readers see them: text of a table's CSV in, rounded text out.

One rule: a number with an interval has the decimals that two significant digits of the interval's width need, and so
have the interval's ends; a fraction has at least three, so that a column has one width. Whole numbers are grouped by
thousands.
"""

from decimal import Decimal, InvalidOperation
from math import floor, log10

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
