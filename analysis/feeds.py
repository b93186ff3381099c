"""Whether the data still arrive: dead, thin, doubled or late feeds, and an arm gone silent.

An empty feed is never read as zero events: silence is either shown to be unusual, or unknown.

Sources: tails of the negative binomial and the hypergeometric, exactly; no more than that.
"""

from collections.abc import Sequence
from datetime import timedelta
from math import exp, log1p

import numpy as np
from scipy import stats

from analysis.arguments import counts, open_share, positive, same_length
from analysis.quality import Check, State

_EXACT_BELOW = 1_000_000
_ENOUGH_PERIODS = 7  # a week of days: below it a weekend looks like a failure


def feed_volume(history: Sequence[int], recent: Sequence[int], *, alpha: float = 0.001) -> Check:
    """Whether a feed brings about as many events as usual.

    history: events per period while all was well, shape (h,), of periods comparable with the
    recent ones (the same weekday, or the same hour). recent: the latest periods, shape (m,).
    alpha: chance of a false alarm on either side, in (0, 1).

    The recent total is judged against a negative binomial whose variance carries both the
    dispersion of the history and the uncertainty of its mean. Broken: dead or far too few;
    warning: far too many (often sent twice); unknown: an unknown rate, or a silence that is
    still usual. Raises ValueError for counts that are not whole and non-negative.

    >>> feed_volume([40, 52, 47, 55, 38, 49, 51], [0]).reason
    'no events at all where about 47 were to be expected: the feed looks dead'
    """
    past, now = counts("history", history), counts("recent", recent, 1)
    open_share("alpha", alpha)
    name, total = "feed volume", sum(now)
    if len(past) < _ENOUGH_PERIODS or not sum(past):
        reason = "too little is known of how much this feed usually brings"
        return Check(name, State.UNKNOWN, reason, needs=f"{_ENOUGH_PERIODS} periods with events")
    mean, low, high = _volume_tails(past, len(now), total)
    expected = f"where about {mean:.0f} were to be expected"
    if low < alpha:
        what = "no events at all" if not total else f"only {total} events"
        looks = "dead" if not total else "to have lost events"
        return Check(name, State.BROKEN, f"{what} {expected}: the feed looks {looks}", low)
    if high < alpha:
        reason = f"{total} events {expected}: some may have been sent twice"
        return Check(name, State.WARNING, reason, high)
    if not total:
        reason = f"no events yet {expected}, which is not unusual"
        return Check(name, State.UNKNOWN, reason, low, needs="more time")
    return Check(name, State.FINE, f"{total} events {expected}", min(low, high))


def _volume_tails(past: list[int], periods: int, total: int) -> tuple[float, float, float]:
    """Expected total, and the chances of at most and of at least the total seen."""
    rate = float(np.mean(past))
    dispersion = max(1.0, float(np.var(past, ddof=1)) / rate)
    mean = rate * periods
    variance = dispersion * mean * (1 + periods / len(past))
    size = mean * mean / (variance - mean)
    law = stats.nbinom(size, mean / variance)
    return mean, float(law.cdf(total)), float(law.sf(total - 1))


def feed_lag(lag: timedelta, usual: Sequence[timedelta], *, alpha: float = 0.05) -> Check:
    """Whether a feed is later than it usually is.

    lag: how far the newest event lies behind now. usual: the same at earlier looks, shape (h,).
    alpha: chance of a false alarm, in (0, 1); at least 1 / alpha - 1 earlier looks are needed.

    The p-value is the rank of the lag among all, exact while looks are exchangeable: a late
    feed is a warning, since what is missing may yet arrive. Raises ValueError if negative.
    Source: Vovk, Gammerman & Shafer (2005), "Algorithmic Learning in a Random World".

    >>> feed_lag(timedelta(hours=9), [timedelta(minutes=m) for m in range(1, 30)]).state
    <State.WARNING: 'warning'>
    """
    positive("lag", lag)
    open_share("alpha", alpha)
    past = [positive("usual", value) for value in usual]
    if 1 / (len(past) + 1) > alpha:
        reason = "too little is known of how late this feed usually is"
        return Check("feed lag", State.UNKNOWN, reason, needs="more earlier looks")
    p_value = (1 + sum(value >= lag for value in past)) / (1 + len(past))
    longest = f"at most {max(past)} in {len(past)} earlier looks"
    if p_value <= alpha:
        reason = f"the newest event is {lag} old, where it was {longest}: the feed looks late"
        return Check("feed lag", State.WARNING, reason, p_value)
    return Check("feed lag", State.FINE, f"the newest event is {lag} old", p_value)


def silent_arm(events: Sequence[int], exposed: Sequence[int], *, alpha: float = 0.001) -> Check:
    """Whether one variation's events have stopped arriving while the others' have not.

    events: units with an event, by variation, shape (k,). exposed: units, shape (k,), k >= 2.
    alpha: chance of a false alarm, in (0, 1), Bonferroni over the silent variations.

    For each variation without a single event: the chance of that given all the events
    (hypergeometric, exact). It may be a striking effect, but a failed feed is likelier, so
    someone must look. Raises ValueError for counts that do not fit.

    >>> silent_arm([37, 0], [5000, 5000]).state
    <State.WARNING: 'warning'>
    """
    seen, units = counts("events", events, 2), counts("exposed", exposed, 2)
    same_length(events=seen, exposed=units)
    open_share("alpha", alpha)
    if any(a > b for a, b in zip(seen, units, strict=True)):
        raise ValueError(f"events {seen} exceed exposed {units}")
    if not sum(seen):
        reason = "no events from any variation: nothing tells a quiet metric from a failed feed"
        return Check("silent variation", State.UNKNOWN, reason, needs="a first event")
    silent = [n for n, held in zip(units, seen, strict=True) if not held and n]
    if not silent:
        return Check("silent variation", State.FINE, "every variation has events")
    chances = [_chance_of_silence(n, sum(units), sum(seen)) for n in silent]
    p_value = min(1.0, min(chances) * len(silent))
    if p_value < alpha:
        reason = (
            f"a variation has no events while the others have {sum(seen)}: a feed may have failed"
        )
        return Check("silent variation", State.WARNING, reason, p_value)
    reason = "a variation has no events yet, which may be chance"
    return Check("silent variation", State.UNKNOWN, reason, p_value, needs="more customers")


def _chance_of_silence(n: int, units: int, events: int) -> float:
    """Chance that none of the events falls on these n of all units."""
    if units <= _EXACT_BELOW:
        return float(stats.hypergeom.pmf(0, units, events, n))
    return exp(events * log1p(-n / units)) if n < units else 0.0  # drawn with replacement: larger
