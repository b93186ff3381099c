"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.web import formatting as say

NOW = datetime(2026, 5, 14, 10, 6, tzinfo=UTC)
shares = st.floats(-50, 50, allow_nan=False)
numbers = st.floats(-1e9, 1e9, allow_nan=False)


def read(text: str) -> float:
    """The number a text shows."""
    bare = text.replace(say.MINUS, "-").replace(say.NBSP, "").replace("%", "").replace("+", "")
    return float(bare.replace(",", ""))


@given(shares)
def test_percent_keeps_two_figures(share: float):
    """What is shown is what was measured, to two figures or to the whole per cent."""
    shown = read(say.percent(share))

    assert shown == pytest.approx(share * 100, abs=max(0.5, 0.0005 * abs(share)), rel=0.06)
    assert abs(shown - share * 100) <= (0.5 if abs(share) >= 0.0995 else 0.0501) + 1e-9


@given(shares)
def test_percent_never_breaks_and_has_a_true_minus(share: float):
    """A line never breaks before the sign, and a hyphen never stands for a minus."""
    for text in (say.percent(share), say.change(share)):
        assert " " not in text
        assert "-" not in text
        assert text.endswith(f"{say.NBSP}%")
        assert not text.startswith(f"{say.MINUS}0{say.NBSP}")


@given(shares)
def test_change_always_says_which_way(share: float):
    """An effect has its sign, but nothing is plus zero."""
    text = say.change(share)

    assert text[0] in "+−" or text == f"0{say.NBSP}%"


@given(numbers)
def test_count_is_whole_and_grouped(value: float):
    """Thousands have separators, and the number is the nearest whole one."""
    text = say.count(value)

    assert abs(read(text) - value) <= 0.5
    assert "." not in text
    assert all(len(part) == 3 for part in text.lstrip(say.MINUS).split(",")[1:])


@given(st.floats(1e-3, 1e9, allow_nan=False))
def test_number_keeps_its_figures(value: float):
    """Three significant figures are kept, whatever the size."""
    assert read(say.number(value)) == pytest.approx(value, rel=5e-3)


@given(shares, shares)
def test_span_stays_on_one_line(low: float, high: float):
    """An interval beside its estimate does not break."""
    text = say.span(low, high)

    assert " " not in text
    assert f"{say.NBSP}to{say.NBSP}" in text


@given(st.integers(0, 10**9))
def test_duration_has_at_most_two_units(seconds: int):
    """Long stretches are not told to the second."""
    text = say.duration(seconds)

    assert 2 <= len(text.split()) <= 4
    assert not f" {text} ".count(" 1 days ")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.31, "+31 %"),
        (-0.045, "−4.5 %"),
        (0.0045, "+0.45 %"),
        (0.0996, "+10 %"),
        (0.04, "+4 %"),
        (1.234, "+123 %"),
        (-0.000001, "0 %"),
        (None, "–"),
        (float("nan"), "– %"),
    ],
)
def test_effects_read_like_this(share: float | None, text: str):
    """Two figures below ten, whole above."""
    assert say.change(share).replace(say.NBSP, " ") == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=24), "24 minutes ago"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=1), "13 May 10:06"),
        (timedelta(hours=-2), "14 May 12:06"),
    ],
)
def test_relative_only_under_a_day(ago: timedelta, text: str):
    """Older moments, and those to come, have their date."""
    assert say.ago(NOW - ago, NOW) == text


def test_time_tag_has_the_exact_time_and_escapes_words():
    """Machines and the pointer get the exact time; words are text."""
    tag = say.time_tag("2026-05-14T09:42:07+00:00", "<b>14 May")

    assert tag == (
        '<time datetime="2026-05-14T09:42:07+00:00" title="14 May 2026 09:42:07 UTC">'
        "&lt;b&gt;14 May</time>"
    )
    assert say.time_tag(None, "<i>") == "&lt;i&gt;"


def test_times_of_other_zones_are_shown_in_utc():
    """One zone per page."""
    assert say.clock("2026-05-14T09:42:00+02:00") == "14 May 07:42"


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (None, None, "not started"),
        ("2026-05-11", None, "since 11 May 2026"),
        ("2026-05-11", "2026-05-14", "11 to 14 May 2026"),
        ("2026-04-20", "2026-05-11", "20 Apr to 11 May 2026"),
        ("2025-12-30", "2026-01-02", "30 Dec 2025 to 2 Jan 2026"),
        ("2026-05-14", "2026-05-14", "14 May 2026"),
    ],
)
def test_stretches_of_days(start: str | None, end: str | None, text: str):
    """Month and year are said once where once is enough."""
    assert say.days_between(start, end) == text


def test_p_values_are_not_more_exact_than_they_are_worth():
    """Three figures at most, and never zero."""
    shown = [say.p_value(p).replace(say.NBSP, " ") for p in (1e-12, 0.0123, 0.41, None)]

    assert shown == ["p < 0.001", "p = 0.012", "p = 0.41", "not yet known"]
