"""Populations of simulated customers: a few kinds of value with their chances.

A population is discrete, so that the sums of any number of independent customers can be drawn
at once, exactly, as multinomial counts of the kinds: a million customers cost what ten do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, log1p, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

NEARLY_ALL = 1 - 1e-9  # of the chances a count's list of values must cover
LEVELS = 12  # values that stand for a continuous distribution
MOST_NONZERO = 0.95  # of customers; beyond it a higher mean raises values, not their number


@dataclass(frozen=True)
class Population:
    """The values one customer can have, shape (K,), and their chances, shape (K,), summing to 1."""

    values: tuple[float, ...]
    chances: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.chances) or not self.values:
            raise ValueError("values and chances must be of one length, at least 1")
        if min(self.chances) < 0 or abs(sum(self.chances) - 1) > 1e-6:
            raise ValueError(f"chances must be 0 or more and sum to 1, not {sum(self.chances)}")
        if not all(isfinite(value) for value in self.values):
            raise ValueError("values must be finite")

    @property
    def mean(self) -> float:
        return float(np.dot(self.values, self.chances))

    @property
    def variance(self) -> float:
        return float(np.dot(np.square(self.values), self.chances)) - self.mean**2

    def scaled(self, ratio: float) -> Population:
        """The same customers with their mean times `ratio`: more of them have a value above 0,
        and where nearly all have one already, the values themselves are larger.
        Raises ValueError for a ratio below 0, or one that takes a proportion above 1.

        >>> proportion(0.1).scaled(2).mean
        0.2
        """
        if ratio < 0:
            raise ValueError(f"ratio must be 0 or more, not {ratio}")
        nonzero = sum(p for x, p in zip(self.values, self.chances, strict=True) if x != 0)
        more = min(ratio, max(MOST_NONZERO, nonzero) / nonzero) if nonzero > 0 else 1.0
        if set(self.values) <= {0.0, 1.0}:
            more = ratio
            if nonzero * ratio > 1:
                raise ValueError(f"ratio {ratio} takes a proportion above 1")
        larger = ratio / more if more > 0 else 1.0
        values = [x * larger for x in self.values if x != 0]
        chances = [p * more for x, p in zip(self.values, self.chances, strict=True) if x != 0]
        return Population((0.0, *values), (max(1 - sum(chances), 0.0), *chances))

    def draw(self, rng: np.random.Generator, units: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Sums and sums of squares of so many independent customers, each of the units' shape."""
        probabilities = np.asarray(self.chances) / sum(self.chances)
        counts = rng.multinomial(units, probabilities).astype(np.float64)
        values = np.asarray(self.values)
        return counts @ values, counts @ np.square(values)


def proportion(rate: float) -> Population:
    """Customers who have the event with chance `rate`, in (0, 1).

    Raises ValueError for a rate beyond (0, 1).

    >>> proportion(0.25).variance
    0.1875
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate must lie strictly between 0 and 1, not {rate}")
    return Population((0.0, 1.0), (1 - rate, rate))


def counts(mean: float, dispersion: float = 1.0) -> Population:
    """Counts per customer with this mean and variance over mean: Poisson at 1, above it negative
    binomial. Raises ValueError below 1.
    dispersion: variance over mean, 1 or more.

    >>> round(counts(0.5, 2.0).variance, 4)
    1.0
    """
    if mean <= 0 or dispersion < 1:
        raise ValueError(f"mean must be above 0 and dispersion at least 1: {mean}, {dispersion}")
    law = stats.poisson(mean)
    if dispersion > 1:
        law = stats.nbinom(mean / (dispersion - 1), 1 / dispersion)
    values = np.arange(int(law.ppf(NEARLY_ALL)) + 1)
    chances = law.pmf(values)
    return Population(tuple(map(float, values)), tuple((chances / chances.sum()).tolist()))


def money(mean: float, paying: float, spread: float) -> Population:
    """Revenue per customer: `paying` of them, in (0, 1], spend log-normally.

    mean: over all customers, above 0. spread: a payer's standard deviation over their mean. The
    log-normal stands as a dozen values, finer in its tail, with the same mean and deviation.
    Raises ValueError for a mean, share or spread that is not above 0.

    >>> round(money(10.0, 0.1, 1.0).mean, 6)
    10.0
    """
    if mean <= 0 or not 0 < paying <= 1 or spread <= 0:
        raise ValueError(f"mean, paying and spread must be above 0: {mean}, {paying}, {spread}")
    levels, weights = _log_normal(spread)
    values = (0.0, *(levels * mean / paying).tolist())
    return Population(values, (1 - paying, *(weights * paying).tolist()))


def _log_normal(spread: float) -> tuple[Floats, Floats]:
    """Levels and weights with mean 1 and this deviation: Gauss-Hermite nodes, rescaled."""
    sigma = sqrt(log1p(spread**2))
    nodes, weights = np.polynomial.hermite_e.hermegauss(LEVELS)
    weights = weights / weights.sum()
    levels = np.exp(sigma * nodes) / exp(sigma**2 / 2)
    return levels / float(levels @ weights), weights


def pool(values: Sequence[float]) -> Population:
    """The population that a history shows: each value seen as likely as it was often.

    Raises ValueError without values.

    >>> pool([0, 0, 0, 4]).mean
    1.0
    """
    if not len(values):
        raise ValueError("values must not be empty")
    seen, counted = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    return Population(tuple(seen.tolist()), tuple((counted / counted.sum()).tolist()))
