"""What is wrong with a targeting condition, before a rule with it is saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rollouts.errors import Fault
from rollouts.flags.evaluation.limits import condition_problem
from rollouts.flags.evaluation.patterns import pattern_problem

LOGICAL = frozenset({"$and", "$or", "$nor"})
PATTERNS = frozenset({"$regex", "$regexi", "$notRegex", "$notRegexi"})
LISTS = frozenset({"$in", "$nin", "$ini", "$nini", "$all", "$alli"})
TYPES = frozenset({"null", "array", "string", "number", "boolean", "object", "undefined"})
VERSIONS = frozenset({"$veq", "$vne", "$vgt", "$vgte", "$vlt", "$vlte"})
PLAIN = frozenset({"$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$exists"})
OTHERS = frozenset({"$not", "$size", "$elemMatch", "$type", "$inGroup", "$notInGroup"})
OPERATORS = PLAIN | LISTS | PATTERNS | VERSIONS | OTHERS

INLINE = {"$inGroup": "$in", "$notInGroup": "$nin"}  # what a list stands for, spelt out
GROUP_OPERATORS = frozenset({"$savedGroup", *INLINE})

Faults = Iterator[Fault]


def condition_faults(condition: Any, where: str) -> Faults:
    """Sizes first, then each operator: an unknown one would silently match nobody."""
    problem = condition_problem(condition)
    if problem is not None:
        yield Fault(where, problem)
        return
    yield from _condition(condition, where)


def referenced_groups(condition: Any) -> set[str]:
    """Keys of the saved groups that a condition refers to."""
    found: set[str] = set()
    waiting = [condition]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            if not GROUP_OPERATORS.isdisjoint(item):
                found |= _groups_named(item)
            waiting.extend(item.values())
    return found


def _groups_named(item: dict[str, Any]) -> set[str]:
    named = {item.get("$inGroup"), item.get("$notInGroup")} if _is_hashable(item) else set()
    reference = item.get("$savedGroup")
    if isinstance(reference, dict) and isinstance(reference.get("id"), str):
        named.add(reference["id"])
    return {key for key in named if isinstance(key, str)}


def _is_hashable(item: dict[str, Any]) -> bool:
    return not isinstance(item.get("$inGroup"), dict | list) and not isinstance(
        item.get("$notInGroup"), dict | list
    )


def _condition(condition: Any, where: str) -> Faults:
    if not isinstance(condition, dict):
        yield Fault(where, "must be an object")
        return
    for name, test in condition.items():
        place = f"{where}.{name}"
        if name in LOGICAL:
            yield from _conditions(test, place)
        elif name == "$not":
            yield from _condition(test, place)
        elif name == "$savedGroup":
            yield from _reference(test, place)
        elif name.startswith("$"):
            yield Fault(place, "is no operator that combines conditions")
        else:
            yield from _test(test, place)


def _conditions(tests: Any, where: str) -> Faults:
    if not isinstance(tests, list):
        yield Fault(where, "must be a list of conditions")
        return
    for index, test in enumerate(tests):
        yield from _condition(test, f"{where}.{index}")


def _reference(reference: Any, where: str) -> Faults:
    if not isinstance(reference, dict) or not isinstance(reference.get("id"), str):
        yield Fault(where, 'must be {"id": "<saved group>"}')


def _test(test: Any, where: str) -> Faults:
    """A test of one attribute: an object of operators only, or a plain value."""
    if not isinstance(test, dict) or not any(name.startswith("$") for name in test):
        return
    for group, inline in INLINE.items():
        if group in test and inline in test:
            yield Fault(f"{where}.{group}", f"join it with {inline} by $and instead")
    for name, argument in test.items():
        if name not in OPERATORS:
            yield Fault(f"{where}.{name}", "is no operator that SDKs know")
        else:
            yield from _argument(name, argument, f"{where}.{name}")


def _argument(name: str, argument: Any, where: str) -> Faults:
    if name in LISTS and not isinstance(argument, list):
        yield Fault(where, "must be a list")
    elif name in PATTERNS:
        yield from _pattern(argument, where)
    elif name == "$type" and argument not in TYPES:
        yield Fault(where, f"must be one of {', '.join(sorted(TYPES))}")
    elif name in ("$inGroup", "$notInGroup") and not isinstance(argument, str):
        yield Fault(where, "must be the key of a saved group")
    elif name in VERSIONS and not isinstance(argument, str | int | float):
        yield Fault(where, "must be a version")
    elif name in ("$not", "$size"):
        yield from _test(argument, where)
    elif name == "$elemMatch":
        yield from _element(argument, where)


def _pattern(argument: Any, where: str) -> Faults:
    problem = pattern_problem(argument) if isinstance(argument, str) else "must be a pattern"
    if problem is not None:
        yield Fault(where, problem)


def _element(argument: Any, where: str) -> Faults:
    is_test = isinstance(argument, dict) and all(name.startswith("$") for name in argument)
    yield from (_test if is_test else _condition)(argument, where)
