"""Attributes that rules ask for, and as what: the types they are compared with, flag by flag.

Nobody declares attributes here. What the other flags compare an attribute with is how its type
is known, so that a text in place of a number is noticed before it is saved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.flags.model import (
    ExperimentRule,
    Flag,
    PercentageRule,
    RolloutRule,
    Rule,
    SavedGroup,
)

Seen = tuple[str, str]  # an attribute and the type it is compared with; "" if that says nothing

NESTED = ("$not", "$elemMatch", "$all", "$alli")
LOGICAL = ("$and", "$or", "$nor")
SILENT = ("$exists", "$type", "$size", "$inGroup", "$notInGroup")  # tell nothing of the type
VERSIONS = ("$veq", "$vne", "$vgt", "$vgte", "$vlt", "$vlte")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: how many flags ask for it, and as what."""

    name: str
    n_flags: int
    types: tuple[str, ...]  # the most usual first


def list_attributes(flags: Iterable[Flag], groups: Iterable[SavedGroup]) -> list[Attribute]:
    """Every attribute that any rule or saved group asks for, by name."""
    users: Counter[str] = Counter()
    types: dict[str, Counter[str]] = {}
    for seen in (*map(asked_by, flags), *map(_asked_by_group, groups)):
        users.update({name for name, _ in seen})
        for name, kind in seen:
            types.setdefault(name, Counter()).update([kind] if kind else [])
    return [
        Attribute(name, users[name], tuple(kind for kind, _ in types[name].most_common()))
        for name in sorted(users)
    ]


def asked_by(flag: Flag, environment: str | None = None) -> set[Seen]:
    """What a flag's rules ask, in one environment or in all."""
    states = [flag.state(environment)] if environment is not None else flag.states.values()
    return {seen for state in states for rule in state.rules for seen in asked_by_rule(rule)}


def asked_by_rule(rule: Rule) -> Iterator[Seen]:
    """What one rule asks of the user itself; its prerequisites ask other flags."""
    yield from asked_in(rule.condition)
    for namespace in rule.namespaces:
        yield namespace.unit, ""
    if isinstance(rule, PercentageRule | ExperimentRule | RolloutRule):
        yield rule.unit, ""


def _asked_by_group(group: SavedGroup) -> set[Seen]:
    if group.is_list:
        return {(group.attribute, type_of(value)) for value in group.values} or {
            (group.attribute, "")
        }
    return set(asked_in(group.condition))


def asked_in(condition: Any) -> Iterator[Seen]:
    """Attributes and types in a condition.

    >>> sorted(asked_in({"age": {"$gte": 18}, "$or": [{"country": "GB"}, {"app": {"$vgt": "2"}}]}))
    [('age', 'number'), ('app', 'version'), ('country', 'text')]
    """
    if not isinstance(condition, Mapping):
        return
    for name, operand in condition.items():
        if name in LOGICAL and isinstance(operand, list):
            for part in operand:
                yield from asked_in(part)
        elif name == "$not":
            yield from asked_in(operand)
        elif not name.startswith("$"):
            yield from ((name, kind) for kind in {*_types(operand)} or {""})


def _types(operand: Any) -> Iterator[str]:
    if not isinstance(operand, Mapping):
        yield type_of(operand)
        return
    for operator, held in operand.items():
        if operator in SILENT or not operator.startswith("$"):
            continue
        if operator in VERSIONS:
            yield "version"
        elif operator in NESTED and isinstance(held, Mapping):
            yield from _types(held)
        else:
            yield from (type_of(item) for item in (held if isinstance(held, list) else [held]))


def type_of(value: Any) -> str:
    """A JSON value's type in words; "" for what does not tell one.

    >>> [type_of(value) for value in ("40", 40, True, None)]
    ['text', 'number', 'true or false', '']
    """
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A rule that compares an attribute as no other flag does."""

    rule: int  # its place, from 1
    attribute: str
    here: str
    elsewhere: Attribute


def list_mismatches(
    flag: Flag, environment: str, others: Iterable[Flag], groups: Iterable[SavedGroup]
) -> list[Mismatch]:
    """Types that only this flag takes an attribute for; a version may well be a text."""
    known = {item.name: item for item in list_attributes(others, groups)}
    return [
        Mismatch(place, name, kind, known[name])
        for place, rule in enumerate(flag.state(environment).rules, 1)
        for name, kind in dict.fromkeys(asked_by_rule(rule))
        if kind and name in known and known[name].types and not _fits(kind, known[name].types)
    ]


def _fits(kind: str, types: Iterable[str]) -> bool:
    alike = {"text", "version"}
    return any(kind == other or {kind, other} == alike for other in types)
