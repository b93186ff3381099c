"""What the ledger holds: standings of units in rollouts, and the sums over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from analysis.summary import PairSummary

UNIT_OUTCOMES_MAX = 10_000  # outcomes kept of one unit; more is a fault or a forgery
NO_TOTAL = (0.0, 0.0)

Total = tuple[float, float]  # numerator and, of a ratio, denominator; before any cap
Cell = tuple[int, int]  # variation, stratum


@dataclass(frozen=True, slots=True)
class Folded:
    """What one fold did."""

    events: int
    offset: int
    is_caught_up: bool


@dataclass(frozen=True, slots=True)
class Sums:
    """All that the statistics need of one rollout."""

    units: Mapping[Cell, int]  # uncrossed units by (variation, stratum)
    crossed: int
    untrusted_units: int
    refused: Mapping[str, int]
    by_metric: Mapping[tuple[int, int, int], PairSummary]  # metric version, variation, stratum
    data_at: datetime | None  # arrival of the last event that is counted in
    last_event_at: Mapping[int, datetime]  # by metric version, from any unit
    damaged: int = 0  # events lost in unreadable journal frames, of whatever rollout


@dataclass(frozen=True, slots=True)
class Standing:
    """A unit in a rollout."""

    variation: int
    stratum: int
    first_us: int
    is_crossed: bool
    is_trusted: bool

    @property
    def cell(self) -> Cell | None:
        """Where the unit is counted; None while it is quarantined."""
        return None if self.is_crossed else (self.variation, self.stratum)


@dataclass(slots=True)
class Sighting:
    """All exposures of one unit in one rollout that came together."""

    first_us: int
    variation: int
    is_trusted: bool
    is_crossed: bool = False

    def add(self, at_us: int, variation: int, is_trusted: bool) -> None:
        """One more exposure, in any order."""
        self.is_crossed = self.is_crossed or variation != self.variation
        self.is_trusted = self.is_trusted or is_trusted
        if (at_us, variation) < (self.first_us, self.variation):
            self.first_us, self.variation = at_us, variation
