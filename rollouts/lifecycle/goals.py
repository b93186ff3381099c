"""What a plan can show of its goals, and when its guardrails can be called safe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from scipy.stats import norm

from analysis import power
from analysis.duration import Duration, duration
from analysis.effect import Undecided
from analysis.history import History, MeanHistory, ProportionHistory, RatioHistory
from analysis.power import SampleSize
from analysis.spending import Pace, Spending
from rollouts.lifecycle.course import Course
from rollouts.lifecycle.forecast import Baseline
from rollouts.lifecycle.plan import Draft
from rollouts.metrics.model import Aggregation, Definition, Statistic
from rollouts.tolerances.model import Goal

GOAL_ALPHA = 0.05  # the report's goals stand at 95 %
POWER = 0.8
WEEK = 7
BOXES = (Statistic.TOP_BOX, Statistic.LOW_BOX)  # shares of those who answer


@dataclass(frozen=True, slots=True)
class GoalForecast:
    """What the plan can show of one goal.

    detectable: the smallest change, as a share of control, that is found with `POWER` by the
    end of the plan. worthwhile: the one the plan asks for. size: customers in both arms that
    find it. lasts: until they have come. dearer: times more customers than one look at the end
    would need, paid for looking as often as one likes.
    """

    metric: str
    method: str
    detectable: float | Undecided
    worthwhile: float | None
    size: SampleSize | Undecided | None
    lasts: Duration | Undecided | None
    dearer: float


def forecast_goal(
    draft: Draft,
    goal: Goal,
    definition: Definition,
    baseline: Baseline | None,
    course: Course,
    *,
    customers_per_day: float | None,
) -> GoalForecast:
    """What can be shown of this goal; the smallest of several new versions is what is asked."""
    history = history_of(definition, baseline)
    if isinstance(history, Undecided):
        return GoalForecast(goal.metric, "", history, goal.smallest_worthwhile, None, None, 1.0)
    control = next(item.share for item in draft.variations if item.key == draft.control)
    share = min(item.share for item in draft.treatments)
    dearer = inflation(GOAL_ALPHA / 2, max(course.looks, 1))
    plan = power.Plan(GOAL_ALPHA, POWER, share=share / (control + share), inflation=dearer)
    up = -definition.harm_sign
    size = None
    if goal.smallest_worthwhile is not None:
        size = power.sample_size(history, up * goal.smallest_worthwhile, plan)
    return GoalForecast(
        metric=goal.metric,
        method=history.method,
        detectable=power.minimum_detectable_effect(
            history, course.units * (control + share), plan, sign=up
        ),
        worthwhile=goal.smallest_worthwhile,
        size=size,
        lasts=lasts(draft, size, definition, customers_per_day, control + share),
        dearer=dearer,
    )


def history_of(definition: Definition, baseline: Baseline | None) -> History | Undecided:
    """What planning knows of this metric, by its kind."""
    if definition.statistic not in (Statistic.MEAN, *BOXES):
        return Undecided(
            f"planning a {definition.statistic.value.replace('_', ' ')} needs more than its level",
            "a goal on a share, a count or a sum",
        )
    if baseline is None:
        return Undecided(
            "nobody knows its level today: no earlier rollout has measured it",
            "its mean per customer as a baseline",
        )
    if definition.aggregation is Aggregation.ANY or definition.statistic in BOXES:
        if baseline.mean >= 1:
            return Undecided("a share of customers lies below 1", "a mean between 0 and 1")
        return ProportionHistory(baseline.mean)
    dispersion = baseline.dispersion
    if dispersion is None and definition.aggregation is not Aggregation.COUNT:
        return Undecided(
            "how much it scatters between customers is not known", "its variance over its mean"
        )
    variance = baseline.mean * (dispersion or 1.0)
    if definition.aggregation.has_denominator:
        return RatioHistory(baseline.mean, variance / baseline.per_unit)
    return MeanHistory(baseline.mean, variance)


def inflation(alpha: float, looks: int) -> float:
    """Times more customers for the same power when one may stop at any of so many looks.

    By the boundary at the last one: what stops before is not counted, so it is at most this.
    """
    spending = Spending(alpha, planned=float(looks), pace=Pace.SOONER)
    for look in range(1, looks + 1):
        spending = spending.advance(float(look), deadline=look == looks)
    reach = float(norm.isf(1 - POWER))
    return float(((spending.bound + reach) / (norm.isf(alpha) + reach)) ** 2)


def lasts(
    draft: Draft,
    size: SampleSize | Undecided | None,
    definition: Definition,
    customers_per_day: float | None,
    pair: float,
) -> Duration | Undecided | None:
    """How long until so many customers have come; None where it is not asked or not known."""
    if size is None or isinstance(size, Undecided) or customers_per_day is None:
        return None
    return duration(
        size.total,
        [customers_per_day * pair] * WEEK,
        ramp=[(stage.hold, stage.share) for stage in draft.ramp],
        window=definition.window or timedelta(0),
        whole_weeks=False,
    )
