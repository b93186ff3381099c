"""Consistency: whether the treatment spreads outcomes out, or leaves one group behind.

Everything is computed from how many units have each value. The low and the high end are
`analysis.quantile.difference` at 0.1 and 0.9.

control, treatment: units by value; level: of the interval, two-sided, in (0, 1).
Raises ValueError for a level that cannot be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp, isfinite, log, sqrt

import numpy as np
from scipy.special import fdtrc

from analysis import mean
from analysis.effect import Effect, Finding, Scale, Undecided
from analysis.histogram import Histogram
from analysis.inputs import (
    BROKEN,
    CONSTANT,
    check_level,
    fixed_effect,
    side_p_value,
    t_p_value,
    t_quantile,
    too_few,
)
from analysis.mover import Limits, difference_limits
from analysis.multiplicity import holm
from analysis.noninferiority import p_values

INDEPENDENT = "units are independent of each other"
NO_SPREAD = Undecided(
    "all units of a variation have the same value, so there is no spread to compare",
    needs="units whose values differ",
)
FEWEST = 4


def spread(control: Histogram, treatment: Histogram, *, level: float = 0.95) -> Effect | Undecided:
    """Treatment's mean distance from its own median over control's, minus one.

    0.1 means that units lie ten per cent further from their middle. Robust to tails and skewness,
    where `variance_ratio` is not; the p-value is that of `brown_forsythe_p_value` but without equal
    variances of the distances.
    control, treatment: units by value, in any unit. Undecided below 4 units or without spread.
    Source: Brown & Forsythe (1974), JASA 69:364; Bonett & Seier (2003), Computational Statistics
    and Data Analysis 42:1.

    >>> effect = spread(Histogram.of(range(50)), Histogram.of(range(0, 100, 2)))
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (1.0, 0.587, 1.52)
    """
    check_level(level)
    if (refused := _refused(control, treatment)) is not None:
        return refused
    distances = _from_median(control).summary, _from_median(treatment).summary
    means = distances[0].mean, distances[1].mean
    variances = distances[0].variance / control.n, distances[1].variance / treatment.n
    if sum(variances) == 0:
        return CONSTANT
    return mean.relative_of(
        means,
        variances,
        (control.n, treatment.n),
        level=level,
        scale="log",
        method="ratio of mean distances from the median",
        assumptions=(INDEPENDENT,),
    )


def spread_difference(
    control: Histogram, treatment: Histogram, *, level: float = 0.95
) -> Effect | Undecided:
    """Treatment's mean distance from its own median minus control's, in the metric's unit.

    As `spread`, on the absolute scale, by Welch's t. Source: as there.

    >>> effect = spread_difference(Histogram.of(range(50)), Histogram.of(range(0, 100, 2)))
    >>> effect.estimate, round(effect.low, 2), round(effect.high, 2)
    (12.5, 7.91, 17.09)
    """
    check_level(level)
    if (refused := _refused(control, treatment)) is not None:
        return refused
    distances = _from_median(control).summary, _from_median(treatment).summary
    found = mean.difference(*distances, level=level)
    if isinstance(found, Undecided):
        return found
    how = "difference of mean distances from the median, Welch's t interval"
    return replace(found, method=how, assumptions=(INDEPENDENT,))


def brown_forsythe_p_value(control: Histogram, treatment: Histogram) -> float | Undecided:
    """P-value of equal spread, by analysis of variance of the distances from each median.

    As scipy's `levene(center="median")`.
    Source: Brown & Forsythe (1974), JASA 69:364.
    Undecided as `spread`.

    >>> round(brown_forsythe_p_value(Histogram.of(range(9)), Histogram.of(range(0, 18, 2))), 4)
    0.0483
    """
    if (refused := _refused(control, treatment)) is not None:
        return refused
    first, second = _from_median(control).summary, _from_median(treatment).summary
    within = first.centred + second.centred
    between = (first.mean - second.mean) ** 2 / (1 / first.n + 1 / second.n)
    degrees = first.n + second.n - 2
    if within == 0:
        return CONSTANT
    return float(fdtrc(1, degrees, between / within * degrees))


def variance_ratio(
    control: Histogram, treatment: Histogram, *, level: float = 0.95
) -> Effect | Undecided:
    """Treatment's variance over control's, minus one.

    The interval is built on the logarithm with each arm's own kurtosis, so that it holds for values
    that are not normal, unlike the F test; with long tails it wants many units.
    Arguments and refusals as in `spread`. Variances are sample variances, with n - 1.
    Source: Bonett (2006), Computational Statistics and Data Analysis 50:775 (kurtosis).

    >>> effect = variance_ratio(Histogram.of(range(50)), Histogram.of(range(0, 100, 2)))
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (3.0, 1.759, 4.8)
    """
    check_level(level)
    if (refused := _refused(control, treatment)) is not None:
        return refused
    ratio = treatment.summary.variance / control.summary.variance
    errors = _log_variance(control), _log_variance(treatment)
    degrees = mean.welch_degrees(errors, (control.n, treatment.n))
    error = sqrt(sum(errors))
    half = t_quantile(level, degrees) * error
    return fixed_effect(
        ratio - 1,
        ratio * exp(-half) - 1,
        ratio * exp(half) - 1,
        scale=Scale.RELATIVE,
        level=level,
        units=(control.n, treatment.n),
        method="ratio of variances, log scale, own kurtosis",
        p_value=t_p_value(log(ratio) / error, degrees),
        assumptions=(INDEPENDENT, "enough units for the fourth moments"),
    )


def variance_difference(
    control: Histogram, treatment: Histogram, *, level: float = 0.95
) -> Effect | Undecided:
    """Treatment's variance minus control's, in the metric's unit squared.

    Each arm's limits are those of `variance_ratio`; the two are joined (see `analysis.mover`).
    Arguments and refusals as in `spread`. Source: Bonett (2006); Zou & Donner (2008).

    >>> effect = variance_difference(Histogram.of(range(50)), Histogram.of(range(0, 100, 2)))
    >>> round(effect.estimate, 1), round(effect.low, 1), round(effect.high, 1)
    (637.5, 428.6, 901.3)
    """
    check_level(level)
    if (refused := _refused(control, treatment)) is not None:
        return refused
    arms = [_variance_limits(arm, level) for arm in (control, treatment)]
    estimate = arms[1].estimate - arms[0].estimate
    low, high = difference_limits(*arms)
    return fixed_effect(
        estimate,
        low,
        high,
        scale=Scale.ABSOLUTE,
        level=level,
        units=(control.n, treatment.n),
        method="difference of variances, own kurtosis, joined",
        p_value=side_p_value(estimate, low, high, level),
        assumptions=(INDEPENDENT, "enough units for the fourth moments"),
    )


def _variance_limits(arm: Histogram, level: float) -> Limits:
    held = arm.summary.variance
    reach = exp(t_quantile(level, arm.n - 1) * sqrt(_log_variance(arm)))
    return Limits(held / reach, held, held * reach)


@dataclass(frozen=True, slots=True)
class Segments:
    """Whether every segment is safe.

    overall: harm if any segment is harmed (Holm over segments), safe only if every one is safe.
    worst: the segment with the worst estimate, None without any estimate.
    findings: each segment's own, both harm and safety corrected by Holm.
    """

    overall: Finding
    worst: str | None
    findings: dict[str, Finding]


def worst_segment(
    effects: Mapping[str, Effect | Undecided],
    margin: float,
    *,
    higher_is_better: bool,
    alpha: float = 0.025,
) -> Segments:
    """Non-inferiority of the worst segment.

    effects: one per segment, on one scale. margin: worsening tolerated, 0 or more, on that scale.
    alpha: one-sided chance of calling any unharmed segment harmed, and of calling any unsafe one
        safe. That *every* segment is safe needs no correction, since all must pass.
    A segment without an effect is unknown, and keeps the whole from being safe.
    Raises ValueError for a margin or an alpha that cannot be, or effects of two scales.
    Source: Holm (1979); Berger (1982), Technometrics 24:295 (intersection-union).

    >>> worst_segment({}, 0.01, higher_is_better=True).overall
    <Finding.UNKNOWN: 'unknown'>
    """
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie between 0 and 0.5, not {alpha}")
    known = {name: e for name, e in effects.items() if isinstance(e, Effect)}
    if len({effect.scale for effect in known.values()}) > 1:
        raise ValueError("effects: some are absolute and some relative")
    chances = {
        name: p_values(e, margin, higher_is_better=higher_is_better) for name, e in known.items()
    }
    harmed = dict(zip(chances, holm([harm for harm, _ in chances.values()]), strict=True))
    safe = dict(zip(chances, holm([safety for _, safety in chances.values()]), strict=True))
    findings = {name: _finding(name, harmed, safe, alpha) for name in effects}
    all_safe = len(known) == len(effects) > 0 and all(p <= alpha for _, p in chances.values())
    overall = Finding.SAFE if all_safe else Finding.UNKNOWN
    if Finding.HARM in findings.values():
        overall = Finding.HARM
    sign = 1 if higher_is_better else -1
    worst = min(known, key=lambda name: sign * known[name].estimate, default=None)
    return Segments(overall, worst, findings)


def _finding(
    name: str, harmed: Mapping[str, float], safe: Mapping[str, float], alpha: float
) -> Finding:
    if harmed.get(name, 1.0) <= alpha:
        return Finding.HARM
    return Finding.SAFE if safe.get(name, 1.0) <= alpha else Finding.UNKNOWN


def _from_median(arm: Histogram) -> Histogram:
    """The same units by their distance from their median."""
    return Histogram.counted(
        zip(np.abs(arm.values - arm.quantile(0.5)).tolist(), arm.counts.tolist(), strict=True)
    )


def _log_variance(arm: Histogram) -> float:
    """Variance of the logarithm of the sample variance: (kurtosis - (n-3)/n) / (n-1)."""
    n, off = arm.n, arm.values - arm.summary.mean
    second = float(off**2 @ arm.counts) / n
    kurtosis = float((off * off / second) ** 2 @ arm.counts) / n
    return (kurtosis - (n - 3) / n) / (n - 1)


def _refused(control: Histogram, treatment: Histogram) -> Undecided | None:
    for name, arm in (("control", control), ("treatment", treatment)):
        if arm.n < FEWEST:
            return too_few(name, arm.n, FEWEST)
        summary = arm.summary
        if not isfinite(summary.squares):
            return BROKEN
        if summary.centred == 0:
            return NO_SPREAD
    return None
