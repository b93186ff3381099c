"""The same effect among customers who are alike by attributes from before. Information only.

Customers are compared with their like, so what lies between kinds of customers no longer blurs
the effect. Where the metric has a time before exposure, that is adjusted for in the same step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis import cuped, poststratify
from analysis.cuped import SUSPICIOUS, UNBALANCED, Adjusted, balance_p_value
from analysis.effect import Undecided
from analysis.moments import Moments
from analysis.summary import PairSummary, Summary
from rollouts.metrics.model import Statistic
from rollouts.results.adjusted import NO_PERCENTAGE, adjusted_effects, too_few_events
from rollouts.results.work import Measuring, MetricInPlan

MOST = 40  # kinds of customers that are told apart; the smallest ones are put together
ONE_KIND = Undecided(
    "all customers are of one kind, so there is nothing to adjust by", "attributes that differ"
)
Found = Adjusted | Undecided
Strata = list[tuple[PairSummary, PairSummary]]  # of control and of treatment


def stratified_shown(
    work: Measuring, place: int, metric: MetricInPlan, level: float
) -> dict[str, Any] | None:
    """The effect adjusted by the plan's attributes, with its gain; None where it asks for none."""
    definition = metric.definition
    is_plain = definition.statistic is Statistic.MEAN and not definition.aggregation.has_denominator
    if not work.draft.adjust_by or not is_plain:
        return None
    strata = pairs_of(work.by_strata(metric), work.control, place)
    has_before = definition.pre_period is not None
    absolute, relative = compared(strata, level, has_before=has_before)
    if definition.allow_negative:
        relative = NO_PERCENTAGE
    return {
        **adjusted_effects(absolute, relative, work.draft.planned_units),
        "attributes": list(work.draft.adjust_by),
        "strata": len(strata),
        "with_before": has_before,
    }


def pairs_of(cells: Mapping[tuple[int, int], PairSummary], control: int, treatment: int) -> Strata:
    """Both arms' sums of each kind of customer, the largest first; the smallest put together."""
    numbers = {number for arm, number in cells if arm in (control, treatment)}
    pairs = [
        tuple(cells.get((arm, number), PairSummary()) for arm in (control, treatment))
        for number in sorted(numbers)
    ]
    pairs.sort(key=lambda pair: -(pair[0].n + pair[1].n))
    rest = pairs[MOST:]
    held = [(a, b) for a, b in pairs[:MOST]]
    if rest:
        held.append((_whole(a for a, _ in rest), _whole(b for _, b in rest)))
    return held


def compared(strata: Strata, level: float, *, has_before: bool) -> tuple[Found, Found]:
    """The absolute and the relative effect, or why there is none."""
    arms = [_whole(pair[side] for pair in strata) for side in (0, 1)]
    refused = too_few_events(*arms) or _unbalanced(strata)
    if refused is not None:
        return refused, refused
    if has_before:
        first, second = (_moments(strata, side, has_before=True) for side in (0, 1))
        return (
            cuped.difference(first, second, before_exposure=True, level=level),
            cuped.relative(first, second, before_exposure=True, level=level),
        )
    sums = [_by_name(strata, side) for side in (0, 1)]
    return (
        poststratify.poststratified(sums[0], sums[1], level=level),
        poststratify.poststratified_relative(sums[0], sums[1], level=level),
    )


def _unbalanced(strata: Strata) -> Undecided | None:
    """Kinds of customers that fell unevenly are no kinds from before, or the split is broken."""
    if len(strata) < 2:
        return ONE_KIND
    first, second = (_moments(strata, side, has_before=False) for side in (0, 1))
    if first.n + second.n <= 2 * len(strata) + 2:
        return Undecided("too few customers of each kind", "more customers")
    return UNBALANCED if balance_p_value(first, second) < SUSPICIOUS else None


def _moments(strata: Strata, side: int, *, has_before: bool) -> Moments:
    """Sums of the outcome, the time before, and of belonging to each kind but the first."""
    arms = [pair[side] for pair in strata]
    whole = _whole(arms)
    counts = np.array([arm.n for arm in arms[1:]], dtype=float)
    outcome = np.array([arm.x_total for arm in arms[1:]])
    before = np.array([arm.y_total for arm in arms[1:]])
    if not has_before:
        corner = np.block([[np.array([[whole.xx]]), outcome[None, :]]])
        products = np.vstack([corner, np.hstack([outcome[:, None], np.diag(counts)])])
        return Moments(whole.n, np.concatenate([[whole.x_total], counts]), products)
    top = np.array([[whole.xx, whole.xy], [whole.xy, whole.yy]])
    side_by_side = np.vstack([outcome, before])
    products = np.block([[top, side_by_side], [side_by_side.T, np.diag(counts)]])
    totals = np.concatenate([[whole.x_total, whole.y_total], counts])
    return Moments(whole.n, totals, products)


def _by_name(strata: Strata, side: int) -> dict[str, Summary]:
    return {f"{number:03}": pair[side].x for number, pair in enumerate(strata)}


def _whole(parts: Any) -> PairSummary:
    return sum(parts, PairSummary())
