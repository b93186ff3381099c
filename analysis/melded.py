"""Exact comparison of two proportions where events are few.

The intervals meld the two arms' Clopper-Pearson limits, and go with Fisher's exact test: an
interval excludes no difference exactly when the (central, two-sided) test rejects it. `x0, n0`
are the control's events and units, `x1, n1` the treatment's.

Source: Fay, Proschan & Brittain (2015), Biometrics 71:146; Fisher (1935), JRSS 98:39.
"""

from collections.abc import Callable
from math import exp, inf, log, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import betainc, betaincc, betaincinv, gammaln, ndtr

Floats = npt.NDArray[np.float64]

STEP = 0.3
NODES = np.arange(-7.2, 7.2 + STEP / 2, STEP)  # the trapezoid rule on normal scores: 10 digits
WEIGHTS = np.exp(-NODES * NODES / 2) * STEP / np.sqrt(2 * np.pi)
SHARES = ndtr(NODES)


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
    def variance(self) -> float:
        """Its variance."""
        whole = self.a + self.b
        return self.a / whole * self.b / whole / (whole + 1)

    def quantiles(self, shares: Floats) -> Floats:
        """Its values below which the given shares lie."""
        if self.point is not None:
            return np.full(shares.shape, self.point)
        return np.asarray(betaincinv(self.a, self.b, shares))

    def at_most(self, values: Floats) -> Floats:
        """Chance of lying at or below each value."""
        if self.point is not None:
            return np.asarray(values >= self.point, dtype=float)
        return np.asarray(betainc(self.a, self.b, np.clip(values, 0, 1)))

    def at_least(self, values: Floats) -> Floats:
        """Chance of lying at or above each value."""
        if self.point is not None:
            return np.asarray(values <= self.point, dtype=float)
        return np.asarray(betaincc(self.a, self.b, np.clip(values, 0, 1)))


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
            if term < total * 1e-17:
                break
        tails.append(total)
    return min(1.0, 2 * min(tails))


def _log_choose(n: int, k: int) -> float:
    return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _lowest_difference(x0: int, n0: int, x1: int, n1: int, tail: float) -> float:
    control, treatment = Limit(x0 + 1, n0 - x0), Limit(x1, n1 - x1 + 1)
    if control.point is not None and treatment.point is not None:
        return -1.0
    nodes, treatment_outside = _nodes(control, treatment)

    def below(delta: float) -> float:
        if treatment_outside:
            return float(WEIGHTS @ control.at_least(nodes - delta))
        return float(WEIGHTS @ treatment.at_most(nodes + delta))

    (low0, low1), (high0, high1) = _box(control, treatment, tail)
    return _root(below, low1 - low0, high1 - high0, tail)


def _lowest_ratio(x0: int, n0: int, x1: int, n1: int, tail: float) -> float:
    if x1 == 0:
        return 0.0
    control, treatment = Limit(x0 + 1, n0 - x0), Limit(x1, n1 - x1 + 1)
    nodes, treatment_outside = _nodes(control, treatment)

    def below(log_ratio: float) -> float:
        if treatment_outside:
            return float(WEIGHTS @ control.at_least(nodes * exp(-log_ratio)))
        return float(WEIGHTS @ treatment.at_most(nodes * exp(log_ratio)))

    (low0, low1), (high0, high1) = _box(control, treatment, tail)
    return exp(_root(below, log(low1 / low0), log(high1 / high0), tail))


def _nodes(control: Limit, treatment: Limit) -> tuple[Floats, bool]:
    """Values to average over: those of the tighter variable, so that the other's curve is smooth.

    Says beside them whether they are the treatment's.
    """
    tighter = treatment.point is not None or (
        control.point is None and treatment.variance < control.variance
    )
    return (treatment if tighter else control).quantiles(SHARES), tighter


def _box(
    control: Limit, treatment: Limit, tail: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two pairs (control, treatment) between which the limit lies."""
    far, near = tail / 2, 1 - sqrt(tail)
    low0, high0 = control.quantiles(np.array([1 - far, near]))
    low1, high1 = treatment.quantiles(np.array([far, 1 - near]))
    return (float(low0), float(low1)), (float(high0), float(high1))


def _root(below: Callable[[float], float], low: float, high: float, tail: float) -> float:
    if low >= high:  # rounding: both ends are the same point
        return low
    return float(brentq(lambda at: below(at) - tail, low, high, xtol=1e-10 * (high - low)))
