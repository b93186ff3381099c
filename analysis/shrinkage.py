"""Effects pulled towards what others of their kind showed: the cure for lucky extremes.

True effects are taken to scatter normally around a common mean; how widely is learnt from the
effects themselves, and what is not known about it is kept by averaging over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from scipy.special import ndtr, ndtri

from analysis.arguments import Floats, open_share
from analysis.effect import Scale
from analysis.estimate import Estimate, columns

_ROOT_TWO_PI = sqrt(2 * pi)
# Points for the scatter of true effects: limits agree to four digits with ten times as many.
_GRID = 240
FEW = 5  # below it a flat prior on the scatter hardly ends; a half-Cauchy does


@dataclass(frozen=True, slots=True)
class Shrunken:
    """An effect after shrinkage. kept: share of its distance from the mean that is left."""

    name: str
    value: float
    low: float
    high: float
    kept: float


@dataclass(frozen=True, slots=True)
class Scatter:
    """What the effects say of the scatter of true effects, as points with weights.

    tau, weight: shape (g,), standard deviation and its posterior weight, summing to 1.
    pull: shape (g, k), how much each effect is drawn to the mean at each tau, in [0, 1].
    mean, mean_variance: shape (g,), of the common mean at each tau.
    """

    values: Floats
    errors: Floats
    tau: Floats
    weight: Floats
    pull: Floats
    mean: Floats
    mean_variance: Floats

    @classmethod
    def of(cls, estimates: Sequence[Estimate]) -> Scatter:
        """Learn the scatter from two or more independent effects of one scale.

        Raises ValueError below two, or for mixed scales.

        >>> found = Scatter.of([Estimate("a", 1.0, 0.5), Estimate("b", 3.0, 0.5)])
        >>> found.tau.shape, round(float(found.weight.sum()), 9)
        ((240,), 1.0)
        """
        values, errors = columns(estimates)
        unit = float(np.sqrt(np.median(errors) ** 2 + np.var(values)))
        steps = (np.arange(_GRID) + 0.5) / _GRID
        tau = unit * steps / (1 - steps)  # reaches from 0 to infinity, dense where it matters
        total = errors**2 + tau[:, None] ** 2
        precision = 1 / total
        mean_variance = 1 / precision.sum(axis=1)
        mean = mean_variance * (precision @ values)
        fit = -0.5 * (np.log(total / unit**2) + (values - mean[:, None]) ** 2 / total).sum(axis=1)
        fit += 0.5 * np.log(mean_variance / unit**2) - 2 * np.log1p(-steps)
        if len(values) < FEW:
            fit -= np.log1p((tau / np.median(errors)) ** 2)
        weight = np.exp(fit - fit.max())
        pull = errors**2 * precision
        return cls(values, errors, tau, weight / weight.sum(), pull, mean, mean_variance)

    def posterior(self) -> tuple[Floats, Floats]:
        """Mean and variance of every true effect at each tau, both of shape (g, k)."""
        centre = (1 - self.pull) * self.values + self.pull * self.mean[:, None]
        variance = (1 - self.pull) * self.errors**2
        return centre, variance + self.pull**2 * self.mean_variance[:, None]


@dataclass(frozen=True, slots=True)
class Spread:
    """How far true effects lie apart: their standard deviation with its interval, 0 or more."""

    value: float
    low: float
    high: float


def spread(estimates: Sequence[Estimate], *, level: float = 0.95) -> Spread:
    """Standard deviation of the true effects: the median of what is known of it, with limits.

    estimates: independent, two or more, of one scale (relative: the answer is of logarithms).
    level: of the interval, in (0, 1), which is equal-tailed. Raises ValueError otherwise.
    Prior and source: as of `shrink`.

    >>> found = spread([Estimate("", v, 1.0) for v in (-3, -1, 0, 1, 3, 4)])
    >>> 0 < found.low < found.value < found.high
    True
    """
    open_share("level", level)
    scatter = Scatter.of(estimates)
    reached = np.cumsum(scatter.weight) - scatter.weight / 2
    tail = (1 - level) / 2
    low, value, high = np.interp((tail, 0.5, 1 - tail), reached, scatter.tau)
    return Spread(float(value), float(low), float(high))


def shrink(estimates: Sequence[Estimate], *, level: float = 0.95) -> list[Shrunken]:
    """Each effect drawn towards the common mean by as much as its error and the scatter ask.

    estimates: independent, two or more, of one scale; order is kept. level: of the intervals,
    in (0, 1), which hold under the model and carry the uncertainty of its two parameters.
    Relative effects are shrunk as logarithms and returned as ratios minus one.

    The scatter has a flat prior, below five effects a half-Cauchy of the median error.
    Sources: Morris (1983), JASA 78:47-55; Gelman (2006), Bayesian Analysis 1:515-534.
    Raises ValueError below two estimates, for mixed scales or a level that cannot be.

    >>> schools = [28, 8, -3, 7, -1, 1, 18, 12]
    >>> errors = [15, 10, 16, 11, 9, 11, 10, 18]
    >>> [round(s.value) for s in shrink([Estimate("", v, e) for v, e in zip(schools, errors)])]
    [11, 8, 6, 8, 5, 6, 11, 8]
    """
    open_share("level", level)
    scatter = Scatter.of(estimates)
    centre, variance = scatter.posterior()
    value = scatter.weight @ centre
    tail = (1 - level) / 2
    low = mixture_quantile(scatter.weight, centre, variance, tail)
    high = mixture_quantile(scatter.weight, centre, variance, 1 - tail)
    kept = 1 - scatter.weight @ scatter.pull
    back = np.expm1 if estimates[0].scale is Scale.RELATIVE else np.asarray
    rows = zip(estimates, back(value), back(low), back(high), kept, strict=True)
    return [Shrunken(e.name, float(v), float(a), float(b), float(k)) for e, v, a, b, k in rows]


def mixture_quantile(weight: Floats, centre: Floats, variance: Floats, chance: float) -> Floats:
    """Quantiles of k normal mixtures at once, shape (k,), by Newton's steps within a bracket.

    weight: shape (g,), summing to 1. centre, variance: shape (g, k). chance: in (0, 1).
    Raises ValueError for a chance that cannot be. Source: bisection with Newton's steps.

    >>> ones = np.ones((1, 1))
    >>> mixture_quantile(np.ones(1), 0 * ones, ones, 0.975).round(4)
    array([1.96])
    """
    open_share("chance", chance)
    spread = np.sqrt(variance)
    held = weight > 1e-9 * weight.max()  # points that weigh nothing only widen the search
    weight, centre, spread = weight[held], centre[held], spread[held]
    low, high = (centre - 9 * spread).min(axis=0), (centre + 9 * spread).max(axis=0)
    mean = weight @ centre
    size = np.sqrt(weight @ (spread**2 + (centre - mean) ** 2))
    value = np.clip(mean + ndtri(chance) * size, low, high)
    for _ in range(60):
        steps = (value - centre) / spread
        excess = weight @ ndtr(steps) - chance
        low, high = np.where(excess < 0, value, low), np.where(excess < 0, high, value)
        slope = weight @ (np.exp(-0.5 * steps**2) / spread) / _ROOT_TWO_PI
        moved = value - excess / np.maximum(slope, 1e-12 / size)
        # Where the curve is flat Newton overshoots; halving the bracket is always safe.
        moved = np.where((moved > low) & (moved < high), moved, (low + high) / 2)
        done = bool(np.all(np.abs(moved - value) <= 1e-10 * size))
        value = moved
        if done:
            break
    return np.asarray(value)
