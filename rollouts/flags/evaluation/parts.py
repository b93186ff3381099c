"""The parts that rules are built from: the unit, its share, filters and prerequisites."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from rollouts.flags.evaluation.batches import Hash, Hashes
from rollouts.flags.evaluation.conditions import Conditions
from rollouts.flags.evaluation.evaluation import Evaluation, Met
from rollouts.flags.evaluation.hashing import Range
from rollouts.flags.evaluation.members import (
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
from rollouts.flags.evaluation.results import Source

Gate = Callable[[Evaluation], bool]


class World(NamedTuple):
    """What the rules of one payload share while they are compiled."""

    conditions: Conditions
    hashes: Hashes
    bandits: Mapping[str, object]


def hashed(rule: Rule, seed: str, hashes: Hashes) -> Hash:
    """The hash of a rule's unit; None for who has none.

    The fallback attribute stands in only while sticky bucketing is on.
    """
    attribute, version = text(rule, "hashAttribute", "id"), hash_version(rule, 1)
    fallback = text(rule, "fallbackAttribute")
    find = hashes.hash(attribute, seed, version)
    if not fallback or rule.get("disableStickyBucketing"):
        return find
    stand_in = hashes.hash(fallback, seed, version)

    def find_either(evaluation: Evaluation) -> float | None:
        if evaluation.sticky is None or hash_text(evaluation.attributes.get(attribute)):
            return find(evaluation)
        return stand_in(evaluation)

    return find_either


def rollout(rule: Rule, feature_key: str, hashes: Hashes) -> Gate | None:
    """The share of units a forced value is for; None when it is for all."""
    limits = None if rule.get("range") is None else pair(rule["range"])
    coverage = number(rule, "coverage")
    if limits is None and coverage is None:
        return None
    if limits is None and coverage == 0:
        return lambda _: False
    find = hashed(rule, text(rule, "seed", feature_key), hashes)
    return _within(find, [limits]) if limits else _up_to(find, coverage or 0)


def _up_to(find: Hash, coverage: float) -> Gate:
    """The border itself is inside, as in the browsers' SDK."""

    def gate(evaluation: Evaluation) -> bool:
        n = find(evaluation)
        return n is not None and n <= coverage

    return gate


def _within(find: Hash, ranges: list[Range]) -> Gate:
    def gate(evaluation: Evaluation) -> bool:
        n = find(evaluation)
        if n is not None:
            for start, end in ranges:
                if start <= n < end:
                    return True
        return False

    return gate


def filters(rule: Rule, hashes: Hashes) -> list[Gate]:
    """One gate per filter; a unit must be in one range of each."""
    return items(rule, "filters", lambda item: _filter(mapping(item), hashes)) or []


def _filter(definition: Rule, hashes: Hashes) -> Gate:
    attribute, seed = text(definition, "attribute", "id"), text(definition, "seed")
    find = hashes.hash(attribute, seed, hash_version(definition, 2))
    return _within(find, items(definition, "ranges", pair) or [])


def namespace(rule: Rule, hashes: Hashes) -> list[Gate]:
    """The old form of a filter, which the new one replaces even when it is empty."""
    value = rule.get("namespace")
    if not value or rule.get("filters") is not None:
        return []
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], str):
        raise BadRule("namespace must be an id and two numbers")
    find = hashed({**rule, "hashVersion": 1}, "__" + value[0], hashes)
    return [_within(find, [pair(value[1:])])]


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
