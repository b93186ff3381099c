"""What senders are answered, and what of it is in the journal then."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollouts.config import Settings
from rollouts.ingest import answers, service
from rollouts.ingest.model import Answer, Source
from rollouts.ingest.understand import understand
from rollouts.quotas import Quotas
from tests.rollouts.ingest.make import (
    API_KEY,
    BROWSER_KEY,
    NOW,
    SERVER_KEY,
    Parts,
    basic,
    events_of,
    frames_of,
    growthbook,
    segment,
)

CONTACT = {"type": "track", "event": "Contact Opened", "userId": "u1", "messageId": "m1"}
VIEWED = {"event_name": "Experiment Viewed", "device_id": "u1", "properties_json": {}}


def said(answer: Answer) -> Any:
    """The answer's body."""
    return json.loads(answer.body)


def test_a_good_batch_is_stored_as_it_came(parts: Parts) -> None:
    """The journal keeps the senders' own bytes, whose key they came with and when."""
    raw = b'{"batch":[ {"type":"track", "event":"E","userId":"u1","x":1.50} ],"sentAt":"2026-05-14T09:59:00Z"}'

    answer = segment(parts, raw)

    assert (answer.status, said(answer)) == (200, {"success": True, "accepted": 1, "rejected": []})
    (frame,) = frames_of(parts)
    assert frame.events == b'[{"type":"track", "event":"E","userId":"u1","x":1.50}]'
    assert (frame.source, frame.is_trusted, frame.environment_id) == (Source.SEGMENT, True, 1)
    assert (frame.key_id, frame.received_at, frame.n_events) == ("id-wk", NOW, 1)
    assert frame.sent_at is not None
    assert frame.sent_at.isoformat() == "2026-05-14T09:59:00+00:00"


def test_bad_events_are_named_and_the_good_ones_kept(parts: Parts) -> None:
    """One bad event does not cost the batch; its place, id and reason are in the answer."""
    batch = [CONTACT, {**CONTACT, "event": 7, "messageId": "m2"}, {"type": "track"}, CONTACT]

    answer = segment(parts, {"batch": batch})

    body = said(answer)
    assert (answer.status, body["success"], body["accepted"]) == (200, True, 2)
    assert [(item["index"], item["messageId"]) for item in body["rejected"]] == [
        (1, "m2"),
        (2, None),
    ]
    assert "event" in body["rejected"][0]["reason"]
    assert body["rejected"][1]["reason"] == "a track call needs the name of its event"
    assert events_of(parts) == [CONTACT, CONTACT]


def test_an_empty_batch_is_a_success_of_nothing(parts: Parts) -> None:
    """There is nothing to store and nothing wrong."""
    answer = segment(parts, {"batch": []})

    assert (answer.status, said(answer)["accepted"]) == (200, 0)
    assert parts.journal.end() == 0


def test_a_batch_without_one_usable_event_is_refused(parts: Parts) -> None:
    """A sender that gets everything wrong must not see a success."""
    answer = segment(parts, {"batch": [{"type": "track"}, 3]})

    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert said(answer)["code"] == "nothing_usable"
    assert [item["index"] for item in said(answer)["rejected"]] == [0, 1]
    assert parts.journal.end() == 0


@pytest.mark.parametrize("kind", ["track", "identify", "page", "screen", "group", "alias"])
def test_a_single_call_takes_its_type_from_the_path(parts: Parts, kind: str) -> None:
    """`/v1/identify` needs no `type`, and a wrong one does not matter."""
    answer = segment(parts, {"event": "E", "userId": "u1", "type": "whatever"}, kind)

    assert answer.status == 200
    assert [event["type"] for event in events_of(parts)] == [kind]


def test_write_keys_in_bodies_do_not_reach_the_journal(parts: Parts) -> None:
    """The key may come in the body, of the batch or of the event; it is never stored."""
    inside = {**CONTACT, "writeKey": SERVER_KEY}
    answers_ = [
        segment(parts, {"batch": [inside], "writeKey": SERVER_KEY}, authorization=""),
        segment(parts, inside, "track", authorization=""),
    ]

    assert [answer.status for answer in answers_] == [200, 200]
    assert all(SERVER_KEY.encode() not in frame.events for frame in frames_of(parts))
    assert events_of(parts) == [CONTACT, CONTACT]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (basic(SERVER_KEY), 200),
        (f"Bearer {SERVER_KEY}", 200),
        (f"bearer  {BROWSER_KEY}", 200),
        ("", 401),
        (basic("wrong"), 401),
        ("Digest x", 401),
        ("Basic ???", 400),
        ("Basic /w==", 400),
        (basic(API_KEY), 403),
    ],
)
def test_only_write_keys_may_send(parts: Parts, authorization: str, status: int) -> None:
    """Basic, Bearer or body; an API key is told which key to make."""
    assert segment(parts, {"batch": [CONTACT]}, authorization=authorization).status == status


def test_browser_keys_are_not_believed(parts: Parts) -> None:
    """A key that lies in pages makes untrusted events, and so does every client key."""
    segment(parts, {"batch": [CONTACT]}, authorization=basic(BROWSER_KEY))
    growthbook(parts, [VIEWED])

    assert [frame.is_trusted for frame in frames_of(parts)] == [False, False]


def test_tracking_plugins_get_exactly_200_and_any_origin(parts: Parts) -> None:
    """The Python plugin takes every other status for a failure; pages need the CORS header."""
    answer = growthbook(parts, [VIEWED, {"event_name": ""}, {"event_name": 3}])

    assert (answer.status, said(answer)["accepted"]) == (200, 1)
    assert [item["index"] for item in said(answer)["rejected"]] == [1, 2]
    assert answer.headers == answers.ANY_ORIGIN
    (frame,) = frames_of(parts)
    assert (frame.source, frame.environment_id, frame.key_id) == (Source.GROWTHBOOK, 2, "sdk-page")


def test_pages_can_read_why_they_were_refused(parts: Parts) -> None:
    """Refusals carry the CORS header too."""
    refused = [growthbook(parts, [], client_key="sdk-none"), growthbook(parts, b"{}")]

    assert [answer.status for answer in refused] == [401, 400]
    assert all("Access-Control-Allow-Origin" in answer.headers for answer in refused)


def nested(levels: int) -> bytes:
    """An event whose properties are nested so deep."""
    return (
        b'{"type":"track","event":"E","userId":"u","properties":{"a":'
        + b"[" * levels
        + b"]" * levels
        + b"}}"
    )


BAD_EVENTS: dict[str, bytes] = {
    "no object": b"3",
    "null": b"null",
    "no type": b'{"event":"E","userId":"u"}',
    "unknown type": b'{"type":"delete","userId":"u"}',
    "no id": b'{"type":"track","event":"E"}',
    "empty ids": b'{"type":"track","event":"E","userId":"","anonymousId":""}',
    "id an object": b'{"type":"track","event":"E","userId":{"a":1}}',
    "id true": b'{"type":"track","event":"E","userId":true}',
    "long id": b'{"type":"track","event":"E","userId":"' + b"u" * 201 + b'"}',
    "long name": b'{"type":"track","userId":"u","event":"' + b"e" * 201 + b'"}',
    "properties a list": b'{"type":"track","event":"E","userId":"u","properties":[]}',
    "no time": b'{"type":"track","event":"E","userId":"u","timestamp":"yesterday"}',
    "impossible time": b'{"type":"track","event":"E","userId":"u","timestamp":"2026-02-30T00:00:00Z"}',
    "first of all times": b'{"type":"track","event":"E","userId":"u","timestamp":"0001-01-01T00:00:00+12:00"}',
    "25 hours ahead": b'{"type":"track","event":"E","userId":"u","timestamp":"2026-05-15T11:00:00Z"}',
    "91 days ago": b'{"type":"track","event":"E","userId":"u","timestamp":"2026-02-12T10:00:00Z"}',
    "NUL in an id": b'{"type":"track","event":"E","userId":"u\\u0000"}',
    "NUL in a property": b'{"type":"track","event":"E","userId":"u","properties":{"a":["\\u0000"]}}',
    "33 levels": nested(31),
    "500 levels": nested(500),
    "larger than an event may be": b'{"type":"track","event":"E","userId":"u","properties":{"a":"'
    + b"x" * 32_000
    + b'"}}',
    "5,000 digits": b'{"type":"track","event":"E","userId":"u","properties":{"a":'
    + b"9" * 5_000
    + b"}}",
    "a number past any double": b'{"type":"track","event":"E","userId":"u","properties":{"a":1e999}}',
    "NUL byte in a text": b'{"type":"track","event":"E","userId":"u","properties":{"a":"\x00"}}',
}
# The whole body cannot be read where these stand, so no event of it can be kept.
UNREADABLE = ("NUL byte in a text",)


@pytest.mark.parametrize("name", BAD_EVENTS)
def test_each_bad_event_is_named_and_costs_no_other(parts: Parts, name: str) -> None:
    """Never a 500: the event is named with a reason, the good one beside it is stored."""
    body = b'{"batch":[' + BAD_EVENTS[name] + b"," + json.dumps(CONTACT).encode() + b"]}"

    answer = segment(parts, body)

    if name in UNREADABLE:
        assert (answer.status, said(answer)["code"]) == (400, "malformed")
        assert parts.journal.end() == 0
        return
    assert answer.status == 200
    assert [item["index"] for item in said(answer)["rejected"]] == [0]
    assert said(answer)["rejected"][0]["reason"]
    assert events_of(parts) == [CONTACT]


@pytest.mark.parametrize("name", [name for name in BAD_EVENTS if not name.endswith(" type")])
def test_each_bad_event_alone_is_refused(parts: Parts, name: str) -> None:
    """On the path for one event there is nothing else to keep."""
    answer = segment(parts, BAD_EVENTS[name], "track")

    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert parts.journal.end() == 0


BAD_BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no JSON": (b"hello", 400),
    "half a body": (b'{"batch":[{"type":"track"', 400),
    "a list": (b"[]", 400),
    "no batch": (b"{}", 400),
    "batch no list": (b'{"batch":{}}', 400),
    "NaN": (b'{"batch":[{"type":"track","event":"E","userId":"u","properties":{"a":NaN}}]}', 400),
    "a lone surrogate": (b'{"batch":[{"type":"track","event":"E","userId":"\\ud800"}]}', 400),
    "no UTF-8": (b'{"batch":[{"type":"track","event":"E","userId":"\xff"}]}', 400),
    "deep nesting": (b'{"batch":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "10 MB": (b'{"batch":[' + b" " * 10_000_000 + b"]}", 413),
    "one byte too many": (b'{"batch":[' + b" " * (500_001 - 12) + b"]}", 413),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_each_bad_body_has_a_defined_answer(parts: Parts, name: str) -> None:
    """Never a 500, never a half-stored request."""
    body, status = BAD_BODIES[name]

    answer = segment(parts, body)

    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert said(answer)["status"] == status
    assert parts.journal.end() == 0


@pytest.mark.parametrize(
    "name", [name for name in BAD_BODIES if name not in ("a list", "no batch")]
)
def test_tracking_bodies_have_defined_answers_too(parts: Parts, name: str) -> None:
    """The tracking endpoint wants a list, and refuses all else the same way."""
    body, status = BAD_BODIES[name]

    assert growthbook(parts, body).status == status


def test_the_largest_body_is_taken(parts: Parts) -> None:
    """The limit itself is allowed."""
    body = b'{"batch":[' + json.dumps(CONTACT).encode()
    body += b" " * (500_000 - len(body) - 2) + b"]}"

    assert (len(body), segment(parts, body).status) == (500_000, 200)


def test_a_text_that_merely_spells_nul_is_kept(parts: Parts) -> None:
    """A backslash before `\\u0000` makes it six ordinary characters."""
    body = b'{"batch":[{"type":"track","event":"E","userId":"u","properties":{"a":"\\\\u0000"}}]}'

    assert segment(parts, body).status == 200
    assert events_of(parts)[0]["properties"] == {"a": "\\u0000"}


def test_brackets_in_texts_are_no_nesting(parts: Parts) -> None:
    """Only real levels count against the limit."""
    event = {**CONTACT, "properties": {"a": "[{" * 200, "b": [[] for _ in range(50)]}}

    assert segment(parts, {"batch": [event]}).status == 200


PLAIN = json.dumps({"batch": [CONTACT]}).encode()


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(PLAIN, mtime=0), 200),
        ("GZIP", gzip.compress(PLAIN, mtime=0), 200),
        ("identity", PLAIN, 200),
        ("gzip", PLAIN, 400),
        ("gzip", gzip.compress(PLAIN, mtime=0)[:-9], 400),
        ("gzip", gzip.compress(PLAIN, mtime=0)[:-4] + b"....", 400),
        ("gzip", gzip.compress(PLAIN, mtime=0) * 2, 400),
        ("gzip", gzip.compress(b" " * 10_000_000), 413),
        ("deflate", zlib.compress(PLAIN), 415),
        ("br", PLAIN, 415),
        ("gzip, gzip", gzip.compress(gzip.compress(PLAIN, mtime=0)), 415),
    ],
)
def test_packed_bodies_are_counted_unpacked(
    parts: Parts, encoding: str, body: bytes, status: int
) -> None:
    """gzip is taken up to the same limit; broken, doubled and other packings are refused."""
    assert segment(parts, body, content_encoding=encoding).status == status


def test_a_very_wrong_clock_is_set_right(parts: Parts) -> None:
    """A device that lives in 1970 says how long before the sending it happened: that counts."""
    event = {**CONTACT, "timestamp": "1970-01-01T00:04:00Z"}

    fine = segment(parts, {"batch": [event], "sentAt": "1970-01-01T00:05:00Z"})
    absurd = segment(parts, {"batch": [event], "sentAt": "9999-12-31T23:59:59Z"})

    assert (fine.status, absurd.status) == (200, 400)


def test_refused_events_are_named_up_to_a_bound(parts: Parts) -> None:
    """An answer stays smaller than what it answers."""
    answer = segment(parts, {"batch": [CONTACT, *[3] * 1_500]})

    assert len(said(answer)["rejected"]) == answers.NAMED_MAX
    assert said(answer)["rejected_count"] == 1_500


def test_a_journal_that_cannot_write_is_no_success(parts: Parts) -> None:
    """Whoever is not stored is told to come back, with a time."""
    parts.journal.close()

    answer = segment(parts, {"batch": [CONTACT]})

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


def test_many_requests_wait_for_few_commits_without_threads(parts: Parts) -> None:
    """An asyncio server stores the same frames with the same answers."""

    async def send(number: int) -> Answer:
        event = {**CONTACT, "messageId": str(number)}
        taken = service.take_segment(
            parts,
            kind="track",
            authorization=basic(SERVER_KEY),
            body=json.dumps(event).encode(),
            content_encoding="",
            now=NOW,
        )
        return await service.store_async(parts, taken)

    async def send_all() -> list[Answer]:
        return await asyncio.gather(*(send(number) for number in range(200)))

    assert {answer.status for answer in asyncio.run(send_all())} == {200}
    assert {event["messageId"] for event in events_of(parts)} == {str(n) for n in range(200)}


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
shallow = leaves | st.lists(leaves, max_size=3) | st.dictionaries(st.text(), leaves, max_size=3)
json_values = (
    shallow | st.lists(shallow, max_size=3) | st.dictionaries(st.text(), shallow, max_size=3)
)
members = st.sampled_from(
    ["type", "event", "userId", "anonymousId", "messageId", "timestamp", "properties", "context"]
)
any_event = st.dictionaries(members, json_values | st.just("track"), max_size=8) | json_values


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(any_event, max_size=4), st.binary(max_size=30))
def test_no_body_whatsoever_breaks_anything(parts: Parts, batch: list[Any], noise: bytes) -> None:
    """Whatever is sent, the answer is 200 or 400, and what is stored can be understood."""
    for body in (json.dumps({"batch": batch}).encode(), json.dumps(batch).encode(), noise):
        for answer in (segment(parts, body), growthbook(parts, body), segment(parts, body, "page")):
            assert answer.status in (200, 400)
            said(answer)
    for frame in frames_of(parts):
        assert len(understand(frame)) == frame.n_events


def test_a_key_over_its_limit_is_told_when_to_come_back(parts: Parts) -> None:
    """429 with a time, for every way in; nothing of it is stored, and later it is taken."""
    parts.quotas = Quotas(Settings(ingest_key_requests_per_second=2, ingest_burst_seconds=1.0))

    def send(now: datetime) -> list[Answer]:
        return [
            segment(parts, {"batch": [CONTACT]}, now=now),
            segment(parts, {**CONTACT, "writeKey": SERVER_KEY}, "track", authorization="", now=now),
            segment(parts, {"batch": [CONTACT]}, now=now),
            *(growthbook(parts, [VIEWED], now=now) for _ in range(3)),
        ]

    first, later = send(NOW), send(NOW + timedelta(seconds=1))

    for held in (first, later):
        assert [answer.status for answer in held] == [200, 200, 429, 200, 200, 429]
    assert [answer.headers["Retry-After"] for answer in first if answer.status == 429] == ["1"] * 2
    assert first[5].headers["Access-Control-Allow-Origin"] == "*"
    assert said(first[2])["code"] == "too_many"
    assert parts.journal.end() == 8


def test_events_in_public_use_up_a_public_keys_quota(parts: Parts) -> None:
    """Good and bad events cost alike; a server's key has a larger quota of its own."""
    parts.quotas = Quotas(Settings(browser_key_events_per_second=2, ingest_burst_seconds=1.0))
    many = [VIEWED, {"event_name": ""}, VIEWED]

    assert [growthbook(parts, many).status for _ in range(2)] == [200, 429]
    browser = basic(BROWSER_KEY)
    batch = {"batch": [CONTACT, 3, CONTACT]}
    assert [segment(parts, batch, authorization=browser).status for _ in range(2)] == [200, 429]
    assert [segment(parts, batch).status for _ in range(2)] == [200, 200]
