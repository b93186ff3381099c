"""The operators of a targeting condition, each compiled to a test of one attribute value.

Semantics are those of the browsers' SDK, version 1.8.0, with `$notRegex` and `$notRegexi`
beside it. A malformed operand makes a test that nobody passes.
"""

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Final, TypeGuard

from rollouts.flags.evaluation.patterns import BadPattern, compile_pattern, subject_of
from rollouts.flags.evaluation.values import (
    is_numeric,
    number_of,
    order,
    padded_version,
    same_json,
    same_primitive,
    text_of,
    text_order,
    truthy,
    type_name,
)

Test = Callable[[object], bool]
Factory = Callable[[object], Test]
Sign = Callable[[int, int], bool]


def never(_: object) -> bool:
    """The test nobody passes."""
    return False


def always(_: object) -> bool:
    """The test everybody passes."""
    return True


def negated(test: Test) -> Test:
    """The opposite test."""
    return lambda actual: not test(actual)


def is_operators(condition: object) -> TypeGuard[dict[str, object]]:
    """Whether a value of a condition is made of operators; an empty object is a plain value."""
    return (
        isinstance(condition, dict)
        and bool(condition)
        and all(isinstance(name, str) and name.startswith("$") for name in condition)
    )


def equals_plain(expected: object) -> Test:
    """A value without operators: equal after JavaScript's conversion to the expected type."""
    if isinstance(expected, str):
        return _equals_text(expected)
    if isinstance(expected, bool):
        return lambda actual: actual is not None and truthy(actual) is expected
    if expected is None:
        return lambda actual: actual is None
    if is_numeric(expected):
        return lambda actual: number_of(actual) == expected
    return lambda actual: same_json(actual, expected)


def _equals_text(expected: str) -> Test:
    def test(actual: object) -> bool:
        return actual == expected if type(actual) is str else text_of(actual) == expected

    return test


def _identical(expected: object) -> Test:
    """Strict equality, without a look at types where Python's own is as strict."""
    if isinstance(expected, str):
        return lambda actual: actual == expected
    if expected is None:
        return lambda actual: actual is None
    return lambda actual: same_primitive(actual, expected)


def _ordered(sign: Sign) -> Factory:
    """`$lt` and its kin. Two texts or two numbers are compared without conversions."""

    def factory(expected: object) -> Test:
        def test(actual: object) -> bool:
            found = order(actual, expected)
            return found is not None and sign(found, 0)

        def test_number(actual: object) -> bool:
            if type(actual) is int or type(actual) is float:
                return sign(actual, expected)  # type: ignore[arg-type]
            return test(actual)

        return test_number if is_numeric(expected) else test

    return factory


def _version(sign: Sign) -> Factory:
    def factory(expected: object) -> Test:
        padded = padded_version(expected)
        return lambda actual: sign(text_order(padded_version(actual), padded), 0)

    return factory


def is_in(values: list[object]) -> Test:
    """Membership by strict equality; an array has it if one of its elements has."""
    texts = frozenset(value for value in values if isinstance(value, str))
    others = frozenset(_identity(value) for value in values if not isinstance(value, str))

    def one(actual: object) -> bool:
        if isinstance(actual, str):
            return actual in texts
        return not isinstance(actual, (list, dict)) and _identity(actual) in others

    def test(actual: object) -> bool:
        if type(actual) is str:
            return actual in texts
        return any(map(one, actual)) if isinstance(actual, list) else one(actual)

    return test


def _identity(value: object) -> object:
    """A hashable stand-in under which true is not 1; objects equal nothing."""
    if isinstance(value, (list, dict)):
        return object()
    return (isinstance(value, bool), value)


def is_in_ignoring_case(values: list[object]) -> Test:
    """The same with texts compared in lower case."""
    inside = is_in([_lowered(value) for value in values])

    def test(actual: object) -> bool:
        if isinstance(actual, list):
            return inside([_lowered(value) for value in actual])
        return inside(_lowered(actual))

    return test


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _from_list(make: Callable[[list[object]], Test], *, opposite: bool = False) -> Factory:
    """`$in` and `$nin` alike match nobody unless a list is given."""

    def factory(expected: object) -> Test:
        if not isinstance(expected, list):
            return never
        return negated(make(expected)) if opposite else make(expected)

    return factory


def _pattern(*, ignore_case: bool, opposite: bool = False) -> Factory:
    """A pattern that cannot be run, and a subject too long to search, match nobody."""

    def factory(expected: object) -> Test:
        if not isinstance(expected, str):
            return never
        try:
            matches = compile_pattern(expected, ignore_case=ignore_case)
        except BadPattern:
            return never

        def test(actual: object) -> bool:
            subject = subject_of(text_of(actual))
            return subject is not None and matches(subject) is not opposite

        return test

    return factory


def _exists(expected: object) -> Test:
    wanted = truthy(expected)
    return lambda actual: (actual is not None) is wanted


def _type(expected: object) -> Test:
    return lambda actual: type_name(actual) == expected


PLAIN_OPERATORS: Final[dict[str, Factory]] = {
    "$eq": _identical,
    "$ne": lambda expected: negated(_identical(expected)),
    "$lt": _ordered(lt),
    "$lte": _ordered(le),
    "$gt": _ordered(gt),
    "$gte": _ordered(ge),
    "$veq": _version(eq),
    "$vne": _version(ne),
    "$vlt": _version(lt),
    "$vlte": _version(le),
    "$vgt": _version(gt),
    "$vgte": _version(ge),
    "$in": _from_list(is_in),
    "$nin": _from_list(is_in, opposite=True),
    "$ini": _from_list(is_in_ignoring_case),
    "$nini": _from_list(is_in_ignoring_case, opposite=True),
    "$regex": _pattern(ignore_case=False),
    "$regexi": _pattern(ignore_case=True),
    "$notRegex": _pattern(ignore_case=False, opposite=True),
    "$notRegexi": _pattern(ignore_case=True, opposite=True),
    "$exists": _exists,
    "$type": _type,
}
