"""Which values a flag can still have, and so whether it decides anything any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from rollouts.flags.model import (
    ExperimentRule,
    Flag,
    FlagState,
    ForceRule,
    PercentageRule,
    RolloutRule,
    Rule,
)


def values_in(flag: Flag, environment: str) -> list[Any]:
    """The values somebody may get in an environment, each once, as far as the rules alone tell."""
    state = flag.state(environment)
    if not state.is_enabled:
        return [flag.off_value]
    found = {_text(value): value for value in _values(state, flag.default_in(environment))}
    return list(found.values())


def _values(state: FlagState, default: Any) -> Iterator[Any]:
    for rule in state.rules:
        if not rule.is_enabled:
            continue
        if rule.type == "gate" or any(item.is_gate for item in rule.prerequisites):
            yield None
        yield from _values_of(rule)
        if _is_for_all(rule):
            return
    yield default


def _values_of(rule: Rule) -> list[Any]:
    if isinstance(rule, ForceRule | PercentageRule):
        return [rule.value]
    if isinstance(rule, RolloutRule) and rule.decided is not None:
        return [rule.arm(rule.decided).value]
    if isinstance(rule, ExperimentRule | RolloutRule):
        return [arm.value for arm in rule.variations if arm.share > 0 and not arm.is_passthrough]
    return []


def _is_for_all(rule: Rule) -> bool:
    """Whether no rule after this one is ever asked."""
    is_forced = isinstance(rule, ForceRule) or (
        isinstance(rule, RolloutRule) and rule.decided is not None
    )
    limits = (rule.condition, rule.saved_groups, rule.prerequisites, rule.namespaces)
    return is_forced and not any(limits) and rule.schedule is None


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
