"""Members of a rule read with their types; a rule that breaks them is skipped and named."""

from collections.abc import Callable
from typing import TypeVar

from rollouts.flags.evaluation.hashing import Range, is_number
from rollouts.flags.evaluation.values import is_numeric, text_of, truthy

T = TypeVar("T")
Rule = dict[str, object]


class BadRule(ValueError):
    """A rule no SDK could evaluate; the text says why."""


def number(rule: Rule, name: str) -> float | None:
    """A number, or None if the member is absent or null."""
    value = rule.get(name)
    if value is None:
        return None
    if not is_number(value):
        raise BadRule(f"{name} must be a number")
    return value  # type: ignore[return-value]


def text(rule: Rule, name: str, default: str = "") -> str:
    """A text, or the default if the member is absent, null or empty."""
    value = rule.get(name)
    if value is None or value == "":
        return default
    if not isinstance(value, str):
        raise BadRule(f"{name} must be a text")
    return value


def items(rule: Rule, name: str, read: Callable[[object], T]) -> list[T] | None:
    """A list whose items are read one by one, or None if the member is absent or null."""
    value = rule.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadRule(f"{name} must be a list")
    return [read(item) for item in value]


def hash_version(rule: Rule, default: int) -> int:
    """The hash version; one that no SDK knows is kept, and lets nobody in."""
    version = number(rule, "hashVersion") or default
    return int(version) if version == int(version) else 0


def pair(value: object) -> Range:
    """A half-open range of buckets."""
    if isinstance(value, list) and len(value) == 2 and is_number(value[0]) and is_number(value[1]):
        return (value[0], value[1])
    raise BadRule("a range must be two numbers")


def mapping(value: object) -> Rule:
    """An object."""
    if not isinstance(value, dict):
        raise BadRule("expected an object")
    return value


def hash_text(value: object) -> str:
    """An attribute as the hash reads it; empty, so out of every split, if it is falsy."""
    if type(value) is str:
        return value
    return text_of(value) if truthy(value) else ""


def version_text(rule: Rule, name: str) -> str:
    """A bucket version as sticky documents spell it."""
    value = rule.get(name)
    return text_of(value) if is_numeric(value) or isinstance(value, str) else "0"
