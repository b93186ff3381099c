"""Which outcomes are meant: by name, channel and properties; and which number they carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isfinite
from typing import Any

LARGEST_VALUE = 1e15  # of one event: more is a mistake, and squares must be able to add up


class Operator(StrEnum):
    """How a property is compared."""

    IS = "is"
    IS_NOT = "is_not"
    IN = "in"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    EXISTS = "exists"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something that happened to a unit, as it was understood."""

    name: str
    at: datetime
    value: float | None = None
    channel: str = ""
    properties: Mapping[str, Any] | None = None
    is_trusted: bool = True


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on an outcome's property."""

    property: str
    operator: Operator = Operator.IS
    value: Any = None

    def holds(self, properties: Mapping[str, Any]) -> bool:
        """Whether the properties pass; a missing property passes only `is_not`."""
        if self.property not in properties:
            return self.operator is Operator.IS_NOT
        held = properties[self.property]
        match self.operator:
            case Operator.IS:
                return bool(held == self.value)
            case Operator.IS_NOT:
                return bool(held != self.value)
            case Operator.IN:
                return isinstance(self.value, list | tuple) and held in self.value
            case Operator.EXISTS:
                return held is not None
        if not is_number(held) or not is_number(self.value):
            return False
        return bool(
            held >= self.value if self.operator is Operator.AT_LEAST else held <= self.value
        )


@dataclass(frozen=True, slots=True)
class Selector:
    """Which outcomes: by event name, channel and properties; and which number they carry."""

    event: str
    filters: tuple[Filter, ...] = ()
    channels: tuple[str, ...] = ()  # empty: any channel
    value_property: str = ""  # empty: the outcome's own value

    def takes(self, outcome: Outcome) -> bool:
        """Whether this outcome is one of those meant."""
        if outcome.name != self.event:
            return False
        if self.channels and outcome.channel not in self.channels:
            return False
        return self.passes(outcome.properties or {})

    def passes(self, properties: Mapping[str, Any]) -> bool:
        """Whether an outcome of this event and channel is meant, by its properties."""
        return all(item.holds(properties) for item in self.filters)

    def number(self, outcome: Outcome) -> float | None:
        """The number the outcome carries; None if it carries none that can be added."""
        return self.number_in(outcome.value, outcome.properties or {})

    def number_in(self, value: float | None, properties: Mapping[str, Any]) -> float | None:
        """The same of an outcome's value and properties."""
        held = properties.get(self.value_property) if self.value_property else value
        if held is None or not is_number(held) or abs(held) > LARGEST_VALUE:
            return None
        return float(held)


def is_number(value: object) -> bool:
    """Whether it is a number that a double can hold; JSON may bring integers that none can."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return isfinite(value)
    except OverflowError:
        return False
