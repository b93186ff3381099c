"""An estimate with its standard error: what is left of an effect when effects are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p, sqrt

import numpy as np
from scipy import stats

from analysis.arguments import Floats, finite
from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.inputs import CONSTANT, unusable
from analysis.summary import Summary

_LARGEST_LOG, _LARGEST_LOG_ERROR = 50, 10  # beyond them a ratio is 0 or infinite to a float
_SMALLEST = 1e-60  # its square still has an inverse


@dataclass(frozen=True, slots=True)
class Estimate:
    """A treatment effect, near enough normal around the truth.

    name: of the segment, stratum or rollout. value: in the metric's unit; on the relative scale
    the logarithm of the ratio, so that effects compound by adding. error: its standard error,
    above 0. n_control, n_treatment: units, None where unknown.
    Raises ValueError for values that are not finite, an error that is not above 0, or on the
    relative scale a value beyond 50 or an error beyond 10: no ratio is so uncertain.

    >>> Estimate("mobile", 0.2, 0.1).error
    0.1
    """

    name: str
    value: float
    error: float
    scale: Scale = Scale.ABSOLUTE
    n_control: int | None = None
    n_treatment: int | None = None

    def __post_init__(self) -> None:
        finite("value", self.value)
        if finite("error", self.error) < _SMALLEST:
            raise ValueError(f"error of {self.name!r} must be above 0, not {self.error}")
        if self.scale is Scale.RELATIVE and not self._is_ratio():
            raise ValueError(f"value of {self.name!r} must be a logarithm with an error below 10")

    def _is_ratio(self) -> bool:
        return abs(self.value) <= _LARGEST_LOG and self.error <= _LARGEST_LOG_ERROR

    @classmethod
    def of_means(cls, name: str, control: Summary, treatment: Summary) -> Estimate | Undecided:
        """Difference of two means; Undecided below two units in an arm, or without any spread.

        >>> Estimate.of_means("mobile", Summary.of([1, 3]), Summary.of([2, 4])).value
        1.0
        """
        refusal = unusable(control, treatment)
        if refusal is not None:
            return refusal
        error = sqrt(control.variance / control.n + treatment.variance / treatment.n)
        if error < _SMALLEST:
            return CONSTANT
        difference = treatment.mean - control.mean
        return cls(name, difference, error, Scale.ABSOLUTE, control.n, treatment.n)

    @classmethod
    def of_effect(cls, name: str, effect: Effect) -> Estimate | Undecided:
        """From an effect's interval, read as normal (relative effects: on the log scale).

        Undecided without width, or for a relative interval that reaches -100 %. Raises
        ValueError for an anytime interval: its width is no standard error.
        """
        if effect.validity is not Validity.FIXED:
            raise ValueError(
                "effect must have a fixed interval: an anytime one is wider than its error"
            )
        ends = (effect.estimate, effect.low, effect.high)
        if effect.scale is Scale.RELATIVE:
            if effect.low <= -1:
                return Undecided("the relative effect is too uncertain", needs="more customers")
            ends = (log1p(ends[0]), log1p(ends[1]), log1p(ends[2]))
        reach = float(stats.norm.isf((1 - effect.level) / 2))
        error = (ends[2] - ends[1]) / (2 * reach)
        if effect.scale is Scale.RELATIVE and error > _LARGEST_LOG_ERROR:
            return Undecided("the relative effect is too uncertain", needs="more customers")
        if error < _SMALLEST:
            return Undecided("the effect has no scatter", needs="a metric that varies")
        return cls(name, ends[0], error, effect.scale, effect.n_control, effect.n_treatment)


def columns(estimates: Sequence[Estimate], at_least: int = 2) -> tuple[Floats, Floats]:
    """Values and standard errors, each of shape (k,).

    Raises ValueError below `at_least` estimates, or for estimates of mixed scales.

    >>> columns([Estimate("a", 1, 2), Estimate("b", 3, 4)])
    (array([1., 3.]), array([2., 4.]))
    """
    if len(estimates) < at_least:
        raise ValueError(f"estimates needs at least {at_least}, not {len(estimates)}")
    if len({estimate.scale for estimate in estimates}) > 1:
        raise ValueError("estimates must all be of one scale")
    return (
        np.array([estimate.value for estimate in estimates], dtype=np.float64),
        np.array([estimate.error for estimate in estimates], dtype=np.float64),
    )
