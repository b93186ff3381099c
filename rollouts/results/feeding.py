"""Whether a metric's feed is late or dead, beside what it was like at earlier looks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from analysis.feeds import feed_lag, feed_volume
from analysis.quality import Check, State

STATE = ":feeds"  # no test's name: theirs have a slash
MOST_LAGS = 99  # kept of each feed
FALSE_ALARM = 0.02  # needs 49 earlier looks
BEYOND_DOUBT = 1e-6  # asked at every look, so far below what one look would need
LEAST_LAG = timedelta(minutes=1)  # below it nobody calls a feed late

Lags = dict[str, list[float]]
CountedBefore = Callable[[str, datetime, timedelta], Sequence[int] | None]


def feed_checks(
    last_event_at: Mapping[str, datetime],
    state: Mapping[str, Any],
    volume: CountedBefore,
    now: datetime,
    *,
    rails: Collection[str] = (),
    started_at: datetime | None = None,
) -> dict[str, Check]:
    """A check for each feed of which enough is known; those without are left out.

    volume: events of a metric in earlier stretches as long as the silence since its last event.
    rails: the guardrails. A feed of one that is silent beyond doubt is broken: what protects
    customers then sees nothing. Of any other, and where more may be on its way, it is a warning.
    """
    found = {}
    for key in rails:
        if key not in last_event_at and started_at is not None and now > started_at:
            check = _dead(volume(key, started_at, now - started_at), is_rail=True)
            if check is not None:
                found[key] = check
    for key, last_at in last_event_at.items():
        lag = max(now - last_at, timedelta(0))
        usual = [timedelta(seconds=item) for item in state.get(key, ())]
        check = feed_lag(lag, usual, alpha=FALSE_ALARM)
        if check.state is State.WARNING and lag >= LEAST_LAG:
            dead = _dead(volume(key, last_at, lag), is_rail=key in rails)
            found[key] = dead or _late(lag, usual, check)
        elif check.state is State.FINE:
            found[key] = check
    return found


def _late(lag: timedelta, usual: Sequence[timedelta], check: Check) -> Check:
    reason = (
        f"the last event came {_span(lag)} ago, where it was at most {_span(max(usual))} at "
        f"{len(usual)} earlier looks: the feed looks late"
    )
    return Check(check.name, check.state, reason, check.p_value)


def _dead(history: Sequence[int] | None, *, is_rail: bool) -> Check | None:
    """A silence that is no chance; None where it may be one."""
    if history is None:
        return None
    check = feed_volume(history, [0])
    if check.state is not State.BROKEN:
        return None
    is_sure = check.p_value is not None and check.p_value < BEYOND_DOUBT
    state = State.BROKEN if is_rail and is_sure else State.WARNING
    return Check(check.name, state, check.reason, check.p_value)


def remember(
    last_event_at: Mapping[str, datetime], state: Mapping[str, Any], now: datetime
) -> Lags:
    """The lags of all looks so far, this one last."""
    lags: Lags = {key: list(held) for key, held in state.items()}
    for key, last_at in last_event_at.items():
        lag = max((now - last_at).total_seconds(), 0.0)
        lags[key] = [*lags.get(key, []), lag][-MOST_LAGS:]
    return lags


def _span(lag: timedelta) -> str:
    seconds = lag.total_seconds()
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
