"""What is known of a metric before a rollout: all that planning needs, per kind of metric.

Each history tells how far a change lies from the value to be ruled out, and how far an estimate
from one unit would scatter around it; `analysis.power` does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isclose, log1p
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from analysis.arguments import counts, finite, finite_array, is_sound, open_share
from analysis.effect import Scale, Undecided
from analysis.inputs import BROKEN
from analysis.summary import PairSummary, Summary

_SMALLEST = 1e-30  # a denominator below it is none: nothing can be divided by its square


class Spread(NamedTuple):
    """Distance of a change from the null, and variances of its estimate times all units."""

    distance: float
    null_variance: float
    change_variance: float
    uses_t: bool = False


class History(Protocol):
    """What planning asks of any kind of metric."""

    @property
    def method(self) -> str:
        """The formula, in words."""

    def spread(self, change: float, null: float, scale: Scale, share: float) -> Spread | Undecided:
        """The change against the null, both on the scale, with this share in treatment."""

    def reach(self, sign: int, scale: Scale) -> float:
        """The largest change possible in that direction, as a size; may be infinite."""


def _linear(base: float, change: float, null: float, scale: Scale) -> tuple[float, float, float]:
    """The changed value, its distance from the null, and the weight of control in it."""
    if scale is Scale.RELATIVE:
        return base * (1 + change), base * (change - null), (1 + null) ** 2
    return base + change, change - null, 1.0


@dataclass(frozen=True, slots=True)
class ProportionHistory:
    """A share of units with an event. rate: in (0, 1).

    Variance p (1 - p), pooled under a null of no difference, as the two-proportion z-test does.
    Source: Fleiss, Levin & Paik (2003), "Statistical Methods for Rates and Proportions", ch. 4.

    >>> ProportionHistory.of(Summary(200, 30, 30))
    ProportionHistory(rate=0.15)
    """

    rate: float

    def __post_init__(self) -> None:
        open_share("rate", self.rate)

    @classmethod
    def of(cls, past: Summary) -> ProportionHistory | Undecided:
        """From past units (1 with the event, else 0); Undecided if all are alike."""
        if not 0 < past.total < past.n:
            return Undecided(
                "in the past no customer, or every one, had the event", "a longer past"
            )
        return cls(past.total / past.n)

    @property
    def method(self) -> str:
        return "two-proportion z-test"

    def spread(self, change: float, null: float, scale: Scale, share: float) -> Spread | Undecided:
        changed, distance, weight = _linear(self.rate, change, null, scale)
        if not 0 <= changed <= 1:
            return Undecided(f"a share of {self.rate:.2%} cannot become {changed:.2%}")
        control, treatment = self.rate * (1 - self.rate), changed * (1 - changed)
        unpooled = weight * control / (1 - share) + treatment / share
        if null:
            return Spread(distance, unpooled, unpooled)
        pooled = (1 - share) * self.rate + share * changed
        return Spread(distance, pooled * (1 - pooled) / (share * (1 - share)), unpooled)

    def reach(self, sign: int, scale: Scale) -> float:
        room = 1 - self.rate if sign > 0 else self.rate
        return room / self.rate if scale is Scale.RELATIVE else room


@dataclass(frozen=True, slots=True)
class MeanHistory:
    """A mean, count or sum per unit. mean: in the metric's unit. variance: its square, above 0.

    The variance is taken to be the same in both arms; small samples use the noncentral t.
    Source: Chow, Shao, Wang & Lokhnygina (2017), "Sample Size Calculations", ch. 3.

    >>> MeanHistory.of(Summary.of([1, 2, 3]))
    MeanHistory(mean=2.0, variance=1.0)
    """

    mean: float
    variance: float

    def __post_init__(self) -> None:
        _check_moments(self.mean, self.variance)

    @classmethod
    def of(cls, past: Summary) -> MeanHistory | Undecided:
        """From past units; Undecided if fewer than two, or all alike."""
        if not is_sound(past.total, past.squares):
            return BROKEN
        if past.n < 2 or past.variance <= 0:
            return _NO_SPREAD
        return cls(past.mean, past.variance)

    @property
    def method(self) -> str:
        return "t-test of two means"

    def spread(self, change: float, null: float, scale: Scale, share: float) -> Spread | Undecided:
        return _even_spread(self.mean, self.variance, change, null, scale, share)._replace(
            uses_t=True
        )

    def reach(self, sign: int, scale: Scale) -> float:
        return _unbounded(self.mean, scale)


@dataclass(frozen=True, slots=True)
class RatioHistory:
    """A sum over a sum with the unit as cluster. ratio: e.g. complaints per contact.

    variance: of (x - ratio y) / mean y per unit, above 0: the delta method's.
    Source: Deng, Knoblich & Lu (2018), KDD, arXiv:1803.06336.

    >>> past = RatioHistory.of(PairSummary.of([0, 1, 2], [1, 2, 2]))
    >>> round(past.ratio, 3), round(past.variance, 3)
    (0.6, 0.187)
    """

    ratio: float
    variance: float

    def __post_init__(self) -> None:
        _check_moments(self.ratio, self.variance)

    @classmethod
    def of(cls, past: PairSummary) -> RatioHistory | Undecided:
        """From past units (x numerator, y denominator); Undecided without denominator or spread."""
        if not is_sound(past.x_total, past.y_total, past.xx, past.yy, past.xy):
            return BROKEN
        if past.n < 2 or past.y_total / past.n < _SMALLEST:
            return Undecided("the ratio's denominator has not been counted", "a longer past")
        ratio = past.x_total / past.y_total
        squares = past.xx - 2 * ratio * past.xy + ratio * ratio * past.yy
        variance = squares / (past.n - 1) / (past.y_total / past.n) ** 2
        # Squares of large numbers cancel: what is left below their rounding is no spread.
        if variance <= 0 or squares <= 1e-12 * past.xx:
            return _NO_SPREAD
        return cls(ratio, variance)

    @property
    def method(self) -> str:
        return "delta method for a ratio, customer as cluster"

    def spread(self, change: float, null: float, scale: Scale, share: float) -> Spread | Undecided:
        return _even_spread(self.ratio, self.variance, change, null, scale, share)

    def reach(self, sign: int, scale: Scale) -> float:
        return _unbounded(self.ratio, scale)


@dataclass(frozen=True, slots=True)
class QuantileHistory:
    """A quantile over units. value: the quantile. variance: q (1 - q) / density squared.

    Source: Koenker (2005), "Quantile Regression", sections 3.2 and 4.10.1 (sparsity).

    >>> past = QuantileHistory.of(range(1, 1002), 0.5)
    >>> past.value, round(past.variance ** 0.5)
    (501.0, 500)
    """

    value: float
    variance: float

    def __post_init__(self) -> None:
        _check_moments(self.value, self.variance)

    @classmethod
    def of(cls, values: ArrayLike, quantile: float) -> QuantileHistory | Undecided:
        """From past values, shape (n,), one per unit; quantile in (0, 1).

        The density comes from order statistics Bofinger's bandwidth apart. Undecided below 20
        values, or where one value is so common that the quantile has no density. Raises ValueError
        for values that are not finite or a quantile that cannot be.
        """
        past = finite_array("values", values)
        q = open_share("quantile", quantile)
        if len(past) < 20:
            return Undecided("fewer than 20 customers in the past", "a longer past")
        reach = min(_bofinger(q, len(past)), q / 2, (1 - q) / 2)
        low, value, high = (float(v) for v in np.quantile(past, [q - reach, q, q + reach]))
        sparsity = (high - low) / (2 * reach)
        if sparsity <= 0:
            return Undecided(
                f"so many customers share the value {value:g} that this quantile hardly moves",
                "a mean, or the share of customers above it",
            )
        return cls(value, q * (1 - q) * sparsity**2)

    @property
    def method(self) -> str:
        return "normal approximation to a sample quantile"

    def spread(self, change: float, null: float, scale: Scale, share: float) -> Spread | Undecided:
        return _even_spread(self.value, self.variance, change, null, scale, share)

    def reach(self, sign: int, scale: Scale) -> float:
        return _unbounded(self.value, scale)


def _bofinger(q: float, n: int) -> float:
    """Bofinger's (1975) bandwidth for the density at a quantile, under a normal shape."""
    z = norm.ppf(q)
    return float((4.5 * norm.pdf(z) ** 4 / (2 * z * z + 1) ** 2) ** 0.2 * n**-0.2)


@dataclass(frozen=True, slots=True)
class SurvivalHistory:
    """Time to an event. event_share: units with the event within the window, in (0, 1).

    A change is that of the hazard: -0.2 is a fifth fewer events per customer still without one.
    Source: Schoenfeld (1983), Biometrics 39:499-503.

    >>> SurvivalHistory(0.3).method
    'log-rank test'
    """

    event_share: float

    def __post_init__(self) -> None:
        open_share("event_share", self.event_share)

    @property
    def method(self) -> str:
        return "log-rank test"

    def spread(self, change: float, null: float, scale: Scale, share: float) -> Spread | Undecided:
        _only_relative(scale, "time to event")
        if change <= -1 or null <= -1:
            return Undecided("a hazard cannot fall by 100 % or more")
        treated = -float(np.expm1((1 + change) * np.log1p(-self.event_share)))
        events = (1 - share) * self.event_share + share * treated
        variance = 1 / (share * (1 - share) * events)
        return Spread(log1p(change) - log1p(null), variance, variance)

    def reach(self, sign: int, scale: Scale) -> float:
        return inf if sign > 0 else 1.0


@dataclass(frozen=True, slots=True)
class OrdinalHistory:
    """Answers on an ordered scale. shares: of each answer, lowest first, summing to 1.

    A change is that of the odds of a higher answer, the same at every step of the scale.
    Source: Whitehead (1993), Statistics in Medicine 12:2257-2271.

    >>> OrdinalHistory.of([10, 20, 70]).shares
    (0.1, 0.2, 0.7)
    """

    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.shares) < 2 or min(self.shares) < 0 or not isclose(sum(self.shares), 1):
            raise ValueError(f"shares must be two or more, of 0 or more, sum 1: {self.shares}")
        if max(self.shares) >= 1:
            raise ValueError(f"shares must not be all in one answer: {self.shares}")

    @classmethod
    def of(cls, answers: Sequence[int]) -> OrdinalHistory | Undecided:
        """From the number of units per answer, lowest first; Undecided if all gave the same.

        Raises ValueError below two answers, or for a number below 0.
        """
        held = counts("answers", answers, 2)
        if max(held) == sum(held):
            return Undecided("in the past nobody answered, or all alike", "a longer past")
        return cls(tuple(n / sum(held) for n in held))

    @property
    def method(self) -> str:
        return "Mann-Whitney test under proportional odds"

    def spread(self, change: float, null: float, scale: Scale, share: float) -> Spread | Undecided:
        _only_relative(scale, "an ordered scale")
        if change <= -1 or null <= -1:
            return Undecided("odds cannot fall by 100 % or more")
        below = np.clip(np.cumsum(self.shares), 0, 1)
        moved = below / (below + (1 - below) * (1 + change))
        mixed = (1 - share) * np.array(self.shares) + share * np.diff(moved, prepend=0)
        ties = 1 - float(np.sum(mixed**3))
        variance = 3 / (share * (1 - share) * ties)
        return Spread(log1p(change) - log1p(null), variance, variance)

    def reach(self, sign: int, scale: Scale) -> float:
        return inf if sign > 0 else 1.0


_NO_SPREAD = Undecided("in the past all customers were alike, or too few", "a longer past")


def _check_moments(value: float, variance: float) -> None:
    finite("value", value)
    if finite("variance", variance) <= 0:
        raise ValueError(f"variance must be above 0, not {variance}")


def _even_spread(
    base: float, variance: float, change: float, null: float, scale: Scale, share: float
) -> Spread:
    """The spread of a value whose variance the change leaves alone."""
    _, distance, weight = _linear(base, change, null, scale)
    total = variance * (weight / (1 - share) + 1 / share)
    return Spread(distance, total, total)


def _unbounded(base: float, scale: Scale) -> float:
    """Any change is possible, unless it is a multiple of nothing."""
    return 0.0 if scale is Scale.RELATIVE and base == 0 else inf


def _only_relative(scale: Scale, kind: str) -> None:
    if scale is not Scale.RELATIVE:
        raise ValueError(f"scale must be relative for {kind}")
