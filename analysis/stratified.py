"""The effect on means over the strata of one rollout, with a standard error for one look.

What is left of a rollout when many are taken together: its stop-loss and its intervals answer
another question, and their width is no standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt

import numpy as np

from analysis.arguments import Floats, is_sound
from analysis.effect import Scale, Undecided
from analysis.estimate import Estimate
from analysis.inputs import BROKEN
from analysis.stoploss import Stratum, centred_squares

LEAST_EVENTS = 5.0  # of equal weight, in either arm: below it a logarithm's error is not known
_SMALLEST = 1e-60
_NOBODY = Undecided("no stage has customers of both versions", needs="more customers")
_FEW = Undecided(
    "too few events for a standard error", needs=f"{LEAST_EVENTS:.0f} events in either version"
)
_CONSTANT = Undecided("every customer has the same value", needs="values that differ")


def ratio_of_means(name: str, strata: Sequence[Stratum]) -> Estimate | Undecided:
    """Logarithm of treatment's mean over control's, both weighted alike over the strata.

    name: of the rollout. strata: sums of both arms, as `Stratum`; ratio metrics with their
    clusters' variance. Weights n0 n1 / (n0 + n1), so that a stage in which one arm is small, or
    the level was another, tips nothing; the error by the delta method from the scatter of units.
    Undecided without customers of both versions, below 5 events of equal weight in either arm
    (squared sum over sum of squares), for sums that are missing or infinite, or without scatter.
    Source: Rothman, Greenland & Lash (2008), Modern Epidemiology, chapter 15, for the weights.

    >>> found = ratio_of_means("guided", [Stratum(1000, 100, 100, 1000, 120, 120)])
    >>> round(found.value, 4), round(found.error, 4)
    (0.1823, 0.1279)
    """
    table = _table(strata)
    if isinstance(table, Undecided):
        return table
    weight, m0, m1, v0, v1 = table
    low, high = float(weight @ m0), float(weight @ m1)
    if min(low, high) <= 0 or min(_events(strata)) < LEAST_EVENTS:
        return _FEW
    variance = float(weight**2 @ v0) / low**2 + float(weight**2 @ v1) / high**2
    value, error = log(high) - log(low), sqrt(variance)
    if error < _SMALLEST:
        return _CONSTANT
    if error > 10 or abs(value) > 50:
        return Undecided("the relative effect is too uncertain", needs="more customers")
    return Estimate(name, value, error, Scale.RELATIVE, *_units(strata))


def difference_of_means(name: str, strata: Sequence[Stratum]) -> Estimate | Undecided:
    """Treatment's mean less control's, weighted as in `ratio_of_means`; values may be negative.

    name, strata: as there. Undecided without customers of both versions, for sums that are
    missing or infinite, or without scatter. Source: as there.

    >>> found = difference_of_means("guided", [Stratum(1000, 100, 100, 1000, 120, 120)])
    >>> round(found.value, 4), round(found.error, 4)
    (0.02, 0.014)
    """
    table = _table(strata)
    if isinstance(table, Undecided):
        return table
    weight, m0, m1, v0, v1 = table
    share = weight / weight.sum()
    error = sqrt(float(share**2 @ (v0 + v1)))
    if error < _SMALLEST:
        return _CONSTANT
    return Estimate(name, float(share @ (m1 - m0)), error, Scale.ABSOLUTE, *_units(strata))


def _table(strata: Sequence[Stratum]) -> tuple[Floats, ...] | Undecided:
    """Weights, both means and the variances of both means, each of shape (s,)."""
    if not all(is_sound(s.n0, s.s0, s.q0, s.n1, s.s1, s.q1) for s in strata):
        return BROKEN
    held = [s for s in strata if min(s.n0, s.n1) > 1]
    if not held:
        return _NOBODY
    n0, n1 = np.array([s.n0 for s in held]), np.array([s.n1 for s in held])
    m0, m1 = np.array([s.s0 for s in held]) / n0, np.array([s.s1 for s in held]) / n1
    v0 = np.array([_variance_of_mean(s.n0, s.s0, s.q0, s.nv0) for s in held])
    v1 = np.array([_variance_of_mean(s.n1, s.s1, s.q1, s.nv1) for s in held])
    return n0 * n1 / (n0 + n1), m0, m1, v0, v1


def _variance_of_mean(n: float, s: float, q: float, nv: float | None) -> float:
    if nv is not None:
        return nv / (n * n)
    return max(centred_squares(n, s, q), 0.0) / (n - 1) / n


def _events(strata: Sequence[Stratum]) -> tuple[float, float]:
    """How many events of equal weight either arm's sum is worth."""
    return (
        _worth(sum(s.s0 for s in strata), sum(s.q0 for s in strata)),
        _worth(sum(s.s1 for s in strata), sum(s.q1 for s in strata)),
    )


def _worth(total: float, squares: float) -> float:
    return total * (total / squares) if squares > 0 else 0.0


def _units(strata: Sequence[Stratum]) -> tuple[int, int]:
    return round(sum(s.n0 for s in strata)), round(sum(s.n1 for s in strata))
