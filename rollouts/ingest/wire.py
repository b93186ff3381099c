"""The two wire formats as types, and what makes a single event unusable.

Segment's events are camelCase, GrowthBook's snake_case; members that are not named here are
kept in the journal and ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from rollouts.web.json_bytes import MAX_DEPTH

NAME_MAX = 200
Name = Annotated[str, msgspec.Meta(max_length=NAME_MAX)]
Id = Annotated[str, msgspec.Meta(max_length=NAME_MAX)] | int | None
Members = dict[str, Any] | None

# Our own pattern, linear: a run of backslashes is entered at its first one only.
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

SEGMENT_KINDS = frozenset({"track", "identify", "page", "screen", "group", "alias"})


class SegmentEvent(msgspec.Struct, rename="camel", gc=False):
    """One call of Segment's HTTP API."""

    type: Name = ""
    event: Name | None = None
    name: Name | None = None
    user_id: Id = None
    anonymous_id: Id = None
    message_id: Id = None
    timestamp: datetime | None = None
    original_timestamp: datetime | None = None
    properties: Members = None
    traits: Members = None
    context: Members = None
    write_key: str | None = None


class SegmentBatch(msgspec.Struct, rename="camel"):
    """The body of a batch call, its events still unread."""

    batch: list[msgspec.Raw]
    sent_at: Any = None
    write_key: Any = None


class SegmentAlone(msgspec.Struct, rename="camel"):
    """What the body of a call for one event says about the request."""

    sent_at: Any = None
    write_key: Any = None


class GrowthbookEvent(msgspec.Struct, gc=False):
    """One event of GrowthBook's tracking plugins."""

    event_name: Name
    properties_json: Members = None
    user_id: Id = None
    device_id: Id = None
    context_json: Members = None
    url: str | None = None


Event = TypeVar("Event", SegmentEvent, GrowthbookEvent)


def fault_of_segment(event: SegmentEvent) -> str:
    """Why this event cannot be used, or an empty text."""
    if event.type not in SEGMENT_KINDS:
        return f"its type is none of {', '.join(sorted(SEGMENT_KINDS))}"
    if event.type == "track" and not event.event:
        return "a track call needs the name of its event"
    if not has_id(event.user_id) and not has_id(event.anonymous_id):
        return "it has neither userId nor anonymousId"
    return ""


def fault_of_growthbook(event: GrowthbookEvent) -> str:
    """Why this event cannot be used, or an empty text."""
    return "" if event.event_name else "event_name is empty"


def has_id(held: str | int | None) -> bool:
    """Whether an id says anything: 0 does, an empty text does not."""
    return held is not None and held != ""


def fault_of_bytes(raw: bytes, size_max: int) -> str:
    """What is wrong with an event whatever it means: its size, its depth, or a NUL in it."""
    if len(raw) > size_max:
        return f"it is larger than {size_max:,} bytes"
    if rb"\u0000" in raw and NUL.search(raw):
        return "it contains the character NUL, which cannot be stored"
    # Counting brackets is cheap; only what has enough of them for the limit is measured.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        return f"it is nested deeper than {MAX_DEPTH} levels"
    return ""


def _depth(raw: bytes) -> int:
    """Levels of nesting; a body that cannot be read counts as too deep."""
    try:
        level: list[Any] = [msgspec.json.decode(raw)]
    except RecursionError:
        return MAX_DEPTH + 1
    depth = 0
    while level and depth <= MAX_DEPTH:
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        depth += 1
    return depth


class _JustId(msgspec.Struct, rename="camel"):
    message_id: Any = None


def message_id_of(raw: bytes) -> str | None:
    """The id of an event that could not be read, so that its sender can find it."""
    try:
        held = msgspec.json.decode(raw, type=_JustId).message_id
    except (msgspec.DecodeError, RecursionError):
        return None
    return held[:NAME_MAX] if isinstance(held, str) else None


def reading_of(decode: Callable[[bytes], Event], raw: bytes) -> Event | str:
    """The event, or why it cannot be read."""
    try:
        return decode(raw)
    except RecursionError:
        return f"it is nested deeper than {MAX_DEPTH} levels"
    except msgspec.DecodeError as wrong:
        return f"it cannot be read: {wrong}"
