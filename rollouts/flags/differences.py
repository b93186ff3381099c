"""What changed between two states of a flag, as lines a person can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs; a side without that place has no `before` or no `after`."""

    path: str
    sides: dict[str, Any]


def differences(before: Any, after: Any, path: str = "") -> list[Difference]:
    """The innermost places where two JSON values differ.

    Rules are matched by their id, so that moving one is not told as changing all after it.

    >>> differences({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}})
    [Difference(path='a.b', sides={'before': 1, 'after': 2}), Difference(path='a.c', sides={'after': 3})]
    """
    return list(_walk(_by_id(before), _by_id(after), path))


def _walk(before: Any, after: Any, path: str) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            place = f"{path}.{name}" if path else str(name)
            yield from _walk(
                _by_id(before.get(name, ABSENT)), _by_id(after.get(name, ABSENT)), place
            )
    elif not _is_same(before, after):
        sides = {"before": before, "after": after}
        yield Difference(path, {name: side for name, side in sides.items() if side is not ABSENT})


def _is_same(before: Any, after: Any) -> bool:
    """Equality in which true is not 1."""
    return type(before) is type(after) and bool(before == after)


def _by_id(value: Any) -> Any:
    """A list of things with ids as an object by id, with the order beside it."""
    is_list = isinstance(value, list) and len(value) > 0
    if not is_list or not all(isinstance(item, dict) and item.get("id") for item in value):
        return value
    return {"order": [item["id"] for item in value], **{item["id"]: item for item in value}}


def sides(found: list[Difference], side: str) -> dict[str, Any]:
    """One side of all differences by path, for the audit."""
    return {item.path: item.sides[side] for item in found if side in item.sides}
