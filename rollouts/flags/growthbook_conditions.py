"""GrowthBook's conditions read as ours: the same to every user, without what we would not save."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rollouts.flags.condition_checks import LISTS, LOGICAL, OPERATORS, TYPES, condition_faults
from rollouts.flags.evaluation.limits import condition_problem
from rollouts.flags.growthbook_members import Raw, Tell, refuse
from rollouts.flags.inlining import NOBODY

NEVER: Raw = {"$in": []}  # a test that no value passes
LISTS_NEEDED = LISTS - {"$all", "$alli"}


class ConditionReader:
    """Reads the conditions of one payload.

    bare: saved groups in the first form, in which `$savedGroup` finds nobody.
    """

    def __init__(self, bare: Collection[str]) -> None:
        self._bare = bare

    def read(self, raw: Any, where: str, tell: Tell) -> Raw | None:
        """The condition, None if there is none. Raises Unreadable naming what cannot be kept."""
        if not raw:
            return None
        problem = condition_problem(raw)
        if problem is not None:
            refuse(where, problem)
        read: Raw = self._condition(raw, where, tell)
        for fault in condition_faults(read, where):
            refuse(fault.where, fault.problem)
        return read

    def _condition(self, raw: Any, where: str, tell: Tell) -> Any:
        if not isinstance(raw, dict):
            return raw
        read: Raw = {}
        for name, test in raw.items():
            if name == "$savedGroup" and self._is_bare(test):
                tell(f"{where}: $savedGroup finds nobody in the bare list {test['id']!r}")
                return dict(NOBODY)
            read[name] = self._entry(name, test, f"{where}.{name}", tell)
        return read

    def _is_bare(self, reference: Any) -> bool:
        return isinstance(reference, dict) and reference.get("id") in self._bare

    def _entry(self, name: str, test: Any, where: str, tell: Tell) -> Any:
        if name in LOGICAL and isinstance(test, list):
            return [self._condition(part, where, tell) for part in test]
        if name == "$not":
            return self._condition(test, where, tell)
        return test if name == "$savedGroup" else self._test(test, where, tell)

    def _test(self, raw: Any, where: str, tell: Tell) -> Any:
        """A test of a value; one with an operator that no SDK knows is passed by nobody."""
        if not is_test(raw):
            return raw
        for name, argument in raw.items():
            if _never_holds(name, argument):
                tell(f"{where}: {name} as it is here is passed by nobody")
                return dict(NEVER)
        return {
            name: self._argument(name, argument, f"{where}.{name}", tell)
            for name, argument in raw.items()
        }

    def _argument(self, name: str, argument: Any, where: str, tell: Tell) -> Any:
        if name in ("$not", "$size"):
            return self._test(argument, where, tell)
        if name == "$elemMatch" and not is_test(argument):
            return self._condition(argument, where, tell)
        return self._test(argument, where, tell) if name == "$elemMatch" else argument


def is_test(raw: Any) -> bool:
    """Whether an object consists of operators, so that it is no value to compare with."""
    return isinstance(raw, dict) and bool(raw) and all(name.startswith("$") for name in raw)


def _never_holds(name: str, argument: Any) -> bool:
    if name not in OPERATORS:
        return True
    if name in LISTS_NEEDED:
        return not isinstance(argument, list)
    return name == "$type" and argument not in TYPES
