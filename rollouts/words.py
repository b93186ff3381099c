"""Numbers as people read them, for sentences that travel: reports, alerts, timeline, API."""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor, log10

NBSP = "\u00a0"
MINUS = "−"


def count(value: float) -> str:
    """A whole number with commas.

    >>> count(61760.2)
    '61,760'
    """
    return f"{round(value):,}".replace("-", MINUS)


def figures(value: float, digits: int = 2) -> str:
    """A number to so many significant figures, without an exponent.

    >>> [figures(value) for value in (0.3141, 31.41, 314.1, 0.00314, 5.0)]
    ['0.31', '31', '314', '0.0031', '5']
    """
    if value == 0:
        return "0"
    places = max(0, digits - 1 - floor(log10(abs(value))))
    text = f"{value:,.{places}f}".replace("-", MINUS)
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float, *, signed: bool = False) -> str:
    """A share as per cent, to two figures.

    >>> percent(0.314).replace(NBSP, " "), percent(-0.0412, signed=True).replace(NBSP, " ")
    ('31 %', '−4.1 %')
    """
    text = figures(share * 100) if abs(share) < 10 else count(share * 100)
    plus = "+" if signed and share > 0 else ""
    return f"{plus}{text}{NBSP}%"


def moment(at: datetime) -> str:
    """A day and time with its zone.

    >>> moment(datetime(2026, 5, 14, 9, 42, tzinfo=UTC))
    '14 May at 09:42 UTC'
    """
    held = at.astimezone(UTC)
    return f"{held.day} {held:%B} at {held:%H:%M} UTC"


def plural(value: float, word: str) -> str:
    """A count with its word; words ending in s are taken for plurals already.

    >>> plural(1, "contacts"), plural(212, "contact")
    ('1 contact', '212 contacts')
    """
    stem = word.removesuffix("s")
    return f"{count(value)} {stem if abs(round(value)) == 1 else stem + 's'}"


def absolute(value: float, form: str) -> str:
    """A difference that is no percentage: a share in points, seconds as time, or plainly.

    >>> [absolute(0.031, "share"), absolute(5400.0, "seconds"), absolute(5.26, "number")]
    ['3.1 points', '1.5 hours', '5.3']
    """
    if form == "share":
        return f"{figures(value * 100)} points"
    if form != "seconds":
        return figures(value)
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if abs(value) >= size:
            return f"{figures(value / size)} {name}"
    return f"{figures(value)} seconds"
