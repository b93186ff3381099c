"""The Gaussian form of the stop-loss: metrics that may be negative, and absolute tolerances.

Source: the project's stop-loss recipe; the normal equivalent of t is Wallace (1959), the
degrees of freedom Satterthwaite (1946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, isfinite, sqrt
from typing import NamedTuple

import numpy as np

from analysis.effect import Effect, Scale, Validity
from analysis.share import Floats, as_normal, divide
from analysis.stoploss import Kind, Stratum, centred_squares, usable_strata, why_no_units

LEAST_UNITS = 30  # randomised units per arm before a verdict
METHOD = "difference of means in strata, t as normal, valid at every look"


@dataclass(frozen=True, slots=True)
class GaussianStatistic:
    """The Gaussian form's evidence at one look.

    r: signed evidence, positive towards harm. difference: treatment minus control, in the
    metric's unit, not signed. variance: of the difference. degrees: of freedom.
    information: harmonic units, which the boundary is spent on. n0, n1: randomised units.
    variance0, variance1, degrees0, degrees1: of one unit's value, per arm, the pooled variance
    as floor.
    ready, reason, needs: whether a verdict may be taken, else why not and what would help.
    """

    r: float
    difference: float
    variance: float
    degrees: float
    information: float
    n0: float
    n1: float
    variance0: float
    variance1: float
    degrees0: float
    degrees1: float
    ready: bool
    reason: str = ""
    needs: str = ""


def gaussian_statistic(
    strata: Sequence[Stratum], *, sign: int, tolerance: float, kind: Kind | None = None
) -> GaussianStatistic:
    """The evidence that treatment is worse than control by more than an absolute tolerance.

    sign: +1 where more is worse, -1 where less is. tolerance: in the metric's unit.
    kind: proportion or other, to check the sums by; None where values may be negative.
    Raises ValueError naming an impossible argument.
    strata: sums of both arms, per stretch of constant allocation.

    >>> look = gaussian_statistic(
    ...     [Stratum(100, 0, 100, 100, 50, 125)], sign=1, tolerance=0.1
    ... )
    >>> round(look.r, 3), look.difference, look.information
    (2.783, 0.5, 50.0)
    """
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1, not {sign}")
    if not isfinite(tolerance):
        raise ValueError(f"tolerance must be finite, not {tolerance}")
    kept = usable_strata(strata, kind)
    if not kept:
        return _unready(*why_no_units(strata))
    arms = to_moments(kept, kind is Kind.PROPORTION)
    units0, units1 = _units(kept)
    found = gaussian(arms, sign=sign, tolerance=tolerance)
    reason, needs = _why_not_ready(min(units0, units1), found)
    return GaussianStatistic(
        r=float(found.r),
        difference=float(found.difference),
        variance=float(found.variance),
        degrees=float(found.degrees),
        information=float(found.information),
        n0=units0,
        n1=units1,
        variance0=float(found.variance0),
        variance1=float(found.variance1),
        degrees0=float(found.degrees0),
        degrees1=float(found.degrees1),
        ready=not reason,
        reason=reason,
        needs=needs,
    )


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums per stratum and arm, each of shape (..., J): 0 is the control, 1 the treatment.

    n: units (ratio metrics: denominators). s: sums. centred: squared deviations within the
    stratum; degrees: of freedom behind them, in all strata together what the variance rests on.
    """

    n0: Floats
    s0: Floats
    centred0: Floats
    degrees0: Floats
    n1: Floats
    s1: Floats
    centred1: Floats
    degrees1: Floats


class Gaussian(NamedTuple):
    """`GaussianStatistic`'s numbers, each of shape (...)."""

    r: Floats
    difference: Floats
    variance: Floats
    degrees: Floats
    information: Floats
    variance0: Floats
    variance1: Floats
    degrees0: Floats
    degrees1: Floats


def gaussian(arms: Moments, *, sign: int, tolerance: float) -> Gaussian:
    """The statistic of each look, shape (...); zeros where nothing varies, without a warning.

    >>> arms = to_moments([Stratum(100, 0, 100, 100, 50, 125)], proportion=False)
    >>> round(float(gaussian(arms, sign=1, tolerance=0.1).r), 3)
    2.783
    """
    weights = divide(arms.n0 * arms.n1, arms.n0 + arms.n1)
    whole = weights.sum(-1)
    means = divide(arms.s1, arms.n1) - divide(arms.s0, arms.n0)
    difference = divide((weights * means).sum(-1), whole)
    degrees0, degrees1 = arms.degrees0.sum(-1), arms.degrees1.sum(-1)
    variance0, variance1 = _variances(arms, degrees0, degrees1)
    part0 = variance0 * _spread(weights, arms.n0, whole)
    part1 = variance1 * _spread(weights, arms.n1, whole)
    variance = part0 + part1
    degrees = _satterthwaite(divide(part0, variance), degrees0, divide(part1, variance), degrees1)
    t = divide(sign * difference - tolerance, np.sqrt(variance))
    return Gaussian(
        as_normal(t, degrees),
        difference,
        variance,
        degrees,
        whole,
        variance0,
        variance1,
        degrees0,
        degrees1,
    )


def _variances(arms: Moments, degrees0: Floats, degrees1: Floats) -> tuple[Floats, Floats]:
    """Each arm's variance of one unit within strata, both arms' together as floor."""
    centred0, centred1 = arms.centred0.sum(-1), arms.centred1.sum(-1)
    pooled = divide(centred0 + centred1, degrees0 + degrees1)
    return (
        np.maximum(divide(centred0, degrees0), pooled),
        np.maximum(divide(centred1, degrees1), pooled),
    )


def _spread(weights: Floats, n: Floats, whole: Floats) -> Floats:
    """Variance of the weighted mean per variance of one unit."""
    return divide(divide(weights * weights, n).sum(-1), whole * whole)


def _satterthwaite(part0: Floats, degrees0: Floats, part1: Floats, degrees1: Floats) -> Floats:
    spread = divide(part0**2, degrees0) + divide(part1**2, degrees1)
    return divide(np.ones_like(spread), spread)


def to_moments(strata: Sequence[Stratum], proportion: bool) -> Moments:
    """The strata's sums as arrays of shape (J,); squares are centred in exact arithmetic.

    >>> to_moments([Stratum(4, 4, 10, 4, 8, 20)], proportion=False).centred0.tolist()
    [6.0]
    """
    control = [_arm(x.n0, x.s0, x.q0, x.nv0, x.m0, proportion) for x in strata]
    treatment = [_arm(x.n1, x.s1, x.q1, x.nv1, x.m1, proportion) for x in strata]
    return Moments(*np.array(control).T, *np.array(treatment).T)


def _arm(
    n: float, s: float, q: float, ready: float | None, m: float | None, proportion: bool
) -> tuple[float, float, float, float]:
    if ready is not None and m is not None:
        # nv / n is the variance per denominator, so that variance / n is that of the ratio
        degrees = max(float(m) - 1, 0.0)
        return float(n), float(s), ready / n * degrees, degrees
    centred = max(centred_squares(n, s, s if proportion else q), 0.0)
    return float(n), float(s), centred, max(float(n) - 1, 0.0)


def _units(strata: Sequence[Stratum]) -> tuple[float, float]:
    return (
        float(sum(x.n0 if x.m0 is None else x.m0 for x in strata)),
        float(sum(x.n1 if x.m1 is None else x.m1 for x in strata)),
    )


def _why_not_ready(fewest: float, found: Gaussian) -> tuple[str, str]:
    if fewest < LEAST_UNITS:
        return f"{int(fewest)} of the {LEAST_UNITS} customers that each arm needs", "more customers"
    if min(float(found.degrees0), float(found.degrees1)) < 1:
        return "no stretch of the ramp has two customers in each arm", "more customers"
    if found.variance <= 0:
        return "every customer has the same value, so its spread is unknown", "values that differ"
    return "", ""


def _unready(reason: str, needs: str) -> GaussianStatistic:
    return GaussianStatistic(
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ready=False, reason=reason, needs=needs
    )


def normal_as_t(z: float, degrees: float) -> float:
    """The t value as unlikely as this normal deviate of 0 or more: `share.as_normal` undone.

    z: a normal statistic.

    >>> round(float(as_normal(np.array(normal_as_t(2.5, 40)), np.array(40.0))), 12)
    2.5
    """
    scaled = z * (8 * degrees + 3) / (8 * degrees + 1)
    return sqrt(degrees * expm1(scaled * scaled / degrees))


def difference_effect(
    found: GaussianStatistic, *, low_bound: float, high_bound: float, level: float
) -> Effect:
    """The differences not ruled out, in the metric's unit. Needs a statistic that is ready.

    >>> found = gaussian_statistic([Stratum(100, 0, 100, 100, 50, 125)], sign=1, tolerance=0.0)
    >>> effect = difference_effect(found, low_bound=1.96, high_bound=1.96, level=0.95)
    >>> round(effect.low, 2), effect.estimate, round(effect.high, 2)
    (0.22, 0.5, 0.78)
    """
    deviation = sqrt(found.variance)
    return Effect(
        estimate=found.difference,
        low=found.difference - normal_as_t(low_bound, found.degrees) * deviation,
        high=found.difference + normal_as_t(high_bound, found.degrees) * deviation,
        scale=Scale.ABSOLUTE,
        validity=Validity.ANYTIME,
        level=level,
        n_control=round(found.n0),
        n_treatment=round(found.n1),
        method=METHOD,
        assumptions=("calibrated by simulation, not exact",),
    )
