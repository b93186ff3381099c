"""Bars drawn in a table's cell: an interval against its limit, a budget against what is spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rollouts.web import formatting as say


@dataclass(frozen=True, slots=True)
class Plot:
    """An effect on the axis where right is worse, as shares of the control's mean."""

    low: float
    estimate: float
    high: float
    limit: float | None


class Drawn(Protocol):
    """Whatever has a bar of its own."""

    @property
    def plot(self) -> Plot | None:
        """Its place on the axis, if anything is known."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Where an effect lies on a bar, in per cent of the bar's length."""

    low: float
    high: float

    def at(self, value: float) -> str:
        """The place of a value; beyond an end it is put at the end."""
        part = (value - self.low) / (self.high - self.low)
        return f"{min(max(part, 0.0), 1.0) * 100:.2f}"

    def rest(self, value: float) -> str:
        """How much of the bar lies beyond a value."""
        return f"{100 - float(self.at(value)):.2f}"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A harm budget: what is spent, what might be, and where it holds and withdraws."""

    amount: float
    unit: str
    hold: float
    estimate: float | None
    low: float | None
    high: float | None
    state: str
    reason: str

    @property
    def is_known(self) -> bool:
        """Whether there is an interval to draw."""
        return self.estimate is not None and self.low is not None and self.high is not None

    @property
    def tone(self) -> str:
        """The colour's name: a finding's only where something was found."""
        return {"spent": "harm", "hold": "hold"}.get(self.state, "ink")

    def at(self, value: float | None) -> float:
        """Where a value lies along the gauge, in per cent of its length."""
        top = max(self.amount * 1.15, (self.high or 0.0) * 1.05)
        return min(max(value or 0.0, 0.0) / top, 1.0) * 100

    @property
    def words(self) -> str:
        """What is spent, as a fact: "212 of 200 contacts"."""
        if self.estimate is None:
            return f"not known, of {say.count(self.amount)} {self.unit}"
        return f"{say.count(max(self.estimate, 0.0))} of {say.count(self.amount)} {self.unit}"

    @property
    def more(self) -> str:
        """The interval in words, counting fewer as fewer."""
        if self.low is None or self.high is None:
            return self.reason
        if self.high <= 0:
            return (
                f"{say.count(-self.high)} to {say.count(-self.low)} fewer than on the old version"
            )
        if self.low < 0:
            return f"between {say.count(-self.low)} fewer and {say.count(self.high)} more"
        return f"between {say.count(self.low)} and {say.count(self.high)}"
