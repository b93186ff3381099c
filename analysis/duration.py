"""How long a rollout takes at the traffic seen, and what each week more would show.

Source: counting arrivals; sizes and powers as of `power`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from analysis.arguments import Floats, finite, finite_array, positive
from analysis.effect import Scale, Undecided
from analysis.history import History
from analysis.power import Plan, minimum_detectable_effect

_LONGEST_DAYS = 3650  # a plan that outlives the product is no plan


@dataclass(frozen=True, slots=True)
class Duration:
    """How long it takes. enrolment: until enough units have come. total: until they have matured."""

    enrolment: timedelta
    total: timedelta


def duration(
    units: float,
    arrivals: ArrayLike,
    *,
    ramp: Sequence[tuple[timedelta, float]] = (),
    window: timedelta = timedelta(0),
    whole_weeks: bool = True,
) -> Duration | Undecided:
    """Days until so many units of both arms have come and their outcome window has passed.

    units: of both arms. arrivals: units seen for the first time on day 1, 2, ... since some
    start, shape (d,), d >= 7. Returning customers are no new units, so arrivals fall with time;
    after the last day its last seven repeat. ramp: stages (how long, share of arrivals taken
    in), in order; after the last its share goes on. window: how long after exposure an outcome
    counts. whole_weeks: round enrolment up, so that every weekday counts equally.

    Undecided if the traffic ends or the plan would take over ten years. Raises ValueError for
    negative arrivals, shares outside (0, 1], or fewer than seven days.

    >>> duration(10_000, [1000] * 7, window=timedelta(days=3)).total
    datetime.timedelta(days=17)
    """
    if finite("units", units) <= 0:
        raise ValueError(f"units must be above 0, not {units}")
    daily = cumulative_arrivals(arrivals, _LONGEST_DAYS, ramp=ramp)
    days = int(np.searchsorted(daily, units * (1 - 1e-12))) + 1
    if days > _LONGEST_DAYS:
        reason = f"at this traffic {units:,.0f} customers take over {_LONGEST_DAYS // 365} years"
        return Undecided(
            reason, needs="more traffic, a larger change, or a metric that varies less"
        )
    enrolment = timedelta(days=7 * ceil(days / 7) if whole_weeks else days)
    return Duration(enrolment, enrolment + positive("window", window))


def cumulative_arrivals(
    arrivals: ArrayLike, days: int, *, ramp: Sequence[tuple[timedelta, float]] = ()
) -> Floats:
    """Units taken in by the end of each day, shape (days,). Arguments as in `duration`.

    Raises ValueError below seven days of arrivals, or for one below 0.

    >>> cumulative_arrivals([10] * 7, 3, ramp=[(timedelta(days=1), 0.1), (timedelta(1), 1.0)])
    array([ 1., 11., 21.])
    """
    seen = finite_array("arrivals", arrivals)
    if len(seen) < 7 or seen.min() < 0:
        raise ValueError("arrivals must be seven days or more, of 0 or more units each")
    beyond = np.resize(seen[-7:], max(days - len(seen), 0))
    return np.cumsum(np.concatenate([seen, beyond])[:days] * _shares(ramp, days))


def _shares(ramp: Sequence[tuple[timedelta, float]], days: int) -> Floats:
    """The share taken in on each day; a day split between stages takes their average."""
    if any(not 0 < share <= 1 for _, share in ramp):
        raise ValueError("ramp must have shares above 0 and at most 1")
    if not ramp:
        return np.ones(days)
    ends = np.cumsum([positive("ramp", hold) / timedelta(days=1) for hold, _ in ramp])
    shares = np.array([share for _, share in ramp])
    edges = np.arange(days + 1, dtype=np.float64)
    # Share integrated from the start to each edge; the last stage goes on.
    starts = np.concatenate([[0.0], ends[:-1]])
    ends[-1] = np.inf
    taken = np.clip(edges[:, None], starts, ends) - starts
    return np.diff(taken @ shares)


def detectable_by_week(
    history: History,
    arrivals: ArrayLike,
    weeks: int,
    plan: Plan | None = None,
    *,
    ramp: Sequence[tuple[timedelta, float]] = (),
    sign: int = 1,
    scale: Scale = Scale.RELATIVE,
) -> list[float | Undecided]:
    """Minimum detectable effect after each week, shape (weeks,): is waiting worth it?

    Arguments as in `duration` and `minimum_detectable_effect`; weeks of 1 or more.
    Undecided weeks as in `power`. Raises ValueError below one week.

    >>> from analysis.history import MeanHistory
    >>> [round(c, 3) for c in detectable_by_week(MeanHistory(10, 25), [1000] * 7, 2)]
    [0.033, 0.024]
    """
    if weeks < 1:
        raise ValueError(f"weeks must be 1 or more, not {weeks}")
    daily = cumulative_arrivals(arrivals, 7 * weeks, ramp=ramp)
    return [
        minimum_detectable_effect(history, float(units), plan, sign=sign, scale=scale)
        for units in daily[6::7]
    ]
