"""The share statistic on arrays: on which arm did the events fall?

One implementation serves a single look (shape (J,)) and thousands of simulated ones
(shape (..., J)); J counts strata, stretches of constant allocation. `stoploss` is the door
for a single look, with its checks and its words.

Source: the project's stop-loss recipe; in outline a signed root of the quasi-likelihood of
the treatment's share under the tolerated ratio (McCullagh & Nelder 1989, chapter 9;
Barndorff-Nielsen & Cox 1994 for the root and its skewness correction).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDEST = 9.2  # |log ratio| at which the search for the root ends: a factor of 10,000
SMALL_TILT = 0.02  # below it the root's square is summed as a series, which keeps its digits
QUARTER = 0.25  # of an event, moved against the verdict that is sought
FARTHEST = 1e150  # of a t statistic; its square must still be a number
EXTREME = 1e-15  # the smallest share of one arm: its logarithm must stay a number
NEARLY_ONE = 0.999  # no proportion may reach 1, or its variance would vanish


class Kind(StrEnum):
    """What a unit's value is. Values that may be negative have their own door, in `gaussian`."""

    PROPORTION = "proportion"  # 0 or 1 per unit
    COUNT = "count"  # whole numbers of events per unit
    OTHER = "other"  # money, ratios, and whatever else is never negative in sum


@dataclass(frozen=True, slots=True)
class Arms:
    """Sums per stratum and arm, each of shape (..., J): 0 is the control, 1 the treatment.

    n: units (ratio metrics: denominators). s: sum of values. nv: n times the sample variance,
    so that strata add. m: randomised units over all strata, shape (...). A stratum in which an
    arm has no units compares nothing: it must be left out, or be 0 in every sum.
    """

    n0: Floats
    s0: Floats
    nv0: Floats
    n1: Floats
    s1: Floats
    nv1: Floats
    m0: Floats
    m1: Floats

    @property
    def events(self) -> Floats:
        """Both arms' sums per stratum, shape (..., J)."""
        return self.s0 + self.s1


class Dispersion(NamedTuple):
    """Variance per event at the tolerated ratio: both arms together, and each alone; shape (...)."""

    phi: Floats
    phi0: Floats
    phi1: Floats
    weight: Floats  # of the treatment's dispersion: the control's share of the events


class Share(NamedTuple):
    """One look's statistic, each of shape (...); `stoploss.ShareStatistic` says what they mean."""

    r: Floats
    phi: Floats
    information: Floats
    effective: Floats
    min_arm: Floats
    min_non_events: Floats


def divide(top: Floats, bottom: Floats) -> Floats:
    """Elementwise top / bottom, and 0 wherever the divisor is not above 0.

    >>> divide(np.array([1.0, 2.0]), np.array([4.0, 0.0])).tolist()
    [0.25, 0.0]
    """
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.divide(top, bottom, out=np.zeros(top.shape), where=bottom > 0)


def share(arms: Arms, *, kind: Kind, sign: int, ratio: Floats | float, safe: bool) -> Share:
    """The signed statistic of each look against a tolerated ratio c, shape (...).

    ratio: c, above 0; a scalar or shape (...). sign: +1 where more is worse, -1 where less is.
    safe: whether *safe* is sought, rather than *harm*. Looks without events, or whose values
    are all the same, come back as zeros: nothing can be said, and no warning is raised.

    >>> one = [np.array([x]) for x in (1000.0, 50.0, 47.5, 1000.0, 90.0, 81.9)]
    >>> arms = Arms(*one, np.array(1000.0), np.array(1000.0))
    >>> found = share(arms, kind=Kind.PROPORTION, sign=1, ratio=1.1, safe=False)
    >>> round(float(found.r), 3), round(float(found.information), 2)
    (2.903, 37.54)
    """
    c = np.asarray(ratio, dtype=np.float64)[..., None]
    q = np.clip(divide(c * arms.n1, arms.n0 + c * arms.n1), EXTREME, 1 - EXTREME)
    proportion = kind is Kind.PROPORTION
    spread = _proportion_dispersion(arms, q, c) if proportion else _dispersion(arms, q, kind)
    expected = arms.events * q
    weights = expected * (1 - q)
    total, expected1 = arms.events.sum(-1), expected.sum(-1)
    arm_events = np.minimum(expected1, total - expected1)
    information = divide(weights.sum(-1), spread.phi)
    return Share(
        r=_corrected(arms, q, c, spread, information, proportion, sign, safe),
        phi=spread.phi,
        information=information,
        effective=divide(total, spread.phi),
        min_arm=divide(arm_events, spread.phi),
        min_non_events=np.minimum(
            arms.n1.sum(-1) - expected1, arms.n0.sum(-1) - (total - expected1)
        ),
    )


def _corrected(
    arms: Arms,
    q: Floats,
    c: Floats,
    spread: Dispersion,
    information: Floats,
    proportion: bool,
    sign: int,
    safe: bool,
) -> Floats:
    """The root over its standard deviation, with the corrections for t and for skewness."""
    shift = sign * (QUARTER if safe else -QUARTER) if proportion else 0.0
    root = divide(signed_root(arms, q, shift), np.sqrt(spread.phi))
    if not proportion:
        root = as_normal(root, _degrees(arms, spread))
    weights = arms.events * q * (1 - q)
    skew = divide(
        (weights * (1 - 2 * q)).sum(-1), weights.sum(-1) * np.sqrt(np.maximum(information, 0.0))
    )
    r = sign * root
    corrected = r + sign * skew / 6
    if proportion:
        kurtosis = _treatment_crowding(arms, q, c, spread)
        corrected = corrected + sign * kurtosis * skew * (np.minimum(r * r, 9.0) - 1) / 6
    return np.where(information > 0, corrected, 0.0)


def signed_root(arms: Arms, q: Floats, shift: float = 0.0) -> Floats:
    """Signed root of twice the log-likelihood ratio, positive where treatment has more; shape (...).

    q: treatment's share of the events under the tolerated ratio, in (0, 1), shape (..., J).
    shift: events added to the treatment's before the root is taken.

    >>> one = [np.array([x]) for x in (9.0, 40.0, 0.0, 9.0, 60.0, 0.0)]
    >>> arms = Arms(*one, np.array(9.0), np.array(9.0))
    >>> round(float(signed_root(arms, np.array([0.5]))), 4)
    2.0068
    """
    events = arms.events
    total = events.sum(-1)
    seen = np.clip(arms.s1.sum(-1) + shift, 0.0, total)
    tilt = log_tilt(events, q, seen)
    none = -2 * (events * np.log1p(-q)).sum(-1)
    every = -2 * (events * np.log(q)).sum(-1)
    square = np.where(
        seen <= 0, none, np.where(seen >= total, every, _square(events, q, seen, tilt))
    )
    direction = np.where(seen <= 0, -1.0, np.where(seen >= total, 1.0, np.sign(tilt)))
    return np.where(total > 0, direction * np.sqrt(np.maximum(square, 0.0)), 0.0)


def _square(events: Floats, q: Floats, seen: Floats, tilt: Floats) -> Floats:
    """The root's square at the fitted tilt; by its series near 0, where terms would cancel."""
    u = tilt[..., None]
    exact = 2 * (seen * tilt - (events * np.log1p(q * np.expm1(u))).sum(-1))
    k2, skew = q * (1 - q), 1 - 2 * q
    # The binomial's cumulants over its variance, each times (n - 1) / n!, from n = 2 to 6.
    series = (1 - 30 * k2 + 120 * k2 * k2) / 144
    for cumulant in (skew * (1 - 12 * k2) / 30, (1 - 6 * k2) / 8, skew / 3, 1 / 2):
        series = cumulant + u * series
    near = 2 * (events * k2 * u * u * series).sum(-1)
    square: Floats = np.where(np.abs(tilt) < SMALL_TILT, near, exact)
    return square


def log_tilt(events: Floats, q: Floats, seen: Floats) -> Floats:
    """ln g where the expected treatment events sum(T q g / (1 + q (g - 1))) equal `seen`; shape (...).

    A closed form with one stratum; else Newton steps kept inside a halving bracket. Meaningless
    (but finite) where `seen` is 0 or all of the events: the caller takes the limit there.

    >>> float(np.exp(log_tilt(np.array([100.0]), np.array([0.5]), np.array(60.0)))).__round__(6)
    1.5
    """
    total = events.sum(-1)
    inner = np.clip(seen, total * 1e-12 + 1e-300, total * (1 - 1e-12) + 1e-300)
    inner = np.where(total > 0, inner, 1.0)
    expected = (events * q).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        start = np.log(inner / (total - inner)) - np.log(expected / (total - expected))
    start = np.where(np.isfinite(start), start, 0.0)
    if events.shape[-1] == 1:
        return start
    return _newton(events, q, inner, np.clip(start, -WIDEST, WIDEST))


def _newton(events: Floats, q: Floats, seen: Floats, start: Floats) -> Floats:
    low, high = np.full(start.shape, -WIDEST), np.full(start.shape, WIDEST)
    u = start
    for _ in range(60):
        step = np.expm1(u)[..., None]
        p = q * (step + 1) / (1 + q * step)
        miss = (events * p).sum(-1) - seen
        low, high = np.where(miss < 0, u, low), np.where(miss > 0, u, high)
        proposed = u - divide(miss, (events * p * (1 - p)).sum(-1))
        outside = (proposed <= low) | (proposed >= high)
        following = np.where(miss == 0, u, np.where(outside, (low + high) / 2, proposed))
        if np.all(np.abs(following - u) <= 1e-15 * np.maximum(1.0, np.abs(u))):
            return following
        u = following
    return u


def _proportion_dispersion(arms: Arms, q: Floats, c: Floats) -> Dispersion:
    """Non-events per unit, which is a proportion's variance per event."""
    x = _control_rate(arms, c)
    n0, n1 = arms.n0 * x, arms.n1 * c * x
    phi0 = divide((n0 * (1 - x)).sum(-1), n0.sum(-1))
    phi1 = divide((n1 * (1 - c * x)).sum(-1), n1.sum(-1))
    weight = _control_share(arms.events, q)
    return Dispersion(weight * phi1 + (1 - weight) * phi0, phi0, phi1, weight)


def _control_rate(arms: Arms, c: Floats) -> Floats:
    return np.minimum(divide(arms.events, arms.n0 + c * arms.n1), NEARLY_ONE / np.maximum(1.0, c))


def _treatment_crowding(arms: Arms, q: Floats, c: Floats, spread: Dispersion) -> Floats:
    """How close the treatment's rate is to 1, in units of its dispersion."""
    rate = c * _control_rate(arms, c)
    crowd = divide((arms.n1 * rate * rate).sum(-1), (arms.n1 * rate).sum(-1))
    return divide(crowd, spread.phi1)


def _control_share(events: Floats, q: Floats) -> Floats:
    weights = events * q * (1 - q)
    return divide((weights * (1 - q)).sum(-1), weights.sum(-1))


def _dispersion(arms: Arms, q: Floats, kind: Kind) -> Dispersion:
    """Variance per event within strata, each arm weighted by the other's share, pooled as floor."""
    total, expected1 = arms.events.sum(-1), (arms.events * q).sum(-1)
    var0, var1 = arms.nv0.sum(-1), arms.nv1.sum(-1)
    pooled = divide(var0 + var1, total)
    seen = (arms.s0.sum(-1), total - expected1), (arms.s1.sum(-1), expected1)
    if kind is Kind.COUNT:
        down = FOLLOWED_DOWN if arms.events.shape[-1] == 1 else FOLLOWED_DOWN / 2
        phi0 = _count_dispersion(var0, *seen[0], arms.m0, pooled, down)
        phi1 = _count_dispersion(var1, *seen[1], arms.m1, pooled, down)
        pooled = divide(seen[0][1] * phi0 + seen[1][1] * phi1, total)
    else:
        phi0 = _arm_dispersion(var0, *seen[0], pooled)
        phi1 = _arm_dispersion(var1, *seen[1], pooled)
    weight = _control_share(arms.events, q)
    mixed = weight * phi1 + (1 - weight) * phi0
    return Dispersion(np.maximum(mixed, pooled), phi0, phi1, weight)


def _arm_dispersion(variance: Floats, seen: Floats, expected: Floats, pooled: Floats) -> Floats:
    """An arm's dispersion, raised to that of the events expected of it at the tolerance.

    It is raised one for one, as where amounts are scaled.
    """
    raised = divide(variance, seen) * np.clip(divide(expected, seen), 1.0, 2.0)
    return np.where(seen > 0, raised, pooled)


POSSIBLE = 2.0  # standard errors above the dispersion seen, of what it may be all the same
FOLLOWED_DOWN = 0.5  # of what a count's dispersion loses when fewer events are expected


def _count_dispersion(
    variance: Floats,
    seen: Floats,
    expected: Floats,
    units: Floats,
    pooled: Floats,
    followed_down: float,
) -> Floats:
    """The same for counts, whose dispersion is known to depend on their mean.

    It does not for a Poisson count, and grows by (phi - 1) / phi for a negative binomial. It is
    raised by twice the last, at most one for one, at the highest dispersion that the units still
    allow: where they are few, a heavy tail may only not have been met. It is lowered by half of
    that, and by a quarter over several strata, whose means may differ. These factors are what
    the simulated level asks for.
    """
    own = divide(variance, seen)
    growth = np.clip(divide(expected, seen), 0.5, 2.0) - 1
    most = own * (1 + POSSIBLE * np.sqrt(2 / np.maximum(units - 1, 1)))
    up = np.clip(2 * divide(most - 1, most), 0.0, 1.0)
    down = np.clip(followed_down * divide(own - 1, own), 0.0, 1.0)
    adapted = own * (1 + growth * np.where(growth > 0, up, down))
    return np.where(seen > 0, adapted, pooled)


def _degrees(arms: Arms, spread: Dispersion) -> Floats:
    """Satterthwaite's degrees of freedom of the dispersion."""
    part1 = divide(spread.weight * spread.phi1, spread.phi)
    part0 = divide((1 - spread.weight) * spread.phi0, spread.phi)
    return divide(
        np.ones_like(part1), divide(part1**2, arms.m1 - 1) + divide(part0**2, arms.m0 - 1)
    )


def as_normal(t: Floats, degrees: Floats) -> Floats:
    """A t statistic's normal equivalent (Wallace 1959), elementwise; 0 without degrees of freedom.

    >>> round(float(as_normal(np.array(2.0), np.array(10.0))), 3)  # 0.0734 in two tails
    1.79
    """
    factor = (8 * degrees + 1) / (8 * degrees + 3)
    t = np.clip(t, -FARTHEST, FARTHEST)
    return np.sign(t) * factor * np.sqrt(degrees * np.log1p(divide(t * t, degrees)))
