"""OTLP's logs and spans: what senders are answered in their own encoding, and what of it is kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from rollouts.config import Settings
from rollouts.ingest.model import Answer, Exposure, Source, from_us, to_us
from rollouts.ingest.otlp import Signal
from rollouts.ingest.understand import segment_of, understand, value_for
from rollouts.quotas import Quotas
from tests.rollouts.ingest.logs import (
    JSON,
    PROTOBUF,
    body_of,
    encoded,
    export,
    record,
    span,
    split,
)
from tests.rollouts.ingest.make import API_KEY, BROWSER_KEY, NOW, Parts, basic, frames_of

BOTH = pytest.mark.parametrize("encoding", [JSON, PROTOBUF])
SIGNALS = pytest.mark.parametrize("signal", Signal)
NOW_NS = to_us(NOW) * 1_000


def partial_of(answer: Answer, signal: Signal = Signal.LOGS) -> tuple[int, str]:
    """The rejected records or spans and the message of an answer, in either encoding."""
    if answer.content_type == PROTOBUF and signal is Signal.LOGS:
        logs = ExportLogsServiceResponse.FromString(answer.body).partial_success
        return logs.rejected_log_records, logs.error_message
    if answer.content_type == PROTOBUF:
        spans = ExportTraceServiceResponse.FromString(answer.body).partial_success
        return spans.rejected_spans, spans.error_message
    said = json.loads(answer.body).get("partialSuccess", {})
    name = {Signal.LOGS: "rejectedLogRecords", Signal.TRACES: "rejectedSpans"}[signal]
    return int(said.get(name, "0")), said.get("errorMessage", "")


def exposures_of(parts: Parts) -> list[Exposure]:
    """All exposures in the journal."""
    events = [event for frame in frames_of(parts) for event in understand(frame)]
    assert all(isinstance(event, Exposure) for event in events)
    return [event for event in events if isinstance(event, Exposure)]


@SIGNALS
@BOTH
def test_a_split_is_kept_and_all_else_let_go(parts: Parts, encoding: str, signal: Signal) -> None:
    """Only what showed a unit its variation is stored, the same in both encodings."""
    records = [
        split(ns=NOW_NS - 30_000_000_000),
        record(feature_flag__key="f", feature_flag__result__reason="static"),
        record("user.signed_in", user="u1"),
    ]

    answer = export(parts, records, encoding, signal)

    assert (answer.status, answer.content_type, partial_of(answer, signal)) == (
        200,
        encoding,
        (0, ""),
    )
    assert answer.body == (b"{}" if encoding == JSON else b"")
    (frame,) = frames_of(parts)
    assert (frame.source, frame.n_events, frame.is_trusted) == (Source.OTLP, 1, True)
    assert (frame.environment_id, frame.key_id, frame.received_at) == (1, "id-wk", NOW)
    (seen,) = exposures_of(parts)
    assert (seen.flag, seen.variation, seen.rollout) == ("new-checkout", "treatment", "")
    assert from_us(seen.at_us).isoformat() == "2026-05-14T09:59:30+00:00"
    assert {value_for(name, seen.who) for name in ("id", "user_id", "deviceId", "cart")} == {"u1"}


def test_both_encodings_and_signals_leave_the_same_in_the_journal(parts: Parts) -> None:
    """All are turned into what a log in JSON would have said, byte for byte."""
    sent = split(ns=NOW_NS - 1, plan="gold", n=7, is_new=True)
    for signal in Signal:
        for encoding in (JSON, PROTOBUF):
            export(parts, [sent], encoding, signal)

    (events,) = {frame.events for frame in frames_of(parts)}
    assert len(frames_of(parts)) == 4
    assert json.loads(events) == [sent]


OLDER: dict[str, Any] = {
    "feature_flag.key": "new-checkout",
    "feature_flag.variant": "treatment",
    "feature_flag.provider_name": "ofrep",
    "feature_flag.evaluation.reason": "SPLIT",
    "feature_flag.context.id": "u1",
}


@SIGNALS
@BOTH
@pytest.mark.parametrize("name", ["feature_flag", "feature_flag.evaluation"])
def test_older_spellings_say_the_same(
    parts: Parts, encoding: str, signal: Signal, name: str
) -> None:
    """As events of spans had them before there were events in logs."""
    answer = export(parts, [record(name, **OLDER)], encoding, signal)

    assert (answer.status, partial_of(answer, signal)) == (200, (0, ""))
    (seen,) = exposures_of(parts)
    assert (seen.flag, seen.variation, seen.who.user) == ("new-checkout", "treatment", "u1")


@BOTH
def test_a_span_is_rejected_once_however_many_of_its_events_are(
    parts: Parts, encoding: str
) -> None:
    """OTLP counts spans; the message counts evaluations. The good ones beside them are kept."""
    held = [span(split(""), split("u1"), split(variant="")), span(split("u2")), span()]
    request = {"resourceSpans": [{"scopeSpans": [{"spans": held}]}]}
    body = encoded(request, encoding, Signal.TRACES)

    n_rejected, message = partial_of(export(parts, body, encoding, Signal.TRACES), Signal.TRACES)

    assert (n_rejected, message[:23]) == (1, "2 evaluations refused. ")
    assert sorted(item.who.user for item in exposures_of(parts)) == ["u1", "u2"]


@SIGNALS
@BOTH
def test_who_names_no_reason_is_told_why_nothing_counts(
    parts: Parts, encoding: str, signal: Signal
) -> None:
    """Older hooks name flag and variant only, which does not say that a unit was divided."""
    bare = {name: OLDER[name] for name in OLDER if "reason" not in name}

    answer = export(parts, [record("feature_flag", **bare)], encoding, signal)

    n_rejected, message = partial_of(answer, signal)
    assert (n_rejected, message[:39]) == (0, "Without feature_flag.result.reason: 1. ")
    assert parts.journal.end() == 0


@SIGNALS
@BOTH
def test_repeats_in_a_request_are_kept_once(parts: Parts, encoding: str, signal: Signal) -> None:
    """An evaluation in a loop is one exposure, at its first time; each unit has its own."""
    times = [NOW_NS - seconds * 1_000_000_000 for seconds in (3, 9, 6)]
    records = [*(split(ns=ns) for ns in times * 100), split("u2"), split("u1", "control")]

    assert partial_of(export(parts, records, encoding, signal), signal) == (0, "")

    seen = exposures_of(parts)
    assert sorted((item.who.user, item.variation) for item in seen) == [
        ("u1", "control"),
        ("u1", "treatment"),
        ("u2", "treatment"),
    ]
    assert to_us(NOW) - min(item.at_us for item in seen) == 9_000_000


@SIGNALS
@BOTH
def test_unusable_splits_are_counted_with_a_reason(
    parts: Parts, encoding: str, signal: Signal
) -> None:
    """The good ones are kept; the answer says how many were not, and why the first was not."""
    bad = [
        split(""),
        split("u" * 201),
        split(variant=""),
        split(ns=NOW_NS + 25 * 3_600 * 1_000_000_000),
        split(ns=NOW_NS - 91 * 86_400 * 1_000_000_000),
        split("u\0"),
    ]

    answer = export(parts, [*bad, split()], encoding, signal)

    assert answer.status == 200
    n_rejected, message = partial_of(answer, signal)
    assert n_rejected == len(bad)
    assert message == (
        "6 evaluations refused. The first: it has no feature_flag.context.id, or too long a one."
    )
    assert len(exposures_of(parts)) == 1


@SIGNALS
@BOTH
def test_a_sender_of_other_logs_is_warned(parts: Parts, encoding: str, signal: Signal) -> None:
    """Nothing is rejected, but a stream without any evaluation is hardly meant."""
    answer = export(parts, [record("user.signed_in"), record("")], encoding, signal)

    n_rejected, message = partial_of(answer, signal)
    assert (answer.status, n_rejected) == (200, 0)
    assert "a feature_flag.evaluation event" in message
    assert parts.journal.end() == 0


@SIGNALS
@BOTH
def test_an_empty_request_is_a_success_of_nothing(
    parts: Parts, encoding: str, signal: Signal
) -> None:
    """As the protocol says: an empty answer."""
    empty = export(parts, b"{}" if encoding == JSON else b"", encoding, signal)

    assert (empty.status, partial_of(empty, signal)) == (200, (0, ""))
    assert export(parts, [], encoding, signal).status == 200


@SIGNALS
@BOTH
@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic ???"}, 400),
        ({"authorization": basic(API_KEY)}, 403),
        ({"content_encoding": "br"}, 415),
        ({"content_encoding": "gzip"}, 400),
    ],
)
def test_refusals_are_in_the_senders_encoding(
    parts: Parts, encoding: str, signal: Signal, more: dict[str, Any], status: int
) -> None:
    """A Status whose message says why, or our own form in JSON; none of them is sent again."""
    answer = export(parts, [split()], encoding, signal, **more)

    assert answer.status == status
    if encoding == PROTOBUF:
        assert answer.content_type == PROTOBUF
        assert len(Status.FromString(answer.body).message) > 10
    else:
        assert answer.content_type == "application/problem+json"
        assert json.loads(answer.body)["status"] == status
    assert parts.journal.end() == 0


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/protobuf"])
def test_other_content_types_are_refused(parts: Parts, content_type: str) -> None:
    """Nobody guesses what a body is; parameters of a type do not matter."""
    assert export(parts, body_of([split()]), content_type).status == 415
    assert export(parts, body_of([split()]), "Application/JSON; charset=utf-8").status == 200


def text_of(signal: Signal, sent: Any = None) -> bytes:
    """A good body in JSON."""
    return body_of([sent or split()], JSON, signal)


def packed_of(signal: Signal, sent: Any = None) -> bytes:
    """A good body in protobuf."""
    return body_of([sent or split()], PROTOBUF, signal)


BAD_BODIES: dict[str, tuple[Callable[[Signal], bytes], str]] = {
    "no JSON": (lambda _: b"hello", JSON),
    "nothing": (lambda _: b"", JSON),
    "a list": (lambda _: b"[]", JSON),
    "half a body": (lambda signal: text_of(signal)[:-9], JSON),
    "attributes no list": (
        lambda signal: text_of(signal).replace(b'"attributes": [', b'"attributes": 1, "x": ['),
        JSON,
    ),
    "deep nesting": (lambda _: b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON),
    "a lone surrogate": (
        lambda signal: text_of(signal, split("u?")).replace(b"u?", b"\\ud800"),
        JSON,
    ),
    "no protobuf": (lambda _: b"hello", PROTOBUF),
    "half a protobuf": (lambda signal: packed_of(signal)[:-9], PROTOBUF),
    "no UTF-8": (
        lambda signal: packed_of(signal, split("uu")).replace(b"uu", b"\xff\xfe"),
        PROTOBUF,
    ),
    "JSON as protobuf": (text_of, PROTOBUF),
}


@SIGNALS
@pytest.mark.parametrize("name", BAD_BODIES)
def test_what_cannot_be_read_is_refused_for_good(parts: Parts, name: str, signal: Signal) -> None:
    """400, which no sender tries again; nothing of it is stored."""
    make, encoding = BAD_BODIES[name]

    assert export(parts, make(signal), encoding, signal).status == 400
    assert parts.journal.end() == 0


@SIGNALS
@BOTH
def test_packed_bodies_are_counted_while_they_are_unpacked(
    parts: Parts, encoding: str, signal: Signal
) -> None:
    """gzip is taken; a bomb is refused at the limit, and so is a plain body past it."""
    packed = gzip.compress(body_of([split()], encoding, signal))
    limit = parts.settings.otlp_max_bytes

    assert export(parts, packed, encoding, signal, content_encoding="gzip").status == 200
    bomb = gzip.compress(b" " * (limit + 1))
    assert export(parts, bomb, encoding, signal, content_encoding="gzip").status == 413
    assert export(parts, b" " * (limit + 1), encoding, signal).status == 413


@SIGNALS
@BOTH
def test_senders_are_told_when_to_come_back(parts: Parts, encoding: str, signal: Signal) -> None:
    """429 over the limit of the key, 503 without a journal, both with a time to wait."""
    parts.quotas = Quotas(Settings(ingest_key_events_per_second=10, ingest_burst_seconds=1.0))
    several = [split(str(number)) for number in range(20)]

    assert export(parts, several, encoding, signal).status == 200
    throttled = export(parts, several, encoding, signal)
    parts.quotas = Quotas(Settings())
    parts.journal.close()
    down = export(parts, [split()], encoding, signal)

    assert (throttled.status, throttled.headers["Retry-After"]) == (429, "2")
    assert (down.status, down.headers["Retry-After"]) == (503, "5")
    expected = PROTOBUF if encoding == PROTOBUF else "application/problem+json"
    assert {throttled.content_type, down.content_type} == {expected}


def test_browser_keys_are_not_believed(parts: Parts) -> None:
    """Whatever comes with a key that lies in pages is checked against our own assignment."""
    export(parts, [split()], authorization=basic(BROWSER_KEY))

    assert [frame.is_trusted for frame in frames_of(parts)] == [False]


def test_other_attributes_name_units_and_segments(parts: Parts) -> None:
    """A rollout by company finds it by its name; `id` is any thing's, and bulk is let go."""
    more = {"company": "acme", "id": "order-7", "feature_flag__result__value": "x" * 5_000}
    export(parts, [split("u1", is_new=True, stack="y" * 1_001, **more)])

    (seen,) = exposures_of(parts)
    assert (value_for("company", seen.who), value_for("id", seen.who)) == ("acme", "u1")
    assert segment_of("is_new", seen.who) == "true"
    assert len(frames_of(parts)[0].events) < 1_000


any_value = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.dictionaries(
    st.sampled_from(["stringValue", "boolValue", "intValue", "doubleValue", "arrayValue"]),
    any_value,
    max_size=2,
)
keys = st.sampled_from(
    ["feature_flag.key", "feature_flag.context.id", "feature_flag.result.variant", "event.name"]
)
attributes = st.lists(st.fixed_dictionaries({"key": keys, "value": values | st.none()}), max_size=5)
strange = st.fixed_dictionaries(
    {"attributes": attributes},
    optional={"timeUnixNano": any_value, "eventName": st.just("feature_flag") | any_value},
)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(strange, max_size=3), st.binary(max_size=40))
def test_no_body_whatsoever_breaks_anything(parts: Parts, records: Any, noise: bytes) -> None:
    """Whatever is sent, the answer is 200 or 400, and what is stored can be understood."""
    reason = {"key": "feature_flag.result.reason", "value": {"stringValue": "Split"}}
    for item in records:
        item["attributes"].append(reason)
    for signal in Signal:
        bodies = ((body_of(records, JSON, signal), JSON), (noise, JSON), (noise, PROTOBUF))
        for body, encoding in bodies:
            assert export(parts, body, encoding, signal).status in (200, 400)
    for frame in frames_of(parts):
        assert len(understand(frame)) == frame.n_events
