"""From stored frames to what they say: exposures, happenings, and events that count for nothing.

Pure: the same frame is always understood the same way, so folding may be repeated. Which
rollout and which unit an event is about is for the ledger to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from math import isfinite
from typing import Any

import msgspec

from rollouts.ingest import evaluations, wire
from rollouts.ingest.evaluations import LogRecord
from rollouts.ingest.intake import happened_at
from rollouts.ingest.model import EPOCH, Drop, Exposure, Frame, Happening, Source, Who, to_us
from rollouts.ingest.times import Clock
from rollouts.ingest.wire import NAME_MAX, GrowthbookEvent, SegmentEvent

Understood = Exposure | Happening | Drop

EXPOSURE_NAMES = frozenset({"experimentviewed"})
EVALUATION_NAMES = frozenset({"featureevaluated"})
ROLLOUT_MEMBERS = ("experiment_id", "experimentId", "experiment_key", "experimentKey")
VARIATION_MEMBERS = (
    "variation_key",  # first: where this is sent, `variation_id` is only an index
    "variationKey",
    "variation_id",
    "variationId",
    "variant_id",
    "variantId",
    "variation",
    "variant",
    "variation_name",
    "variationName",
)
PROPERTIES_MAX = 100  # members of one event that metrics may filter by
# The Python plugin holds an exposure back for up to this long and sends no time with it. Taken at
# its arrival, it would come after quick outcomes that it caused; both arms are shifted alike.
HELD_US = to_us(EPOCH + timedelta(seconds=10))

SEGMENT_MAX = 100  # characters of a segment's value
TEXT_MAX = 1_000  # characters of such a member

ANY_AGE = timedelta.max  # too old was refused when it came; a later setting changes no history
NOTHING: Mapping[str, Any] = {}

_segment = msgspec.json.Decoder(list[SegmentEvent])
_growthbook = msgspec.json.Decoder(list[GrowthbookEvent])
_otlp = msgspec.json.Decoder(list[LogRecord])
_canonical = msgspec.json.Encoder(order="deterministic")


def understand(frame: Frame) -> list[Understood]:
    """What each event of a frame says, in order. Raises msgspec.DecodeError if it says nothing."""
    if frame.source is Source.GROWTHBOOK:
        at_us = to_us(frame.received_at)
        return [_of_growthbook(event, at_us) for event in _growthbook.decode(frame.events)]
    clock = Clock(frame.received_at, frame.sent_at, ANY_AGE)
    if frame.source is Source.OTLP:
        return [_of_otlp(record, clock) for record in _otlp.decode(frame.events)]
    scope = f"{frame.environment_id}|{int(frame.is_trusted)}|"
    return [_of_segment(event, clock, scope) for event in _segment.decode(frame.events)]


def _of_growthbook(event: GrowthbookEvent, at_us: int) -> Understood:
    kind = _kind(event.event_name)
    if kind in EVALUATION_NAMES:
        return Drop("a feature was evaluated")
    properties = event.properties_json or NOTHING
    who = Who(
        text_of(event.user_id),
        text_of(event.device_id),
        (event.context_json or NOTHING, properties),
        True,
    )
    if kind in EXPOSURE_NAMES:
        held = HELD_US if event.event_name.startswith("$$") else 0
        return _exposure(properties, who, at_us - held, None)
    return _happening(event.event_name, properties, NOTHING, "web", who, at_us, None)


def _of_segment(event: SegmentEvent, clock: Clock, scope: str) -> Understood:
    if event.type not in ("track", "page", "screen"):
        return Drop(f"a call of type {event.type}")
    name = event.event if event.type == "track" and event.event else event.type
    kind = _kind(name)
    if kind in EVALUATION_NAMES:
        return Drop("a feature was evaluated")
    at: datetime | None
    try:
        at = happened_at(event, clock)
    except ValueError as reason:
        return Drop(str(reason))
    properties, context = event.properties or NOTHING, event.context or NOTHING
    traits = context.get("traits")
    who = Who(
        text_of(event.user_id),
        text_of(event.anonymous_id),
        (traits if isinstance(traits, dict) else NOTHING, properties),
        False,
    )
    message = message_number(event, scope)
    if kind in EXPOSURE_NAMES:
        return _exposure(properties, who, to_us(at), message)
    channel = "web" if event.type == "page" else ""
    return _happening(name, properties, context, channel, who, to_us(at), message)


def _of_otlp(record: LogRecord, clock: Clock) -> Exposure | Drop:
    """A split, by its flag; the unit is whom the flag was asked for, or what is named like it."""
    if not evaluations.is_evaluation(record) or not evaluations.is_split(record):
        return Drop(evaluations.NOT_SPLIT)
    try:
        said = evaluations.read(record)
        at = clock.happened_at(evaluations.to_time(said.at_ns))
    except ValueError as reason:
        return Drop(str(reason))
    # Behind an empty map: `id` among a log's attributes is any thing's, never the unit's.
    who = Who(said.unit, said.unit, (NOTHING, said.attributes), False)
    return Exposure("", said.variation, to_us(at), who, "", "", None, said.flag)


def _kind(name: str) -> str:
    """A name without what its spellings differ in: case, spaces, underscores, `$$`.

    >>> {_kind(name) for name in ("Experiment Viewed", "$$experiment_viewed", "experimentViewed")}
    {'experimentviewed'}
    """
    if len(name) > 24:
        return ""
    return name.lower().replace("_", "").replace(" ", "").removeprefix("$$")


def _exposure(
    properties: Mapping[str, Any], who: Who, at_us: int, message: int | None
) -> Exposure | Drop:
    seen = Exposure(
        _first_text(properties, ROLLOUT_MEMBERS),
        _first_text(properties, VARIATION_MEMBERS),
        at_us,
        who,
        _first_text(properties, ("hash_attribute", "hashAttribute")),
        _first_text(properties, ("hash_value", "hashValue")),
        message,
    )
    fault = _fault_of(seen, properties)
    return Drop(fault, seen) if fault else seen


def _fault_of(seen: Exposure, properties: Mapping[str, Any]) -> str:
    """Why an exposure cannot count whatever rollout it is of, or an empty text."""
    if not seen.rollout:
        return "an exposure that names no experiment"
    for names in (("in_experiment", "inExperiment"), ("hash_used", "hashUsed")):
        if any(properties.get(name) is False for name in names):
            return "forced or not in the experiment"
    return "" if seen.variation else "an exposure that names no variation"


def _happening(
    name: str,
    properties: Mapping[str, Any],
    context: Mapping[str, Any],
    channel: str,
    who: Who,
    at_us: int,
    message: int | None,
) -> Happening:
    named = _first_text(properties, ("channel",)) or _first_text(context, ("channel",))
    return Happening(
        name,
        at_us,
        number_of(properties.get("value"), properties.get("revenue")),
        (named or channel)[:NAME_MAX],
        plain(properties),
        who,
        message,
    )


def _first_text(members: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of the named members that says something, as text."""
    for name in names:
        if text := text_of(members.get(name)):
            return text
    return ""


def text_of(held: object) -> str:
    """An id as text, numbers as JavaScript writes them; "" if it is no id.

    >>> text_of("u1"), text_of(8), text_of(8.0), text_of(None), text_of(True)
    ('u1', '8', '8', '', '')
    """
    if isinstance(held, str):
        return held if len(held) <= NAME_MAX else ""
    if isinstance(held, bool):
        return ""
    if isinstance(held, int):
        return str(held)
    if isinstance(held, float):
        return str(int(held)) if held.is_integer() and abs(held) < 2**53 else repr(held)
    return ""


def segment_of(attribute: str, who: Who) -> str:
    """What a unit is by an attribute sent with its exposure, as text; "" if it was not sent."""
    for members in who.named:
        held = members.get(attribute)
        if isinstance(held, bool):
            return "true" if held else "false"
        if text := text_of(held):
            return text[:SEGMENT_MAX]
    return ""


def number_of(*held: object) -> float | None:
    """The first that is a number a double can hold; texts are no numbers."""
    for item in held:
        if isinstance(item, int | float) and not isinstance(item, bool):
            try:
                value = float(item)
            except OverflowError:
                continue
            if isfinite(value):
                return value
    return None


def plain(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The members that a metric may filter by: short texts, numbers, truth values, nulls."""
    kept: dict[str, Any] = {}
    for name, held in properties.items():
        if len(kept) == PROPERTIES_MAX:
            break
        if len(name) <= NAME_MAX and _is_plain(held):
            kept[name] = held
    return kept


def _is_plain(held: object) -> bool:
    if isinstance(held, str):
        return len(held) <= TEXT_MAX
    if isinstance(held, int) and not isinstance(held, bool):
        return -(2**63) <= held < 2**63
    return held is None or isinstance(held, bool | float)


def message_number(event: SegmentEvent, scope: str) -> int | None:
    """What repeats of one message share: its id, or else its content with its own time.

    None where neither is sent: then every event counts. Trusted and untrusted senders have
    different numbers, so nobody can use up the id of a message that a server will send.
    """
    if wire.has_id(event.message_id):
        text = f"{scope}id|{event.message_id}".encode()
    elif event.timestamp is not None or event.original_timestamp is not None:
        text = f"{scope}content|".encode() + _canonical.encode(event)
    else:
        return None
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


def hasher_of_units(key: bytes) -> Callable[[str, str], int]:
    """A function from (attribute, value) to the number that a unit has in the store.

    A keyed hash, so that nobody who reads the store learns whom it is about.
    """
    base = blake2b(key=key, digest_size=8)

    def number(attribute: str, value: str) -> int:
        held = base.copy()
        held.update(f"{family_of(attribute)}|{value}".encode())
        return int.from_bytes(held.digest(), "big", signed=True)

    return number


USER_NAMES = frozenset({"user_id", "userId"})
DEVICE_NAMES = frozenset({"device_id", "deviceId", "anonymous_id", "anonymousId"})


def family_of(attribute: str) -> str:
    """One name for the spellings of one attribute."""
    if attribute in USER_NAMES:
        return "user_id"
    return "device_id" if attribute in DEVICE_NAMES else attribute


def value_for(attribute: str, who: Who) -> str:
    """Which unit of a rollout randomised by `attribute` an event is about; "" if none.

    An attribute sent under its own name wins; otherwise the ids that every event has.
    `properties.id` is not taken for the unit's id: it is mostly a product's or an order's.
    """
    family = family_of(attribute)
    if family == "user_id":
        return who.user
    if family == "device_id":
        return who.anonymous
    named = who.named[:1] if attribute == "id" else who.named
    for members in named:
        if attribute in members and (text := text_of(members[attribute])):
            return text
    return who.anonymous or who.user if who.is_device_first else who.user or who.anonymous
