"""Flags in words: what a rule asks, what it serves, and what is served in an environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.flags.model import (
    ExperimentRule,
    Flag,
    ForceRule,
    GateRule,
    GroupTest,
    PercentageRule,
    RolloutRule,
    Rule,
)
from rollouts.web import formatting as say

LONGEST = 300

_COMPARED = {
    "$eq": "is",
    "$ne": "is not",
    "$eqi": "is, in any case,",
    "$nei": "is not, in any case,",
    "$gt": "above",
    "$gte": "at least",
    "$lt": "below",
    "$lte": "at most",
    "$vgt": "newer than",
    "$vgte": "at least version",
    "$vlt": "older than",
    "$vlte": "at most version",
    "$veq": "is version",
    "$vne": "is not version",
    "$in": "is one of",
    "$nin": "is none of",
    "$ini": "is, in any case, one of",
    "$nini": "is, in any case, none of",
    "$regex": "matches",
    "$notRegex": "does not match",
    "$regexi": "matches, in any case,",
    "$notRegexi": "does not match, in any case,",
    "$inGroup": "is in group",
    "$notInGroup": "is not in group",
    "$all": "has all of",
    "$type": "is of type",
    "$size": "has this many:",
}
_JOINED = {"$and": " and ", "$or": " or "}


@dataclass(frozen=True, slots=True)
class RuleWords:
    """One rule as a row: its place, what it asks, what it does, and whose it is."""

    asks: str
    serves: str
    note: str
    rollout: str
    is_on: bool


def value(held: Any) -> str:
    """A flag's value as text: true, "two-days", 3."""
    text = held if isinstance(held, str) and held else json.dumps(held, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def condition(held: Mapping[str, Any] | None) -> str:
    """A targeting condition in words: "country is GB and age at least 18"."""
    if not held:
        return "everyone"
    text = " and ".join(_part(name, operand) for name, operand in held.items())
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _part(name: str, operand: Any) -> str:
    if name in _JOINED and isinstance(operand, list):
        if not operand:
            return "everyone"
        parts = _JOINED[name].join(_inner(item) for item in operand)
        return f"({parts})" if len(operand) > 1 else parts
    if name == "$nor" and isinstance(operand, list):
        return f"neither {' nor '.join(_inner(item) for item in operand)}"
    if name == "$not":
        return f"not ({_inner(operand)})"
    if name.startswith("$"):
        return f"{name} {value(operand)}"
    return _test(name, operand)


def _inner(held: Any) -> str:
    return condition(held) if isinstance(held, Mapping) else value(held)


def _test(name: str, operand: Any) -> str:
    if not isinstance(operand, Mapping) or not any(key.startswith("$") for key in operand):
        return f"{name} is {value(operand)}"
    return " and ".join(_comparison(name, key, item) for key, item in operand.items())


def _comparison(name: str, operator: str, operand: Any) -> str:
    if operator == "$exists":
        return f"{name} is given" if operand else f"{name} is not given"
    if operator == "$not":
        return f"not ({_test(name, operand)})"
    if operator in _COMPARED:
        listed = ", ".join(value(item) for item in operand) if isinstance(operand, list) else None
        return f"{name} {_COMPARED[operator]} {listed if listed is not None else value(operand)}"
    return f"{name} {operator} {value(operand)}"


def rule_words(rule: Rule) -> RuleWords:
    """One rule in words."""
    asks = [condition(rule.condition)] if rule.condition else []
    asks += [_grouped(test) for test in rule.saved_groups]
    asks += [f"flag {item.flag}: {condition(item.condition)}" for item in rule.prerequisites]
    if rule.schedule is not None:
        asks.append(_scheduled(rule.schedule.starts_at, rule.schedule.ends_at))
    return RuleWords(
        asks="; ".join(asks) or "everyone",
        serves=_serves(rule),
        note=rule.description,
        rollout=rule.rollout if isinstance(rule, RolloutRule) else "",
        is_on=rule.is_enabled,
    )


def _grouped(test: GroupTest) -> str:
    if len(test.groups) == 1:
        return f"{'not ' if test.match == 'none' else ''}in group {test.groups[0]}"
    return f"in {test.match} of {', '.join(test.groups)}"


def _scheduled(starts: Any, ends: Any) -> str:
    parts = [f"from {say.clock(starts)}"] if starts else []
    parts += [f"until {say.clock(ends)}"] if ends else []
    return " ".join(parts) + " UTC"


def _serves(rule: Rule) -> str:
    match rule:
        case ForceRule():
            return value(rule.value)
        case PercentageRule():
            return f"{value(rule.value)} for {say.percent(rule.share)}, by {rule.unit}"
        case RolloutRule() if rule.decided is not None:
            return value(rule.arm(rule.decided).value)
        case RolloutRule() | ExperimentRule():
            shares = ", ".join(
                f"{value(arm.value)} for {say.percent(arm.share * rule.coverage)}"
                for arm in rule.variations
            )
            return f"{shares}, by {rule.unit}"
        case GateRule():
            return "nothing unless the prerequisites hold"


def served(flag: Flag, environment: str) -> str:
    """What an environment serves, in one line."""
    state = flag.state(environment)
    if not state.is_enabled:
        return f"{value(flag.off_value)} for everyone"
    on = [rule for rule in state.rules if rule.is_enabled]
    fallback = value(flag.default_in(environment))
    if not on:
        return f"{fallback} for everyone"
    first = rule_words(on[0])
    if first.asks != "everyone":
        said = f"{first.serves} ({first.asks})"
    elif _is_whole(on[0]):
        return f"{first.serves} for everyone"
    else:
        said = first.serves
    more = f"; {len(on) - 1} more rules" if len(on) > 2 else "; 1 more rule" if len(on) == 2 else ""
    return f"{said}{more}; else {fallback}"


def _is_whole(rule: Rule) -> bool:
    """Whether all whom the rule concerns get the same."""
    is_decided = isinstance(rule, RolloutRule) and rule.decided is not None
    return is_decided or isinstance(rule, ForceRule)
