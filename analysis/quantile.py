"""Quantiles: the median, P90 or P99 of a value per unit, or of all events of all units.

Nothing is assumed of the value's distribution: each arm's limits are two of its own order
statistics, and the two arms are joined (see `analysis.mover`).

level: two-sided confidence, in (0, 1). Sources: beside each method; Woodruff (1952), JASA 47:635.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, log, log1p, sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtr, bdtrik

from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.histogram import Histogram
from analysis.inputs import (
    NO_BASELINE,
    check_level,
    fixed_effect,
    side_p_value,
    t_quantile,
    too_few,
)
from analysis.mover import Limits, difference_limits, ratio_limits
from analysis.ratio import ratio_variance
from analysis.rows import Events
from analysis.srm import mixture_evidence
from analysis.summary import PairSummary

PER_UNIT = ("units are independent of each other", "nothing about the value's distribution")
PER_EVENT = (
    "units are independent of each other; events of one unit need not be",
    "enough units for the share of events below the quantile to be near normal",
)

PLANNED = 10_000  # units of an arm for which anytime limits are tightest, unless said

Arms = tuple[Limits, Limits]


@dataclass(frozen=True, slots=True, eq=False)
class Clustered:
    """All that a quantile of events needs where units have several: counts, never single units.

    events: events by value. below: per unit, how many of its events lie at or below the quantile
    of `events` (x), and how many it has (y); units without an event are left out.
    """

    events: Histogram
    below: PairSummary

    @classmethod
    def of(cls, events: Events, q: float) -> Clustered:
        """Count single events. q: of the quantile that will be asked for.

        >>> held = Clustered.of(Events(np.arange(1.0, 101.0), np.arange(100) // 2), 0.5)
        >>> held.below.n, held.below.x_total, held.below.y_total
        (50, 50.0, 100.0)
        """
        counted = Histogram.of(events.values)
        _, unit = np.unique(events.units, return_inverse=True)
        if not counted.n:
            return cls(counted, PairSummary())
        at = counted.quantile(q)
        x, y = np.bincount(unit, weights=events.values <= at), np.bincount(unit).astype(float)
        sums = (x.sum(), y.sum(), x @ x, y @ y, x @ y)
        return cls(counted, PairSummary(x.size, *(float(item) for item in sums)))


LimitsOf = Callable[..., Limits | None]


def difference(
    control: Histogram,
    treatment: Histogram,
    q: float,
    *,
    level: float = 0.95,
    validity: Validity = Validity.FIXED,
    planned: int = PLANNED,
) -> Effect | Undecided:
    """Treatment's q-quantile minus control's, of one value per unit, in the metric's unit.

    control, treatment: units by value. q: in (0, 1), 0.5 for the median.
    validity: FIXED joins two binomial order-statistic intervals of this level; ANYTIME gives each
        arm a confidence sequence of half the error and is valid however often one looks.
    planned: for ANYTIME, the units of an arm at which it is tightest; fixed before the first look.
    Undecided while an arm has too few units beyond the quantile to bound it.
    Raises ValueError for a q or a level that cannot be.
    Source: David & Nagaraja (2003), Order Statistics, 7.1; Zou & Donner (2008); anytime by the
    beta-binomial mixture of Howard & Ramdas (2022), Bernoulli 28:1704.

    >>> effect = difference(Histogram.of(range(100)), Histogram.of(range(50, 150)), 0.5)
    >>> effect.estimate, round(effect.low, 2), round(effect.high, 2)
    (50.0, 35.15, 64.85)
    """
    units = control.n, treatment.n
    if validity is Validity.ANYTIME:

        def sequence(arm: Histogram, q: float, *, level: float) -> Limits | None:
            return anytime_limits(arm, q, level=(1 + level) / 2, planned=planned)

        arms = _per_unit(control, treatment, q, level, sequence)
        return arms if isinstance(arms, Undecided) else _boxed(arms, units, q, level)
    arms = _per_unit(control, treatment, q, level, order_limits)
    if isinstance(arms, Undecided):
        return arms
    return _joined(arms, units, q, level, "order statistics, joined", PER_UNIT)


def relative(
    control: Histogram, treatment: Histogram, q: float, *, level: float = 0.95
) -> Effect | Undecided:
    """Treatment's q-quantile over control's, minus one; arguments and refusals as `difference`.

    Undecided also where the control's quantile is not clearly above zero.

    >>> effect = relative(Histogram.of(range(100, 200)), Histogram.of(range(130, 230)), 0.9)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.158, 0.111, 0.209)
    """
    arms = _per_unit(control, treatment, q, level, order_limits)
    if isinstance(arms, Undecided):
        return arms
    units = control.n, treatment.n
    return _ratio(arms, units, q, level, "order statistics, joined", PER_UNIT)


def event_difference(
    control: Events | Clustered, treatment: Events | Clustered, q: float, *, level: float = 0.95
) -> Effect | Undecided:
    """Treatment's q-quantile of all events minus control's, the unit being the cluster.

    control, treatment: events with their units, or what was counted of them for this q. Other arguments and refusals as in `difference`;
    each arm needs two units.
    Source: Deng, Knoblich & Lu (2018), KDD, section 4; Woodruff (1952), JASA 47:635.

    >>> one = Events(np.arange(100.0), np.arange(100) // 4)
    >>> two = Events(np.arange(50.0, 150.0), np.arange(100) // 4)
    >>> effect = event_difference(one, two, 0.5)
    >>> effect.estimate, effect.low < 50 < effect.high
    (50.0, True)
    """
    found = _per_event(control, treatment, q, level)
    if isinstance(found, Undecided):
        return found
    return _joined(*found, q, level, "cluster-robust order statistics, joined", PER_EVENT)


def event_relative(
    control: Events | Clustered, treatment: Events | Clustered, q: float, *, level: float = 0.95
) -> Effect | Undecided:
    """As `event_difference`, treatment's quantile over control's, minus one.

    >>> one = Events(np.arange(100.0, 200.0), np.arange(100) // 4)
    >>> event_relative(one, one, 0.5).estimate
    0.0
    """
    found = _per_event(control, treatment, q, level)
    if isinstance(found, Undecided):
        return found
    return _ratio(*found, q, level, "cluster-robust order statistics, joined", PER_EVENT)


def order_limits(arm: Histogram, q: float, *, level: float = 0.95) -> Limits | None:
    """One arm's q-quantile between two order statistics; None if it has too few units for them.

    Whatever the distribution, the limits enclose the quantile with at least this confidence.

    >>> order_limits(Histogram.of(range(1, 101)), 0.5)
    Limits(low=40.0, estimate=50.5, high=61.0)
    """
    tail = (1 - level) / 2
    low = _lower_rank(arm.n, q, tail)
    high = arm.n + 1 - _lower_rank(arm.n, 1 - q, tail)
    return _between(arm, q, low, high)


def anytime_limits(
    arm: Histogram, q: float, *, level: float = 0.95, planned: int = PLANNED
) -> Limits | None:
    """As `order_limits`, enclosing the quantile at every look at once.

    planned: units of the arm at which the limits are tightest; fixed before the first look.
    Raises ValueError for a planned number below 1.

    >>> anytime_limits(Histogram.of(range(1, 101)), 0.5, planned=100)
    Limits(low=35.0, estimate=50.5, high=66.0)
    """
    if planned < 1:
        raise ValueError(f"planned must be at least 1, not {planned}")
    weight = _mixture_weight(level, planned)
    below = _extreme_count(arm.n, q, weight, level)
    above = _extreme_count(arm.n, 1 - q, weight, level)
    return _between(arm, q, below, arm.n + 1 - above)


def _between(arm: Histogram, q: float, low: int, high: int) -> Limits | None:
    if low < 1 or high > arm.n:
        return None
    return Limits(arm.at_rank(low), arm.quantile(q), arm.at_rank(high))


def _lower_rank(n: int, q: float, tail: float) -> int:
    """The highest rank whose value lies above the q-quantile with a chance of at most tail."""
    if bdtr(0, n, q) > tail:
        return 0
    rank = max(floor(float(bdtrik(tail, n, q))), 0)
    while bdtr(rank, n, q) <= tail:
        rank += 1
    while rank > 0 and bdtr(rank - 1, n, q) > tail:
        rank -= 1
    return rank


def _mixture_weight(level: float, planned: int) -> float:
    """The prior's units for which the sequence is tightest about the planned number of units."""
    twice = -2 * log(1 - level)
    return max(planned / (twice + log1p(twice)), 1.0)


def _extreme_count(n: int, q: float, weight: float, level: float) -> int:
    """The least number of units below the q-quantile that its sequence still allows; 0 if none."""

    def excess(count: float) -> float:
        return mixture_evidence([count, n - count], [q, 1 - q], weight) + log(1 - level)

    if excess(0) < 0:
        return 0
    return ceil(float(brentq(excess, 0, n * q, xtol=1e-6)))


def _per_unit(
    control: Histogram, treatment: Histogram, q: float, level: float, limits: LimitsOf
) -> Arms | Undecided:
    _check(q, level)
    for name, arm in (("control", control), ("treatment", treatment)):
        if arm.n < 2:
            return too_few(name, arm.n, 2)
    first, second = limits(control, q, level=level), limits(treatment, q, level=level)
    if first is None or second is None:
        return _too_thin("control" if first is None else "treatment", q)
    return first, second


def _per_event(
    control: Events | Clustered, treatment: Events | Clustered, q: float, level: float
) -> tuple[Arms, tuple[int, int]] | Undecided:
    _check(q, level)
    first, second = (
        Clustered.of(arm, q) if isinstance(arm, Events) else arm for arm in (control, treatment)
    )
    for name, n in (("control", first.below.n), ("treatment", second.below.n)):
        if n < 2:
            return too_few(name, n, 2)
    arms = clustered_limits(first, q, level=level), clustered_limits(second, q, level=level)
    if arms[0] is None or arms[1] is None:
        return _too_thin("control" if arms[0] is None else "treatment", q)
    return (arms[0], arms[1]), (first.below.n, second.below.n)


def clustered_limits(arm: Events | Clustered, q: float, *, level: float = 0.95) -> Limits | None:
    """The q-quantile of events between two of them, the unit being the cluster.

    The share of events at or below the quantile is a ratio of two sums over units; its standard
    error (delta method) says which shares, and so which events, are the limits. None if those lie
    beyond the events. Needs two units.

    >>> clustered_limits(Events(np.arange(1.0, 101.0), np.arange(100) // 2), 0.5)
    Limits(low=36.0, estimate=50.5, high=65.0)
    """
    held = Clustered.of(arm, q) if isinstance(arm, Events) else arm
    n, estimate = held.events.n, held.events.quantile(q)
    error = sqrt(ratio_variance(held.below))
    half = t_quantile(level, held.below.n - 1) * max(error, sqrt(q * (1 - q) / n) * 1e-9)
    if q - half <= 0 or q + half >= 1:
        return None
    low, high = held.events.at_rank(floor(n * (q - half)) + 1), ceil(n * (q + half))
    return Limits(min(low, estimate), estimate, max(held.events.at_rank(high), estimate))


def _joined(
    arms: Arms, units: tuple[int, int], q: float, level: float, how: str, rests: tuple[str, ...]
) -> Effect | Undecided:
    estimate = arms[1].estimate - arms[0].estimate
    low, high = difference_limits(*arms)
    return fixed_effect(
        estimate,
        low,
        high,
        scale=Scale.ABSOLUTE,
        level=level,
        units=units,
        method=f"{_name(q)}, {how}",
        p_value=side_p_value(estimate, low, high, level),
        assumptions=rests,
    )


def _ratio(
    arms: Arms, units: tuple[int, int], q: float, level: float, how: str, rests: tuple[str, ...]
) -> Effect | Undecided:
    limits = ratio_limits(*arms)
    if limits is None:
        return NO_BASELINE
    estimate = arms[1].estimate / arms[0].estimate - 1
    return fixed_effect(
        estimate,
        limits[0] - 1,
        limits[1] - 1,
        scale=Scale.RELATIVE,
        level=level,
        units=units,
        method=f"ratio of {_name(q)}s, {how}",
        p_value=side_p_value(estimate, limits[0] - 1, limits[1] - 1, level),
        assumptions=rests,
    )


def _boxed(arms: Arms, units: tuple[int, int], q: float, level: float) -> Effect | Undecided:
    """Both arms' sequences hold together, so every difference within them is possible."""
    return fixed_effect(
        arms[1].estimate - arms[0].estimate,
        arms[1].low - arms[0].high,
        arms[1].high - arms[0].low,
        scale=Scale.ABSOLUTE,
        level=level,
        units=units,
        method=f"{_name(q)}, time-uniform order statistics",
        assumptions=PER_UNIT,
        validity=Validity.ANYTIME,
    )


def _name(q: float) -> str:
    return "median" if q == 0.5 else f"P{100 * q:g}"


def _too_thin(name: str, q: float) -> Undecided:
    return Undecided(
        f"{name} has too few units beyond its {_name(q)} to bound it",
        needs="more units, or a quantile nearer the median",
    )


def _check(q: float, level: float) -> None:
    check_level(level)
    if not 0 < q < 1:
        raise ValueError(f"q must lie between 0 and 1, not {q}")
