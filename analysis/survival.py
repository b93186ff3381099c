"""Time to an event: repeat contact, resolution, churn, first correct use.

A unit is watched from its own first exposure to its event or to the data's end, whichever comes
first; one whose event had not yet come is censored, not counted as without. Units may enter at
different times (`watched` turns clock times into durations).

control, treatment: durations of units with whether the event happened. Sources: beside each
method; Kaplan & Meier (1958), JASA 53:457, with Greenwood's (1926) variance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, ndtr

from analysis.effect import Effect, Scale, Undecided
from analysis.inputs import (
    NO_BASELINE,
    UNBOUNDED,
    check_level,
    fixed_effect,
    too_few,
    z_quantile,
)
from analysis.rows import Times

_WIDEST = 300.0  # of a logarithm's half width: beyond it a ratio has no limits that a float holds

Floats = npt.NDArray[np.float64]

ASSUMPTIONS = (
    "units are independent of each other",
    "who is still watched does not depend on when the event would have come",
)
NO_EVENTS = Undecided(
    "the event has not happened to any unit yet", needs="more days, or a longer window"
)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A Kaplan-Meier curve: at each event time, the share of units still without the event.

    times: distinct event times, rising, shape (k,). at_risk, events: units just before, and events
    at, each time. surviving: the curve just after each time.
    """

    times: Floats
    at_risk: Floats
    events: Floats
    surviving: Floats

    def at(self, time: float) -> float:
        """The share still without the event after `time`.

        >>> curve = kaplan_meier(Times(np.array([1.0, 2.0, 3.0]), np.array([True, False, True])))
        >>> round(curve.at(2), 4)
        0.6667
        """
        reached = int(np.searchsorted(self.times, time, side="right"))
        return float(self.surviving[reached - 1]) if reached else 1.0

    def greenwood(self, time: float) -> float:
        """Greenwood's variance of `at(time)`; 0 where nobody is left."""
        upto = self.times <= time
        left = self.at_risk[upto] - self.events[upto]
        terms = self.events[upto] / (self.at_risk[upto] * np.maximum(left, 1))
        return self.at(time) ** 2 * float(terms.sum())


def watched(
    entered_at: Sequence[float], event_at: Sequence[float | None], data_end: float
) -> Times:
    """Durations from clock times: each unit from its own entry to its event or the data's end.

    entered_at: when each unit was first exposed, shape (n,), any unit of time. event_at: when its
    event came, or None. data_end: up to when the data are complete. Units entering after that are
    left out, and so are events after it (they are censored at the end).
    Raises ValueError if the shapes differ, a time is not finite or an event precedes its entry.

    >>> watched([0, 5, 8], [3, None, 30], data_end=10).durations
    array([3., 5., 2.])
    """
    if len(entered_at) != len(event_at):
        raise ValueError("entered_at and event_at: one of each per unit")
    happened, durations = [], []
    for entered, event in zip(entered_at, event_at, strict=True):
        if not isfinite(entered) or (event is not None and not event >= entered):
            raise ValueError(f"event_at: {event} is not at or after its entry at {entered}")
        if entered <= data_end:
            came = event is not None and event <= data_end
            happened.append(came)
            durations.append((event if event is not None and came else data_end) - entered)
    return Times(np.array(durations, dtype=float), np.array(happened, dtype=bool))


def kaplan_meier(arm: Times) -> Curve:
    """The Kaplan-Meier curve of one arm; without events it has no times.

    Source: Kaplan & Meier (1958), JASA 53:457.

    >>> arm = Times(np.array([6.0, 6.0, 7.0, 10.0]), np.array([True, True, False, True]))
    >>> kaplan_meier(arm).surviving
    array([0.5, 0. ])
    """
    times, events = np.unique(arm.durations[arm.happened], return_counts=True)
    at_risk = arm.durations.size - np.searchsorted(np.sort(arm.durations), times, side="left")
    risk, ended = at_risk.astype(np.float64), events.astype(np.float64)
    surviving = np.asarray(np.cumprod(1 - ended / np.maximum(risk, 1)), dtype=np.float64)
    return Curve(times, risk, ended, surviving)


def log_rank_p_value(control: Times, treatment: Times) -> float | Undecided:
    """Two-sided p-value of equal hazards at all times.

    Undecided without units in an arm or without events while both arms are watched.
    Source: Mantel (1966); Peto & Peto (1972), JRSS A 135:185.

    >>> one = Times(np.array([1.0, 2.0, 3.0]), np.ones(3, dtype=bool))
    >>> two = Times(np.array([4.0, 5.0, 6.0]), np.ones(3, dtype=bool))
    >>> round(log_rank_p_value(one, two), 4)
    0.0246
    """
    if (refused := _refused(control, treatment)) is not None:
        return refused
    whole = _both(control, treatment)
    curve = kaplan_meier(whole)
    ordered = np.sort(treatment.durations)
    treated = ordered.size - np.searchsorted(ordered, curve.times, side="left")
    seen = float((treatment.durations[treatment.happened]).size)
    share = treated / curve.at_risk
    expected = float((curve.events * share).sum())
    left = (curve.at_risk - curve.events) / np.maximum(curve.at_risk - 1, 1)
    variance = float((curve.events * share * (1 - share) * left).sum())
    if variance == 0:
        return NO_EVENTS
    return float(chdtrc(1, (seen - expected) ** 2 / variance))


def restricted_mean_difference(
    control: Times, treatment: Times, *, horizon: float | None = None, level: float = 0.95
) -> Effect | Undecided:
    """Difference in mean time without the event, counted up to a horizon, in the unit of time.

    horizon: declared beforehand; by default the longest time up to which both arms are watched.
    The estimate is the area between both Kaplan-Meier curves: treatment's minus control's.
    Undecided below 2 units, without events before the horizon, or if an arm is not watched so long.
    Raises ValueError for a horizon that is not above 0 or a level that cannot be.
    Source: Royston & Parmar (2013), BMC Medical Research Methodology 13:152.

    >>> one = Times(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, True, False]))
    >>> two = Times(np.array([2.0, 3.0, 4.0, 4.0]), np.array([True, True, False, False]))
    >>> effect = restricted_mean_difference(one, two, horizon=4)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.75, -0.614, 2.114)
    """
    found = _restricted(control, treatment, horizon, level)
    if isinstance(found, Undecided):
        return found
    (first, second), (v0, v1) = found
    error = sqrt(v0 + v1)
    half = z_quantile(level) * error
    return fixed_effect(
        second - first,
        second - first - half,
        second - first + half,
        scale=Scale.ABSOLUTE,
        level=level,
        units=(control.durations.size, treatment.durations.size),
        method="difference in restricted mean time",
        p_value=_two_sided((second - first) / error),
        assumptions=ASSUMPTIONS,
    )


def restricted_mean_ratio(
    control: Times, treatment: Times, *, horizon: float | None = None, level: float = 0.95
) -> Effect | Undecided:
    """Treatment's restricted mean time over control's, minus one; on the logarithm.

    Arguments, refusals and source as in `restricted_mean_difference`.

    >>> one = Times(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, True, False]))
    >>> two = Times(np.array([2.0, 3.0, 4.0, 4.0]), np.array([True, True, False, False]))
    >>> round(restricted_mean_ratio(one, two, horizon=4).estimate, 3)
    0.3
    """
    found = _restricted(control, treatment, horizon, level)
    if isinstance(found, Undecided):
        return found
    (first, second), (v0, v1) = found
    if first <= 0 or second <= 0:
        return NO_BASELINE
    error = sqrt(v0 / first / first + v1 / second / second)
    half, ratio = z_quantile(level) * error, second / first
    if not error * ratio > 0 or half > _WIDEST:
        return UNBOUNDED
    return fixed_effect(
        ratio - 1,
        ratio * exp(-half) - 1,
        ratio * exp(half) - 1,
        scale=Scale.RELATIVE,
        level=level,
        units=(control.durations.size, treatment.durations.size),
        method="ratio of restricted mean times, log scale",
        p_value=_two_sided(log(ratio) / error),
        assumptions=ASSUMPTIONS,
    )


def event_share_difference(
    control: Times, treatment: Times, *, by: float, level: float = 0.95
) -> Effect | Undecided:
    """Difference in the share of units whose event came by a time, censoring allowed for.

    by: the time, above 0. Returns treatment's share minus control's, with Greenwood's variance.
    Undecided as in `restricted_mean_difference`.
    Source: Greenwood (1926); Kaplan & Meier (1958).

    >>> one = Times(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, True, False]))
    >>> two = Times(np.array([2.0, 3.0, 4.0, 4.0]), np.array([True, True, False, False]))
    >>> event_share_difference(one, two, by=2).estimate
    -0.25
    """
    if (refused := _unready(control, treatment, by, level)) is not None:
        return refused
    curves = kaplan_meier(control), kaplan_meier(treatment)
    estimate = curves[0].at(by) - curves[1].at(by)
    error = sqrt(sum(curve.greenwood(by) for curve in curves))
    if error == 0:
        return NO_EVENTS
    half = z_quantile(level) * error
    return fixed_effect(
        estimate,
        max(estimate - half, -1.0),
        min(estimate + half, 1.0),
        scale=Scale.ABSOLUTE,
        level=level,
        units=(control.durations.size, treatment.durations.size),
        method="difference of Kaplan-Meier shares, Greenwood",
        p_value=_two_sided(estimate / error),
        assumptions=ASSUMPTIONS,
    )


def common_horizon(control: Times, treatment: Times) -> float:
    """The longest time up to which both arms' curves are known. Needs a unit in each.

    An arm's curve is known up to its last watched unit, and for ever once nobody is left in it.

    >>> one = Times(np.array([1.0, 9.0]), np.array([True, False]))
    >>> two = Times(np.array([2.0, 4.0]), np.array([True, False]))
    >>> common_horizon(one, two)
    4.0
    """
    ends = [_known_until(arm) for arm in (control, treatment)]
    last = max(float(arm.durations.max()) for arm in (control, treatment))
    return min(*ends, last)


def restricted_mean(curve: Curve, horizon: float) -> tuple[float, float]:
    """Area under a curve up to the horizon, and its variance.

    >>> arm = Times(np.array([1.0, 2.0, 3.0]), np.ones(3, dtype=bool))
    >>> round(restricted_mean(kaplan_meier(arm), 3.0)[0], 4)
    2.0
    """
    before = curve.times < horizon
    knots = np.concatenate([[0.0], curve.times[before], [horizon]])
    heights = np.concatenate([[1.0], curve.surviving[before]])
    areas = heights * np.diff(knots)
    remaining = np.cumsum(areas[::-1])[::-1][1:]  # area right of each event time
    left = curve.at_risk[before] - curve.events[before]
    weights = curve.events[before] / (curve.at_risk[before] * np.maximum(left, 1))
    return float(areas.sum()), float((remaining**2 * weights * (left > 0)).sum())


def _restricted(
    control: Times, treatment: Times, horizon: float | None, level: float
) -> tuple[tuple[float, float], tuple[float, float]] | Undecided:
    if horizon is None and min(control.durations.size, treatment.durations.size) > 0:
        horizon = common_horizon(control, treatment) or None
    if (refused := _unready(control, treatment, horizon, level)) is not None:
        return refused
    assert horizon is not None
    first, v0 = restricted_mean(kaplan_meier(control), horizon)
    second, v1 = restricted_mean(kaplan_meier(treatment), horizon)
    return NO_EVENTS if v0 + v1 == 0 else ((first, second), (v0, v1))


def _unready(
    control: Times, treatment: Times, horizon: float | None, level: float
) -> Undecided | None:
    check_level(level)
    if horizon is not None and not (isfinite(horizon) and horizon > 0):
        raise ValueError(f"the time must be above 0, not {horizon}")
    if (refused := _refused(control, treatment)) is not None:
        return refused
    if horizon is None:
        return Undecided("no unit has been watched for any time yet", needs="more days")
    for name, arm in (("control", control), ("treatment", treatment)):
        if _known_until(arm) < horizon:
            return Undecided(
                f"no unit of {name} has been watched up to {horizon:g} yet",
                needs="more days, or a shorter horizon",
            )
    return None


def _refused(control: Times, treatment: Times) -> Undecided | None:
    for name, arm in (("control", control), ("treatment", treatment)):
        if arm.durations.size < 2:
            return too_few(name, int(arm.durations.size), 2)
    if not (control.happened.any() or treatment.happened.any()):
        return NO_EVENTS
    return None


def _known_until(arm: Times) -> float:
    last = float(arm.durations.max())
    ended = bool(arm.happened[arm.durations == last].all())
    return float("inf") if ended else last


def _both(control: Times, treatment: Times) -> Times:
    return Times(
        np.concatenate([control.durations, treatment.durations]),
        np.concatenate([control.happened, treatment.happened]),
    )


def _two_sided(z: float) -> float:
    return 2 * float(ndtr(-abs(z)))
