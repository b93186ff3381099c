"""Exact comparison of two proportions where events are few.

The intervals meld the two arms' Clopper-Pearson limits, and go with Fisher's exact test: an
interval excludes no difference exactly when the (central, two-sided) test rejects it. `x0, n0`
are the control's events and units, `x1, n1` the treatment's.

Source: Fay, Proschan & Brittain (2015), Biometrics 71:146; Fisher (1935), JRSS 98:39.

level: of the interval, two-sided, in (0, 1).
"""

from collections.abc import Callable
from math import exp, hypot, inf, log, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincc, betaincinv, gammaln, ndtri, xlog1py, xlogy

from analysis.roots import near_linear_root

Floats = npt.NDArray[np.float64]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(32)
NEVER = 1e-14  # a chance that adds nothing to the digits shown


class Limit(NamedTuple):
    """A beta variable whose quantiles are Clopper-Pearson limits, one per confidence.

    a = 0 is the point 0 (no events below), b = 0 the point 1.
    """

    a: int
    b: int

    @property
    def point(self) -> float | None:
        """Its only value, if it has one."""
        return None if self.a and self.b else float(self.b == 0)

    @property
    def mean(self) -> float:
        """Its mean."""
        return self.a / (self.a + self.b)

    @property
    def variance(self) -> float:
        """Its variance."""
        return self.mean * (self.b / (self.a + self.b)) / (self.a + self.b + 1)

    @property
    def reach(self) -> tuple[float, float]:
        """Between which values it lies but for a chance that adds nothing to the digits shown."""
        if self.point is not None:
            return self.point, self.point
        low, high = betaincinv(self.a, self.b, [NEVER, 1 - NEVER])
        return float(low), float(high)

    def at_most(self, values: Floats) -> Floats:
        """Chance of lying at or below each value, the values being in [0, 1]."""
        if self.point is not None:
            return np.asarray(values >= self.point, dtype=float)
        return np.asarray(betainc(self.a, self.b, values))

    def at_least(self, values: Floats) -> Floats:
        """Chance of lying at or above each value, the values being in [0, 1]."""
        if self.point is not None:
            return np.asarray(values <= self.point, dtype=float)
        return np.asarray(1 - betainc(self.a, self.b, values))  # faster, and digits enough here


class Average:
    """Averages over a beta variable, by Gauss's rule on its density.

    With whole numbers of events the density is a polynomial, so between the kinks of what is
    averaged few nodes are enough.
    """

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.low, self.high = limit.reach
        a, b = limit.a - 1, limit.b - 1
        self.mode = min(max(a / (a + b), self.low), self.high) if a + b else 0.5
        self.mass = 1.0
        self.mass = self.between(0.0, 1.0, np.ones_like)

    def between(self, left: float, right: float, curve: Callable[[Floats], Floats]) -> float:
        """The curve's average over values from left to right, those elsewhere counting as 0."""
        left, right = max(left, self.low), min(right, self.high)
        if left >= right:
            return 0.0
        at = left + (right - left) * (NODES + 1) / 2
        a, b, mode = self.limit.a - 1, self.limit.b - 1, self.mode
        above = xlog1py(b, (mode - at) / (1 - mode)) if b else 0.0
        density = np.exp(xlogy(a, at / mode) + above)
        return float((density * curve(at)) @ WEIGHTS) * (right - left) / 2 / self.mass


def difference_limits(
    x0: int, n0: int, x1: int, n1: int, *, level: float = 0.95
) -> tuple[float, float]:
    """Limits of p1 - p0, each in [-1, 1].

    >>> tuple(round(limit, 4) for limit in difference_limits(1, 7, 4, 6))
    (-0.1473, 0.8993)
    """
    tail = (1 - level) / 2
    return _lowest_difference(x0, n0, x1, n1, tail), -_lowest_difference(x1, n1, x0, n0, tail)


def ratio_limits(x0: int, n0: int, x1: int, n1: int, *, level: float = 0.95) -> tuple[float, float]:
    """Limits of p1 / p0.

    The lower is 0 without events in treatment, the upper infinite without events in control.

    >>> ratio_limits(0, 10, 0, 10)
    (0.0, inf)
    """
    tail = (1 - level) / 2
    inverse = _lowest_ratio(x1, n1, x0, n0, tail)
    return _lowest_ratio(x0, n0, x1, n1, tail), 1 / inverse if inverse else inf


def p_value(x0: int, n0: int, x1: int, n1: int) -> float:
    """Fisher's exact p-value, two-sided as twice the smaller tail, at most 1.

    >>> round(p_value(1, 7, 4, 6), 4)
    0.1725
    """
    at, lowest, highest = x1, max(0, x0 + x1 - n0), min(n1, x0 + x1)
    chance = exp(_log_choose(n1, x1) + _log_choose(n0, x0) - _log_choose(n0 + n1, x0 + x1))
    tails = []
    for end, step in ((lowest, -1), (highest, 1)):
        total = term = chance
        for k in range(at, end, step):
            j = min(k, k + step)  # the odds between j and j + 1 treatment events
            odds = (n1 - j) * (x0 + x1 - j) / ((j + 1) * (n0 - x0 - x1 + j + 1))
            term *= odds if step > 0 else 1 / odds
            total += term
            if term <= total * 1e-17:
                break
        tails.append(total)
    return min(1.0, 2 * min(tails))


def _log_choose(n: int, k: int) -> float:
    return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _lowest_difference(x0: int, n0: int, x1: int, n1: int, tail: float) -> float:
    control, treatment = Limit(x0 + 1, n0 - x0), Limit(x1, n1 - x1 + 1)
    if control.point is not None and treatment.point is not None:
        return -1.0
    run = sqrt(control.variance + treatment.variance)
    return _quantile(
        _chance_of_difference(control, treatment),
        treatment.mean - control.mean,
        run,
        tail,
        low=-1.0,
        high=1.0,
    )


def _chance_of_difference(control: Limit, treatment: Limit) -> Callable[[float], float]:
    """Chance that treatment - control is at most delta, averaged over the tighter of both."""
    if control.point is not None:
        return lambda delta: float(treatment.at_most(np.clip(control.mean + delta, 0, 1)))
    if treatment.point is not None:
        return lambda delta: float(control.at_least(np.clip(treatment.mean - delta, 0, 1)))
    treatment_outside = treatment.variance < control.variance
    outer = Average(treatment if treatment_outside else control)
    low, high = (control if treatment_outside else treatment).reach

    def by_treatment(delta: float) -> float:  # control is surely above where at - delta < low
        sure = float(betainc(*treatment, min(max(low + delta, 0.0), 1.0)))
        return sure + outer.between(
            low + delta, high + delta, lambda at: control.at_least(at - delta)
        )

    def by_control(delta: float) -> float:  # treatment is surely below where at + delta > high
        sure = float(betaincc(*control, min(max(high - delta, 0.0), 1.0)))
        return sure + outer.between(
            low - delta, high - delta, lambda at: treatment.at_most(at + delta)
        )

    return by_treatment if treatment_outside else by_control


def _lowest_ratio(x0: int, n0: int, x1: int, n1: int, tail: float) -> float:
    if x1 == 0:
        return 0.0
    control, treatment = Limit(x0 + 1, n0 - x0), Limit(x1, n1 - x1 + 1)
    run = hypot(*(sqrt(arm.variance) / arm.mean for arm in (control, treatment)))
    chance = _chance_of_ratio(control, treatment)
    return exp(_quantile(chance, log(treatment.mean / control.mean), run, tail))


def _chance_of_ratio(control: Limit, treatment: Limit) -> Callable[[float], float]:
    """Chance that treatment / control is at most exp(log_ratio), averaged over the tighter."""
    if control.point is not None:
        return lambda log_ratio: float(treatment.at_most(np.array(min(exp(log_ratio), 1.0))))
    treatment_outside = treatment.variance / treatment.mean**2 < control.variance / control.mean**2
    outer = Average(treatment if treatment_outside else control)
    low, high = (control if treatment_outside else treatment).reach

    def by_treatment(log_ratio: float) -> float:
        ratio = exp(log_ratio)
        sure = float(betainc(*treatment, min(low * ratio, 1.0)))
        return sure + outer.between(
            low * ratio, high * ratio, lambda at: control.at_least(at / ratio)
        )

    def by_control(log_ratio: float) -> float:
        ratio = exp(log_ratio)
        sure = float(betaincc(*control, min(high / ratio, 1.0)))
        return sure + outer.between(
            low / ratio, high / ratio, lambda at: treatment.at_most(at * ratio)
        )

    return by_treatment if treatment_outside else by_control


def _quantile(
    below: Callable[[float], float],
    centre: float,
    run: float,
    tail: float,
    low: float = -inf,
    high: float = inf,
) -> float:
    """Where a distribution's function reaches the tail: nearly a line on the normal scale."""
    z = float(ndtri(tail))
    return near_linear_root(
        lambda at: float(ndtri(min(max(below(at), 0.0), 1.0))) - z,
        centre + z * run,
        run,
        low=low,
        high=high,
    )
