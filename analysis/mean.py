"""Means, counts and sums per unit: Welch's difference and the relative change.

The variance of a value is the sample variance, with n - 1.

Sources: beside each method; Satterthwaite (1946), Biometrics 2:110.
"""

from math import exp, isfinite, log, sqrt
from typing import Literal

from analysis.effect import Effect, Scale, Undecided
from analysis.inputs import (
    CONSTANT,
    NO_BASELINE,
    UNBOUNDED,
    check_level,
    fixed_effect,
    t_p_value,
    t_quantile,
    unusable,
)
from analysis.mover import Limits, ratio_limits
from analysis.summary import Summary

INDEPENDENT = "units are independent of each other"
ALL_ZERO = Undecided(
    "every treated unit is at zero, which does not say how near zero treatment is",
    needs="more units, or the absolute difference",
)
NORMAL_MEAN = "enough units for their mean to be near normal; cap values with a long tail"


def difference(control: Summary, treatment: Summary, *, level: float = 0.95) -> Effect | Undecided:
    """Treatment's mean minus control's, by Welch's t (variances may differ).

    control, treatment: sums of one value per unit, in the metric's own unit.
    level: two-sided confidence level in (0, 1).
    Returns an absolute Effect, or Undecided below 2 units, with broken sums or no spread.
    Raises ValueError for a level or a number of units that cannot be.
    Source: Welch (1947), Biometrika 34:28.

    >>> effect = difference(Summary.of([1, 2, 3, 4]), Summary.of([3, 4, 5, 6, 7]))
    >>> effect.estimate, round(effect.low, 3), round(effect.high, 3)
    (2.5, 0.235, 4.765)
    """
    check_level(level)
    if (refused := unusable(control, treatment)) is not None:
        return refused
    variances = control.variance / control.n, treatment.variance / treatment.n
    if sum(variances) == 0:
        return CONSTANT
    estimate = treatment.mean - control.mean
    error = sqrt(sum(variances))
    degrees = welch_degrees(variances, (control.n, treatment.n))
    half = t_quantile(level, degrees) * error
    return fixed_effect(
        estimate,
        estimate - half,
        estimate + half,
        scale=Scale.ABSOLUTE,
        level=level,
        units=(control.n, treatment.n),
        method="Welch's t interval",
        p_value=t_p_value(estimate / error, degrees),
        assumptions=(INDEPENDENT, NORMAL_MEAN),
    )


def relative(
    control: Summary,
    treatment: Summary,
    *,
    level: float = 0.95,
    scale: Literal["log", "delta"] = "log",
) -> Effect | Undecided:
    """Treatment's mean over control's, minus one: 0.1 is ten per cent more.

    scale: "log" (default) builds the interval on the logarithm of the ratio, and by Fieller's
        theorem where the treatment's mean is not clearly above zero; "delta" is the plain delta
        method, as GrowthBook gives it.
    Returns a relative Effect, or Undecided where the control's mean is not clearly above zero.
    Raises ValueError for a scale, a level or a number of units that cannot be.
    Source: Deng, Knoblich & Lu (2018), KDD; Fieller (1954), JRSS B 16:175.

    >>> effect = relative(Summary(100, 200.0, 500.0), Summary(100, 220.0, 584.0))
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.1, -0.038, 0.258)
    """
    check_level(level)
    check_scale(scale)
    if (refused := unusable(control, treatment)) is not None:
        return refused
    if control.centred == 0 and treatment.centred == 0:
        return CONSTANT if control.mean > 0 else NO_BASELINE
    return relative_of(
        (control.mean, treatment.mean),
        (control.variance / control.n, treatment.variance / treatment.n),
        (control.n, treatment.n),
        level=level,
        scale=scale,
        method="ratio of means",
    )


def check_scale(scale: str) -> None:
    """Raise ValueError unless the scale of a relative interval is one of those offered.

    >>> check_scale("log")
    """
    if scale not in ("log", "delta"):
        raise ValueError(f"scale must be 'log' or 'delta', not {scale!r}")


def relative_of(
    means: tuple[float, float],
    variances: tuple[float, float],
    units: tuple[int, int],
    *,
    level: float,
    scale: str,
    method: str,
    assumptions: tuple[str, ...] = (INDEPENDENT, NORMAL_MEAN),
) -> Effect | Undecided:
    """The relative effect of two independent estimates (control's first) with their variances.

    means, variances, units: of the control and of the treatment; variances are of the estimates.
    assumptions: for the answer. Undecided as `relative`.

    >>> effect = relative_of((10.0, 11.0), (0.1, 0.1), (500, 500), level=0.95, scale="log", method="m")
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.1, 0.012, 0.196)
    """
    limits = [_limits(*arm, level) for arm in zip(means, variances, units, strict=True)]
    if limits[0].low <= 0:
        return NO_BASELINE
    ratio = means[1] / means[0]
    plain = (
        ratio * ratio * variances[0] / means[0] / means[0],
        variances[1] / means[0] / means[0],
    )
    if not isfinite(sum(plain)):
        return UNBOUNDED
    if sum(plain) == 0:  # a treatment without spread is at zero, or control has none either
        return ALL_ZERO if ratio == 0 else CONSTANT
    degrees = welch_degrees(plain, units)
    error = sqrt(sum(plain))
    half = t_quantile(level, degrees) * error
    low, high, how = ratio - half, ratio + half, "plain delta method"
    p_value = t_p_value((ratio - 1) / error, degrees)
    if scale == "log" and limits[1].low > 0:
        low, high, how = ratio * exp(-half / ratio), ratio * exp(half / ratio), "log scale"
        p_value = t_p_value(log(ratio) * ratio / error, degrees)
    elif scale == "log":
        fieller = _fieller(means, variances, units, level)
        if fieller is None:
            return NO_BASELINE
        (low, high, p_value), how = fieller, "Fieller's theorem"
    return fixed_effect(
        ratio - 1,
        low - 1,
        high - 1,
        scale=Scale.RELATIVE,
        level=level,
        units=units,
        method=f"{method}, {how}",
        p_value=p_value,
        assumptions=assumptions,
    )


def _fieller(
    means: tuple[float, float],
    variances: tuple[float, float],
    units: tuple[int, int],
    level: float,
) -> tuple[float, float, float] | None:
    """Limits of the ratio and the p-value of a ratio of one, which is that of no difference."""
    degrees = welch_degrees(variances, units)
    t = t_quantile(level, degrees)
    arms = [
        Limits(m - t * sqrt(v), m, m + t * sqrt(v)) for m, v in zip(means, variances, strict=True)
    ]
    limits = ratio_limits(*arms)
    if limits is None:
        return None
    return *limits, t_p_value((means[1] - means[0]) / sqrt(sum(variances)), degrees)


def _limits(mean: float, variance: float, n: int, level: float) -> Limits:
    half = t_quantile(level, n - 1) * sqrt(variance)
    return Limits(mean - half, mean, mean + half)


def welch_degrees(variances: tuple[float, float], units: tuple[int, int]) -> float:
    """Satterthwaite's degrees of freedom of a sum of two variances, each of an arm's estimate.

    Scaled by their sum, so that neither tiny nor huge variances overflow.
    units: of both arms.

    >>> welch_degrees((1.0, 1.0), (11, 11))
    20.0
    """
    whole = sum(variances)
    return 1 / sum((v / whole) ** 2 / (n - 1) for v, n in zip(variances, units, strict=True))
