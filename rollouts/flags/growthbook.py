"""GrowthBook's payload read as flags: the way back of `payload.py`, losing nothing.

What is read here and served again means the same to every SDK. What no SDK ever acts on is left
out, and said; only what our flags cannot express, or the service must not run, is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollouts.errors import Fault
from rollouts.flags.checks import refuse
from rollouts.flags.growthbook_conditions import ConditionReader
from rollouts.flags.growthbook_members import Unreadable, leave_out
from rollouts.flags.growthbook_missing import Missing
from rollouts.flags.growthbook_rules import RuleReader
from rollouts.flags.growthbook_sections import read_sections
from rollouts.flags.model import (
    Flag,
    FlagKind,
    FlagState,
    Rule,
    SavedGroup,
)
from rollouts.flags.value_checks import kind_problem

MOST_FEATURES = 3_000
MOST_GROUPS = 500
MOST_NOTES = 1_000
KINDS = (FlagKind.BOOLEAN, FlagKind.STRING, FlagKind.NUMBER)


@dataclass(frozen=True, slots=True)
class Read:
    """What a payload says, in our own words."""

    flags: tuple[Flag, ...]  # each with its state in one environment
    groups: tuple[SavedGroup, ...]
    carried: Mapping[str, Any]  # sections that are passed on as they are
    notes: tuple[str, ...] = ()  # what is left out or said in other words, to the same effect


def read_payload(
    features: Mapping[str, Any],
    saved_groups: Mapping[str, Any],
    environment: str,
    sections: Mapping[str, Any] | None = None,
) -> Read:
    """The flags and saved groups of a payload. Raises Invalid naming all that cannot be kept.

    sections: `experiments` and `contextualBandits`, where the payload has them.
    """
    faults: list[Fault] = []
    notes: list[str] = []
    bare = {key for key, entry in saved_groups.items() if isinstance(entry, list)}
    conditions = ConditionReader(bare)
    groups = list(_read_groups(saved_groups, conditions, faults, notes))
    flags = list(_read_flags(features, environment, conditions, faults, notes))
    carried = read_sections(sections or {}, conditions, faults, notes)
    refuse("The payload", faults[:100])
    missing = Missing(flags, groups, carried)
    groups += missing.groups(saved_groups, notes)
    flags += missing.flags(features, environment, notes)
    refuse("The payload", _size_faults(flags, groups))
    return Read(tuple(flags), tuple(groups), carried, tuple(notes[:MOST_NOTES]))


def _size_faults(flags: Sequence[Flag], groups: Sequence[SavedGroup]) -> Iterator[Fault]:
    """Others wait while an import is written: what is missing and made counts as well."""
    if len(flags) > MOST_FEATURES:
        yield Fault("features", f"at most {MOST_FEATURES:,} at once, those referred to included")
    if len(groups) > MOST_GROUPS:
        yield Fault("savedGroups", f"at most {MOST_GROUPS:,} at once, those referred to included")


# Saved groups


def _read_groups(
    raw: Mapping[str, Any], conditions: ConditionReader, faults: list[Fault], notes: list[str]
) -> Iterator[SavedGroup]:
    if len(raw) > MOST_GROUPS:
        faults.append(Fault("savedGroups", f"at most {MOST_GROUPS:,} at once"))
        return
    for key, entry in raw.items():
        try:
            yield _read_group(key, entry, conditions, notes)
        except Unreadable as refusal:
            faults.append(refusal.at(f"savedGroups.{key}"))


def _read_group(key: str, entry: Any, conditions: ConditionReader, notes: list[str]) -> SavedGroup:
    """A group in the first form, a bare list, or in the second, with its type."""
    if isinstance(entry, list):
        return SavedGroup(key, key, values=tuple(entry))
    if not isinstance(entry, dict):
        raise Unreadable("", "must be a list or an object with a type")
    values, attribute = entry.get("values"), entry.get("attributeKey")
    known = frozenset({"type", "attributeKey", "values", "condition"})
    leave_out(entry, known, f"saved group {key}: ", notes.append)
    if entry.get("type") == "list" and isinstance(values, list) and isinstance(attribute, str):
        return SavedGroup(key, key, attribute, tuple(values))
    condition = entry.get("condition")
    if entry.get("type") == "condition" and isinstance(condition, dict):
        read = conditions.read(condition, "condition", notes.append)
        return SavedGroup(key, key, condition=read or {})
    raise Unreadable("", "must be a list with attributeKey and values, or a condition")


# Flags


def _read_flags(
    features: Mapping[str, Any],
    environment: str,
    conditions: ConditionReader,
    faults: list[Fault],
    notes: list[str],
) -> Iterator[Flag]:
    if len(features) > MOST_FEATURES:
        faults.append(Fault("features", f"at most {MOST_FEATURES:,} at once"))
        return
    for key, feature in features.items():
        try:
            default, raw_rules, metadata = _members(key, feature, notes)
        except Unreadable as refusal:
            faults.append(refusal.at(f"features.{key}"))
            continue
        reader = RuleReader(key, conditions, faults, notes)
        rules = tuple(reader.read_all(raw_rules, default))
        kind = kind_of([default, *values_of(rules)])
        state = FlagState(True, None, rules)
        yield Flag(key, kind, default, metadata=metadata, states={environment: state})


def _members(key: str, feature: Any, notes: list[str]) -> tuple[Any, list[Any], Any]:
    """A feature's default, its rules and its metadata. Raises Unreadable."""
    if not isinstance(feature, dict):
        raise Unreadable("", "must be an object")
    rules, metadata = feature.get("rules"), feature.get("metadata")
    if rules is not None and not isinstance(rules, list):
        raise Unreadable("rules", "must be a list")
    if metadata is not None and not isinstance(metadata, dict):
        raise Unreadable("metadata", "must be an object")
    known = frozenset({"defaultValue", "rules", "metadata"})
    leave_out(feature, known, f"{key}: ", notes.append)
    return feature.get("defaultValue"), rules or [], metadata


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
