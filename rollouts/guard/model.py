"""Snapshot and tolerances to a judgement. The worst finding decides; no data never passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollouts.tolerances.model import Action
from rollouts.words import count, percent


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that speaks for an action."""

    action: Action
    arm: str
    metric: str
    kind: str  # harm | budget | split | nodata | feed | affordable | deadline | futile
    reason: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a look calls for. `action` is None where nothing does."""

    action: Action | None
    causes: tuple[Cause, ...]

    @property
    def worst(self) -> Cause | None:
        """The cause that decides."""
        return self.causes[0] if self.causes else None

    @property
    def is_pass(self) -> bool:
        """Whether the ramp may go on."""
        return self.action in (None, Action.OBSERVE, Action.WARN)


def judge(body: dict[str, Any]) -> Judgement:
    """Judge a look by its own body: harm first, then budget, then whether it can be believed."""
    causes = [
        *_findings(body),
        *_split(body),
        *_silence(body),
        *_dead_feeds(body),
        *_deadline(body),
        *_futility(body),
    ]
    causes.sort(key=lambda cause: -cause.action.rank)
    return Judgement(causes[0].action if causes else None, tuple(causes))


def guardrails(body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every (arm, guardrail) of a look."""
    for arm in body["arms"]:
        for metric in arm["metrics"]:
            if metric["role"] == "guardrail":
                yield arm, metric


def is_all_safe(body: dict[str, Any]) -> bool:
    """Whether every guardrail of every arm is shown to be within its limit."""
    findings = [metric["finding"] for _, metric in guardrails(body)]
    is_sound = is_split_sound(body) and not dead_feeds(body)
    return bool(findings) and set(findings) == {"safe"} and is_sound


def goals(body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every (arm, goal) of a look."""
    for arm in body["arms"]:
        for metric in arm["metrics"]:
            if metric["role"] == "goal":
                yield arm, metric


def is_futile(body: dict[str, Any]) -> bool:
    """Whether no goal of any arm can still show its worthwhile effect, and none is better already.

    Goals without a smallest worthwhile effect have no say, unless they are shown to be better.
    """
    asked = [metric for _, metric in goals(body) if metric.get("futility")]
    is_better = any(metric["finding"] == "safe" for _, metric in goals(body))
    return bool(asked) and not is_better and all(item["futility"]["is_futile"] for item in asked)


def nearest_goal(body: dict[str, Any]) -> dict[str, Any]:
    """Of a futile look's goals the one with the best chance."""
    asked = [metric for _, metric in goals(body) if metric.get("futility")]
    return max(asked, key=lambda metric: chance(metric["futility"]))


def chance(futility: dict[str, Any]) -> float:
    """The better of the two chances that a floor is held against."""
    return float(max(futility["at_worthwhile"], futility["predictive"]))


def is_stage_due(body: dict[str, Any]) -> bool:
    """Whether a next stage exists and the present one was held long enough."""
    next_at: str | None = body["stage"]["next_at"]
    taken = datetime.fromisoformat(body["look"]["taken_at"])
    return next_at is not None and taken >= datetime.fromisoformat(next_at)


def why_not_affordable(body: dict[str, Any]) -> Cause | None:
    """Whether the next stage could overspend a budget under the worst effect not ruled out.

    The worst harm per customer still possible, times the customers whom the next stage would
    reach while it is held, comes on top of the most that may have been spent already.
    """
    stage = body["stage"]
    if stage["next_share"] is None:
        return None
    for arm, metric in guardrails(body):
        budget = metric["budget"]
        if budget is None:
            continue
        cause = _unaffordable(body, metric, budget)
        if cause:
            return Cause(Action.HOLD, arm["key"], metric["key"], "affordable", cause)
    return None


def _unaffordable(body: dict[str, Any], metric: dict[str, Any], budget: dict[str, Any]) -> str:
    """Why the next stage cannot be paid for; empty if it can."""
    following = percent(body["stage"]["next_share"])
    effect = metric["absolute"]
    if effect is None or budget["high"] is None:
        why = budget["reason"] or metric["reason"]
        return f"too early to know what going to {following} could cost ({why.rstrip('.')})"
    worst = max(effect["high"] if metric["sign"] > 0 else -effect["low"], 0.0)
    added = worst * _treated_ahead(body, metric)
    spent = max(budget["high"], 0.0)
    if spent + added <= budget["amount"]:
        return ""
    left = max(budget["amount"] - spent, 0.0)
    return (
        f"going to {following} could cost up to {count(added)} {budget['unit']}, "
        f"and {count(left)} are left of the budget of {count(budget['amount'])}"
    )


def _treated_ahead(body: dict[str, Any], metric: dict[str, Any]) -> float:
    """Units the next stage would reach before it is judged, at the traffic seen in this one."""
    stage = body["stage"]
    started = datetime.fromisoformat(body["rollout"]["started_at"])
    taken = datetime.fromisoformat(body["look"]["taken_at"])
    elapsed = max((taken - started).total_seconds(), 1.0)
    hold = stage["stages"][stage["index"] + 1]["hold_seconds"]
    ahead = max(float(hold), float(body["plan"]["look_every_seconds"] or 0))
    growth = float(stage["next_share"]) / float(stage["share"])
    return float(metric["treatment"]["n"]) / elapsed * growth * ahead


def _findings(body: dict[str, Any]) -> Iterator[Cause]:
    for arm, metric in guardrails(body):
        action = _allowed(metric)
        if metric["finding"] == "harm":
            yield Cause(action, arm["key"], metric["key"], "harm", metric["reason"])
        budget = metric["budget"]
        if budget is None:
            continue
        if budget["state"] == "spent":
            reason = (
                f"the harm budget of {count(budget['amount'])} {budget['unit']} is spent: "
                f"{count(budget['estimate'])} so far, at least {count(max(budget['low'], 0))}"
            )
            yield Cause(action, arm["key"], metric["key"], "budget", reason)
        elif budget["state"] == "hold":
            reason = (
                f"{count(budget['estimate'])} {budget['unit']} of a budget of "
                f"{count(budget['amount'])} may be spent already"
            )
            # At the last stage there is no ramp left to hold, but people should know.
            most = Action.WARN if body["stage"]["next_share"] is None else Action.HOLD
            step = min(action, most, key=lambda item: item.rank)
            yield Cause(step, arm["key"], metric["key"], "budget", reason)


def _allowed(metric: dict[str, Any]) -> Action:
    """The most a guardrail may do: what anyone can send may hold a rollout, never end it."""
    action = Action(metric["action"])
    if not metric.get("allow_untrusted", False):
        return action
    return min(action, Action.HOLD, key=lambda item: item.rank)


def _split(body: dict[str, Any]) -> Iterator[Cause]:
    if body["srm"]["state"] == "broken":
        reason = f"the split is not what was set ({body['srm']['text']})"
        yield Cause(Action.HOLD, "", "", "split", reason)
    for where in body["srm"].get("broken_in", ()):
        yield Cause(Action.HOLD, "", "", "split", f"the split is not what was set: {where}")


def _dead_feeds(body: dict[str, Any]) -> Iterator[Cause]:
    """A guardrail whose feed has died sees nothing: whatever it said before, nothing passes."""
    dead = dead_feeds(body)
    for arm, metric in guardrails(body):
        if metric["key"] in dead:
            reason = f"the feed of {metric['name']} is silent: {dead[metric['key']]}"
            yield Cause(Action.HOLD, arm["key"], metric["key"], "feed", reason)


def dead_feeds(body: dict[str, Any]) -> dict[str, str]:
    """Guardrails whose feeds are silent beyond doubt, with what was seen."""
    checks = (body.get("evidence") or {}).get("checks", ())
    return {
        check["key"].removeprefix("feed:"): check["reason"]
        for check in checks
        if check["key"].startswith("feed:") and check["state"] == "broken"
    }


def is_split_sound(body: dict[str, Any]) -> bool:
    """Whether customers arrived as set, in all and within every stage, day and segment."""
    return bool(body["srm"]["state"] == "ok" and not body["srm"].get("broken_in"))


def _silence(body: dict[str, Any]) -> Iterator[Cause]:
    """A guardrail without data is never a pass; the ramp's own first minutes are grace."""
    stage = body["stage"]
    if stage["next_at"] is None or not is_stage_due(body):
        return
    for arm, metric in guardrails(body):
        if metric["finding"] == "nodata":
            reason = f"{metric['name']} has no data, and no data is never a pass"
            yield Cause(Action.HOLD, arm["key"], metric["key"], "nodata", reason)


def _deadline(body: dict[str, Any]) -> Iterator[Cause]:
    if body["look"]["is_deadline"] and not is_all_safe(body):
        reason = "the plan's deadline has passed: ship it, stop it, or make a new plan"
        yield Cause(Action.HOLD, "", "", "deadline", reason)


def _futility(body: dict[str, Any]) -> Iterator[Cause]:
    """Advice only: the ramp holds, or people are warned. It withdraws nothing."""
    if not is_futile(body):
        return
    metric = nearest_goal(body)
    least = Action.WARN if body["stage"]["next_share"] is None else Action.HOLD
    reason = (
        f"the chance that {metric['name']} is shown to be better by the plan's end, even if it is "
        f"by as much as is worth having, is at most {percent(chance(metric['futility']))}"
    )
    yield Cause(least, "", metric["key"], "futile", reason)
