"""Round numbers and round times for the axes of charts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, floor, log10
from typing import TypeVar

Item = TypeVar("Item")

STEPS = tuple(
    timedelta(**{unit: n})
    for unit, sizes in (
        ("seconds", (1, 2, 5, 10, 15, 30)),
        ("minutes", (1, 2, 5, 10, 15, 30)),
        ("hours", (1, 2, 3, 6, 12)),
        ("days", (1, 2, 7, 14, 28, 56, 112)),
    )
    for n in sizes
)
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday, so that weeks start there


def round_step(length: float, at_most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that cuts the length in so many parts.

    >>> round_step(1.1, 6)
    0.2
    """
    raw = length / at_most
    power = 10.0 ** floor(log10(raw))
    return next(round(power * n, 12) for n in (1, 2, 5, 10) if power * n >= raw * (1 - 1e-9))


def ticks(low: float, high: float, at_most: int) -> list[float]:
    """Round values from `low` to `high`, zero among them if it lies there.

    >>> ticks(-0.31, 0.62, 6)
    [-0.2, 0.0, 0.2, 0.4, 0.6]
    """
    step = round_step(high - low, at_most)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(n * step, 12) + 0.0 for n in range(first, last + 1)]


def time_ticks(start: datetime, end: datetime, at_most: int) -> list[tuple[datetime, str]]:
    """Round moments between two times with their words, days where the step is a day or more."""
    length = end - start
    step = next((s for s in STEPS if length / s <= at_most), STEPS[-1])
    n = ceil((start - EPOCH) / step)
    marks: list[tuple[datetime, str]] = []
    while EPOCH + n * step <= end:
        at = EPOCH + n * step
        marks.append((at, _tick_words(at, step, is_first=not marks)))
        n += 1
    return marks


def _tick_words(at: datetime, step: timedelta, *, is_first: bool) -> str:
    day = f"{at.day} {at:%b}"
    if step >= timedelta(days=1) or (at.hour, at.minute, at.second) == (0, 0, 0):
        return day
    text = f"{at:%H:%M:%S}" if step < timedelta(minutes=1) else f"{at:%H:%M}"
    return f"{day} {text}" if is_first else text


def thinned(rows: Sequence[Item], at_most: int) -> list[Item]:
    """Evenly chosen rows, the first and the last among them."""
    if len(rows) <= at_most:
        return list(rows)
    places = sorted({round(i * (len(rows) - 1) / (at_most - 1)) for i in range(at_most)})
    return [rows[place] for place in places]
