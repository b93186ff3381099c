"""Where the JavaScript SDK (1.8) and the Python SDK (4.0) decide differently, in plain words.

The server follows JavaScript, and knows `$notRegex` besides; so a flag read by both SDKs can
give one user two answers. A warning says when, and where there is one, the way around.
"""

import re
from collections.abc import Iterator, Mapping
from json import dumps
from typing import Final

from rollouts.flags.evaluation.conditions import Conditions
from rollouts.flags.evaluation.limits import condition_problem
from rollouts.flags.evaluation.members import Rule
from rollouts.flags.evaluation.operators import PLAIN_OPERATORS, is_operators
from rollouts.flags.evaluation.patterns import pattern_problem
from rollouts.flags.evaluation.values import number_of, type_name

Types = Mapping[str, str]  # an attribute's declared type, as `$type` spells it
Warnings = Iterator[str]

_RULE_MEMBERS: Final = ("force", "variations", "contextualVariations", "parentConditions")
_COMPARISONS: Final = (
    "$lt",
    "$lte",
    "$gt",
    "$gte",
    "$veq",
    "$vne",
    "$vlt",
    "$vlte",
    "$vgt",
    "$vgte",
)
_COMBINING: Final = ("$or", "$and", "$nor")
_NESTED: Final = ("$not", "$size", "$elemMatch", "$all", "$alli", "$inGroup", "$notInGroup")
_PATTERNS: Final = ("$regex", "$regexi", "$notRegex", "$notRegexi")
_WORDS: Final = ("", "true", "false", "null")
_PYTHON_ONLY: Final = re.compile(r"\(\?P[<=]|\(\?[aiLmsux]+[):]|\\[AZ]")
_JAVASCRIPT_ONLY: Final = re.compile(r"\(\?<[A-Za-z_]|\[\^?\]|\\c[A-Za-z]")


def sdk_disagreements(
    rule_or_condition: dict[str, object], attribute_types: Types | None = None
) -> list[str]:
    """Warnings for a rule or a condition, each once; empty when the SDKs agree.

    attribute_types: declared types by attribute; warnings about values of other types are left
    out for an attribute whose type is declared and is the one compared with.

    >>> sdk_disagreements({"country": {"$in": ["US"]}})
    []
    """
    types = attribute_types or {}
    if any(name in rule_or_condition for name in _RULE_MEMBERS):
        found = _rule(rule_or_condition, types)
    else:
        found = _condition(rule_or_condition, types)
    return list(dict.fromkeys(found))


def _rule(rule: Rule, types: Types) -> Warnings:
    condition, parents = rule.get("condition"), rule.get("parentConditions")
    if condition:
        yield from _condition(condition, types)
    for parent in parents if isinstance(parents, list) else []:
        if isinstance(parent, dict) and isinstance(parent.get("condition"), dict):
            yield from _condition(parent["condition"], types)
    yield from _force(rule) if "force" in rule else _experiment(rule)


def _force(rule: Rule) -> Warnings:
    coverage, limits = rule.get("coverage"), rule.get("range")
    if rule["force"] is None:
        yield "A forced null is served by JavaScript; Python skips the rule."
    if limits is None and isinstance(coverage, (int, float)) and _on_a_border(rule, coverage):
        yield (
            "A coverage that falls on the border of a bucket includes that bucket in JavaScript,"
            " not in Python. Give the range [0, coverage] instead."
        )
    if rule.get("fallbackAttribute") and not (coverage is None and limits is None):
        yield (
            "Python takes the fallback attribute for a percentage as well, JavaScript only while"
            " sticky bucketing is on."
        )


def _on_a_border(rule: Rule, coverage: float) -> bool:
    n_buckets = 10_000 if rule.get("hashVersion") == 2 else 1_000
    place = coverage * n_buckets
    return 0 < coverage < 1 and abs(place - round(place)) < 1e-9


def _experiment(rule: Rule) -> Warnings:
    is_sticky = any(rule.get(name) for name in ("bucketVersion", "minBucketVersion"))
    if rule.get("condition") and (is_sticky or rule.get("fallbackAttribute")):
        yield (
            "A unit with a sticky variation that no longer meets the condition stays in the"
            " experiment in JavaScript; Python leaves it out."
        )
    if rule.get("filters") == [] and rule.get("namespace"):
        yield "An empty list of filters switches the namespace off in JavaScript, not in Python."


def _condition(condition: object, types: Types) -> Warnings:
    if condition_problem(condition):
        yield "The condition is malformed or too large; the server matches nobody."
        return
    yield from _entries(condition, types)


def _entries(condition: object, types: Types) -> Warnings:
    if not isinstance(condition, dict):
        return
    for name, value in condition.items():
        if name in _COMBINING:
            for one in value if isinstance(value, list) else []:
                yield from _entries(one, types)
        elif name == "$not":
            yield from _entries(value, types)
        elif name != "$savedGroup":
            yield from _value(name, value, types.get(name))


def _value(path: str, value: object, declared: str | None) -> Warnings:
    if is_operators(value):
        for operator, operand in value.items():
            yield from _operator(path, operator, operand, declared)
    elif value == {}:
        yield f"`{path}` equal to an empty object matches everybody in Python, hardly anybody in JavaScript."
    elif value == 0 and type(value) is not bool:
        yield f"`{path}` equal to 0 matches users without the attribute in JavaScript, not in Python."
    if _converts(value) and declared != type_name(value):
        yield (
            f"`{path}` equal to {dumps(value)} matches values of other types that convert to it in"
            " JavaScript; Python wants the same type."
        )


def _converts(value: object) -> bool:
    """Whether other types are likely to convert to a value; of a text, one like a number's."""
    if isinstance(value, str):
        return value in _WORDS or number_of(value) == number_of(value)
    return isinstance(value, (bool, int, float))


def _operator(path: str, operator: str, operand: object, declared: str | None) -> Warnings:
    if operator in _COMPARISONS:
        yield from _comparison(path, operator, operand, declared)
    elif operator in _PATTERNS:
        yield from _pattern(path, operator, operand)
    elif operator in ("$not", "$size"):
        yield from _value(path, operand, "number" if operator == "$size" else declared)
    elif operator == "$elemMatch":
        yield from _element(path, operand)
    elif operator in ("$all", "$alli"):
        for item in operand if isinstance(operand, list) else []:
            yield from _value(f"{path} (each element)", item, None)
    elif operator not in PLAIN_OPERATORS and operator not in _NESTED:
        yield (
            f"{operator} on `{path}` is no operator: it matches nobody, and negated everybody in"
            " JavaScript but nobody in Python."
        )


def _comparison(path: str, operator: str, operand: object, declared: str | None) -> Warnings:
    matches = Conditions().compile({path: {operator: operand}})({})
    if matches != (operator == "$vne"):
        yield (
            f"{operator} on `{path}` matches users without the attribute in"
            f" {'JavaScript, not in Python' if matches else 'Python, not in JavaScript'}:"
            " JavaScript counts it as 0. Add $exists: true."
        )
    if declared != type_name(operand) or not isinstance(operand, (str, int, float)):
        yield (
            f"{operator} on `{path}` converts between numbers and texts in JavaScript; Python"
            " matches only values of the same type."
        )


def _pattern(path: str, operator: str, operand: object) -> Warnings:
    if operator.startswith("$not"):
        yield (
            f"{operator} is unknown to JavaScript SDKs up to 1.8, where it matches nobody."
            f" Write $not with {operator.replace('$notR', '$r')} instead."
        )
    if not isinstance(operand, str):
        return
    problem = pattern_problem(operand)
    if problem:
        yield f"The pattern for `{path}` cannot run on the server, where it matches nobody: {problem}"
        return
    yield from _syntax(path, operand)
    if not operator.startswith("$not") and Conditions().compile({path: {operator: operand}})({}):
        yield (
            f"{operator} on `{path}` reads a missing attribute as the text null in JavaScript and"
            " matches it, not in Python. Add $exists: true."
        )


def _syntax(path: str, pattern: str) -> Warnings:
    if _PYTHON_ONLY.search(pattern):
        yield f"The pattern for `{path}` uses Python's syntax, which JavaScript reads differently."
    if _JAVASCRIPT_ONLY.search(pattern):
        yield f"The pattern for `{path}` uses JavaScript's syntax, which Python does not read."


def _element(path: str, operand: object) -> Warnings:
    if is_operators(operand) and any(name in (*_COMBINING, "$savedGroup") for name in operand):
        yield (
            f"$elemMatch on `{path}` with only $or, $and, $nor or $savedGroup matches nobody in"
            " JavaScript; Python tests the elements' members."
        )
    elif is_operators(operand):
        yield from _value(f"{path} (an element)", operand, None)
    else:
        yield from _entries(operand, {})
