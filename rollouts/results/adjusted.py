"""The same effect, sharpened by what customers did before they met the change. Information only.

The stop-loss stays on the raw sums: its interval is measured to hold, this one is asymptotic.
"""

from __future__ import annotations

from typing import Any

from analysis import cuped
from analysis.cuped import Adjusted
from analysis.effect import Effect, Undecided
from analysis.sequence import always_valid
from analysis.summary import PairSummary
from rollouts.results.shown import effect_shown
from rollouts.results.work import Measuring, MetricInPlan

LEAST_EVENTS = 50.0  # of equal size in an arm: with fewer an asymptotic interval is no promise
NOBODY = Undecided("one of the two versions has no customers yet", "customers in both")
FEW = Undecided(
    "too few events for an adjusted interval, which rests on many", "more customers or more days"
)
NO_PERCENTAGE = Undecided("values may be negative, so a percentage of control means nothing")

Found = Adjusted | Undecided


def adjusted_shown(
    work: Measuring, place: int, metric: MetricInPlan, level: float
) -> dict[str, Any] | None:
    """The adjusted effect on both scales and what it gained; None without a time before."""
    definition = metric.definition
    if definition.pre_period is None:
        return None
    sums = work.before(metric)
    control, treatment = (sums.get(arm, PairSummary()) for arm in (work.control, place))
    absolute = _absolute(control, treatment, level)
    relative = NO_PERCENTAGE if definition.allow_negative else _relative(control, treatment, level)
    return {
        **adjusted_effects(absolute, relative, work.draft.planned_units),
        "pre_period_seconds": definition.pre_period.total_seconds(),
    }


def adjusted_effects(absolute: Found, relative: Found, planned: int) -> dict[str, Any]:
    """Both effects widened to hold at every look, with the gain; or why there are none."""
    effects = [_always(item, planned) for item in (relative, absolute)]
    refused = absolute if isinstance(absolute, Undecided) else effects[1]
    shown = [effect_shown(item) for item in effects]
    return {
        "relative": shown[0],
        "absolute": shown[1],
        "gain": absolute.gain if isinstance(absolute, Adjusted) and shown[1] else None,
        "reason": refused.reason if isinstance(refused, Undecided) else "",
        "needs": refused.needs if isinstance(refused, Undecided) else "",
    }


def _absolute(control: PairSummary, treatment: PairSummary, level: float) -> Found:
    refused = too_few_events(control, treatment)
    return (
        refused
        if refused is not None
        else cuped.difference(control, treatment, before_exposure=True, level=level)
    )


def _relative(control: PairSummary, treatment: PairSummary, level: float) -> Found:
    refused = too_few_events(control, treatment)
    return (
        refused
        if refused is not None
        else cuped.relative(control, treatment, before_exposure=True, level=level)
    )


def too_few_events(control: PairSummary, treatment: PairSummary) -> Undecided | None:
    """Why two arms bear no adjusted interval; None where they do."""
    if not control.n or not treatment.n:
        return NOBODY
    return FEW if min(_events(control), _events(treatment)) < LEAST_EVENTS else None


def _events(arm: PairSummary) -> float:
    """Events of equal size that would carry as much: one large customer counts for one."""
    return arm.x_total**2 / arm.xx if arm.xx > 0 else 0.0


def _always(found: Found, planned: int) -> Effect | Undecided:
    return always_valid(found.effect if isinstance(found, Adjusted) else found, planned=planned)
