"""The Gaussian form of the stop-loss: metrics that may be negative, and absolute tolerances.

Source: the project's stop-loss recipe; the normal equivalent of t is Wallace (1959), the
degrees of freedom Satterthwaite (1946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import expm1, isfinite, log1p, sqrt

from analysis.effect import Effect, Scale, Validity
from analysis.stoploss import Kind, Stratum, usable_strata, why_no_units

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
    return _measured(kept, sign, tolerance, kind is Kind.PROPORTION)


def _unready(reason: str, needs: str) -> GaussianStatistic:
    return GaussianStatistic(
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ready=False, reason=reason, needs=needs
    )


@dataclass(frozen=True, slots=True)
class _Arm:
    """One arm over all strata: weighted sum of 1/n, pooled variance, degrees of freedom."""

    reach: float  # sum of h^2 / n
    centred: float  # sum of squares within strata
    degrees: float
    units: float

    @property
    def variance(self) -> float:
        return self.centred / self.degrees if self.degrees > 0 else 0.0


def _measured(
    strata: Sequence[Stratum], sign: int, tolerance: float, proportion: bool
) -> GaussianStatistic:
    weights = [x.n0 * x.n1 / (x.n0 + x.n1) for x in strata]
    whole = sum(weights)
    difference = (
        sum(h * (x.s1 / x.n1 - x.s0 / x.n0) for h, x in zip(weights, strata, strict=True)) / whole
    )
    control = _arm(strata, weights, 0, proportion)
    treatment = _arm(strata, weights, 1, proportion)
    variance0, variance1 = _variances(control, treatment)
    part0, part1 = variance0 * control.reach / whole**2, variance1 * treatment.reach / whole**2
    variance = part0 + part1
    degrees = _satterthwaite((part0, control.degrees), (part1, treatment.degrees))
    reason, needs = _why_not_ready(control, treatment, variance)
    t = (sign * difference - tolerance) / sqrt(variance) if variance > 0 else 0.0
    return GaussianStatistic(
        r=t_as_normal(t, degrees),
        difference=difference,
        variance=variance,
        degrees=degrees,
        information=whole,
        n0=control.units,
        n1=treatment.units,
        variance0=variance0,
        variance1=variance1,
        degrees0=control.degrees,
        degrees1=treatment.degrees,
        ready=not reason,
        reason=reason,
        needs=needs,
    )


def _arm(strata: Sequence[Stratum], weights: Sequence[float], arm: int, proportion: bool) -> _Arm:
    """Sums of one arm; centred squares in exact arithmetic, for sums of a billion units."""
    reach, centred, degrees, units = 0.0, Fraction(0), 0.0, 0.0
    for h, x in zip(weights, strata, strict=True):
        n, s, q = (x.n1, x.s1, x.q1) if arm else (x.n0, x.s0, x.q0)
        ready, m = (x.nv1, x.m1) if arm else (x.nv0, x.m0)
        q = s if proportion else q
        reach += h * h / n
        units += n if m is None else m
        if ready is not None and m is not None:
            # per denominator unit, in proportion to degrees: pooled over strata it is nv over n
            centred += Fraction(ready) / Fraction(n) * Fraction(max(m - 1, 0))
            degrees += max(m - 1, 0)
        else:
            centred += max(Fraction(q) - Fraction(s) ** 2 / Fraction(n), Fraction(0))
            degrees += n - 1
    return _Arm(reach, float(centred), degrees, units)


def _variances(control: _Arm, treatment: _Arm) -> tuple[float, float]:
    """Each arm's variance of one unit, the pooled variance as floor."""
    degrees = control.degrees + treatment.degrees
    pooled = (control.centred + treatment.centred) / degrees if degrees > 0 else 0.0
    return max(control.variance, pooled), max(treatment.variance, pooled)


def _satterthwaite(*parts: tuple[float, float]) -> float:
    whole = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / degrees for variance, degrees in parts if degrees > 0)
    return whole**2 / spread if spread > 0 else 0.0


def _why_not_ready(control: _Arm, treatment: _Arm, variance: float) -> tuple[str, str]:
    fewest = min(control.units, treatment.units)
    if fewest < LEAST_UNITS:
        return f"{int(fewest)} of the {LEAST_UNITS} customers that each arm needs", "more customers"
    if variance <= 0:
        return "every customer has the same value, so its spread is unknown", "values that differ"
    return "", ""


def t_as_normal(t: float, degrees: float) -> float:
    """The normal deviate as unlikely as this t. 0 without degrees of freedom."""
    if degrees <= 0:
        return 0.0
    size = (8 * degrees + 1) / (8 * degrees + 3) * sqrt(degrees * log1p(t * t / degrees))
    return size if t > 0 else -size


def normal_as_t(z: float, degrees: float) -> float:
    """The inverse of `t_as_normal`, for z of 0 or more.

    >>> round(t_as_normal(normal_as_t(2.5, 40), 40), 12)
    2.5
    """
    scaled = z * (8 * degrees + 3) / (8 * degrees + 1)
    return sqrt(degrees * expm1(scaled * scaled / degrees))


def difference_effect(
    found: GaussianStatistic, *, low_bound: float, high_bound: float, level: float
) -> Effect:
    """The differences not ruled out, in the metric's unit. Needs a statistic that is ready."""
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
