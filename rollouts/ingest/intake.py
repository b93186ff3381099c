"""One request's events: read, told apart, and made into a frame. Pure: nothing is stored here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from rollouts.errors import Malformed
from rollouts.ingest import answers, wire
from rollouts.ingest.answers import Rejected
from rollouts.ingest.times import Clock, aware
from rollouts.ingest.wire import GrowthbookEvent, SegmentAlone, SegmentBatch, SegmentEvent


class _TypedBatch(msgspec.Struct):
    batch: list[SegmentEvent]


_envelope = msgspec.json.Decoder(SegmentBatch)
_alone = msgspec.json.Decoder(SegmentAlone)
_typed_batch = msgspec.json.Decoder(_TypedBatch)
_segment_event = msgspec.json.Decoder(SegmentEvent)
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_growthbook_list = msgspec.json.Decoder(list[GrowthbookEvent])
_growthbook_event = msgspec.json.Decoder(GrowthbookEvent)
_time = msgspec.json.Decoder(datetime)


@dataclass(slots=True)
class Sorted:
    """Usable events as they came, and the others with reasons."""

    good: list[bytes] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def reject(self, index: int, message_id: object, reason: str) -> None:
        """Name an event that cannot be used."""
        named = message_id if message_id is None else str(message_id)
        self.rejected.append(answers.rejection(index, named, reason))

    @property
    def n_all(self) -> int:
        """How many events came."""
        return len(self.good) + len(self.rejected)

    @property
    def as_json(self) -> bytes:
        """The usable events as one JSON array, in their senders' own bytes."""
        return b"[" + b",".join(self.good) + b"]"


@dataclass(frozen=True, slots=True)
class SegmentBody:
    """A Segment request's events and what else its body says."""

    raws: list[bytes]
    events: Sequence[SegmentEvent | str]  # or why one cannot be read
    sent_at: datetime | None
    write_key: str


def read_batch(body: bytes) -> SegmentBody:
    """The body of a batch call. Raises Malformed unless it has a list of events."""
    envelope = _read(_envelope.decode, body)
    raws = [bytes(raw) for raw in envelope.batch]
    try:
        events: Sequence[SegmentEvent | str] = _typed_batch.decode(body).batch
    except (msgspec.DecodeError, RecursionError):
        events = [wire.reading_of(_segment_event.decode, raw) for raw in raws]
    return SegmentBody(raws, events, _time_of(envelope.sent_at), _text_of(envelope.write_key))


def read_alone(body: bytes, kind: str) -> SegmentBody:
    """The body of a call for one event, which takes its type from the path."""
    alone = _read(_alone.decode, body)
    event = wire.reading_of(_segment_event.decode, body)
    raw = body
    if isinstance(event, SegmentEvent):
        raw = _without_key(body, type=kind)
        event.type = kind
    return SegmentBody([raw], [event], _time_of(alone.sent_at), _text_of(alone.write_key))


def sort_segment(read: SegmentBody, *, now: datetime, keep: timedelta, size_max: int) -> Sorted:
    """Tell usable events from others."""
    clock = Clock(now, read.sent_at, keep)
    held = Sorted()
    for index, (raw, event) in enumerate(zip(read.raws, read.events, strict=True)):
        if isinstance(event, str):
            held.reject(index, wire.message_id_of(raw), event)
            continue
        fault = (
            wire.fault_of_bytes(raw, size_max)
            or wire.fault_of_segment(event)
            or _fault_of_time(event, clock)
        )
        if fault:
            held.reject(index, event.message_id, fault)
        else:
            held.good.append(raw if event.write_key is None else _without_key(raw))
    return held


def sort_growthbook(body: bytes, *, size_max: int) -> Sorted:
    """Tell usable events from others. Raises Malformed unless the body is a list."""
    raws = [bytes(raw) for raw in _read(_raw_list.decode, body)]
    try:
        events: Sequence[GrowthbookEvent | str] = _growthbook_list.decode(body)
    except (msgspec.DecodeError, RecursionError):
        events = [wire.reading_of(_growthbook_event.decode, raw) for raw in raws]
    held = Sorted()
    for index, (raw, event) in enumerate(zip(raws, events, strict=True)):
        if isinstance(event, str):
            fault = event
        else:
            fault = wire.fault_of_bytes(raw, size_max) or wire.fault_of_growthbook(event)
        if fault:
            held.reject(index, None, fault)
        else:
            held.good.append(raw)
    return held


def _fault_of_time(event: SegmentEvent, clock: Clock) -> str:
    if event.timestamp is None and event.original_timestamp is None:
        return ""
    try:
        happened_at(event, clock)
    except ValueError as reason:
        return str(reason)
    return ""


def happened_at(event: SegmentEvent, clock: Clock) -> datetime:
    """The event's time by our clock. Raises ValueError with the reason to refuse it.

    A relay that passes events on adds a `timestamp` it has corrected to the `originalTimestamp`.
    """
    is_corrected = (
        event.timestamp is not None
        and event.original_timestamp is not None
        and aware(event.timestamp) != aware(event.original_timestamp)
    )
    return clock.happened_at(event.timestamp or event.original_timestamp, is_corrected=is_corrected)


def _without_key(raw: bytes, **members: Any) -> bytes:
    """The event without its write key: secrets do not belong in the journal."""
    held = msgspec.json.decode(raw)
    held.pop("writeKey", None)
    return msgspec.json.encode({**held, **members})


def _read(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except msgspec.DecodeError as wrong:
        raise Malformed(f"The body cannot be read: {wrong}.") from None


def _time_of(held: Any) -> datetime | None:
    """When the sender says it sent; anything that is no time counts as not said."""
    if not isinstance(held, str):
        return None
    try:
        return aware(_time.decode(msgspec.json.encode(held)))
    except msgspec.DecodeError:
        return None


def _text_of(held: Any) -> str:
    return held if isinstance(held, str) else ""
