"""Ratios of two sums with the unit as cluster: complaints per contact, revenue per order.

The ratio is a sum over a sum, not a mean of ratios; a unit's numerator and denominator belong
together, so their covariance enters the variance (sample covariances, with n - 1).

Sources: beside each method; Fieller (1954), JRSS B 16:175. level: two-sided, in (0, 1).
"""

from fractions import Fraction
from math import sqrt

from analysis.arguments import is_sound
from analysis.effect import Effect, Scale, Undecided
from analysis.inputs import (
    BROKEN,
    CONSTANT,
    NO_BASELINE,
    check_level,
    fixed_effect,
    side_p_value,
    t_p_value,
    t_quantile,
    unusable_pairs,
)
from analysis.mean import check_scale, relative_of, welch_degrees
from analysis.mover import Limits, difference_limits, ratio_limits
from analysis.summary import ROUGH, ROUNDING, PairSummary

NO_DENOMINATOR = Undecided(
    "the denominator cannot be told from zero, so the ratio has no bounds yet",
    needs="more units with something in the denominator",
)
INDEPENDENT = "units are independent of each other; events of one unit need not be"
NEAR_NORMAL = "enough units for both sums to be near normal"
_SMALLEST = 1e-60  # of a denominator: its square still has an inverse
NEAR_ZERO = 0.05  # Fieller's g above which the delta method is off: Finney (1978)


def difference(
    control: PairSummary, treatment: PairSummary, *, level: float = 0.95
) -> Effect | Undecided:
    """Treatment's ratio minus control's: x is the numerator per unit, y the denominator.

    control, treatment: sums of numerator and denominator per randomised unit.
    level: two-sided confidence level in (0, 1).
    Returns an absolute Effect: the delta method, or each arm's Fieller interval joined where a
    denominator is near zero. Undecided below 2 units, with broken sums or an unclear denominator.
    Raises ValueError for a level or a number of units that cannot be.
    Source: Deng, Knoblich & Lu (2018), KDD; Fieller (1954), JRSS B 16:175; Zou & Donner (2008).

    >>> a = PairSummary.of([1, 0, 2, 1], [4, 5, 6, 5])
    >>> b = PairSummary.of([2, 1, 2, 3], [5, 5, 4, 6])
    >>> effect = difference(a, b)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.2, -0.131, 0.553)
    """
    check_level(level)
    if (refused := _refused(control, treatment)) is not None:
        return refused
    arms = control, treatment
    ratios = [arm.x_total / arm.y_total for arm in arms]
    variances = ratio_variance(control), ratio_variance(treatment)
    units = control.n, treatment.n
    estimate, error = ratios[1] - ratios[0], sqrt(sum(variances))
    degrees = welch_degrees(variances, units)
    half = t_quantile(level, degrees) * error
    limits, method = (estimate - half, estimate + half), "delta method"
    p_value: float | None = t_p_value(estimate / error, degrees)
    if max(_g(arm, level) for arm in arms) > NEAR_ZERO:
        bounds = [fieller(arm, level=level) for arm in arms]
        if bounds[0] is None or bounds[1] is None:
            return NO_DENOMINATOR
        limits, method = difference_limits(bounds[0], bounds[1]), "Fieller's theorem, joined"
        p_value = side_p_value(estimate, *limits, level)
    return fixed_effect(
        estimate,
        *limits,
        scale=Scale.ABSOLUTE,
        level=level,
        units=units,
        method=f"ratio of sums, {method}",
        p_value=p_value,
        assumptions=(INDEPENDENT, NEAR_NORMAL),
    )


def relative(
    control: PairSummary, treatment: PairSummary, *, level: float = 0.95, scale: str = "log"
) -> Effect | Undecided:
    """Treatment's ratio over control's, minus one.

    scale: "log" or "delta", as in `analysis.mean.relative`. Other arguments, refusals and sources
    as in `difference`; Undecided also where the control's ratio is not clearly above zero.

    >>> a = PairSummary(100, 200.0, 1000.0, 500.0, 10500.0, 2100.0)
    >>> b = PairSummary(100, 300.0, 1000.0, 1000.0, 10500.0, 3200.0)
    >>> effect = relative(a, b)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.5, 0.364, 0.649)
    """
    check_level(level)
    check_scale(scale)
    if (refused := _refused(control, treatment)) is not None:
        return refused
    arms = control, treatment
    if max(_g(arm, level) for arm in arms) > NEAR_ZERO:
        return _relative_by_fieller(control, treatment, level)
    return relative_of(
        (control.x_total / control.y_total, treatment.x_total / treatment.y_total),
        (ratio_variance(control), ratio_variance(treatment)),
        (control.n, treatment.n),
        level=level,
        scale=scale,
        method="ratio of ratios of sums",
        assumptions=(INDEPENDENT, NEAR_NORMAL),
    )


def _relative_by_fieller(
    control: PairSummary, treatment: PairSummary, level: float
) -> Effect | Undecided:
    bounds = [fieller(arm, level=level) for arm in (control, treatment)]
    if bounds[0] is None or bounds[1] is None:
        return NO_DENOMINATOR
    limits = ratio_limits(bounds[0], bounds[1])
    if limits is None:
        return NO_BASELINE
    estimate, low, high = bounds[1].estimate / bounds[0].estimate - 1, limits[0] - 1, limits[1] - 1
    return fixed_effect(
        estimate,
        low,
        high,
        scale=Scale.RELATIVE,
        level=level,
        units=(control.n, treatment.n),
        method="ratio of ratios of sums, Fieller's theorem, joined",
        p_value=side_p_value(estimate, low, high, level),
        assumptions=(INDEPENDENT, NEAR_NORMAL),
    )


def ratio_variance(arm: PairSummary) -> float:
    """Variance of one arm's ratio x / y by the delta method, the unit being the cluster.

    Raises ZeroDivisionError below 2 units or without a denominator.

    >>> ratio_variance(PairSummary.of([1, 2, 3], [1, 1, 1]))
    0.333...
    """
    ratio = arm.x_total / arm.y_total
    whole = arm.xx + ratio * ratio * arm.yy
    residual = whole - 2 * ratio * arm.xy  # x - ratio * y sums to 0, so this is centred
    if residual < ROUGH * whole:
        exact = Fraction(arm.x_total) / Fraction(arm.y_total)
        residual = float(
            Fraction(arm.xx) - 2 * exact * Fraction(arm.xy) + exact * exact * Fraction(arm.yy)
        )
    if residual < ROUNDING * whole:
        return 0.0
    return residual * arm.n / (arm.n - 1) / (arm.y_total * arm.y_total)


def fieller(arm: PairSummary, *, level: float = 0.95) -> Limits | None:
    """One arm's ratio with Fieller's interval; None where that has no bounds.

    >>> limits = fieller(PairSummary.of([1, 0, 2, 1], [4, 5, 6, 5]))
    >>> round(limits.low, 3), limits.estimate, round(limits.high, 3)
    (-0.069, 0.2, 0.426)
    """
    x, y = arm.x_total / arm.n, arm.y_total / arm.n
    xx, yy, xy = (s / (arm.n - 1) / arm.n for s in _centred(arm))
    t2 = t_quantile(level, arm.n - 1) ** 2
    a, b, c = y * y - t2 * yy, x * y - t2 * xy, x * x - t2 * xx
    if a <= 0:
        return None
    half = sqrt(max(b * b - a * c, 0.0))
    estimate = x / y
    return Limits(min((b - half) / a, estimate), estimate, max((b + half) / a, estimate))


def _centred(arm: PairSummary) -> tuple[float, float, float]:
    """Centred sums of squares of x and y and of their products."""
    return arm.x.centred, arm.y.centred, arm.centred


def _g(arm: PairSummary, level: float) -> float:
    """Fieller's g: the squared share of the denominator that its own interval spans."""
    spread = arm.y.centred * arm.n / (arm.n - 1)
    return t_quantile(level, arm.n - 1) ** 2 * spread / arm.y_total**2


def _refused(control: PairSummary, treatment: PairSummary) -> Undecided | None:
    if (refused := unusable_pairs(control, treatment)) is not None:
        return refused
    for arm in (control, treatment):
        if (
            not is_sound(arm.x_total, arm.y_total, arm.xx, arm.yy, arm.xy)
            or min(arm.xx, arm.yy) < 0
        ):
            return BROKEN
    if min(control.y_total, treatment.y_total) < _SMALLEST:
        return NO_DENOMINATOR
    if ratio_variance(control) + ratio_variance(treatment) == 0:
        return CONSTANT
    return None
