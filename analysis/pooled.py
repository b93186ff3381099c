"""One effect over strata (stage, day, segment) that were each compared within themselves.

Pooling within strata is what keeps a ramp honest: when the share in treatment and the customers
both change from stage to stage, the plain difference of totals compares different days.
"""

from collections.abc import Sequence
from math import exp, expm1, log, sqrt

import numpy as np
from scipy import stats

from analysis.arguments import Floats, open_share
from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.estimate import Estimate, columns
from analysis.summary import Summary

_WITHIN = "variations were compared within each stratum"
_ONE = "the effect is the same in every stratum, or an average weighted by precision is wanted"


def inverse_variance(estimates: Sequence[Estimate], *, level: float = 0.95) -> Effect:
    """Average of the strata's effects, each weighted by its precision (fixed effect).

    estimates: one or more, independent, of one scale. level: of the normal interval, in (0, 1).
    Not for rare events: there a stratum's error shrinks with its luck, and the average is drawn
    down; use `mantel_haenszel_difference` or `mantel_haenszel_ratio`.
    Raises ValueError without estimates or for mixed scales.
    Source: Fleiss (1993), Statistical Methods in Medical Research 2:121-145.

    >>> effect = inverse_variance([Estimate("mon", 1, 1), Estimate("tue", 3, 1)])
    >>> effect.estimate, round(effect.low, 3), round(effect.high, 3)
    (2.0, 0.614, 3.386)
    """
    open_share("level", level)
    values, errors = columns(estimates, at_least=1)
    weights = (errors.min() / errors) ** 2
    value = float(weights @ values / weights.sum())
    error = float(errors.min() / np.sqrt(weights.sum()))
    reach = error * float(stats.norm.isf((1 - level) / 2))
    ends = (value, value - reach, value + reach)
    if estimates[0].scale is Scale.RELATIVE:
        ends = (expm1(ends[0]), expm1(ends[1]), expm1(ends[2]))
    return Effect(
        estimate=ends[0],
        low=ends[1],
        high=ends[2],
        scale=estimates[0].scale,
        validity=Validity.FIXED,
        level=level,
        n_control=sum(e.n_control or 0 for e in estimates),
        n_treatment=sum(e.n_treatment or 0 for e in estimates),
        method="inverse-variance average over strata",
        p_value=float(2 * stats.norm.sf(abs(value) / error)),
        assumptions=(_WITHIN, _ONE),
    )


Stratum = tuple[Summary, Summary]


def mantel_haenszel_difference(
    strata: Sequence[Stratum], *, level: float = 0.95
) -> Effect | Undecided:
    """Common difference of two proportions, treatment minus control.

    strata: (control, treatment) sums of 0 and 1 per unit. Strata with an empty arm tell nothing
    and are passed over. Weights n0 n1 / n; Sato's variance, consistent both for few large and
    for many sparse strata; p-value of Cochran, Mantel and Haenszel without correction.
    Undecided without events, or without strata in which both arms have units.
    Raises ValueError if a total is no number of units. Sources: Mantel & Haenszel (1959), JNCI
    22:719-748; Sato, Greenland & Robins (1989), Biometrics 45:1323-1324.
    level: of the interval, in (0, 1).

    >>> young = Summary(120, 5, 5), Summary(106, 8, 8)
    >>> old = Summary(85, 16, 16), Summary(98, 22, 22)
    >>> effect = mantel_haenszel_difference([young, old])
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.035, -0.028, 0.097)
    """
    open_share("level", level)
    table = _table(strata)
    if isinstance(table, Undecided):
        return table
    a, b, n1, n0 = table
    n = n1 + n0
    weight = float(np.sum(n1 * n0 / n))
    value = float(np.sum((a * n0 - b * n1) / n)) / weight
    p = np.sum((n1 / n) ** 2 * b - (n0 / n) ** 2 * a + n1 * n0 / n * (n0 - n1) / n / 2)
    q = np.sum((a * (n0 - b) + b * (n1 - a)) / n) / 2
    variance = (value * float(p) + float(q)) / weight**2
    reach = sqrt(max(variance, 0.0)) * float(stats.norm.isf((1 - level) / 2))
    limits = (max(value - reach, -1.0), min(value + reach, 1.0))
    return _effect(value, limits, Scale.ABSOLUTE, level, table, "Mantel-Haenszel difference")


def mantel_haenszel_ratio(strata: Sequence[Stratum], *, level: float = 0.95) -> Effect | Undecided:
    """Common ratio of two proportions less one, on the log scale.

    As `mantel_haenszel_difference`, with Greenland and Robins' variance of the log ratio.
    Undecided too when an arm has no events at all: the ratio then has no finite interval.
    Source: Greenland & Robins (1985), Biometrics 41:55-68.
    Raises ValueError as there.

    >>> young = Summary(120, 5, 5), Summary(106, 8, 8)
    >>> old = Summary(85, 16, 16), Summary(98, 22, 22)
    >>> effect = mantel_haenszel_ratio([young, old])
    >>> round(1 + effect.estimate, 3), round(1 + effect.low, 3), round(1 + effect.high, 3)
    (1.326, 0.798, 2.202)
    """
    open_share("level", level)
    table = _table(strata)
    if isinstance(table, Undecided):
        return table
    a, b, n1, n0 = table
    n = n1 + n0
    up, down = float(np.sum(a * n0 / n)), float(np.sum(b * n1 / n))
    if min(up, down) == 0:
        return Undecided("a variation has no events yet", needs="an event in both variations")
    both = float(np.sum((n1 * n0 * (a + b) - a * b * n) / n**2))
    reach = sqrt(max(both / up / down, 0.0)) * float(stats.norm.isf((1 - level) / 2))
    value = log(up / down)
    limits = (exp(value - reach) - 1, exp(value + reach) - 1)
    return _effect(up / down - 1, limits, Scale.RELATIVE, level, table, "Mantel-Haenszel ratio")


Table = tuple[Floats, Floats, Floats, Floats]


def _table(strata: Sequence[Stratum]) -> Table | Undecided:
    """Events of treatment and control, units of treatment and control, each of shape (s,)."""
    for control, treatment in strata:
        for arm in (control, treatment):
            if not (0 <= arm.total <= arm.n and float(arm.total).is_integer()):
                raise ValueError(
                    f"strata must count units with an event, not {arm.total} of {arm.n}"
                )
    held = [(t.total, c.total, t.n, c.n) for c, t in strata if c.n and t.n]
    if not held:
        return Undecided("no stratum has customers in both variations", needs="more customers")
    a, b, n1, n0 = np.array(held, dtype=np.float64).T
    if not (a + b).any() or not (n1 + n0 - a - b).any():
        return Undecided("every customer had the same outcome", needs="more customers")
    return a, b, n1, n0


def _effect(
    value: float,
    limits: tuple[float, float],
    scale: Scale,
    level: float,
    table: Table,
    method: str,
) -> Effect:
    return Effect(
        estimate=value,
        low=limits[0],
        high=limits[1],
        scale=scale,
        validity=Validity.FIXED,
        level=level,
        n_control=int(table[3].sum()),
        n_treatment=int(table[2].sum()),
        method=f"{method} over {len(table[0])} strata",
        p_value=_cochran_mantel_haenszel(table),
        assumptions=(_WITHIN, _ONE),
    )


def _cochran_mantel_haenszel(table: Table) -> float:
    a, b, n1, n0 = table
    n, events = n1 + n0, a + b
    held = n > 1
    expected = events * n1 / n
    variance = (n1 * n0 * events * (n - events))[held] / (n[held] ** 2 * (n[held] - 1))
    if variance.sum() == 0:
        return 1.0
    gap = float(np.sum((a - expected)[held]))
    return float(stats.chi2.sf(gap * gap / float(variance.sum()), 1))
