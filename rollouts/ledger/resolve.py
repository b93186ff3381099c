"""Whom each understood event is about, and whether it may count. Pure: the store is not asked."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rollouts.ingest.model import Drop, Exposure, Frame, Happening, from_us, to_us
from rollouts.ingest.understand import Understood, family_of, segment_of, value_for
from rollouts.ingest.wire import NAME_MAX
from rollouts.ledger.catalogue import Catalogue, Counting
from rollouts.ledger.model import Sighting
from rollouts.metrics.model import Outcome

RECENT_KEPT = 1_000  # exposures shown per environment
NOWHERE = 0  # the rollout id of events that belong to none

UNKNOWN = "unknown rollout"
NOT_LIVE = "no rollout was live on this flag"
ELSEWHERE = "sent for another environment"
OTHER_ATTRIBUTE = "hashed by another attribute than the rollout's unit"
NO_UNIT = "names no unit"
NO_ARM = "unknown variation"
BEFORE = "before the rollout started"
FORGED = "variation differs from our own assignment"
REPEATED = "repeated message"

Unit = int


class NewOutcome(msgspec.Struct, frozen=True):
    """An outcome under one of its units."""

    unit: Unit
    at_us: int
    environment_id: int
    outcome: Outcome


@dataclass(slots=True)
class Batch:
    """What a stretch of the journal says, ready to be applied in one transaction."""

    sightings: dict[tuple[int, Unit], Sighting] = field(default_factory=dict)
    outcomes: list[NewOutcome] = field(default_factory=list)
    segments: dict[tuple[int, Unit, str], str] = field(default_factory=dict)  # first one stays
    messages: list[int] = field(default_factory=list)
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)
    recent: dict[int, deque[dict[str, Any]]] = field(default_factory=dict)


class Resolver:
    """Fills a batch, frame by frame, in the journal's order."""

    def __init__(
        self, catalogue: Catalogue, hash_unit: Callable[[str, str], Unit], known: set[int]
    ) -> None:
        self.batch = Batch()
        self._catalogue = catalogue
        self._hash_unit = hash_unit
        self._known = known  # messages counted before, and those met meanwhile
        self._units: dict[tuple[str, str], Unit] = {}

    def add(self, frame: Frame, events: Iterable[Understood]) -> None:
        """Take in what one frame says."""
        for event in events:
            if isinstance(event, Happening):
                self._add_happening(frame, event)
            elif isinstance(event, Exposure):
                self._add_exposure(frame, event)
            else:
                self._add_drop(frame, event)

    def _add_happening(self, frame: Frame, event: Happening) -> None:
        if event.message is not None:
            if event.message in self._known:
                self.batch.refused[NOWHERE, REPEATED] += 1
                return
            self._known.add(event.message)
            self.batch.messages.append(event.message)
        outcome = Outcome(
            event.name,
            from_us(event.at_us),
            event.value,
            event.channel,
            event.properties,
            frame.is_trusted,
        )
        is_anyones = True
        for attribute in self._catalogue.attributes:
            if value := value_for(attribute, event.who):
                is_anyones = False
                unit = self._unit(attribute, value)
                self.batch.outcomes.append(
                    NewOutcome(unit, event.at_us, frame.environment_id, outcome)
                )
        if is_anyones:
            self.batch.refused[NOWHERE, NO_UNIT] += 1

    def _add_exposure(self, frame: Frame, event: Exposure) -> None:
        counting = self._find_counting(frame, event)
        if counting is None:
            self._refuse(frame, event, None, NOT_LIVE if event.flag else UNKNOWN)
            return
        if not counting.counts_in(frame.environment_id):
            self._refuse(frame, event, counting, ELSEWHERE)
            return
        attribute = counting.measured.unit
        if event.hash_attribute and family_of(event.hash_attribute) != family_of(attribute):
            self._refuse(frame, event, counting, OTHER_ATTRIBUTE)
            return
        value = event.hash_value or value_for(attribute, event.who)
        variation = counting.arms.get(event.variation, -1)
        reason = _reason(counting, event, value, variation, frame.is_trusted)
        if reason:
            self._refuse(frame, event, counting, reason)
            return
        unit = self._unit(attribute, value)
        self._see(counting, unit, event.at_us, variation, frame.is_trusted)
        for name in counting.measured.segments:
            if text := segment_of(name, event.who):
                self.batch.segments.setdefault((counting.id, unit, name), text)
        self._show(frame, event, counting, unit, "")

    def _find_counting(self, frame: Frame, event: Exposure) -> Counting | None:
        """The rollout that an exposure names, or the one that was live on the flag it names."""
        if event.flag:
            return self._catalogue.find_live(event.flag, frame.environment_id, event.at_us)
        return self._catalogue.by_key.get(event.rollout)

    def _add_drop(self, frame: Frame, event: Drop) -> None:
        """Exposures among them are shown, so that whoever looks for one finds why it is none."""
        if event.exposure is None:
            self.batch.refused[NOWHERE, event.reason] += 1
            return
        counting = self._find_counting(frame, event.exposure)
        self._refuse(frame, event.exposure, counting, event.reason)

    def _see(
        self, counting: Counting, unit: Unit, at_us: int, variation: int, is_trusted: bool
    ) -> None:
        key = (counting.id, unit)
        seen = self.batch.sightings.get(key)
        if seen is None:
            self.batch.sightings[key] = Sighting(at_us, variation, is_trusted)
        else:
            seen.add(at_us, variation, is_trusted)

    def _refuse(
        self, frame: Frame, event: Exposure, counting: Counting | None, reason: str
    ) -> None:
        self.batch.refused[counting.id if counting else NOWHERE, reason] += 1
        self._show(frame, event, counting, self._unit_named(event, counting), reason)

    def _unit_named(self, event: Exposure, counting: Counting | None) -> Unit:
        """The unit that an exposure names, by the attribute it says or is divided by; 0 if none."""
        attribute = event.hash_attribute or (counting.measured.unit if counting else "id")
        value = event.hash_value or value_for(attribute, event.who)
        return self._unit(attribute, value) if value else 0

    def _show(
        self, frame: Frame, event: Exposure, counting: Counting | None, unit: Unit, reason: str
    ) -> None:
        environment = counting.measured.environment_id if counting else frame.environment_id
        ring = self.batch.recent.setdefault(environment, deque(maxlen=RECENT_KEPT))
        ring.append(
            {
                "environment_id": environment,
                "rollout": _name_shown(event, counting),
                "unit": unit,
                "variation": event.variation,
                "at_us": event.at_us,
                "received_us": to_us(frame.received_at),
                "source": frame.source.value,
                "is_trusted": frame.is_trusted,
                "reason": reason,
            }
        )

    def _unit(self, attribute: str, value: str) -> Unit:
        held = self._units.get((attribute, value))
        if held is None:
            held = self._units[attribute, value] = self._hash_unit(attribute, value)
        return held


def _name_shown(event: Exposure, counting: Counting | None) -> str:
    """The rollout's key, or that none is named; of a flag without a rollout, the flag's, and that it is one."""
    if not event.flag:
        return event.rollout or "(none named)"
    return counting.measured.key if counting else f"flag {event.flag}"[:NAME_MAX]


def _reason(
    counting: Counting, event: Exposure, value: str, variation: int, is_trusted: bool
) -> str:
    """Why an exposure of a known rollout does not count, or an empty text."""
    if not value:
        return NO_UNIT
    if variation < 0:
        return NO_ARM
    if counting.is_before_start(event.at_us):
        return BEFORE
    if not is_trusted and counting.assign(value) != variation:
        return FORGED
    return ""
