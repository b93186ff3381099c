"""Sums that add: all that leaves the store, and all that the statistics need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import fsum, isfinite

ROUGH = 1e-3  # share of the sum of squares above which a plain difference keeps 12 digits
ROUNDING = 1e-14  # share of the sum of squares below which a difference of floats is only rounding


def centred_product(n: int, a_total: float, b_total: float, product: float, scale: float) -> float:
    """Sum of products of deviations from the means: product - a_total * b_total / n.

    Sums of a billion units cancel almost wholly where values are large beside their spread, so the
    difference is then taken in exact arithmetic. scale: what the difference is small beside.

    >>> total, squares = 3 * 10**9 + 3, 10**18 + (10**9 + 1) ** 2 + (10**9 + 2) ** 2
    >>> centred_product(3, total, total, squares, squares)  # whole numbers lose nothing
    2.0
    """
    plain = product - a_total * b_total / n
    if not isfinite(plain) or abs(plain) > ROUGH * scale:
        return float(plain)
    exact = Fraction(product) - Fraction(a_total) * Fraction(b_total) / n
    floats = isinstance(product, float) or isinstance(a_total, float)
    return 0.0 if floats and abs(exact) < ROUNDING * scale else float(exact)


@dataclass(frozen=True, slots=True)
class Summary:
    """Count, sum and sum of squares of one value per unit. Summaries of disjoint units add.

    n: units, 0 or more. total: sum, in the metric's unit. squares: sum of squares.

    >>> Summary.of([1, 2]) + Summary.of([3]) == Summary.of([1, 2, 3])
    True
    >>> Summary.of([1, 2, 3]).mean
    2.0
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Summary:
        """Summarise values, shape (n,)."""
        held = [float(value) for value in values]
        return cls(len(held), fsum(held), fsum(value * value for value in held))

    def __add__(self, other: Summary) -> Summary:
        return Summary(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Mean per unit. Raises ZeroDivisionError with no units: ask `n` first."""
        return self.total / self.n

    @property
    def centred(self) -> float:
        """Sum of squared deviations from the mean, never below 0; 0 where it is only rounding."""
        if not self.n:
            return 0.0
        return max(centred_product(self.n, self.total, self.total, self.squares, self.squares), 0.0)

    @property
    def variance(self) -> float:
        """Sample variance with n - 1. Raises ZeroDivisionError below 2 units."""
        return self.centred / (self.n - 1)


@dataclass(frozen=True, slots=True)
class PairSummary:
    """Sums of a pair (x, y) per unit: numerator and denominator, or outcome and covariate.

    n: units. x_total, y_total: sums. xx, yy, xy: sums of squares and of products.

    >>> PairSummary.of([1, 2], [2, 2]).x_total / PairSummary.of([1, 2], [2, 2]).y_total
    0.75
    """

    n: int = 0
    x_total: float = 0.0
    y_total: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    @classmethod
    def of(cls, xs: Iterable[float], ys: Iterable[float]) -> PairSummary:
        """Summarise two values per unit, both of shape (n,). Raises ValueError if they differ."""
        x, y = [float(value) for value in xs], [float(value) for value in ys]
        if len(x) != len(y):
            raise ValueError(f"xs has {len(x)} values and ys {len(y)}: one of each per unit")
        products = [(a * a, b * b, a * b) for a, b in zip(x, y, strict=True)]
        xx, yy, xy = (fsum(column) for column in zip(*products, strict=True)) if x else (0.0,) * 3
        return cls(len(x), fsum(x), fsum(y), xx, yy, xy)

    def __add__(self, other: PairSummary) -> PairSummary:
        return PairSummary(
            self.n + other.n,
            self.x_total + other.x_total,
            self.y_total + other.y_total,
            self.xx + other.xx,
            self.yy + other.yy,
            self.xy + other.xy,
        )

    @property
    def x(self) -> Summary:
        """The first value's own summary."""
        return Summary(self.n, self.x_total, self.xx)

    @property
    def y(self) -> Summary:
        """The second value's own summary."""
        return Summary(self.n, self.y_total, self.yy)

    @property
    def centred(self) -> float:
        """Sum of products of both values' deviations from their means."""
        if not self.n:
            return 0.0
        scale = (self.xx * self.yy) ** 0.5
        return centred_product(self.n, self.x_total, self.y_total, self.xy, scale)
