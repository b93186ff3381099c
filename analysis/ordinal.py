"""Grades and other ordered answers: CSAT, stars, NPS.

Everything is computed from how many units gave each grade. The mean of the grades is
`analysis.mean.difference` of both summaries.

control, treatment: units by grade; level: of the interval, two-sided, in (0, 1).
Sources: beside each method; shares as of `proportion`. Raises ValueError for a level that cannot be.
"""

from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
from scipy.special import ndtr

from analysis import mean, proportion
from analysis.effect import Effect, Scale, Undecided
from analysis.histogram import Floats, Histogram
from analysis.inputs import CONSTANT, check_level, fixed_effect, t_p_value, t_quantile, too_few
from analysis.summary import Summary

PROMOTER, DETRACTOR, HIGHEST = 9, 6, 10
INDEPENDENT = "units are independent of each other"


def top_box(
    control: Histogram,
    treatment: Histogram,
    *,
    least: float,
    relative: bool = False,
    level: float = 0.95,
) -> Effect | Undecided:
    """The share of units graded `least` or higher: treatment's minus (or over) control's.

    control, treatment: units by grade. least: 4 for the two best of five stars.
    relative: over control's, minus one. Methods and refusals as in `analysis.proportion`.

    >>> before = Histogram.counted([(1, 10), (3, 20), (4, 30), (5, 40)])
    >>> after = Histogram.counted([(1, 10), (3, 10), (4, 30), (5, 50)])
    >>> round(top_box(before, after, least=4).estimate, 3)
    0.1
    """
    arms = control.share(above=least), treatment.share(above=least)
    return _shares(arms, relative, level)


def lower_tail(
    control: Histogram,
    treatment: Histogram,
    *,
    most: float,
    relative: bool = False,
    level: float = 0.95,
) -> Effect | Undecided:
    """The share of units graded `most` or lower: the unhappy ones, whom an average hides.

    Arguments, methods and refusals as in `top_box`.

    >>> before = Histogram.counted([(1, 10), (3, 20), (5, 70)])
    >>> round(lower_tail(before, before, most=2).estimate, 3)
    0.0
    """
    arms = control.share(below=most), treatment.share(below=most)
    return _shares(arms, relative, level)


def nps(control: Histogram, treatment: Histogram, *, level: float = 0.95) -> Effect | Undecided:
    """Treatment's net promoter score minus control's, between -2 and 2 (times 100 in points).

    The score is the mean of +1 (9 or 10), 0 (7 or 8) and -1 (0 to 6), three shares that sum to
    one, so its variance is (p+ + p- - (p+ - p-)^2) / n; the interval is Welch's.
    Undecided below 2 units, for a grade outside 0 to 10, or where all units agree.
    Source: Rocks (2016), Quality Engineering 28:297 (multinomial variance of NPS).

    >>> before = Histogram.counted([(3, 20), (7, 30), (10, 50)])
    >>> after = Histogram.counted([(3, 10), (7, 30), (10, 60)])
    >>> effect = nps(before, after)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.2, -0.004, 0.404)
    """
    check_level(level)
    for arm in (control, treatment):
        if arm.n and (arm.values[0] < 0 or arm.values[-1] > HIGHEST):
            return Undecided(
                "some answers lie outside 0 to 10, so there is no net promoter score",
                needs="answers to the 0 to 10 question",
            )
    found = mean.difference(net_promoters(control), net_promoters(treatment), level=level)
    if isinstance(found, Undecided):
        return found
    return replace(found, method="net promoter score, Welch's t interval")


def net_promoters(arm: Histogram) -> Summary:
    """One arm's answers as a summary of +1, 0 and -1.

    >>> net_promoters(Histogram.of([10, 9, 8, 6])).mean
    0.25
    """
    above = int(arm.counts[arm.values >= PROMOTER].sum())
    below = int(arm.counts[arm.values <= DETRACTOR].sum())
    return Summary(arm.n, above - below, above + below)


def mann_whitney(
    control: Histogram, treatment: Histogram, *, level: float = 0.95
) -> Effect | Undecided:
    """How much likelier a treated unit is graded above a control unit than below it.

    The estimate is P(T > C) - P(T < C), in [-1, 1]: 0 without a difference, 1 where every treated
    unit is graded higher. Ties count for neither. The interval does not assume equal spreads and is
    built on the logit of P(T > C) + P(T = C) / 2; where no unit overlaps it is the exact bound from
    disjoint pairs.
    Returns an absolute Effect, or Undecided below 2 units or if all units have the same grade.
    Source: Brunner & Munzel (2000), Biometrical Journal 42:17; Newcombe (2006), Statistics in
    Medicine 25:559.

    >>> low, high = Histogram.counted([(1, 30), (2, 20)]), Histogram.counted([(1, 20), (2, 30)])
    >>> effect = mann_whitney(low, high)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.2, -0.002, 0.386)
    """
    check_level(level)
    for name, arm in (("control", control), ("treatment", treatment)):
        if arm.n < 2:
            return too_few(name, arm.n, 2)
    if (control + treatment).values.size == 1:
        return CONSTANT
    chance, variances = _placements(control, treatment)
    if sum(variances) == 0:
        return _apart(chance, (control.n, treatment.n), level)
    error = sqrt(sum(variances))
    degrees = mean.welch_degrees(variances, (control.n, treatment.n))
    if not 0 < chance < 1:  # rounding
        return _apart(round(chance), (control.n, treatment.n), level)
    logit, on_logit = log(chance / (1 - chance)), error / (chance * (1 - chance))
    half = t_quantile(level, degrees) * on_logit
    return fixed_effect(
        2 * chance - 1,
        2 * _expit(logit - half) - 1,
        2 * _expit(logit + half) - 1,
        scale=Scale.ABSOLUTE,
        level=level,
        units=(control.n, treatment.n),
        method="Mann-Whitney, Brunner-Munzel variance on the logit",
        p_value=t_p_value(logit / on_logit, degrees),
        assumptions=(INDEPENDENT,),
    )


def mann_whitney_p_value(control: Histogram, treatment: Histogram) -> float | Undecided:
    """Two-sided p-value of equal distributions, corrected for ties, without continuity correction.

    As scipy's `mannwhitneyu(method="asymptotic", use_continuity=False)`.
    Source: Mann & Whitney (1947); Lehmann (1975), Nonparametrics, 1.4 (ties).
    Undecided as `mann_whitney`.

    >>> low, high = Histogram.counted([(1, 30), (2, 20)]), Histogram.counted([(1, 20), (2, 30)])
    >>> round(mann_whitney_p_value(low, high), 4)
    0.0466
    """
    whole = control + treatment
    n0, n1, n = control.n, treatment.n, whole.n
    if min(n0, n1) == 0:
        return too_few("control" if n0 == 0 else "treatment", 0, 1)
    if whole.values.size == 1:
        return CONSTANT
    ties = whole.counts.astype(float)
    variance = n0 * n1 / 12 * ((n + 1) - float((ties**3 - ties).sum()) / (n * (n - 1)))
    chance, _ = _placements(control, treatment)
    return 2 * float(ndtr(-abs(chance - 0.5) * n0 * n1 / sqrt(variance)))


def _placements(control: Histogram, treatment: Histogram) -> tuple[float, tuple[float, float]]:
    """P(T > C) + P(T = C) / 2, and what each arm adds to its variance."""
    below = _mid_share(control, treatment.values)  # share of control below each treated value
    above = 1 - _mid_share(treatment, control.values)
    chance = float(below @ treatment.counts) / treatment.n
    return chance, (_variance(above, control), _variance(below, treatment))


def _mid_share(arm: Histogram, at: Floats) -> Floats:
    """The arm's share below each value, half of those equal to it included."""
    cumulative = np.concatenate([[0], np.cumsum(arm.counts)])
    left = cumulative[np.searchsorted(arm.values, at, side="left")]
    right = cumulative[np.searchsorted(arm.values, at, side="right")]
    return np.asarray((left + right) / 2 / arm.n)


def _variance(placements: Floats, arm: Histogram) -> float:
    centre = float(placements @ arm.counts) / arm.n
    spread = float((placements - centre) ** 2 @ arm.counts)
    return spread / (arm.n - 1) / arm.n if spread > 1e-14 * arm.n else 0.0


def _apart(chance: float, units: tuple[int, int], level: float) -> Effect | Undecided:
    """Where every unit of one arm is above every unit of the other.

    Each of m disjoint pairs then agrees, which has chance^m, so the bound is exact.
    """
    bound = 2 * ((1 - level) / 2) ** (1 / min(units)) - 1
    low, high = (bound, 1.0) if chance > 0.5 else (-1.0, -bound)
    return fixed_effect(
        2 * chance - 1,
        low,
        high,
        scale=Scale.ABSOLUTE,
        level=level,
        units=units,
        method="Mann-Whitney, exact bound from disjoint pairs",
        p_value=min(1.0, 2 * 0.5 ** min(units)),
        assumptions=(INDEPENDENT,),
    )


def _expit(logit: float) -> float:
    return 1 / (1 + exp(-logit)) if logit > -700 else 0.0


def _shares(arms: tuple[Summary, Summary], relative: bool, level: float) -> Effect | Undecided:
    compare = proportion.relative if relative else proportion.difference
    return compare(*arms, level=level)
