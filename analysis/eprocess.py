"""Exact stop-loss tests, for proportions and Poisson counts only: two e-processes.

An e-process is a bet against "no worse than tolerated": while that is true its value has mean
at most 1 at every look, so the chance that it ever reaches 1 / alpha is at most alpha (Ville's
inequality), with no approximation and no plan. It needs more customers than the share test, and
must not be used elsewhere: on counts of variance above their mean, on money or on clusters such
tests were measured to stop falsely up to 0.97 of the time.

Sources: the event share, Lindon & Malek (2022), "Anytime-valid inference for multinomial count
data", NeurIPS; two by two, Turner, Ly & Grünwald (2024), Statistics & Probability Letters, and
Turner & Grünwald (2023) for null hypotheses that are not plain equality.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import expm1, log, log1p, sqrt
from typing import Any, Self

import numpy as np

from analysis.arguments import is_sound
from analysis.stoploss import tolerated_ratio

TILTS = tuple(np.geomspace(0.03, 3.0, 24).tolist())  # |ln| of the share's odds that are bet on
TO_START = 0.5  # an event and a non-event each that the two-by-two bet imagines beforehand


@dataclass(frozen=True, slots=True)
class EventShare:
    """The bet on which arm the next event falls. Immutable; `advance` gives the next state.

    sign: +1 where more is worse, -1 where less is. tolerance: relative. alpha: false-stop rate.
    gains: logarithm of each bet's winnings, one per tilt.

    >>> test = EventShare(sign=1, tolerance=0.1, alpha=0.05)
    >>> test = test.advance(events0=10, events1=12, share=0.5)
    >>> test.is_stopped, test.advance(events0=2, events1=25, share=0.5).is_stopped
    (False, True)
    """

    sign: int
    tolerance: float
    alpha: float
    gains: tuple[float, ...] = (0.0,) * len(TILTS)

    def __post_init__(self) -> None:
        _check(self.sign, self.tolerance, self.alpha)
        if len(self.gains) != len(TILTS):
            raise ValueError(f"gains must hold {len(TILTS)} numbers, not {len(self.gains)}")

    def advance(self, *, events0: int, events1: int, share: float) -> Self:
        """The state after new events of units that were assigned at one share.

        events0, events1: since the last look; at most one per unit for proportions. share: the
        probability of treatment for the units behind them (for Poisson counts, the share of the
        time that units spent in treatment may stand for it); in (0, 1).
        Raises ValueError for events below 0 or a share beyond (0, 1).
        """
        if min(events0, events1) < 0 or not is_sound(events0, events1):
            raise ValueError(f"events0 and events1 must be 0 or more: {events0}, {events1}")
        if not 0 < share < 1:
            raise ValueError(f"share must lie strictly between 0 and 1, not {share}")
        c = tolerated_ratio(self.sign, self.tolerance)
        q = c * share / (1 - share + c * share)
        total = events0 + events1
        tilts = [self.sign * tilt for tilt in TILTS]
        won = [events1 * tilt - total * log1p(q * expm1(tilt)) for tilt in tilts]
        return replace(self, gains=tuple(a + b for a, b in zip(self.gains, won, strict=True)))

    @property
    def log_evidence(self) -> float:
        """Logarithm of the e-process: the mean of the bets' winnings."""
        return float(np.logaddexp.reduce(self.gains)) - log(len(TILTS))

    @property
    def is_stopped(self) -> bool:
        return self.log_evidence >= -log(self.alpha)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**_plan(self), "gains": list(self.gains)}

    @classmethod
    def from_dict(cls, held: dict[str, Any]) -> Self:
        return cls(held["sign"], held["tolerance"], held["alpha"], tuple(held["gains"]))


@dataclass(frozen=True, slots=True)
class TwoByTwo:
    """The bet on each batch's two proportions, made from the batches before it. Immutable.

    units and events: of both arms so far; log_evidence: logarithm of the e-process.
    The baseline may drift from batch to batch, and the allocation may change.

    >>> test = TwoByTwo(sign=1, tolerance=0.1, alpha=0.05)
    >>> for batch in range(8):
    ...     test = test.advance(units0=100, events0=5, units1=100, events1=16)
    >>> test.is_stopped
    True
    """

    sign: int
    tolerance: float
    alpha: float
    units0: float = 0
    events0: float = 0
    units1: float = 0
    events1: float = 0
    log_evidence: float = 0.0

    def __post_init__(self) -> None:
        _check(self.sign, self.tolerance, self.alpha)

    def advance(self, *, units0: int, events0: int, units1: int, events1: int) -> Self:
        """The state after a batch of new units, at most one event each. ValueError if impossible."""
        for arm, units, events in (("0", units0, events0), ("1", units1, events1)):
            if not 0 <= events <= units:
                raise ValueError(f"events{arm} must lie between 0 and units{arm}, not {events}")
        return replace(
            self,
            units0=self.units0 + units0,
            events0=self.events0 + events0,
            units1=self.units1 + units1,
            events1=self.events1 + events1,
            log_evidence=self.log_evidence + self._winnings(units0, events0, units1, events1),
        )

    def _winnings(self, units0: int, events0: int, units1: int, events1: int) -> float:
        bet0 = (self.events0 + TO_START) / (self.units0 + 2 * TO_START)
        bet1 = (self.events1 + TO_START) / (self.units1 + 2 * TO_START)
        c = tolerated_ratio(self.sign, self.tolerance)
        if self.sign * (bet1 - c * bet0) <= 0 or not units0 or not units1:
            return 0.0  # the bet itself is that nothing is wrong
        null0, null1 = nearest_tolerated(bet0, bet1, c, units0, units1)
        return _log_ratio(units0, events0, bet0, null0) + _log_ratio(units1, events1, bet1, null1)

    @property
    def is_stopped(self) -> bool:
        return self.log_evidence >= -log(self.alpha)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            **_plan(self),
            "units0": self.units0,
            "events0": self.events0,
            "units1": self.units1,
            "events1": self.events1,
            "log_evidence": self.log_evidence,
        }

    @classmethod
    def from_dict(cls, held: dict[str, Any]) -> Self:
        return cls(**held)


def nearest_tolerated(
    rate0: float, rate1: float, ratio: float, units0: float, units1: float
) -> tuple[float, float]:
    """The rates with rate1 = ratio rate0 that are nearest in divergence, weighted by units.

    The winnings against the nearest point of a convex null have mean at most 1 over all of it.
    units0, units1: of control and treatment in this step.

    >>> nearest_tolerated(0.1, 0.3, 1.0, 50, 50)
    (0.2, 0.2)
    """
    yes = units0 * rate0 + units1 * rate1
    no0, no1 = units0 * (1 - rate0), units1 * (1 - rate1)
    # Setting the likelihood's slope to 0 gives a x^2 - b x + yes = 0, whose smaller root it is.
    a = ratio * (units0 + units1)
    b = yes * (1 + ratio) + no0 + ratio * no1
    rate = 2 * yes / (b + sqrt(max(b * b - 4 * a * yes, 0.0)))
    return rate, ratio * rate


def _log_ratio(units: float, events: float, bet: float, null: float) -> float:
    """Log-likelihood of the bet over that of the null."""
    won = events * log(bet / null) if events else 0.0
    lost = (units - events) * (log1p(-bet) - log1p(-null)) if units > events else 0.0
    return won + lost


def _plan(test: EventShare | TwoByTwo) -> dict[str, Any]:
    return {"sign": test.sign, "tolerance": test.tolerance, "alpha": test.alpha}


def _check(sign: int, tolerance: float, alpha: float) -> None:
    tolerated_ratio(sign, tolerance)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, not {alpha}")
