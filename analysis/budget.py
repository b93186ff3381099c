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
from math import exp, sqrt
from typing import Any, Literal, NamedTuple

from analysis.effect import Undecided
from analysis.gaussian import GaussianStatistic, gaussian_statistic, normal_as_t
from analysis.share import Arms, share
from analysis.spending import Spending
from analysis.stoploss import (
    Kind,
    Stratum,
    to_arms,
    usable_strata,
    why_no_units,
    why_not_ready,
)

HALF = 0.5  # of alpha: these limits are rougher than the share test's and pay for it
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


class Total(NamedTuple):
    """A sum of events with its variance per event."""

    events: float
    dispersion: float

    def limits(self, z: float, heavy: bool) -> tuple[float, float]:
        """Score limits at z deviations; a heavy tail may reach higher than they say."""
        h = z * z * self.dispersion / 2
        reach = sqrt(h * h + 2 * h * self.events)
        low, high = max(self.events + h - reach, 0.0), self.events + h + reach
        if heavy and self.events > 0:
            spread = min(2.0, z * sqrt(self.dispersion / self.events))
            high = max(high, self.events * exp(spread))
        return low, high


@dataclass(frozen=True, slots=True)
class _Measured:
    """Treatment's events less those expected of it, before the sign is applied."""

    treatment: Total
    control: Total
    heavy: bool
    flipped: bool  # counted on the non-events
    information: float  # of the share test at no difference, to pace by

    @property
    def estimate(self) -> float:
        extra = self.treatment.events - self.control.events
        return -extra if self.flipped else extra

    @property
    def variance(self) -> float:
        return sum(total.events * total.dispersion for total in (self.treatment, self.control))

    def limits(self, z: float) -> tuple[float, float]:
        low1, high1 = self.treatment.limits(z, self.heavy)
        low0, high0 = self.control.limits(z, self.heavy)
        x1, x0 = self.treatment.events, self.control.events
        low = x1 - x0 - sqrt((x1 - low1) ** 2 + (high0 - x0) ** 2)
        high = x1 - x0 + sqrt((high1 - x1) ** 2 + (x0 - low0) ** 2)
        return (-high, -low) if self.flipped else (low, high)


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
    found = share(arms, proportion=kind is Kind.PROPORTION, sign=1, ratio=1.0, safe=False)
    reason, needs = why_not_ready(strata, kind, found)
    if reason:
        return Undecided(reason, needs)
    units = arms.n0.sum() + arms.n1.sum()
    flipped = kind is Kind.PROPORTION and float(arms.events.sum()) > float(units) / 2
    treatment, control = _totals(_non_events(arms) if flipped else arms)
    return _Measured(
        treatment, control, kind is not Kind.PROPORTION, flipped, float(found.information)
    )


def _non_events(arms: Arms) -> Arms:
    return Arms(
        arms.n0,
        arms.n0 - arms.s0,
        arms.nv0,
        arms.n1,
        arms.n1 - arms.s1,
        arms.nv1,
        arms.m0,
        arms.m1,
    )


def _totals(arms: Arms) -> tuple[Total, Total]:
    """The treatment's events, and control's scaled stratum by stratum to as many units."""
    weights = arms.n1 / arms.n0
    seen1, seen0 = float(arms.s1.sum()), float(arms.s0.sum())
    expected = float((weights * arms.s0).sum())
    variance1, variance0 = float(arms.nv1.sum()), float(arms.nv0.sum())
    pooled = (variance1 + variance0) / (seen1 + seen0)
    own1 = max(variance1 / seen1, pooled) if seen1 > 0 else pooled
    own0 = max(variance0 / seen0, pooled) if seen0 > 0 else pooled
    if expected > 0:
        scale = float((weights * weights * arms.s0).sum()) / expected
    else:  # no events to weigh by: each unit counts the same
        scale = float((weights * weights * arms.n0).sum() / (weights * arms.n0).sum())
    return Total(seen1, own1), Total(expected, own0 * scale)


def _gaussian(strata: Sequence[Stratum]) -> _MeasuredGaussian | Undecided:
    found = gaussian_statistic(strata, sign=1, tolerance=0.0)
    if not found.ready:
        return Undecided(found.reason, found.needs)
    estimate = sum(x.n1 * (x.s1 / x.n1 - x.s0 / x.n0) for x in strata)
    part0 = found.variance0 * sum(x.n1 * x.n1 / x.n0 for x in strata)
    part1 = found.variance1 * sum(x.n1 for x in strata)
    return _MeasuredGaussian(
        estimate, part0 + part1, _degrees(found, part0, part1), found.information
    )


def _degrees(found: GaussianStatistic, part0: float, part1: float) -> float:
    spread = part0**2 / found.degrees0 + part1**2 / found.degrees1
    return (part0 + part1) ** 2 / spread


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
    return Spending(HALF * alpha, planned)


def _undecided(why: Undecided, units: float, state: dict[str, Any] | None) -> HarmLook:
    return HarmLook(None, None, None, None, None, units, why, state or {})
