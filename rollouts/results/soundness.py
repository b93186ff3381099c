"""What must be said beside a guardrail's verdict: each condition of the stop-loss that is not met.

What a plan cannot break is not asked: sums are kept for each randomised customer, and cut at the
very moment an allocation changes. What data may still break comes back in plain words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.concerns import refusals
from rollouts.results.comparing import compare
from rollouts.results.shown import effects_shown
from rollouts.results.work import DAY, Measuring, MetricInPlan
from rollouts.words import count

MOST_IMMATURE = 0.5  # share of customers whose window still runs, from which a verdict rests on it
LEVEL = 0.95
NEVER = (
    "At this pace the plan ends before there are events enough for a verdict: {more} more customers "
    "are needed, and about {left} are expected."
)

Shown = Mapping[str, Any]


def cautions(
    work: Measuring,
    place: int,
    metric: MetricInPlan,
    shown: Shown,
    strata: Sequence[int],
) -> list[str]:
    """Sentences for the report. strata: the numbers of those that were compared."""
    found = refusals(
        matured=False,
        timing_may_change=_rests_on_unfinished(shown),
        strata_cut_at_changes=all(number in work.shares_by_stratum for number in strata),
        randomised_units=_clusters(work, place, metric),
    )
    said = [f"{item.reason[:1].upper()}{item.reason[1:]}. Needs {item.needs}." for item in found]
    return said + _never(work, shown)


def _rests_on_unfinished(shown: Shown) -> bool:
    """Whether a verdict was taken while most customers' windows still run."""
    matured = shown.get("matured")
    if shown["finding"] not in ("harm", "safe") or shown.get("matured_only") or not matured:
        return False
    complete = matured["n_control"] + matured["n_treatment"]
    whole = shown["control"]["n"] + shown["treatment"]["n"]
    return bool(complete < (1 - MOST_IMMATURE) * whole)


def _clusters(work: Measuring, place: int, metric: MetricInPlan) -> list[int] | None:
    """Customers of either arm, of a metric whose parts are many to a customer."""
    if not metric.definition.aggregation.has_denominator:
        return None
    counted = work.counted[metric.key]
    return [counted.total(arm).n for arm in (work.control, place)]


def _never(work: Measuring, shown: Shown) -> list[str]:
    """An arm that cannot reach its first verdict before the plan ends."""
    settles = shown.get("settles") or {}
    if shown["evidence"] is not None or not settles.get("customers"):
        return []
    left = work.pace.units_left
    if settles["customers"] <= left or work.pace.per_day is None:
        return []
    return [NEVER.format(more=count(settles["customers"]), left=count(left))]


def lately_shown(work: Measuring, place: int, metric: MetricInPlan) -> dict[str, Any] | None:
    """The effect on the customers who came last, beside a verdict on the average of all.

    For this one look: the last days are others at every look. None while all are new.
    """
    if work.recent is None:
        return None
    sums = work.lately(metric)
    control, treatment = sums.total(work.control), sums.total(place)
    absolute, relative = compare(metric.definition, control, treatment, level=LEVEL)
    return {
        "days": work.recent / DAY,
        "n_control": control.n,
        "n_treatment": treatment.n,
        **effects_shown(relative, absolute),
    }
