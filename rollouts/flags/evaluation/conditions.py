"""Targeting conditions, compiled once into closures over a user's attributes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from rollouts.flags.evaluation.limits import condition_problem, n_levels
from rollouts.flags.evaluation.operators import (
    PLAIN_OPERATORS,
    Test,
    always,
    equals_plain,
    is_in,
    is_operators,
    negated,
    never,
)
from rollouts.flags.evaluation.values import text_of, value_at

Check = Callable[[object], bool]  # of a user's attributes, or of an element of an array

MOST_EXPANDED: Final = 5_000  # entries of a condition and of the saved groups it stands for
DEEPEST_EXPANDED: Final = 60  # levels of a condition and of the saved groups inside it
DEEPEST_GROUPS: Final = 10  # saved groups inside saved groups


class Malformed(ValueError):
    """A condition that is no condition; nobody matches it, negated or not."""


class _Where(NamedTuple):
    """Where in an expansion a condition stands."""

    groups: frozenset[str] = frozenset()  # saved groups being resolved, to stop cycles
    levels: int = 0  # above it


class _Part(NamedTuple):
    check: Check
    size: int  # entries, those of saved groups included


_NOBODY: Final = _Part(never, 1)


class Conditions:
    """Compiles the conditions of one payload; saved groups are compiled once and shared."""

    def __init__(self, saved_groups: Mapping[str, object] | None = None) -> None:
        self._groups: Mapping[str, object] = saved_groups or {}
        self._members: dict[str, Test | None] = {}
        self._expanded: dict[tuple[str, _Where], _Part] = {}

    def compile(self, condition: object) -> Check:
        """A check of attributes; one that nobody passes if the condition is malformed."""
        try:
            return self._compile(condition, _Where()).check
        except Malformed:
            return never

    def _compile(self, condition: object, where: _Where) -> _Part:
        if condition_problem(condition):
            raise Malformed
        levels = where.levels + n_levels(condition)
        if levels > DEEPEST_EXPANDED or len(where.groups) > DEEPEST_GROUPS:
            raise Malformed
        compiler = _Compiler(self, _Where(where.groups, levels))
        return _Part(compiler.condition(condition), compiler.size)

    def members(self, group_id: str) -> Test | None:
        """Membership in a list of values; None if the group has no such list."""
        if group_id not in self._members:
            values = self._values(group_id)
            self._members[group_id] = None if values is None else is_in(values)
        return self._members[group_id]

    def _values(self, group_id: str) -> list[object] | None:
        entry = self._groups.get(group_id, [])
        if isinstance(entry, dict) and entry.get("type") == "list":
            entry = entry.get("values")
        return entry if isinstance(entry, list) else None

    def group(self, reference: object, where: _Where) -> _Part:
        """What a `$savedGroup` reference stands for. Anything unrecognised matches nobody."""
        if not isinstance(reference, dict) or not isinstance(reference.get("id"), str):
            return _NOBODY
        group_id: str = reference["id"]
        entry = self._groups.get(group_id)
        if group_id in where.groups or not isinstance(entry, dict):
            return _NOBODY
        if not isinstance(reference.get("attributeKey", ""), str):
            return _NOBODY
        if entry.get("type") == "list":
            attribute = reference.get("attributeKey", entry.get("attributeKey"))
            return self._list_group(group_id, attribute)
        if entry.get("type") == "condition":
            return self._condition_group(group_id, entry.get("condition"), where)
        return _NOBODY

    def _list_group(self, group_id: str, attribute: object) -> _Part:
        members = self.members(group_id)
        if members is None or not isinstance(attribute, str):
            return _NOBODY
        return _Part(at_path(attribute, members), 1)

    def _condition_group(self, group_id: str, condition: object, where: _Where) -> _Part:
        """Compiled once per way into it, for a cycle reads differently from each of its ends."""
        known = (group_id, where)
        if known not in self._expanded:
            below = _Where(where.groups | {group_id}, where.levels)
            self._expanded[known] = self._compile(condition, below)
        return self._expanded[known]


class _Compiler:
    """Compiles one condition and counts what it expands to."""

    def __init__(self, groups: Conditions, where: _Where) -> None:
        self.size = 0
        self._groups = groups
        self._where = where

    def condition(self, condition: object) -> Check:
        if not isinstance(condition, dict):
            raise Malformed
        return all_of(self._entry(name, value) for name, value in condition.items())

    def _entry(self, name: str, value: object) -> Check:
        self._grow(1)
        match name:
            case "$or":
                return self._any(value)
            case "$nor":
                return negated(self._any(value))
            case "$and":
                return all_of(map(self.condition, _list(value)))
            case "$not":
                return negated(self.condition(value))
            case "$savedGroup":
                return self._saved_group(value)
        return at_path(name, self.value(value))

    def _grow(self, size: int) -> None:
        self.size += size
        if self.size > MOST_EXPANDED:
            raise Malformed

    def _any(self, conditions: object) -> Check:
        """An empty list is passed by everybody."""
        return any_of(map(self.condition, _list(conditions))) if _list(conditions) else always

    def _saved_group(self, reference: object) -> Check:
        group = self._groups.group(reference, self._where)
        self._grow(group.size)
        return group.check

    def value(self, condition: object) -> Test:
        """The test of one attribute value."""
        if not is_operators(condition):
            return equals_plain(condition)
        return all_of(self._operator(name, operand) for name, operand in condition.items())

    def _operator(self, name: str, operand: object) -> Test:
        self._grow(1)
        match name:
            case "$not":
                return negated(self.value(operand))
            case "$size":
                return _size(self.value(operand))
            case "$elemMatch":
                return _some_element(self._element(operand))
            case "$all":
                return self._all(operand, ignore_case=False)
            case "$alli":
                return self._all(operand, ignore_case=True)
            case "$inGroup" | "$notInGroup":
                return self._in_group(operand, opposite=name == "$notInGroup")
        make = PLAIN_OPERATORS.get(name)
        return make(operand) if make else never

    def _element(self, operand: object) -> Test:
        return self.value(operand) if is_operators(operand) else self.condition(operand)

    def _in_group(self, group_id: object, *, opposite: bool) -> Test:
        members = self._groups.members(group_id) if isinstance(group_id, str) else None
        if members is None:
            return never
        return negated(members) if opposite else members

    def _all(self, items: object, *, ignore_case: bool) -> Test:
        if not isinstance(items, list):
            return never
        self._grow(len(items))
        texts = frozenset(_folded(item, ignore_case) for item in items if isinstance(item, str))
        tests = [self.value(item) for item in items if not isinstance(item, str)]

        def test(actual: object) -> bool:
            if not isinstance(actual, list):
                return False
            if texts and not texts <= {_folded(item, ignore_case) for item in actual}:
                return False
            return all(any(map(one, actual)) for one in tests)

        return test


def _folded(value: object, ignore_case: bool) -> str:
    return text_of(value).lower() if ignore_case else text_of(value)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Malformed
    return value


def _size(test: Test) -> Test:
    return lambda actual: isinstance(actual, list) and test(len(actual))


def _some_element(test: Test) -> Test:
    """Elements that are null are passed over, other falsy ones are not."""

    def some(actual: object) -> bool:
        if isinstance(actual, list):
            for item in actual:
                if item is not None and test(item):
                    return True
        return False

    return some


def at_path(path: str, test: Test) -> Check:
    """The test applied to the value at a dotted path."""
    names = path.split(".")
    if len(names) > 1:
        return lambda holder: test(value_at(holder, names))

    def check(holder: object) -> bool:
        return test(holder.get(path) if type(holder) is dict else value_at(holder, names))

    return check


def all_of(checks: Iterable[Check]) -> Check:
    """The check that all of them pass."""
    every = tuple(checks)
    if len(every) == 0:
        return always
    if len(every) == 1:
        return every[0]
    if len(every) == 2:
        first, second = every
        return lambda holder: first(holder) and second(holder)

    def check(holder: object) -> bool:
        for one in every:  # noqa: SIM110 - a generator would cost more than the checks
            if not one(holder):
                return False
        return True

    return check


def any_of(checks: Iterable[Check]) -> Check:
    """The check that at least one of them passes."""
    some = tuple(checks)

    def check(holder: object) -> bool:
        for one in some:  # noqa: SIM110 - a generator would cost more than the checks
            if one(holder):
                return True
        return False

    return some[0] if len(some) == 1 else check
