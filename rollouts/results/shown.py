"""Answers of the statistics as a snapshot holds them: plain JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.budget import HarmLook
from analysis.effect import Effect, Undecided
from analysis.guardrail import Look
from analysis.stoploss import Stratum
from rollouts.metrics.model import Definition
from rollouts.metrics.words import absolute_form, meaning
from rollouts.results.cutting import cut_shown
from rollouts.results.strata import Counted, mean_of
from rollouts.results.work import Measuring, MetricInPlan
from rollouts.tolerances.model import Budget, BudgetRule

METHOD = (
    "Share test: on which version did the events fall, stage by stage, against the limit; "
    "valid however often one looks. Calibrated by simulation, not exact."
)
LET_GO = 0.75  # of the line at which a budget holds the ramp

Answer = Effect | Undecided


def metric_shown(
    work: Measuring,
    place: int,
    metric: MetricInPlan,
    counted: Counted,
    numbered: Sequence[tuple[int, Stratum]],
    role: str,
) -> dict[str, Any]:
    """A metric of an arm before anything is said of its effect."""
    definition = metric.definition
    last = work.last_event_at.get(metric.key)
    return {
        "key": metric.key,
        "name": metric.name,
        "role": role,
        "harm_unit": definition.harm_unit,
        "aggregation": definition.aggregation.value,
        "allow_untrusted": definition.allow_untrusted,
        "direction": definition.direction.value,
        "sign": definition.harm_sign,
        "statistic": definition.statistic.value,
        "form": absolute_form(definition),
        "meaning": meaning(definition),
        "method": METHOD,
        "test": None,
        "limit": None,
        "limit_scale": None,
        "action": None,
        "evidence": None,
        "shrunken": None,
        "needs": "",
        "notes": [],
        "budget": None,
        "settles": None,
        "matured_only": False,
        "matured": None,
        "so_far": None,
        "adjusted": None,
        "adjusted_by": None,
        "lately": None,
        "futility": None,
        "levels": None,
        "survey": None,
        "cut": cut_shown(metric),
        "control": _arm_shown(counted, work.control, definition),
        "treatment": _arm_shown(counted, place, definition),
        "strata": [_stratum_shown(work, number, item) for number, item in numbered],
        "last_event_at": last.isoformat() if last else None,
    }


def _stratum_shown(work: Measuring, number: int, item: Stratum) -> dict[str, Any]:
    return {
        "stratum": number,
        "coverage": work.shares_by_stratum.get(number),
        "n0": item.n0,
        "s0": item.s0,
        "q0": item.q0,
        "n1": item.n1,
        "s1": item.s1,
        "q1": item.q1,
        **_clusters_shown(item),
    }


def _clusters_shown(item: Stratum) -> dict[str, Any]:
    """Of a ratio: the scatter of its randomised units, without which its sums have no error."""
    if item.nv0 is None:
        return {}
    return {"nv0": item.nv0, "nv1": item.nv1, "m0": item.m0, "m1": item.m1}


def _arm_shown(counted: Counted, place: int, definition: Definition) -> dict[str, Any]:
    total = counted.total(place)
    return {"n": total.n, "total": total.x_total, "mean": mean_of(total, definition)}


def look_shown(seen: Look) -> dict[str, Any]:
    """What a guardrail's test said."""
    evidence = None
    if seen.evidence is not None:
        evidence = {
            "r": seen.evidence,
            "boundary": seen.boundary,
            "reserve": seen.reserve,
            "share": seen.share_of_boundary,
        }
    return {
        "finding": seen.finding.value,
        "reason": seen.reason,
        "needs": seen.needs,
        "evidence": evidence,
        "shrunken": seen.shrunken,
        "notes": list(seen.notes),
        **effects_shown(seen.relative, seen.absolute),
    }


def effects_shown(relative: Answer, absolute: Answer) -> dict[str, Any]:
    """An effect on both scales, and why where there is no honest number."""
    undecided = None
    for item in (absolute, relative):
        if isinstance(item, Undecided):
            undecided = {"reason": item.reason, "needs": item.needs}
    return {
        "relative": effect_shown(relative),
        "absolute": effect_shown(absolute),
        "undecided": undecided,
    }


def effect_shown(effect: Answer) -> dict[str, Any] | None:
    """An effect as a snapshot holds it; None where there is no honest number."""
    if isinstance(effect, Undecided):
        return None
    return {
        "estimate": effect.estimate,
        "low": effect.low,
        "high": effect.high,
        "level": effect.level,
        "n_control": effect.n_control,
        "n_treatment": effect.n_treatment,
        "validity": effect.validity.value,
        "method": effect.method,
    }


def budget_shown(spent: HarmLook, budget: Budget, unit: str, before: str) -> dict[str, Any]:
    """A harm budget and what may be spent of it. before: its state at the last look."""
    shown: dict[str, Any] = {
        "amount": budget.amount,
        "unit": unit,
        "hold_at": budget.hold_at,
        "rule": budget.rule.value,
        "estimate": spent.estimate,
        "low": spent.low,
        "high": spent.high,
        "state": "unknown",
        "reason": spent.undecided.reason if spent.undecided is not None else "",
    }
    if spent.estimate is None or spent.low is None or spent.high is None:
        return shown
    shown["state"] = _budget_state(budget, spent.estimate, spent.low, before)
    return shown


def _budget_state(budget: Budget, estimate: float, low: float, before: str) -> str:
    """Spent needs certainty of harm; holding needs none, since holding harms nobody.

    Once held, the estimate must fall well below the line, or noise would hold and let go in turn.
    """
    if budget.rule is BudgetRule.STRICT:
        is_spent = low >= budget.amount
    else:
        is_spent = low > 0 and estimate >= budget.amount
    if is_spent:
        return "spent"
    line = budget.hold_at * budget.amount * (LET_GO if before == "hold" else 1.0)
    return "hold" if estimate >= line else "within"
