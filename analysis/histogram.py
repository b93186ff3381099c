"""Distinct values and how many units have each: all that ranks, quantiles and shares need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from analysis.summary import Summary

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Units by their value. Histograms of disjoint units add.

    values: distinct and rising, shape (k,), finite. counts: units per value, shape (k,), above 0.

    >>> (Histogram.of([3, 1]) + Histogram.of([3])).counts
    array([1, 2])
    >>> Histogram.of([1, 2, 2]).summary == Summary.of([1, 2, 2])
    True
    """

    values: Floats
    counts: Counts

    def __post_init__(self) -> None:
        if self.values.shape != self.counts.shape or self.values.ndim != 1:
            raise ValueError("values and counts: one count per value, in one dimension")
        if not np.isfinite(self.values).all() or not (np.diff(self.values) > 0).all():
            raise ValueError("values must be finite, distinct and rising")
        if not (self.counts > 0).all():
            raise ValueError("counts must be above 0")

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        """Count values, shape (n,). Raises ValueError if one is missing or infinite."""
        distinct, counts = np.unique(np.fromiter(values, dtype=float), return_counts=True)
        return cls(distinct, counts.astype(np.int64))

    @classmethod
    def counted(cls, counts: Iterable[tuple[float, int]]) -> Histogram:
        """From pairs of value and number of units, in any order; a value may come repeatedly.

        Raises ValueError for a count below 0.

        >>> Histogram.counted([(5, 2), (1, 3), (5, 1), (4, 0)]).counts
        array([3, 3])
        """
        pairs = [(value, n) for value, n in counts if n]
        if any(n < 0 for _, n in pairs):
            raise ValueError("counts must not be negative")
        return _merged(np.array([v for v, _ in pairs], float), np.array([n for _, n in pairs], int))

    @classmethod
    def merged(cls, values: Floats, counts: Counts) -> Histogram:
        """From two arrays, shape (k,), values in any order and maybe repeated; counts above 0.

        >>> Histogram.merged(np.array([5.0, 1.0, 5.0]), np.array([2, 3, 1])).counts
        array([3, 3])
        """
        return _merged(values, counts)

    def __add__(self, other: Histogram) -> Histogram:
        return _merged(
            np.concatenate([self.values, other.values]), np.concatenate([self.counts, other.counts])
        )

    @property
    def n(self) -> int:
        """Units."""
        return int(self.counts.sum())

    @property
    def summary(self) -> Summary:
        """Count, sum and sum of squares."""
        with np.errstate(over="ignore"):  # an infinite sum of squares is told by who compares
            sums = self.values @ self.counts, (self.values**2) @ self.counts
        return Summary(self.n, float(sums[0]), float(sums[1]))

    def at_rank(self, rank: int) -> float:
        """The value of the unit with this rank, 1 being the lowest. Raises IndexError outside."""
        if not 1 <= rank <= self.n:
            raise IndexError(f"rank {rank} is outside 1 to {self.n}")
        return float(self.values[np.searchsorted(np.cumsum(self.counts), rank)])

    def quantile(self, q: float) -> float:
        """The value below which a share q of units lies, q in (0, 1); needs a unit.

        Where that falls between two units, their average, so that the median is the usual one.
        Raises ValueError for a q beyond (0, 1).

        >>> Histogram.of([1, 2, 3, 10]).quantile(0.5)
        2.5
        """
        if not 0 < q < 1:
            raise ValueError(f"q must lie between 0 and 1, not {q}")
        at = self.n * q
        whole = round(at)
        if abs(at - whole) < 1e-9 * self.n and 0 < whole < self.n:
            return (self.at_rank(whole) + self.at_rank(whole + 1)) / 2
        return self.at_rank(max(ceil(at), 1))

    def share(self, *, above: float | None = None, below: float | None = None) -> Summary:
        """Units at or above (or at or below) a value, as the summary of a proportion.

        >>> Histogram.of([1, 4, 5, 5]).share(above=5).mean
        0.5
        """
        keep = np.ones(self.values.shape, dtype=bool)
        if above is not None:
            keep &= self.values >= above
        if below is not None:
            keep &= self.values <= below
        events = float(self.counts[keep].sum())
        return Summary(self.n, events, events)

    def clipped(self, low: float, high: float) -> Histogram:
        """The same units with values moved to the nearer of two limits."""
        return _merged(np.clip(self.values, low, high), self.counts)


def _merged(values: Floats, counts: Counts) -> Histogram:
    distinct, where = np.unique(values, return_inverse=True)
    together = np.zeros(distinct.shape, dtype=np.int64)
    np.add.at(together, where, counts)
    return Histogram(distinct, together)
