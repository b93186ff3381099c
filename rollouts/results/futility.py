"""Can a goal's smallest worthwhile effect still be shown by the plan's end? Advice, non-binding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, log1p
from typing import Any

from analysis.effect import Undecided
from analysis.futility import Futility, futility
from analysis.sequence import half_width, tightest
from analysis.spending import Spending
from rollouts.metrics.model import Statistic
from rollouts.results.work import Measuring, MetricInPlan
from rollouts.tolerances.model import Goal

NEVER = 1e-12  # stands for no floor: the powers are told, and nothing is called futile
AT_THE_END = Undecided("the plan's end is reached", "a decision, or a new plan")
NO_SHARE = Undecided("the effect is no share of control, as the smallest worthwhile one is")
NOT_BY_SO_MUCH = Undecided("nothing can fall by the whole of it", "a smaller worthwhile effect")
UNBOUNDED = Undecided("the data still allow any size of effect", "more customers")


@dataclass(frozen=True, slots=True)
class Trend:
    """A goal's effect in standard errors' own unit, positive is better."""

    estimate: float
    error: float
    worthwhile: float
    critical: float  # what the standardised effect must exceed at the plan's end
    fraction: float  # of that end's information reached


def futility_shown(
    work: Measuring,
    goal: Goal,
    metric: MetricInPlan,
    shown: Mapping[str, Any],
    state: Mapping[str, Any],
) -> dict[str, Any] | None:
    """The chances to reach the goal; None where no smallest worthwhile effect was planned.

    shown: the goal with its effects, valid at every look. state: its test's, after this look.
    """
    if goal.smallest_worthwhile is None:
        return None
    floor = work.draft.futility_floor or None
    found = _found(work, goal.smallest_worthwhile, metric, shown, state, floor)
    deadline = work.draft.deadline
    about = {
        "floor": floor,
        "worthwhile": goal.smallest_worthwhile,
        "by": deadline.isoformat() if deadline else None,
        "units_left": round(work.pace.units_left),
    }
    if isinstance(found, Undecided):
        return about | _unknown(found)
    is_futile = floor is not None and found.is_futile
    return about | {
        "at_worthwhile": found.at_worthwhile,
        "at_trend": found.at_trend,
        "predictive": found.predictive,
        "is_futile": is_futile,
        "saved_days": work.pace.days_left if is_futile else None,
        "saved_units": round(work.pace.units_left) if is_futile else None,
        "reason": found.reason if floor is not None else f"{found.reason} The plan has no floor.",
    }


def _unknown(why: Undecided) -> dict[str, Any]:
    return {
        "at_worthwhile": None,
        "at_trend": None,
        "predictive": None,
        "is_futile": False,
        "saved_days": None,
        "saved_units": None,
        "reason": why.reason,
    }


def _found(
    work: Measuring,
    worthwhile: float,
    metric: MetricInPlan,
    shown: Mapping[str, Any],
    state: Mapping[str, Any],
    floor: float | None,
) -> Futility | Undecided:
    fraction = work.pace.fraction
    if work.is_deadline or fraction >= 1:
        return AT_THE_END
    trend = _trend(work, worthwhile, metric, shown, state, fraction)
    if isinstance(trend, Undecided):
        return trend
    return futility(
        trend.estimate,
        trend.error,
        fraction=trend.fraction,
        worthwhile=trend.worthwhile,
        floor=floor if floor is not None else NEVER,
        critical=trend.critical,
        days_left=work.pace.days_left or 0.0,
        units_left=work.pace.units_left,
    )


def _trend(
    work: Measuring,
    worthwhile: float,
    metric: MetricInPlan,
    shown: Mapping[str, Any],
    state: Mapping[str, Any],
    fraction: float,
) -> Trend | Undecided:
    better = -metric.definition.harm_sign
    if shown["undecided"] is not None and shown["relative"] is None and shown["absolute"] is None:
        return Undecided(shown["undecided"]["reason"], shown["undecided"]["needs"])
    if shown["relative"] is None:
        return _absolute_trend(work, worthwhile, better, metric, shown, state, fraction)
    if better < 0 and worthwhile >= 1:
        return NOT_BY_SO_MUCH
    if metric.definition.statistic is Statistic.MEAN:
        fraction = _of_information(fraction, shown, 1 + worthwhile * better)
    now, then = _bounds(work, metric, shown["relative"], state.get("relative"), fraction)
    return _log_trend(shown["relative"], better, worthwhile, now, then, fraction)


def _of_information(fraction: float, shown: Mapping[str, Any], ratio: float) -> float:
    """Of the information reached, if customers to come show the worthwhile ratio.

    Information grows with events, and such a truth brings more of them, or fewer.
    """
    n0, n1 = float(shown["control"]["n"]), float(shown["treatment"]["n"])

    def per_customer(held: float) -> float:
        return held / (n0 + n1 * held)

    seen = per_customer(1 + shown["relative"]["estimate"])
    if seen <= 0:
        return fraction
    return 1 / (1 + (1 / fraction - 1) * per_customer(ratio) / seen)


def _log_trend(
    effect: Mapping[str, Any],
    better: int,
    worthwhile: float,
    now: float,
    then: float,
    fraction: float,
) -> Trend | Undecided:
    """On the logarithm of the ratio, where the interval is about even."""
    if effect["estimate"] <= -1:
        return UNBOUNDED
    middle, high = log1p(effect["estimate"]), log1p(effect["high"])
    width = high - log1p(effect["low"]) if effect["low"] > -1 else 2 * (high - middle)
    if width <= 0:
        return UNBOUNDED
    return Trend(
        estimate=middle * better,
        error=width / (2 * now),
        worthwhile=log(1 + worthwhile * better) * better,
        critical=then,
        fraction=fraction,
    )


def _absolute_trend(
    work: Measuring,
    worthwhile: float,
    better: int,
    metric: MetricInPlan,
    shown: Mapping[str, Any],
    state: Mapping[str, Any],
    fraction: float,
) -> Trend | Undecided:
    effect, base = shown["absolute"], shown["control"]["mean"]
    if metric.definition.statistic is not Statistic.MEAN or not base or base <= 0:
        return NO_SHARE
    now, then = _bounds(work, metric, effect, state.get("absolute"), fraction)
    width = effect["high"] - effect["low"]
    if width <= 0:
        return UNBOUNDED
    return Trend(effect["estimate"] * better, width / (2 * now), worthwhile * base, then, fraction)


def _bounds(
    work: Measuring,
    metric: MetricInPlan,
    effect: Mapping[str, Any],
    held: Mapping[str, Any] | None,
    fraction: float,
) -> tuple[float, float]:
    """Standard errors on either side of the estimate: at this look, and at the plan's end.

    The last is a little too low where looks are taken in between, since each costs a bit.
    """
    if metric.definition.statistic is not Statistic.MEAN or held is None:
        alpha = 1 - effect["level"]
        units, planned = work.pace.units, work.draft.planned_units
        mixed = units / planned * tightest(alpha)
        return half_width(alpha, mixed), half_width(alpha, mixed / fraction)
    spending = Spending.from_dict(dict(held))
    end = spending.advance(
        spending.information / fraction, deadline=work.draft.deadline is not None
    )
    return spending.bound, end.bound
