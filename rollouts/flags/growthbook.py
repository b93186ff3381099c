"""GrowthBook's payload read as flags: the way back of `payload.py`, losing nothing.

What is read here and served again means the same to every SDK. A member that no flag of ours
can express is refused by its name; what no SDK ever acts on is left out, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.errors import Fault
from rollouts.flags.checks import refuse
from rollouts.flags.condition_checks import referenced_groups
from rollouts.flags.growthbook_rules import RuleReader, Unreadable
from rollouts.flags.model import (
    Flag,
    FlagKind,
    FlagState,
    Rule,
    SavedGroup,
)
from rollouts.flags.references import groups_of
from rollouts.flags.value_checks import kind_problem

MOST_FEATURES = 3_000
MOST_GROUPS = 500
KINDS = (FlagKind.BOOLEAN, FlagKind.STRING, FlagKind.NUMBER)


@dataclass(frozen=True, slots=True)
class Read:
    """What a payload says, in our own words."""

    flags: tuple[Flag, ...]  # each with its state in one environment
    groups: tuple[SavedGroup, ...]
    notes: tuple[str, ...] = ()  # what was left out, since it never had an effect


def read_payload(
    features: Mapping[str, Any], saved_groups: Mapping[str, Any], environment: str
) -> Read:
    """The flags and saved groups of a payload. Raises Invalid naming all that cannot be kept."""
    faults: list[Fault] = []
    notes: list[str] = []
    groups = tuple(_read_groups(saved_groups, faults))
    flags = tuple(_read_flags(features, environment, faults, notes))
    faults.extend(_reference_faults(flags, groups, features, saved_groups))
    refuse("The payload", faults[:100])
    return Read(flags, groups, tuple(notes))


# Saved groups


def _read_groups(raw: Mapping[str, Any], faults: list[Fault]) -> Iterator[SavedGroup]:
    if len(raw) > MOST_GROUPS:
        faults.append(Fault("savedGroups", f"at most {MOST_GROUPS:,} at once"))
        return
    for key, entry in raw.items():
        try:
            yield _read_group(key, entry)
        except Unreadable as refusal:
            faults.append(refusal.at(f"savedGroups.{key}"))


def _read_group(key: str, entry: Any) -> SavedGroup:
    """A group in the first form, a bare list, or in the second, with its type."""
    if isinstance(entry, list):
        return SavedGroup(key, key, values=tuple(entry))
    if not isinstance(entry, dict):
        raise Unreadable("", "must be a list or an object with a type")
    known = {"type", "attributeKey", "values", "condition"}
    for name in entry:
        if name not in known:
            raise Unreadable(name, "cannot be kept")
    values, attribute = entry.get("values"), entry.get("attributeKey")
    if entry.get("type") == "list" and isinstance(values, list) and isinstance(attribute, str):
        return SavedGroup(key, key, attribute, tuple(values))
    condition = entry.get("condition")
    if entry.get("type") == "condition" and isinstance(condition, dict):
        return SavedGroup(key, key, condition=condition)
    raise Unreadable("", "must be a list with attributeKey and values, or a condition")


# Flags


def _read_flags(
    features: Mapping[str, Any], environment: str, faults: list[Fault], notes: list[str]
) -> Iterator[Flag]:
    if len(features) > MOST_FEATURES:
        faults.append(Fault("features", f"at most {MOST_FEATURES:,} at once"))
        return
    for key, feature in features.items():
        where = f"features.{key}"
        try:
            default, raw_rules = _members(feature)
        except Unreadable as refusal:
            faults.append(refusal.at(where))
            continue
        reader = RuleReader(key, where, faults, notes)
        rules = tuple(reader.read_all(raw_rules))
        kind = kind_of([default, *values_of(rules)])
        yield Flag(key, kind, default, states={environment: FlagState(True, None, rules)})


def _members(feature: Any) -> tuple[Any, list[Any]]:
    if not isinstance(feature, dict):
        raise Unreadable("", "must be an object")
    for name, member in feature.items():
        if name not in ("defaultValue", "rules") and member is not None:
            raise Unreadable(name, "cannot be kept")
    rules = feature.get("rules")
    if rules is not None and not isinstance(rules, list):
        raise Unreadable("rules", "must be a list")
    return feature.get("defaultValue"), rules or []


def kind_of(values: Iterable[Any]) -> FlagKind:
    """The narrowest kind that all the values have."""
    found = list(values)
    for kind in KINDS:
        if all(kind_problem(kind, value) is None for value in found):
            return kind
    return FlagKind.JSON


def values_of(rules: Iterable[Rule]) -> list[Any]:
    """Every value that some rule serves."""
    found: list[Any] = []
    for rule in rules:
        if rule.type in ("force", "percentage"):
            found.append(rule.value)
        elif rule.type in ("experiment", "rollout"):
            found.extend(arm.value for arm in rule.variations)
    return found


# What they refer to


def _reference_faults(
    flags: tuple[Flag, ...],
    groups: tuple[SavedGroup, ...],
    features: Mapping[str, Any],
    raw_groups: Mapping[str, Any],
) -> Iterator[Fault]:
    """References must stay within the payload: what is here already would give them a meaning."""
    first_form = {key for key, entry in raw_groups.items() if isinstance(entry, list)}
    for group in groups:
        where = f"savedGroups.{group.key}"
        yield from _group_faults(group.condition, group.condition, raw_groups, first_form, where)
    for flag in flags:
        for state in flag.states.values():
            for rule in state.rules:
                where = f"features.{flag.key}"
                conditions = [rule.condition, *(item.condition for item in rule.prerequisites)]
                yield from _group_faults(conditions, rule, raw_groups, first_form, where)
                for item in rule.prerequisites:
                    if item.flag not in features:
                        yield Fault(where, f"waits for {item.flag!r}, which is not in the payload")


def _group_faults(
    conditions: Any, holder: Any, known: Mapping[str, Any], first_form: set[str], where: str
) -> Iterator[Fault]:
    named = groups_of(holder) if hasattr(holder, "saved_groups") else referenced_groups(holder)
    for key in sorted(named - known.keys()):
        yield Fault(where, f"refers to the saved group {key!r}, which is not in the payload")
    for key in sorted(_referred_whole(conditions) & first_form):
        yield Fault(where, f"$savedGroup matches nobody in the bare list {key!r}")


def _referred_whole(conditions: Any) -> set[str]:
    """Keys of groups that `$savedGroup` refers to, at any depth."""
    found: set[str] = set()
    waiting = [conditions]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            reference = item.get("$savedGroup")
            if isinstance(reference, dict) and isinstance(reference.get("id"), str):
                found.add(reference["id"])
        if isinstance(item, dict | list):
            waiting.extend(item.values() if isinstance(item, dict) else item)
    return found
