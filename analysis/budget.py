"""Harm spent so far, in the customer's unit: how much the treatment has cost those exposed.

H = events in the treatment minus what control's rates would have given the same units, so it
answers "how many extra contacts", not "how much worse a rate". Its interval is valid at every
look: the boundary of `spending`, run on the variance of H itself.

Source: the project's stop-loss recipe; the limits of a total are the score limits of a
quasi-Poisson count, combined as in Zou & Donner (2008), Statistics in Medicine 27 (MOVER).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal, NamedTuple

import numpy as np

from analysis.effect import Undecided
from analysis.gaussian import gaussian_statistic, normal_as_t
from analysis.share import Arms, Floats, divide, share
from analysis.spending import Pace, Spending
from analysis.stoploss import (
    Kind,
    Stratum,
    to_arms,
    usable_strata,
    why_no_units,
    why_not_ready,
)

HALF = 0.5  # of alpha: these limits are rougher than the share test's and pay for it
FARTHEST = 2.0  # of ln upper limit over a heavy-tailed total
GAUSSIAN: Literal["gaussian"] = "gaussian"


@dataclass(frozen=True, slots=True)
class HarmLook:
    """Harm spent by the treatment up to one look, in the metric's unit; positive is harm.

    estimate, low, high: None where `undecided` says why there is no honest number.
    variance: of the estimate, the information its boundary is spent on. bound: the deviations
    the limits are away. units: in the treatment. state: to be handed to the next look, JSON-able.
    """

    estimate: float | None
    low: float | None
    high: float | None
    variance: float | None
    bound: float | None
    units: float
    undecided: Undecided | None
    state: dict[str, Any]


def harm_spent(
    strata: Sequence[Stratum],
    *,
    kind: Kind | Literal["gaussian"] | str,
    sign: int,
    alpha: float,
    state: dict[str, Any] | None = None,
    deadline: bool = False,
    planned_information: float | None = None,
) -> HarmLook:
    """Extra harm among the treatment's units so far, with limits valid at every look.

    sign: +1 where more is worse, -1 where less is; harm is then the shortfall. alpha: chance
    that either limit, by itself, is ever wrong. state: of the look before, None at the first.
    planned_information: of the rollout's share test (gaussian: harmonic units) at the deadline;
    it only paces the limits. Kind "gaussian" sums n1 (m1 - m0) over strata, with the limits of
    a t statistic, for metrics that may be negative.
    Raises ValueError naming an impossible argument, or a state of another alpha.

    >>> look = harm_spent(
    ...     [Stratum(1000, 50, 50, 1000, 90, 90)], kind="proportion", sign=1, alpha=0.05
    ... )
    >>> round(look.estimate), round(look.low, 1), round(look.high, 1)
    (40, 4.9, 76.6)
    """
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1, not {sign}")
    spending = _resumed(state, alpha)
    held = None if kind == GAUSSIAN else Kind(kind)
    kept = usable_strata(strata, held)
    units = float(sum(x.n1 for x in kept))
    if not kept:
        return _undecided(Undecided(*why_no_units(strata)), units, state)
    measured = _gaussian(kept) if held is None else _share(kept, held)
    if isinstance(measured, Undecided):
        return _undecided(measured, units, state)
    if spending is None:
        spending = _begun(alpha, measured, planned_information)
    spending = spending.advance(measured.variance, deadline=deadline)
    low, high = measured.limits(spending.bound)
    estimate = measured.estimate
    if sign < 0:
        estimate, low, high = -estimate, -high, -low
    return HarmLook(
        estimate=estimate,
        low=min(low, estimate),
        high=max(high, estimate),
        variance=measured.variance,
        bound=spending.bound,
        units=units,
        undecided=None,
        state={"spending": spending.to_dict()},
    )


def harm_could_reach(found: HarmLook, more_units: float) -> float | Undecided:
    """Harm spent after so many more customers in treatment, at the worst not yet ruled out.

    A ramp's next step is affordable while this stays within the budget. more_units: 0 or more.
    found: the last look's. Undecided while it has no upper limit. Raises ValueError below 0 units.

    >>> look = harm_spent(
    ...     [Stratum(1000, 50, 50, 1000, 60, 60)], kind="proportion", sign=1, alpha=0.05
    ... )
    >>> round(harm_could_reach(look, 0)) == round(look.high), round(harm_could_reach(look, 1000))
    (True, 85)
    """
    if not more_units >= 0:
        raise ValueError(f"more_units must be 0 or more, not {more_units}")
    if found.high is None:
        return found.undecided or Undecided("nothing has been counted yet", "first customers")
    return found.high + more_units * max(found.high, 0.0) / found.units


class Totals(NamedTuple):
    """Events in treatment and those expected of it, with their variance per event; shape (...).

    flipped: whether they count the units without the event, as for proportions above one half.
    """

    events1: Floats
    dispersion1: Floats
    events0: Floats
    dispersion0: Floats
    flipped: Floats

    @property
    def estimate(self) -> Floats:
        """Treatment's events more than expected."""
        return (self.events1 - self.events0) * (1 - 2 * self.flipped)

    @property
    def variance(self) -> Floats:
        """Of the estimate."""
        return self.dispersion1 * self.events1 + self.dispersion0 * self.events0


def totals(arms: Arms, *, proportion: bool) -> Totals:
    """The treatment's events, and control's scaled stratum by stratum to as many units.

    >>> arms = to_arms([Stratum(1000, 50, 50, 500, 45, 45)], Kind.PROPORTION)
    >>> float(totals(arms, proportion=True).estimate)
    20.0
    """
    units = arms.n0.sum(-1) + arms.n1.sum(-1)
    flipped = (arms.events.sum(-1) > units / 2).astype(np.float64) * proportion
    turn = flipped[..., None]
    s0, s1 = (turn * (n - 2 * s) + s for n, s in ((arms.n0, arms.s0), (arms.n1, arms.s1)))
    weights = divide(arms.n1, arms.n0)
    seen1, seen0, expected = s1.sum(-1), s0.sum(-1), (weights * s0).sum(-1)
    variance1, variance0 = arms.nv1.sum(-1), arms.nv0.sum(-1)
    pooled = divide(variance1 + variance0, seen1 + seen0)
    # Without events to weigh by, each of control's units counts the same.
    even = divide((weights * weights * arms.n0).sum(-1), (weights * arms.n0).sum(-1))
    scale = np.where(expected > 0, divide((weights * weights * s0).sum(-1), expected), even)
    return Totals(
        seen1,
        np.maximum(divide(variance1, seen1), pooled),
        expected,
        np.maximum(divide(variance0, seen0), pooled) * scale,
        flipped,
    )


def harm_limits(found: Totals, z: Floats, *, heavy: bool) -> tuple[Floats, Floats]:
    """Limits of the estimate at z deviations, shape (...). heavy: unless a proportion.

    found: what `totals` gave.

    >>> arms = to_arms([Stratum(1000, 50, 50, 500, 45, 45)], Kind.PROPORTION)
    >>> low, high = harm_limits(totals(arms, proportion=True), np.array(1.96), heavy=False)
    >>> round(float(low), 1), round(float(high), 1)
    (6.5, 35.8)
    """
    low1, high1 = _total_limits(found.events1, found.dispersion1, z, heavy)
    low0, high0 = _total_limits(found.events0, found.dispersion0, z, heavy)
    extra = found.events1 - found.events0
    low = extra - np.hypot(found.events1 - low1, high0 - found.events0)
    high = extra + np.hypot(high1 - found.events1, found.events0 - low0)
    return np.where(found.flipped, -high, low), np.where(found.flipped, -low, high)


def _total_limits(
    events: Floats, dispersion: Floats, z: Floats, heavy: bool
) -> tuple[Floats, Floats]:
    """Score limits of a total at z deviations; a heavy tail may reach higher than they say."""
    h = z * z * dispersion / 2
    reach = np.sqrt(h * h + 2 * h * events)
    low, high = np.maximum(events + h - reach, 0.0), events + h + reach
    if heavy:
        spread = np.minimum(FARTHEST, z * np.sqrt(divide(dispersion, events)))
        high = np.maximum(high, events * np.exp(spread))
    return low, high


@dataclass(frozen=True, slots=True)
class _Measured:
    """One look's totals, before the sign is applied."""

    found: Totals
    heavy: bool
    information: float  # of the share test at no difference, to pace by

    @property
    def estimate(self) -> float:
        return float(self.found.estimate)

    @property
    def variance(self) -> float:
        return float(self.found.variance)

    def limits(self, z: float) -> tuple[float, float]:
        low, high = harm_limits(self.found, np.asarray(z), heavy=self.heavy)
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class _MeasuredGaussian:
    """The same for means that may be negative."""

    estimate: float
    variance: float
    degrees: float
    information: float

    def limits(self, z: float) -> tuple[float, float]:
        reach = normal_as_t(z, self.degrees) * sqrt(self.variance)
        return self.estimate - reach, self.estimate + reach


def _share(strata: Sequence[Stratum], kind: Kind) -> _Measured | Undecided:
    arms = to_arms(strata, kind)
    proportion = kind is Kind.PROPORTION
    found = share(arms, kind=kind, sign=1, ratio=1.0, safe=False)
    reason, needs = why_not_ready(strata, kind, found)
    if reason:
        return Undecided(reason, needs)
    spent = totals(arms, proportion=proportion)
    if spent.variance <= 0:
        return Undecided(
            "within each stretch of the ramp all customers are alike", "more customers"
        )
    return _Measured(spent, not proportion, float(found.information))


def _gaussian(strata: Sequence[Stratum]) -> _MeasuredGaussian | Undecided:
    found = gaussian_statistic(strata, sign=1, tolerance=0.0)
    if not found.ready:
        return Undecided(found.reason, found.needs)
    estimate = sum(x.n1 * (x.s1 / x.n1 - x.s0 / x.n0) for x in strata)
    part0 = found.variance0 * sum(x.n1 * x.n1 / x.n0 for x in strata)
    part1 = found.variance1 * sum(x.n1 for x in strata)
    variance = part0 + part1
    degrees = variance**2 / (part0**2 / found.degrees0 + part1**2 / found.degrees1)
    return _MeasuredGaussian(estimate, variance, degrees, found.information)


def _resumed(state: dict[str, Any] | None, alpha: float) -> Spending | None:
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must be in (0, 0.5), not {alpha}")
    if not state:
        return None
    spending = Spending.from_dict(state["spending"])
    if spending.alpha != HALF * alpha:
        raise ValueError(f"state was begun at another alpha than {alpha}")
    return spending


def _begun(
    alpha: float, measured: _Measured | _MeasuredGaussian, planned_information: float | None
) -> Spending:
    """A fresh boundary; the plan, told in the share test's information, is scaled to variance."""
    planned = None
    if planned_information is not None:
        planned = planned_information * measured.variance / measured.information
    return Spending(HALF * alpha, planned, pace=Pace.SOONER)


def _undecided(why: Undecided, units: float, state: dict[str, Any] | None) -> HarmLook:
    return HarmLook(None, None, None, None, None, units, why, state or {})
