"""One look: every metric of every treatment arm through the statistics, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from analysis.budget import harm_spent
from analysis.effect import Effect, Scale
from analysis.guardrail import Rule, anytime_effect
from analysis.stoploss import Stratum
from rollouts.metrics.model import Aggregation, Statistic
from rollouts.results.adjusted import adjusted_shown
from rollouts.results.charged import charge
from rollouts.results.futility import futility_shown
from rollouts.results.judging import Judged, by_share_test, exactly
from rollouts.results.matured import has_matured, numbers, part_effect, side_by_side
from rollouts.results.others import OTHER_METHOD, distributed, judged, levels_shown, method_of
from rollouts.results.pacing import form_of, planned_information
from rollouts.results.settles import (
    exact_settles,
    first_settles,
    goal_settles,
    other_settles,
    rail_settles,
)
from rollouts.results.shown import (
    Answer,
    budget_shown,
    effects_shown,
    look_shown,
    metric_shown,
)
from rollouts.results.soundness import cautions, lately_shown
from rollouts.results.strata import Cell, Counted, kind_of, make_strata
from rollouts.results.stratified import stratified_shown
from rollouts.results.surveys import survey_shown
from rollouts.results.work import Measuring, MetricInPlan
from rollouts.tolerances.model import Goal, Guardrail, Method, split_alpha

GOAL_LEVEL = 0.95

State = dict[str, Any]
Shown = dict[str, Any]


def measure_arm(work: Measuring, place: int) -> Shown:
    """All metrics of one treatment arm against control."""
    arm = work.draft.variations[place]
    alphas = split_alpha(work.draft.alpha, work.draft.guardrails, len(work.draft.treatments))
    rails = [_guardrail(work, place, item, alphas[item.metric]) for item in work.draft.guardrails]
    goals = [_goal(work, place, item) for item in work.draft.goals]
    return {"key": arm.key, "name": arm.name, "metrics": rails + goals}


def _guardrail(work: Measuring, place: int, rail: Guardrail, alpha: float) -> Shown:
    metric = work.metrics[rail.metric]
    if metric.definition.statistic is not Statistic.MEAN:
        shown = _other_guardrail(work, place, rail, alpha)
    else:
        shown = _tested_guardrail(work, place, rail, alpha)
    shown |= {
        "limit": rail.margin,
        "limit_scale": rail.scale.value,
        "action": rail.action.value,
        "alpha": alpha,
        "limit_reason": rail.reason,
        "survey": survey_shown(work, place, metric),
        "adjusted": adjusted_shown(work, place, metric, 1 - 2 * alpha),
        "adjusted_by": stratified_shown(work, place, metric, 1 - 2 * alpha),
    }
    return shown | _silent(work, metric)


def _tested_guardrail(work: Measuring, place: int, rail: Guardrail, alpha: float) -> Shown:
    """By the stop-loss, on all customers or, if the plan says so, on matured ones only."""
    metric = work.metrics[rail.metric]
    counted = work.matured(metric) if rail.matured_only else work.counted[metric.key]
    numbered = make_strata(
        counted, metric.definition, work.control, place, _extremes(work, rail, metric)
    )
    strata = [item for _, item in numbered]
    name = work.state_name(place, rail.metric)
    # The two are different tests: a new plan may change which one judges.
    test = f"{name}/matured" if rail.matured_only else name
    test = f"{test}/exact" if rail.method is Method.EXACT else test
    kind, sign = form_of(metric.definition, rail.scale), metric.definition.harm_sign
    mark = [metric.version_id, str(kind), rail.margin, alpha]
    left = charge(work.states, name, test, mark, alpha)
    if left.spent:
        mark = [*mark, left.harm, left.safe]
    state = _resumed(work, test, mark)
    planned = planned_information(work.draft.planned_units, state, strata, kind, sign, rail.margin)
    rule = Rule(
        kind=kind_of(metric.definition),
        sign=sign,
        tolerance=rail.margin,
        tolerance_scale=rail.scale,
        alpha=left.harm,
        beta=left.safe,
        planned_information=planned,
    )
    found = _judged(work, place, rail, rule, strata, state)
    seen = found.seen
    shown = metric_shown(work, place, metric, counted, numbered, "guardrail") | look_shown(seen)
    shown |= {"method": found.method, "test": _test_shown(rail, found), "alpha_left": left.harm}
    work.states[test] = {**found.state, "planned": planned, **_marked(mark, state)}
    if left.note:
        shown["notes"] = [*shown["notes"], left.note]
    _spend(work, test, rail, left.harm, strata, state, shown)
    settles = _rail_settles(work, place, rail, rule, found, strata, counted)
    shown |= _settled(settles, shown["finding"])
    shown |= _beside(work, place, metric, rail, alpha, shown)
    said = cautions(work, place, metric, shown, [number for number, _ in numbered])
    lately = lately_shown(work, place, metric)
    return shown | {"notes": [*shown["notes"], *said], "lately": lately}


def _extremes(
    work: Measuring, rail: Guardrail, metric: MetricInPlan
) -> Mapping[Cell, tuple[float, float]]:
    """Where one unit could weigh too much: not in shares, nor seen in ratios' sums."""
    held = metric.definition.aggregation
    if rail.matured_only or held.has_denominator or held is Aggregation.ANY:
        return {}
    return work.extremes(metric)


def _judged(
    work: Measuring,
    place: int,
    rail: Guardrail,
    rule: Rule,
    strata: list[Stratum],
    state: Mapping[str, Any],
) -> Judged:
    if rail.method is Method.EXACT:
        share = work.share_of(place)
        return exactly(strata, rule, share, state, deadline=work.is_deadline)
    return by_share_test(strata, rule, state, deadline=work.is_deadline)


def _test_shown(rail: Guardrail, found: Judged) -> Shown:
    """Which test the plan asks for, which judged, and why where they differ."""
    used = Method.EXACT if found.is_exact else Method.SHARE
    return {"asked": rail.method.value, "used": used.value, "instead": found.instead}


def _spend(
    work: Measuring,
    test: str,
    rail: Guardrail,
    alpha: float,
    strata: list[Stratum],
    state: Mapping[str, Any],
    shown: Shown,
) -> None:
    """The harm budget, where the guardrail has one."""
    if rail.budget is None:
        return
    definition = work.metrics[rail.metric].definition
    spent = harm_spent(
        strata,
        kind=kind_of(definition),
        sign=definition.harm_sign,
        alpha=alpha,
        state=state.get("harm"),
        deadline=work.is_deadline,
        planned_information=work.states[test]["planned"],
    )
    before = str(state.get("budget", "within"))
    shown["budget"] = budget_shown(spent, rail.budget, definition.harm_unit, before)
    work.states[test] |= {"harm": spent.state, "budget": shown["budget"]["state"]}


def _rail_settles(
    work: Measuring,
    place: int,
    rail: Guardrail,
    rule: Rule,
    found: Judged,
    strata: list[Stratum],
    counted: Counted,
) -> Shown:
    units, seen = sum(counted.units.values()), found.seen
    if found.is_exact:
        return exact_settles(strata, rule, work.share_of(place), units, work.pace, seen.needs)
    if seen.evidence is not None:
        return rail_settles(seen.evidence, seen.state, units, work.pace)
    definition = work.metrics[rail.metric].definition
    kind, sign = form_of(definition, rail.scale), definition.harm_sign
    return first_settles(strata, kind, sign, rail.margin, units, work.pace, seen.needs)


def _beside(
    work: Measuring, place: int, metric: MetricInPlan, rail: Guardrail, alpha: float, shown: Shown
) -> Shown:
    """Matured beside so far: whichever the guardrail is not judged by, for information."""
    if not has_matured(metric):
        return {}
    name = f"{work.state_name(place, metric.key)}/beside"
    counted = work.counted[metric.key] if rail.matured_only else work.matured(metric)
    mark = [metric.version_id, "all" if rail.matured_only else "matured", alpha]
    state = _resumed(work, name, mark)
    part, after = part_effect(work, place, metric, counted, 2 * alpha, state)
    work.states[name] = after | _marked(mark, state)
    if not rail.matured_only:
        text = side_by_side(_window(metric), shown, part)
        return {"matured": part | {"text": text}}
    judged_by = numbers(work, place, work.matured(metric))
    effects = {key: shown[key] for key in ("relative", "absolute", "undecided")}
    text = side_by_side(_window(metric), part, effects)
    matured = judged_by | effects | {"text": text}
    return {"matured_only": True, "matured": matured, "so_far": part}


def _window(metric: MetricInPlan) -> timedelta:
    assert metric.definition.window is not None  # or nobody would ever be mature
    return metric.definition.window


def _resumed(work: Measuring, name: str, mark: list[Any]) -> State:
    """A test's state after the look before; a fresh one where a new plan changed its rule.

    mark: all that may not change under a test: what it counts, its form, its level.
    """
    state = work.states.get(name, {})
    if not state or state.get("mark", mark) == mark:
        return state
    return {"is_renewed": True}


def _marked(mark: list[Any], state: Mapping[str, Any]) -> State:
    return {"mark": mark, "is_renewed": bool(state.get("is_renewed"))}


def _goal(work: Measuring, place: int, goal: Goal) -> Shown:
    metric = work.metrics[goal.metric]
    state: State = {}
    if metric.definition.statistic is not Statistic.MEAN:
        shown = _other_goal(work, place, metric)
    else:
        shown, state = _tested_goal(work, place, metric)
    shown["adjusted"] = adjusted_shown(work, place, metric, GOAL_LEVEL)
    shown["survey"] = survey_shown(work, place, metric)
    shown["adjusted_by"] = stratified_shown(work, place, metric, GOAL_LEVEL)
    shown["futility"] = futility_shown(work, goal, metric, shown, state)
    return shown | _silent(work, metric)


def _tested_goal(work: Measuring, place: int, metric: MetricInPlan) -> tuple[Shown, State]:
    definition, counted = metric.definition, work.counted[metric.key]
    numbered = make_strata(counted, definition, work.control, place)
    strata = [item for _, item in numbered]
    kind = form_of(definition, Scale.RELATIVE)
    name, mark = work.state_name(place, metric.key), [metric.version_id, str(kind), 1 - GOAL_LEVEL]
    state = _resumed(work, name, mark)
    planned = planned_information(work.draft.planned_units, state, strata, kind, 1, 0.0)
    relative, absolute, after = anytime_effect(
        strata,
        kind=kind,
        alpha=1 - GOAL_LEVEL,
        state=state.get("goal"),
        deadline=work.is_deadline,
        planned_information=planned,
    )
    work.states[name] = {"goal": after, "planned": planned, **_marked(mark, state)}
    shown = metric_shown(work, place, metric, counted, numbered, "goal")
    shown |= effects_shown(relative, absolute) | _goal_finding(
        relative, absolute, definition.harm_sign
    )
    shown |= _goal_settled(work, metric, strata, after, shown)
    if has_matured(metric):
        beside = f"{name}/beside"
        state = _resumed(work, beside, mark)
        shown["matured"], part = part_effect(
            work, place, metric, work.matured(metric), 1 - GOAL_LEVEL, state
        )
        shown["matured"]["text"] = side_by_side(_window(metric), shown, shown["matured"])
        work.states[beside] = part | _marked(mark, state)
    return shown, after


def _goal_settled(
    work: Measuring, metric: MetricInPlan, strata: list[Stratum], state: State, shown: Shown
) -> Shown:
    units, definition = work.pace.units, metric.definition
    kind = form_of(definition, Scale.RELATIVE)
    if shown["relative"] is None and shown["absolute"] is None:
        needs = shown["undecided"]["needs"]
        found = first_settles(strata, kind, 1, 0.0, units, work.pace, needs)
    else:
        sign = definition.harm_sign
        found = goal_settles(strata, kind, state, sign, units, work.pace)
    return _settled(found, shown["finding"])


def _other_guardrail(work: Measuring, place: int, rail: Guardrail, alpha: float) -> Shown:
    """A guardrail that sums cannot judge: its interval is widened to hold at every look."""
    metric = work.metrics[rail.metric]
    counted, sign = work.counted[metric.key], metric.definition.harm_sign
    numbered = make_strata(counted, metric.definition, work.control, place)
    relative, absolute = distributed(work, place, metric, 1 - 2 * alpha)
    shown = metric_shown(work, place, metric, counted, numbered, "guardrail")
    shown["levels"] = levels_shown(work, place, metric)
    shown |= judged(metric, rail, relative, absolute)
    effect = relative if rail.scale is Scale.RELATIVE else absolute
    return shown | _other_settled(work, effect, rail.margin * sign, sign, shown["finding"])


def _other_goal(work: Measuring, place: int, metric: MetricInPlan) -> Shown:
    counted, sign = work.counted[metric.key], metric.definition.harm_sign
    numbered = make_strata(counted, metric.definition, work.control, place)
    relative, absolute = distributed(work, place, metric, GOAL_LEVEL)
    shown = metric_shown(work, place, metric, counted, numbered, "goal")
    shown |= effects_shown(relative, absolute) | _goal_finding(relative, absolute, sign)
    shown["levels"] = levels_shown(work, place, metric)
    shown["method"] = OTHER_METHOD.format(method=method_of(absolute))
    effect = relative if isinstance(relative, Effect) else absolute
    return shown | _other_settled(work, effect, 0.0, sign, shown["finding"])


def _other_settled(work: Measuring, effect: Answer, line: float, sign: int, finding: str) -> Shown:
    planned, units = work.draft.planned_units, work.pace.units
    return _settled(other_settles(effect, line, planned, sign, units, work.pace), finding)


def _settled(found: Shown, finding: str) -> Shown:
    """What would settle it, said only of what is not settled."""
    return {"settles": found, "needs": found["text"]} if finding == "unknown" else {}


def _silent(work: Measuring, metric: MetricInPlan) -> Shown:
    if metric.key in work.last_event_at:
        return {}
    return {
        "finding": "nodata",
        "reason": "No event of this metric has arrived since the start.",
        "needs": "a feed that sends its events",
        "settles": None,
    }


def _goal_finding(relative: Answer, absolute: Answer, sign: int) -> Shown:
    """For a goal: better for the customer, worse, or not yet known."""
    effect = relative if isinstance(relative, Effect) else absolute
    if not isinstance(effect, Effect):
        return {"finding": "unknown", "reason": effect.reason, "needs": effect.needs}
    worse_low, worse_high = sorted((effect.low * sign, effect.high * sign))
    if worse_high < 0:
        return {"finding": "safe", "reason": "Better than before, whatever the data still allow."}
    if worse_low > 0:
        return {"finding": "harm", "reason": "Worse than before, whatever the data still allow."}
    return {"finding": "unknown", "reason": "It could still be better or worse than before."}
