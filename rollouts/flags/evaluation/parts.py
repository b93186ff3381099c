"""The parts that rules are built from: the unit, its share, filters and prerequisites."""

from collections.abc import Callable

from .conditions import Conditions
from .evaluation import Evaluation, Met
from .hashing import Range, bucketer, in_namespace
from .members import (
    BadRule,
    Rule,
    hash_text,
    hash_version,
    items,
    mapping,
    number,
    pair,
    text,
)
from .results import Source

Gate = Callable[[Evaluation], bool]
Unit = Callable[[Evaluation], str]


def unit(attribute: str) -> Unit:
    """The text of the attribute that is hashed; empty when there is none."""

    def find(evaluation: Evaluation) -> str:
        value = evaluation.attributes.get(attribute)
        return value if type(value) is str else hash_text(value)

    return find


def unit_with_fallback(attribute: str, fallback: str) -> Unit:
    """The fallback attribute stands in only while sticky bucketing is on."""

    def find(evaluation: Evaluation) -> str:
        found = hash_text(evaluation.attributes.get(attribute))
        if found or evaluation.sticky is None:
            return found
        return hash_text(evaluation.attributes.get(fallback))

    return find


def unit_of(rule: Rule) -> Unit:
    """The unit of a rule."""
    attribute, fallback = text(rule, "hashAttribute", "id"), text(rule, "fallbackAttribute")
    if not fallback or rule.get("disableStickyBucketing"):
        return unit(attribute)
    return unit_with_fallback(attribute, fallback)


def rollout(rule: Rule, feature_key: str) -> Gate | None:
    """The share of units a forced value is for; None when it is for all."""
    limits = None if rule.get("range") is None else pair(rule["range"])
    coverage = number(rule, "coverage")
    if limits is None and coverage is None:
        return None
    if limits is None and coverage == 0:
        return lambda _: False
    find, seed = unit_of(rule), text(rule, "seed", feature_key)
    n_of = bucketer(seed, hash_version(rule, 1))

    def gate(evaluation: Evaluation) -> bool:
        found = find(evaluation)
        n = n_of(found) if found else None
        return n is not None and inside(n)

    inside = _within([limits]) if limits else _up_to(coverage or 0)
    return gate


def _up_to(coverage: float) -> Callable[[float], bool]:
    """The border itself is inside, as in the browsers' SDK."""
    return lambda n: n <= coverage


def _within(ranges: list[Range]) -> Callable[[float], bool]:
    if len(ranges) == 1:
        start, end = ranges[0]
        return lambda n: start <= n < end
    return lambda n: any(start <= n < end for start, end in ranges)


def filters(rule: Rule) -> list[Gate]:
    """One gate per filter; a unit must be in one range of each."""
    return items(rule, "filters", lambda item: _filter(mapping(item))) or []


def _filter(definition: Rule) -> Gate:
    find = unit(text(definition, "attribute", "id"))
    n_of = bucketer(text(definition, "seed"), hash_version(definition, 2))
    inside = _within(items(definition, "ranges", pair) or [])

    def gate(evaluation: Evaluation) -> bool:
        found = find(evaluation)
        n = n_of(found) if found else None
        return n is not None and inside(n)

    return gate


def namespace(rule: Rule, find: Unit) -> list[Gate]:
    """The old form of a filter, which the new one replaces even when it is empty."""
    value = rule.get("namespace")
    if not value or rule.get("filters") is not None:
        return []
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], str):
        raise BadRule("namespace must be an id and two numbers")
    start, end = pair(value[1:])
    place = (value[0], start, end)
    return [lambda evaluation: in_namespace(find(evaluation), place)]


def prerequisites(rule: Rule, conditions: Conditions) -> Callable[[Evaluation], Met] | None:
    """Whether the flags a rule waits for have the values it wants; None if it waits for none."""
    parents = items(rule, "parentConditions", lambda item: _parent(mapping(item), conditions))
    if not parents:
        return None

    def met(evaluation: Evaluation) -> Met:
        for key, holds, otherwise in parents:
            parent = evaluation.result(key)
            if parent.source is Source.CYCLIC_PREREQUISITE:
                return Met.CYCLE
            if not holds({"value": parent.value}):
                return otherwise
        return Met.YES

    return met


def _parent(definition: Rule, conditions: Conditions) -> tuple[str, Callable[[object], bool], Met]:
    key, condition = definition.get("id"), definition.get("condition")
    if not isinstance(key, str):
        raise BadRule("a prerequisite must name a flag")
    holds = conditions.compile({} if condition is None else condition)
    return key, holds, Met.GATED if definition.get("gate") else Met.NO
