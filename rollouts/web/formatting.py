"""Numbers and times as people read them, the same in pages, charts, alerts and verdicts.

No-break spaces keep "12 %" and "(−4 to +9)" together; a minus is a minus, not a hyphen.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import floor, isfinite, log10

from markupsafe import Markup

NBSP = "\u00a0"
MINUS = "\u2212"
NONE = "–"  # what stands where there is no number
BRIEF = timedelta(hours=2)


def number(value: float | None, figures: int = 3) -> str:
    """Plain number with `figures` significant figures; whole thousands get separators."""
    if value is None or not isfinite(value):
        return NONE
    places = 0 if value == 0 else max(0, figures - 1 - floor(log10(abs(value))))
    text = f"{value:,.{min(places, 6)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return _true_minus(text)


def count(value: float | None) -> str:
    """A count of people or events: whole, with thousands separators."""
    if value is None or not isfinite(value):
        return NONE
    return _true_minus(f"{value:,.0f}")


def signed(text: str) -> str:
    """The text of a number with its sign: a plus where nothing or a minus would stand."""
    return text if text.startswith(MINUS) or text in ("0", NONE) else f"+{text}"


def figures_of(share: float | None) -> str:
    """A share or effect in per cent without the sign for it: two figures, whole above ten."""
    if share is None or not isfinite(share):
        return NONE
    percent = share * 100
    size = abs(percent)
    if size >= 9.95:
        return _true_minus(f"{percent:,.0f}")
    text = f"{percent:.2f}" if size < 0.995 else f"{percent:.1f}"
    return _true_minus(text.rstrip("0").rstrip("."))


def percent(share: float | None) -> str:
    """A share as "31 %"."""
    return NONE if share is None else figures_of(share) + f"{NBSP}%"


def change(share: float | None) -> str:
    """A relative effect as "+31 %" or "−4.5 %"."""
    return NONE if share is None else signed(figures_of(share)) + f"{NBSP}%"


def points(share: float | None) -> str:
    """An absolute effect on a share, in percentage points."""
    return NONE if share is None else signed(figures_of(share)) + f"{NBSP}points"


def span(low: float | None, high: float | None) -> str:
    """An interval of effects beside its estimate: "(+18 to +46)"."""
    return together(f"({signed(figures_of(low))} to {signed(figures_of(high))})")


def between(low: float | None, high: float | None) -> str:
    """An interval inside a sentence: "between 18 % and 46 %"."""
    return f"between {percent(low)} and {percent(high)}"


def exact_share(share: float | None) -> str:
    """A measured share with three figures: "7.5 %", "41.3 %"."""
    return NONE if share is None else number(share * 100) + f"{NBSP}%"


def p_value(value: float | None) -> str:
    """A p-value, never more exact than it is worth."""
    if value is None:
        return "not yet known"
    if value < 0.001:
        return f"p{NBSP}<{NBSP}0.001"
    return f"p{NBSP}={NBSP}{value:.2f}" if value >= 0.1 else f"p{NBSP}={NBSP}{value:.3f}"


def plural(n: float | None, one: str, many: str = "") -> str:
    """A count with its word: "1 contact", "212 contacts"."""
    word = one if n is not None and abs(n) == 1 else many or f"{one}s"
    return f"{count(n)} {word}"


def together(text: str) -> str:
    """The text with no place to break a line."""
    return text.replace(" ", NBSP)


def duration(length: timedelta | float | None) -> str:
    """How long, in at most two units: "3 days", "9 hours 30 minutes", "40 seconds"."""
    if length is None:
        return NONE
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    left = round(abs(seconds)) if abs(seconds) >= 1 else 0
    if left == 0:
        return f"{number(seconds, 2)} seconds" if seconds else "0 seconds"
    parts = []
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        whole, left = divmod(left, size)
        if whole:
            parts.append(plural(whole, word))
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def moment(value: datetime | str | None) -> datetime | None:
    """A time from the store or from a snapshot, aware and in UTC."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def day(value: datetime | str | None, *, year: bool = False) -> str:
    """The day in words: "14 May", "14 May 2026"."""
    at = moment(value)
    if at is None:
        return NONE
    return f"{at.day} {at:%b %Y}" if year else f"{at.day} {at:%b}"


def clock(value: datetime | str | None, *, seconds: bool = False) -> str:
    """Day and minute, or second: "14 May 09:42"."""
    at = moment(value)
    if at is None:
        return NONE
    return f"{at.day} {at:%b} {at:%H:%M:%S}" if seconds else f"{at.day} {at:%b} {at:%H:%M}"


def is_brief(first: datetime | str | None, last: datetime | str | None) -> bool:
    """Whether two moments are so close that only seconds tell things in between apart."""
    start, end = moment(first), moment(last)
    return start is not None and end is not None and abs(end - start) < BRIEF


def ago(value: datetime | str | None, now: datetime) -> str:
    """How long since: relative under a day, the date from then on."""
    at = moment(value)
    if at is None:
        return NONE
    gone = now - at
    if gone < timedelta(seconds=60):
        return "just now" if gone >= timedelta(seconds=-60) else clock(at)
    if gone < timedelta(hours=1):
        return plural(gone // timedelta(minutes=1), "minute") + " ago"
    if gone < timedelta(days=1):
        return plural(gone // timedelta(hours=1), "hour") + " ago"
    return clock(at)


def exactly(value: datetime | str | None) -> str:
    """To the second with the zone, for whatever leaves the page."""
    at = moment(value)
    return NONE if at is None else f"{at.day} {at:%B %Y %H:%M:%S} UTC"


def time_tag(value: datetime | str | None, words: str) -> Markup:
    """The words as `<time>`, with the exact time for machines and on hover."""
    at = moment(value)
    if at is None:
        return Markup("{}").format(words)  # a constant; `format` escapes
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), exactly(at), words
    )


def days_between(start: datetime | str | None, end: datetime | str | None) -> str:
    """A stretch of days: "11 to 14 May 2026", "14 May 2026"."""
    first, last = moment(start), moment(end)
    if first is None:
        return "not started"
    if last is None:
        return f"since {day(first, year=True)}"
    if first.date() == last.date():
        return day(first, year=True)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {day(last, year=True)}"
    return f"{day(first, year=first.year != last.year)} to {day(last, year=True)}"


def _true_minus(text: str) -> str:
    if text.startswith("-") and not any(c in "123456789" for c in text):
        text = text[1:]  # no "−0"
    return text.replace("-", MINUS)
