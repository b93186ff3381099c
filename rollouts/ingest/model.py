"""What arrives, what is kept of it, and how each event was understood.

The small records here are msgspec structs: one is made per event, and they cost a fifth of a
frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_us(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    """The time that `to_us` gave."""
    return EPOCH + us * MICROSECOND


class Source(StrEnum):
    """Whose wire format a frame's events are in."""

    SEGMENT = "segment"
    GROWTHBOOK = "growthbook"
    OTLP = "otlp"  # log records as its JSON writes them


@dataclass(frozen=True, slots=True)
class Frame:
    """Accepted events of one request: a JSON array in the source's own format."""

    source: Source
    events: bytes
    n_events: int
    is_trusted: bool
    environment_id: int  # 0: the key is good for every environment
    key_id: str
    received_at: datetime
    sent_at: datetime | None = None  # by the sender's clock; None: unknown


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame as read back: the events after `start` up to and including `end`.

    Offsets count events, so `end - start` is their number and a gap shows at once.
    """

    start: int
    end: int
    frame: Frame | None  # None if it is damaged or missing
    fault: str = ""  # why, in words

    @property
    def n_events(self) -> int:
        """Events that this entry stands for, readable or not."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that any server can send."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Who(msgspec.Struct, frozen=True):
    """Every name an event gives its unit."""

    user: str  # "" if there is none
    anonymous: str
    named: tuple[Mapping[str, Any], ...]  # traits, then properties: attributes by their own name
    is_device_first: bool  # GrowthBook puts the attribute `id` among device ids


class Exposure(msgspec.Struct, frozen=True):
    """A unit was seen to get a variation."""

    rollout: str
    variation: str  # key, index or name, as it was sent
    at_us: int  # microseconds since 1970, by our clock
    who: Who
    hash_attribute: str  # "" if the sender does not say
    hash_value: str
    message: int | None  # repeats carry the same number
    flag: str = ""  # named instead of the rollout, which is then the one live on it


class Happening(msgspec.Struct, frozen=True):
    """Something happened to a unit that a metric may count."""

    name: str
    at_us: int
    value: float | None
    channel: str
    properties: dict[str, Any]
    who: Who
    message: int | None


class Drop(msgspec.Struct, frozen=True):
    """An event that counts for nothing, and why."""

    reason: str
    exposure: Exposure | None = None  # as far as it is understood, if it was to be one
