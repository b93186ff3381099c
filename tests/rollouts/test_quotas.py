"""What one key may send, by a given clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from rollouts.config import Settings
from rollouts.errors import TooMany
from rollouts.quotas import Bucket, Quotas
from rollouts.telemetry import THROTTLED

START = datetime(2026, 5, 14, 10, 0, tzinfo=UTC)
LIMITS = Settings(
    ingest_key_requests_per_second=10,
    ingest_key_bytes_per_second=1_000,
    ingest_key_events_per_second=100,
    browser_key_events_per_second=5,
    ingest_burst_seconds=2.0,
)


def at(seconds: float) -> datetime:
    """So long after the first request."""
    return START + timedelta(seconds=seconds)


def n_admitted(quotas: Quotas, key: str, seconds: float, n: int = 100) -> int:
    """How many of some requests at one moment are let in."""
    held = 0
    for _ in range(n):
        try:
            quotas.enter(key, is_public=False, now=at(seconds))
        except TooMany:
            continue
        held += 1
    return held


def test_a_quiet_key_may_burst_and_then_keeps_to_its_rate() -> None:
    """Two seconds' worth at once, then ten a second, however long the silence before."""
    quotas = Quotas(LIMITS)

    assert [n_admitted(quotas, "k", second) for second in (0, 0, 1, 1.5, 3_600)] == [
        20,
        0,
        10,
        5,
        20,
    ]


def test_one_key_does_not_use_up_anothers() -> None:
    """Each key has its own buckets."""
    quotas = Quotas(LIMITS)

    assert n_admitted(quotas, "loud", 0) == 20
    assert n_admitted(quotas, "quiet", 0) == 20


@pytest.mark.parametrize(
    ("is_public", "n_events", "n_bytes", "limit", "wait"),
    [
        (False, 300, 0, "events", 2),
        (True, 15, 0, "events", 2),
        (False, 0, 2_500, "bytes", 1),
        (True, 0, 2_500, "bytes", 1),
        (True, 10**9, 0, "events", 3),
    ],
)
def test_a_large_batch_is_taken_and_the_next_one_waits(
    is_public: bool, n_events: int, n_bytes: int, limit: str, wait: int
) -> None:
    """Nothing is refused for its size; the wait covers the debt, which has a bound."""
    quotas = Quotas(LIMITS)
    quotas.enter("k", is_public=is_public, now=START)
    quotas.spend("k", n_bytes=n_bytes, n_events=n_events)

    with pytest.raises(TooMany, match=f"more {limit} than") as refused:
        quotas.enter("k", is_public=is_public, now=START)

    assert refused.value.retry_after_seconds == wait
    with pytest.raises(TooMany):
        quotas.enter("k", is_public=is_public, now=at(wait - 1))
    quotas.enter("k", is_public=is_public, now=at(wait))


def test_refusals_are_counted_and_logged_now_and_then() -> None:
    """Every one is in the metrics; the log has one line in ten seconds, with their number."""
    quotas = Quotas(LIMITS)
    before = THROTTLED.labels("requests")._value.get()

    with capture_logs() as logged:
        n_admitted(quotas, "k", 0, 25)
        n_admitted(quotas, "k", 1, 15)
        n_admitted(quotas, "k", 11, 25)

    assert THROTTLED.labels("requests")._value.get() - before == 15
    assert [(line["event"], line["key_id"], line["n_refused"]) for line in logged] == [
        ("key_over_limit", "k", 1),
        ("key_over_limit", "k", 10),
    ]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    """No tokens are made from a clock that was set back."""
    bucket = Bucket.full(10, 1, at(10))
    bucket.take(10)
    bucket.fill(at(0))

    assert bucket.level == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50)), max_size=60))
def test_no_pattern_of_requests_gets_more_than_burst_and_rate(
    steps: list[tuple[float, int]],
) -> None:
    """Over any stretch of time: what was let in is at most the burst and the rate times it."""
    quotas, now, admitted = Quotas(LIMITS), 0.0, 0
    for pause, n in steps:
        now += pause
        admitted += n_admitted(quotas, "k", now, n)

    assert admitted <= 20 + 10 * now + 1e-6
