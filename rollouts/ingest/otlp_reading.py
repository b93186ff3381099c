"""What OTLP's requests hold, in both encodings: log records, and spans with their events.

An event of a span is read as the log record that says the same, so that all behind this file
knows log records only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from rollouts.errors import Malformed
from rollouts.ingest.evaluations import AnyValue, KeyValue, LogRecord
from rollouts.ingest.otlp import PROTOBUF, Signal

Records = list[LogRecord]  # one log record, or the events of one span


class _ScopeLogs(msgspec.Struct, rename="camel"):
    log_records: list[LogRecord] | None = None


class _ResourceLogs(msgspec.Struct, rename="camel"):
    scope_logs: list[_ScopeLogs] | None = None


class _Logs(msgspec.Struct, rename="camel"):
    resource_logs: list[_ResourceLogs] | None = None


class _SpanEvent(msgspec.Struct, rename="camel"):
    time_unix_nano: str | int | None = None
    name: str = ""
    attributes: list[KeyValue] | None = None


class _Span(msgspec.Struct, rename="camel"):
    events: list[_SpanEvent] | None = None


class _ScopeSpans(msgspec.Struct, rename="camel"):
    spans: list[_Span] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel"):
    scope_spans: list[_ScopeSpans] | None = None


class _Spans(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None


_decode_logs = msgspec.json.Decoder(_Logs).decode
_decode_spans = msgspec.json.Decoder(_Spans).decode


def read(signal: Signal, body: bytes, encoding: str) -> Iterator[Records]:
    """The records of each log record or span of a body, in order. Raises Malformed."""
    if encoding == PROTOBUF:
        return _FROM_PROTOBUF[signal](body)
    return _FROM_JSON[signal](body)


def _logs_in_json(body: bytes) -> Iterator[Records]:
    for resource in _decoded(_decode_logs, body).resource_logs or ():
        for scope in resource.scope_logs or ():
            for record in scope.log_records or ():
                yield [record]


def _spans_in_json(body: bytes) -> Iterator[Records]:
    for resource in _decoded(_decode_spans, body).resource_spans or ():
        for scope in resource.scope_spans or ():
            for span in scope.spans or ():
                yield [
                    LogRecord(event.time_unix_nano, None, event.name, event.attributes or [])
                    for event in span.events or ()
                ]


def _decoded(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except msgspec.DecodeError as wrong:
        raise Malformed(f"The body cannot be read: {wrong}.") from None


def _logs_in_protobuf(body: bytes) -> Iterator[Records]:
    for resource in _parsed(ExportLogsServiceRequest, body).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield [_of_log(record)]


def _spans_in_protobuf(body: bytes) -> Iterator[Records]:
    for resource in _parsed(ExportTraceServiceRequest, body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield [_of_event(event) for event in span.events]


def _parsed(message: Any, body: bytes) -> Any:
    try:
        return message.FromString(body)
    except DecodeError:
        raise Malformed(f"The body is no {message.DESCRIPTOR.name}.") from None


def _of_log(record: logs_pb2.LogRecord) -> LogRecord:
    return LogRecord(
        _time(record.time_unix_nano),
        _time(record.observed_time_unix_nano),
        record.event_name,
        _attributes(record.attributes),
    )


def _of_event(event: trace_pb2.Span.Event) -> LogRecord:
    return LogRecord(_time(event.time_unix_nano), None, event.name, _attributes(event.attributes))


def _time(nanoseconds: int) -> str | None:
    """As JSON writes it; 0 is how the format says unknown."""
    return str(nanoseconds) if nanoseconds else None


def _attributes(held: Iterable[common_pb2.KeyValue]) -> list[KeyValue]:
    return [KeyValue(item.key, _value(item.value)) for item in held]


def _value(value: common_pb2.AnyValue) -> AnyValue | None:
    match value.WhichOneof("value"):
        case "string_value":
            return AnyValue(string_value=value.string_value)
        case "bool_value":
            return AnyValue(bool_value=value.bool_value)
        case "int_value":
            return AnyValue(int_value=str(value.int_value))
        case "double_value":
            return AnyValue(double_value=value.double_value)
    return None


_FROM_JSON = {Signal.LOGS: _logs_in_json, Signal.TRACES: _spans_in_json}
_FROM_PROTOBUF = {Signal.LOGS: _logs_in_protobuf, Signal.TRACES: _spans_in_protobuf}
