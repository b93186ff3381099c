"""Flag evaluations as OpenTelemetry tells of them, and which of them show a unit its variation.

A record is kept as OTLP's JSON writes it, whichever encoding it came in: 64-bit numbers as
texts, attributes as a list. An evaluation is no exposure: only where the reason is `split` was
the value chosen by the unit's share of a rollout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from rollouts.ingest.model import from_us
from rollouts.ingest.wire import NAME_MAX

EVENT_NAMES = frozenset({"feature_flag.evaluation", "feature_flag"})
PREFIX = "feature_flag."
KEY = PREFIX + "key"
VARIANTS = (PREFIX + "result.variant", PREFIX + "variant")
REASONS = (PREFIX + "result.reason", PREFIX + "evaluation.reason")
UNIT = PREFIX + "context.id"
SPLIT = "split"
READ = frozenset({KEY, UNIT, *VARIANTS, *REASONS})
ATTRIBUTES_MAX = 100
TEXT_MAX = 1_000
TIME_DIGITS = 20  # of 64 bits
NOT_SPLIT = "an evaluation that was no split"

Plain = str | int | float | bool
Text64 = str | int | None  # a 64-bit number, which JSON writes as a text


class AnyValue(msgspec.Struct, rename="camel", omit_defaults=True):
    """A value of an attribute; lists and maps are not read."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Text64 = None
    double_value: float | str | None = None  # a text where it is no number: NaN, Infinity

    @property
    def plain(self) -> Plain | None:
        """The value itself, if it is one that says something."""
        if self.int_value is not None:
            return number_in(self.int_value)
        for held in (self.string_value, self.bool_value, self.double_value):
            if held is not None:
                return held
        return None


class KeyValue(msgspec.Struct, omit_defaults=True):
    """One attribute."""

    key: str = ""
    value: AnyValue | None = None


class LogRecord(msgspec.Struct, rename="camel", omit_defaults=True):
    """One log record, as much of it as matters here."""

    time_unix_nano: Text64 = None
    observed_time_unix_nano: Text64 = None
    event_name: str = ""
    attributes: list[KeyValue] = []


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A flag gave a unit the variation that its share chose."""

    flag: str
    variation: str
    unit: str
    at_ns: int | None  # None: the sender does not say
    attributes: Mapping[str, Any]  # what else the sender says of the unit


def is_evaluation(record: LogRecord) -> bool:
    """Whether the record is an event about a flag at all; older senders name it by attribute."""
    if record.event_name:
        return record.event_name in EVENT_NAMES
    return any(
        item.key == "event.name" and item.value is not None and item.value.plain in EVENT_NAMES
        for item in record.attributes
    )


def reasons_of(record: LogRecord) -> set[str]:
    """Why the value was what it was, in small letters; empty if the record does not say."""
    told = (item.value for item in record.attributes if item.key in REASONS)
    texts = (value.string_value for value in told if value is not None)
    return {text.lower() for text in texts if text}


def is_split(record: LogRecord) -> bool:
    """Whether a unit's share chose the value."""
    return SPLIT in reasons_of(record)


def read(record: LogRecord) -> Evaluation:
    """What a split says. Raises ValueError with the reason if it says too little."""
    members = {
        item.key: held
        for item in record.attributes
        if item.value is not None and (held := item.value.plain) is not None
    }
    flag, unit = text_in(members.get(KEY)), text_in(members.get(UNIT))
    variation = next((text for name in VARIANTS if (text := text_in(members.get(name)))), "")
    for held, name in ((flag, KEY), (unit, UNIT), (variation, VARIANTS[0])):
        if not held:
            raise ValueError(f"it has no {name}, or too long a one")
    rest = {name: held for name, held in members.items() if not name.startswith(PREFIX)}
    return Evaluation(flag, variation, unit, _time_of(record), rest)


def _time_of(record: LogRecord) -> int | None:
    for held in (record.time_unix_nano, record.observed_time_unix_nano):
        if held is None or held == "":
            continue
        ns = number_in(held)
        if ns is None or ns < 0:
            raise ValueError("its time is no number of nanoseconds")
        if ns:  # 0 is how the format says unknown
            return ns
    return None


def to_time(at_ns: int | None) -> datetime | None:
    """The time that a record names, to the microsecond."""
    return from_us(at_ns // 1_000) if at_ns is not None else None


def without_the_rest(record: LogRecord) -> LogRecord:
    """The record with what is read of it, now or by a later release, and nothing bulky."""
    kept = [
        item for item in record.attributes if item.key in READ or not item.key.startswith(PREFIX)
    ]
    return LogRecord(
        record.time_unix_nano,
        record.observed_time_unix_nano,
        record.event_name,
        [item for item in kept if _is_small(item)][:ATTRIBUTES_MAX],
    )


def _is_small(item: KeyValue) -> bool:
    held = item.value.plain if item.value is not None else None
    return len(item.key) <= NAME_MAX and held is not None and len(str(held)) <= TEXT_MAX


def number_in(held: str | int) -> int | None:
    """The 64-bit number that a text holds.

    >>> number_in("-17"), number_in(17), number_in("1e3"), number_in("9" * 30)
    (-17, 17, None, None)
    """
    if isinstance(held, int):
        return held if abs(held) < 10**TIME_DIGITS else None
    digits = held.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= TIME_DIGITS
    return int(held) if is_number else None


def text_in(held: object) -> str:
    """A name or id as text; "" if it is none or longer than any of ours."""
    if isinstance(held, str):
        return held if len(held) <= NAME_MAX else ""
    return str(held) if isinstance(held, int) and not isinstance(held, bool) else ""
