"""Futility: can the smallest effect worth having still be shown by the deadline?

Conditional power supposes a size of the true effect; predictive power averages over what the
data say of it. The bound is non-binding: nothing is spent on it, so overriding it breaks no
other guarantee.

Source: Lan & Wittes (1988), Biometrics 44 (the B-value); Spiegelhalter, Freedman & Blackburn
(1986), Controlled Clinical Trials 7 (predictive power).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, isfinite, sqrt

from scipy.special import ndtr

from analysis.arguments import finite
from analysis.effect import Undecided

_SMALLEST = 1e-60  # of an error; its square still has an inverse


@dataclass(frozen=True, slots=True)
class Futility:
    """The chances, at one look, of an effect shown by the deadline.

    at_worthwhile: if the truth is the smallest worthwhile effect. at_trend: if it is the present
    estimate. predictive: over what is not known of it. is_futile: the predictive power and the
    power at the worthwhile effect are both below the floor. saved_days, saved_units: what
    stopping now spares; 0 unless futile.
    """

    at_worthwhile: float
    at_trend: float
    predictive: float
    is_futile: bool
    saved_days: float
    saved_units: float
    reason: str


def conditional_power(
    estimate: float, error: float, fraction: float, truth: float, critical: float
) -> float:
    """The chance that the estimate over its error exceeds `critical` at the deadline.

    estimate, truth: effects, positive is better, in one unit. error: the estimate's standard
    error now, above 0. fraction: of the deadline's information reached, in (0, 1].
    critical: what the standardised effect must exceed then, such as 1.96.
    Raises ValueError for a fraction, an error or a truth that cannot be.

    >>> round(conditional_power(0.0, 1.0, 0.5, 0.0, 1.96), 4)  # no effect so far, none in truth
    0.0028
    """
    _check(estimate, error, fraction, critical)
    finite("truth", truth)
    if fraction == 1:
        return float(estimate / error > critical)
    drift = truth / error / sqrt(fraction)  # of the B-value over the whole plan
    reached = estimate / error * sqrt(fraction)
    needed = critical - reached - drift * (1 - fraction)
    return float(ndtr(-needed / sqrt(1 - fraction)))


def predictive_power(
    estimate: float,
    error: float,
    fraction: float,
    critical: float,
    *,
    prior_mean: float = 0.0,
    prior_deviation: float | None = None,
) -> float:
    """Conditional power averaged over the effect's posterior.

    prior_mean, prior_deviation: of a normal prior in the effect's unit; None for a flat one.
    estimate, error, fraction, critical: as in `conditional_power`, ValueErrors too.

    >>> round(predictive_power(1.0, 1.0, 0.5, 1.96), 4)
    0.2926
    """
    _check(estimate, error, fraction, critical)
    finite("prior_mean", prior_mean)
    if prior_deviation is not None and finite("prior_deviation", prior_deviation) < _SMALLEST:
        raise ValueError(f"prior_deviation must be above 0, not {prior_deviation}")
    if fraction == 1:
        return float(estimate / error > critical)
    weight = 1.0 if prior_deviation is None else 1 / hypot(1, error / prior_deviation) ** 2
    believed = weight * estimate + (1 - weight) * prior_mean
    spread = sqrt(weight) * error
    scale = (1 - fraction) / (error * sqrt(fraction))  # of the effect in the B-value still to come
    needed = critical - estimate / error * sqrt(fraction) - believed * scale
    return float(ndtr(-needed / hypot(sqrt(1 - fraction), spread * scale)))


def futility(
    estimate: float,
    error: float,
    *,
    fraction: float,
    worthwhile: float,
    floor: float = 0.1,
    critical: float = 1.959964,
    days_left: float = 0.0,
    units_left: float = 0.0,
) -> Futility | Undecided:
    """Whether going on can still show the smallest worthwhile effect, and what stopping spares.

    estimate, error, worthwhile: in one unit, positive is better; worthwhile above 0.
    fraction: of the deadline's information reached. floor: the power below which going on is
    futile, locked in the plan; in (0, 1). days_left, units_left: until the deadline.
    Undecided without a standard error; ValueError names an impossible argument.
    critical: as in `conditional_power`.

    >>> seen = futility(-0.5, 0.2, fraction=0.5, worthwhile=0.3, days_left=14, units_left=9000)
    >>> seen.is_futile, round(seen.at_worthwhile, 4), seen.saved_days
    (True, 0.0001, 14)
    """
    for name, value in (("worthwhile", worthwhile), ("floor", floor)):
        if not (isfinite(value) and value > 0):
            raise ValueError(f"{name} must be finite and above 0, not {value}")
    if floor >= 1:
        raise ValueError(f"floor must be below 1, not {floor}")
    if days_left < 0 or units_left < 0:
        raise ValueError("days_left and units_left must not be negative")
    if error == 0 or fraction == 0:
        return Undecided("there is no effect with an error yet", "more customers")
    hoped = conditional_power(estimate, error, fraction, worthwhile, critical)
    trend = conditional_power(estimate, error, fraction, estimate, critical)
    predicted = predictive_power(estimate, error, fraction, critical)
    is_futile = max(hoped, predicted) < floor
    return Futility(
        at_worthwhile=hoped,
        at_trend=trend,
        predictive=predicted,
        is_futile=is_futile,
        saved_days=days_left if is_futile else 0.0,
        saved_units=units_left if is_futile else 0.0,
        reason=_reason(is_futile, hoped, predicted),
    )


def _reason(is_futile: bool, hoped: float, predicted: float) -> str:
    odds = (
        f"{hoped:.0%} if the effect is just worth having, {predicted:.0%} going by the data so far"
    )
    if is_futile:
        return f"Going on would hardly show a worthwhile effect by the deadline: {odds}."
    return f"A worthwhile effect may still be shown by the deadline: {odds}."


def _check(estimate: float, error: float, fraction: float, critical: float) -> None:
    for name, value in (("estimate", estimate), ("critical", critical)):
        finite(name, value)
    if finite("error", error) < _SMALLEST:
        raise ValueError(f"error must be finite and above 0, not {error}")
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1], not {fraction}")
