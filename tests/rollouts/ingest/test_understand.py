"""What stored events say, case by case and by their laws."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.ingest.model import Drop, Exposure, Frame, Happening, Source, Who, from_us, to_us
from rollouts.ingest.understand import hasher_of_units, number_of, plain, understand, value_for

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "ingest_events.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text())
RECEIVED = datetime(2026, 5, 14, 10, 0, tzinfo=UTC)


def frame_of(
    *events: dict[str, Any],
    source: str = "segment",
    sent_at: str | None = None,
    is_trusted: bool = True,
    environment_id: int = 1,
) -> Frame:
    """Events as the journal keeps them, received at ten o'clock."""
    return Frame(
        Source(source),
        msgspec.json.encode(events),
        len(events),
        is_trusted,
        environment_id,
        "key",
        RECEIVED,
        datetime.fromisoformat(sent_at) if sent_at else None,
    )


def shown(event: Any) -> dict[str, Any]:
    """An understood event in the form of the golden cases."""
    if isinstance(event, Drop):
        rollout = event.exposure.rollout if event.exposure else ""
        return {"kind": "drop", "reason": event.reason, "rollout": rollout}
    both = {
        "user": event.who.user,
        "anonymous": event.who.anonymous,
        "at": from_us(event.at_us).isoformat().replace("+00:00", "Z"),
        "has_message": event.message is not None,
    }
    if isinstance(event, Exposure):
        names = ("rollout", "variation", "hash_attribute", "hash_value")
        flag = {"flag": event.flag} if event.flag else {}
        return {
            "kind": "exposure",
            **{name: getattr(event, name) for name in names},
            **both,
            **flag,
        }
    names = ("name", "value", "channel", "properties")
    return {"kind": "happening", **{name: getattr(event, name) for name in names}, **both}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_golden_cases_are_understood_as_written_down(case: dict[str, Any]) -> None:
    """Each wire format's events, in all their spellings, mean what the golden file says."""
    frame = frame_of(case["event"], source=case["source"], sent_at=case.get("sent_at"))

    (event,) = understand(frame)

    assert shown(event) == case["understood"]


def message_of(event: dict[str, Any], **more: Any) -> int | None:
    """The number by which repeats of an event are known."""
    (held,) = understand(frame_of({"type": "track", "event": "E", "userId": "u", **event}, **more))
    assert isinstance(held, Happening)
    return held.message


def test_a_message_id_is_the_same_message_whenever_it_is_sent() -> None:
    """A retry has another time of sending and still is the same message."""
    first = message_of({"messageId": "m1"}, sent_at="2026-05-14T09:00:00+00:00")

    assert first == message_of({"messageId": "m1"}, sent_at="2026-05-14T09:10:00+00:00")
    assert first != message_of({"messageId": "m2"})


def test_nobody_uses_up_a_trusted_message_with_a_public_key() -> None:
    """Trusted and untrusted messages with one id are two messages, as are two environments'."""
    numbers = {
        message_of({"messageId": "order-1"}),
        message_of({"messageId": "order-1"}, is_trusted=False),
        message_of({"messageId": "order-1"}, environment_id=2),
    }

    assert len(numbers) == 3


def test_without_id_the_content_and_its_time_make_the_message() -> None:
    """The same event with the same time is a repeat; with another time it is not."""
    first = {"timestamp": "2026-05-14T09:00:00Z", "properties": {"a": 1, "b": 2}}
    turned = {"properties": {"b": 2, "a": 1}, "timestamp": "2026-05-14T09:00:00Z"}
    later = {**first, "timestamp": "2026-05-14T09:00:01Z"}

    assert message_of(first) == message_of(turned)
    assert message_of(first) != message_of(later)


def test_without_id_and_time_every_event_counts() -> None:
    """Nothing tells such an event from a repeat, so none is taken for one."""
    assert message_of({}) is None


@pytest.mark.parametrize(
    ("attribute", "who", "expected"),
    [
        ("id", Who("u", "a", ({}, {}), False), "u"),
        ("id", Who("", "a", ({}, {}), False), "a"),
        ("id", Who("u", "d", ({}, {}), True), "d"),
        ("id", Who("u", "", ({}, {}), True), "u"),
        ("id", Who("u", "a", ({}, {"id": "product-7"}), False), "u"),
        ("id", Who("u", "a", ({"id": "t"}, {}), False), "t"),
        ("user_id", Who("", "a", ({}, {}), False), ""),
        ("userId", Who("u", "a", ({}, {}), False), "u"),
        ("device_id", Who("u", "a", ({}, {}), False), "a"),
        ("anonymousId", Who("u", "a", ({}, {}), False), "a"),
        ("company", Who("u", "a", ({"company": 7}, {"company": 8}), False), "7"),
        ("company", Who("u", "a", ({}, {"company": "c"}), False), "c"),
        ("company", Who("u", "a", ({}, {"company": None}), False), "u"),
        ("company", Who("", "", ({}, {}), False), ""),
    ],
)
def test_each_rollout_finds_its_own_unit_in_an_event(
    attribute: str, who: Who, expected: str
) -> None:
    """An attribute's own name wins, then the ids that its format has for it."""
    assert value_for(attribute, who) == expected


def test_units_are_hashed_by_key_and_attribute() -> None:
    """Spellings of an attribute agree; other attributes and other keys give other numbers."""
    number = hasher_of_units(b"k" * 32)

    assert number("user_id", "u") == number("userId", "u")
    assert number("user_id", "u") != number("id", "u")
    assert number("id", "u") != hasher_of_units(b"l" * 32)("id", "u")
    assert -(2**63) <= number("id", "u") < 2**63


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_times_survive_as_microseconds(at: datetime) -> None:
    """No time is rounded on its way through the journal."""
    assert from_us(to_us(at)) == at


def test_numbers_that_no_double_holds_are_no_values() -> None:
    """Huge integers and truth values never reach a sum."""
    assert number_of(10**400, True, "3", 4) == 4.0
    assert number_of(None, float("inf")) is None


def test_properties_are_kept_plain_and_few() -> None:
    """Lists, objects, long texts and huge numbers stay in the journal only."""
    kept = plain({"a": 1, "b": [1], "c": {"d": 1}, "e": "x" * 2_000, "f": 10**30, "g": True})

    assert kept == {"a": 1, "g": True}
    assert len(plain({str(number): number for number in range(500)})) == 100
