"""One look: every metric of every treatment arm through the statistics, as plain JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from analysis.budget import HarmLook, harm_spent
from analysis.effect import Effect, Finding, Scale, Undecided
from analysis.guardrail import Look, Rule, anytime_effect, look
from analysis.histogram import Histogram
from analysis.noninferiority import finding
from analysis.rows import Times
from analysis.sequence import always_valid
from analysis.stoploss import Kind, Stratum, share_statistic
from rollouts.lifecycle.plan import Draft
from rollouts.metrics.model import Definition, Direction, Statistic
from rollouts.metrics.words import meaning
from rollouts.results.kinds import compare_units
from rollouts.results.strata import Counted, kind_of, make_strata, mean_of
from rollouts.tolerances.model import Budget, BudgetRule, Guardrail, split_alpha

METHOD = (
    "Share test: on which version did the events fall, stage by stage, against the limit; "
    "valid however often one looks. Calibrated by simulation, not exact."
)
OTHER_METHOD = (
    "{method}; the interval is widened so that it holds however often one looks, over all stages "
    "together, since the versions' shares never change."
)
GOAL_LEVEL = 0.95
LET_GO = 0.75  # of the line at which a budget holds the ramp
GAUSSIAN: Literal["gaussian"] = "gaussian"


@dataclass(frozen=True, slots=True)
class MetricInPlan:
    """A metric as a plan locked it."""

    key: str
    name: str
    version_id: int
    definition: Definition


@dataclass(slots=True)
class Measuring:
    """What one look works on; `states` is replaced by the tests' new states as it goes."""

    draft: Draft
    metrics: Mapping[str, MetricInPlan]
    counted: Mapping[str, Counted]
    last_event_at: Mapping[str, datetime]
    shares_by_stratum: Mapping[int, float]
    is_deadline: bool
    units: Callable[[MetricInPlan], Mapping[int, Histogram | Times]]  # where sums say too little
    states: dict[str, dict[str, Any]] = field(default_factory=dict)


def measure_arm(work: Measuring, place: int) -> dict[str, Any]:
    """All metrics of one treatment arm against control."""
    arm = work.draft.variations[place]
    alphas = split_alpha(work.draft.alpha, work.draft.guardrails, len(work.draft.treatments))
    rails = [_guardrail(work, place, item, alphas[item.metric]) for item in work.draft.guardrails]
    goals = [_goal(work, place, item.metric) for item in work.draft.goals]
    return {"key": arm.key, "name": arm.name, "metrics": rails + goals}


def _guardrail(work: Measuring, place: int, rail: Guardrail, alpha: float) -> dict[str, Any]:
    metric = work.metrics[rail.metric]
    if metric.definition.statistic is not Statistic.MEAN:
        return _other_guardrail(work, place, rail, alpha)
    numbered = _strata(work, metric, place)
    strata = [item for _, item in numbered]
    kind = _kind(metric, rail.scale)
    name = f"{work.draft.variations[place].key}/{rail.metric}"
    state = work.states.get(name, {})
    planned = _planned(work, state, strata, kind, metric.definition.harm_sign, rail.margin)
    rule = Rule(
        kind=kind,
        sign=metric.definition.harm_sign,
        tolerance=rail.margin,
        tolerance_scale=rail.scale,
        alpha=alpha,
        beta=alpha,
        planned_information=planned,
    )
    seen = look(strata, rule, state.get("look"), deadline=work.is_deadline)
    shown = _shown(work, place, metric, numbered, "guardrail")
    shown |= _look_shown(seen) | {
        "limit": rail.margin,
        "limit_scale": rail.scale.value,
        "action": rail.action.value,
        "alpha": alpha,
        "limit_reason": rail.reason,
    }
    work.states[name] = {"look": seen.state, "planned": planned}
    if rail.budget is not None:
        spent = harm_spent(
            strata,
            kind=kind_of(metric.definition),
            sign=metric.definition.harm_sign,
            alpha=alpha,
            state=state.get("harm"),
            deadline=work.is_deadline,
            planned_information=planned,
        )
        before = str(state.get("budget", "within"))
        shown["budget"] = _budget_shown(spent, rail.budget, metric.definition.harm_unit, before)
        work.states[name] |= {"harm": spent.state, "budget": shown["budget"]["state"]}
    return shown | _silent(work, metric)


def _goal(work: Measuring, place: int, key: str) -> dict[str, Any]:
    metric = work.metrics[key]
    if metric.definition.statistic is not Statistic.MEAN:
        return _other_goal(work, place, metric)
    numbered = _strata(work, metric, place)
    strata = [item for _, item in numbered]
    kind = _kind(metric, Scale.RELATIVE)
    name = f"{work.draft.variations[place].key}/{key}"
    state = work.states.get(name, {})
    planned = _planned(work, state, strata, kind, 1, 0.0)
    relative, absolute, after = anytime_effect(
        strata,
        kind=kind,
        alpha=1 - GOAL_LEVEL,
        state=state.get("goal"),
        deadline=work.is_deadline,
        planned_information=planned,
    )
    work.states[name] = {"goal": after, "planned": planned}
    shown = _shown(work, place, metric, numbered, "goal")
    shown |= _effects_shown(relative, absolute)
    shown |= _goal_finding(relative, absolute, metric.definition.harm_sign)
    return shown | _silent(work, metric)


def _other_guardrail(work: Measuring, place: int, rail: Guardrail, alpha: float) -> dict[str, Any]:
    """A guardrail that sums cannot judge: its interval is widened to hold at every look."""
    metric = work.metrics[rail.metric]
    relative, absolute = _distributed(work, place, metric, 1 - 2 * alpha)
    effect = relative if rail.scale is Scale.RELATIVE else absolute
    found = finding(
        effect, rail.margin, higher_is_better=metric.definition.direction is Direction.UP
    )
    shown = _shown(work, place, metric, _strata(work, metric, place), "guardrail")
    shown |= _effects_shown(relative, absolute) | {
        "limit": rail.margin,
        "limit_scale": rail.scale.value,
        "action": rail.action.value,
        "alpha": alpha,
        "limit_reason": rail.reason,
        "method": OTHER_METHOD.format(method=_method_of(effect)),
        **_reasons(effect, found),
    }
    return shown | _silent(work, metric)


def _other_goal(work: Measuring, place: int, metric: MetricInPlan) -> dict[str, Any]:
    relative, absolute = _distributed(work, place, metric, GOAL_LEVEL)
    shown = _shown(work, place, metric, _strata(work, metric, place), "goal")
    shown |= _effects_shown(relative, absolute)
    shown |= _goal_finding(relative, absolute, metric.definition.harm_sign)
    shown["method"] = OTHER_METHOD.format(method=_method_of(absolute))
    return shown | _silent(work, metric)


def _distributed(
    work: Measuring, place: int, metric: MetricInPlan, level: float
) -> tuple[Effect | Undecided, Effect | Undecided]:
    held = work.units(metric)
    control = [item.key for item in work.draft.variations].index(work.draft.control)
    absolute, relative = compare_units(
        metric.definition, held.get(control), held.get(place), level=level
    )
    planned = work.draft.planned_units
    return always_valid(relative, planned=planned), always_valid(absolute, planned=planned)


def _reasons(effect: Effect | Undecided, found: Finding) -> dict[str, Any]:
    if isinstance(effect, Undecided):
        return {"finding": "unknown", "reason": effect.reason, "needs": effect.needs}
    said = {
        Finding.HARM: "Worse than the limit, whatever the data still allow.",
        Finding.SAFE: "Within the limit, whatever the data still allow.",
        Finding.UNKNOWN: "The data still allow both sides of the limit.",
    }[found]
    needs = "more customers" if found is Finding.UNKNOWN else ""
    return {"finding": found.value, "reason": said, "needs": needs}


def _silent(work: Measuring, metric: MetricInPlan) -> dict[str, Any]:
    if metric.key in work.last_event_at:
        return {}
    return {
        "finding": "nodata",
        "reason": "No event of this metric has arrived since the start.",
        "needs": "a feed that sends its events",
    }


def _method_of(effect: Effect | Undecided) -> str:
    return effect.method if isinstance(effect, Effect) else "not computed yet"


def _goal_finding(
    relative: Effect | Undecided, absolute: Effect | Undecided, sign: int
) -> dict[str, Any]:
    """For a goal: better for the customer, worse, or not yet known."""
    effect = relative if isinstance(relative, Effect) else absolute
    if isinstance(effect, Undecided):
        return {"finding": "unknown", "reason": effect.reason, "needs": effect.needs}
    worse_low, worse_high = sorted((effect.low * sign, effect.high * sign))
    if worse_high < 0:
        return {"finding": "safe", "reason": "Better than before, whatever the data still allow."}
    if worse_low > 0:
        return {"finding": "harm", "reason": "Worse than before, whatever the data still allow."}
    return {"finding": "unknown", "reason": "It could still be better or worse than before."}


def _strata(work: Measuring, metric: MetricInPlan, place: int) -> list[tuple[int, Stratum]]:
    keys = [item.key for item in work.draft.variations]
    control = keys.index(work.draft.control)
    return make_strata(work.counted[metric.key], metric.definition, control, place)


def _kind(metric: MetricInPlan, scale: Scale) -> Kind | Literal["gaussian"]:
    if scale is Scale.ABSOLUTE or metric.definition.allow_negative:
        return GAUSSIAN
    return Kind.PROPORTION if kind_of(metric.definition) is Kind.PROPORTION else Kind.OTHER


def _planned(
    work: Measuring,
    state: Mapping[str, Any],
    strata: list[Stratum],
    kind: Kind | Literal["gaussian"],
    sign: int,
    margin: float,
) -> float | None:
    """Information expected at the plan's end; it only paces the spending, so a guess will do.

    Fixed at the first usable look, so that no later look can move the boundary.
    """
    if state.get("planned"):
        return float(state["planned"])
    units = sum(item.n0 + item.n1 for item in strata)
    if units <= 0:
        return None
    growth = max(work.draft.planned_units / units, 1.0)
    if kind == GAUSSIAN:
        harmonic = sum(
            item.n0 * item.n1 / (item.n0 + item.n1) for item in strata if item.n0 + item.n1 > 0
        )
        return harmonic * growth if harmonic > 0 else None
    found = share_statistic(strata, kind=Kind(kind), sign=sign, tolerance=margin)
    return found.information * growth if found.ready and found.information > 0 else None


def _shown(
    work: Measuring,
    place: int,
    metric: MetricInPlan,
    numbered: list[tuple[int, Stratum]],
    role: str,
) -> dict[str, Any]:
    definition = metric.definition
    control = [item.key for item in work.draft.variations].index(work.draft.control)
    last = work.last_event_at.get(metric.key)
    return {
        "key": metric.key,
        "name": metric.name,
        "role": role,
        "harm_unit": definition.harm_unit,
        "aggregation": definition.aggregation.value,
        "direction": definition.direction.value,
        "sign": definition.harm_sign,
        "meaning": meaning(definition),
        "method": METHOD,
        "limit": None,
        "limit_scale": None,
        "action": None,
        "evidence": None,
        "shrunken": None,
        "needs": "",
        "notes": [],
        "budget": None,
        "control": _arm_shown(work.counted[metric.key], control, definition),
        "treatment": _arm_shown(work.counted[metric.key], place, definition),
        "strata": [
            {
                "stratum": number,
                "coverage": work.shares_by_stratum.get(number),
                "n0": item.n0,
                "s0": item.s0,
                "q0": item.q0,
                "n1": item.n1,
                "s1": item.s1,
                "q1": item.q1,
            }
            for number, item in numbered
        ],
        "last_event_at": last.isoformat() if last else None,
    }


def _arm_shown(counted: Counted, place: int, definition: Definition) -> dict[str, Any]:
    total = counted.total(place)
    return {"n": total.n, "total": total.x_total, "mean": mean_of(total, definition)}


def _look_shown(seen: Look) -> dict[str, Any]:
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
        **_effects_shown(seen.relative, seen.absolute),
    }


def _effects_shown(relative: Effect | Undecided, absolute: Effect | Undecided) -> dict[str, Any]:
    undecided = None
    for item in (absolute, relative):
        if isinstance(item, Undecided):
            undecided = {"reason": item.reason, "needs": item.needs}
    return {
        "relative": effect_shown(relative),
        "absolute": effect_shown(absolute),
        "undecided": undecided,
    }


def effect_shown(effect: Effect | Undecided) -> dict[str, Any] | None:
    """An effect as a snapshot holds it; None where there is no honest number."""
    if isinstance(effect, Undecided):
        return None
    return {
        "estimate": effect.estimate,
        "low": effect.low,
        "high": effect.high,
        "level": effect.level,
        "validity": effect.validity.value,
        "method": effect.method,
    }


def _budget_shown(spent: HarmLook, budget: Budget, unit: str, before: str) -> dict[str, Any]:
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
