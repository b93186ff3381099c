"""OTLP's two encodings of log records: bodies in, answers out. Pure: nothing is stored here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from rollouts.errors import Malformed, RolloutsError, UnsupportedEncoding
from rollouts.ingest import answers
from rollouts.ingest.evaluations import AnyValue, KeyValue, LogRecord
from rollouts.ingest.model import Answer
from rollouts.web import json_bytes

JSON, PROTOBUF = "application/json", "application/x-protobuf"


class _Scope(msgspec.Struct, rename="camel"):
    log_records: list[LogRecord] | None = None


class _Resource(msgspec.Struct, rename="camel"):
    scope_logs: list[_Scope] | None = None


class _Request(msgspec.Struct, rename="camel"):
    resource_logs: list[_Resource] | None = None


_decode = msgspec.json.Decoder(_Request).decode


def encoding_of(content_type: str) -> str:
    """Which of the two encodings a request is in, and its answer. Raises UnsupportedEncoding."""
    named = _plain_name(content_type)
    if named in (JSON, PROTOBUF):
        return named
    raise UnsupportedEncoding(f"Send the logs as {PROTOBUF} or as {JSON}.")


def _plain_name(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def read(body: bytes, encoding: str) -> Iterator[LogRecord]:
    """The body's log records, in order. Raises Malformed."""
    return _read_protobuf(body) if encoding == PROTOBUF else _read_json(body)


def _read_json(body: bytes) -> Iterator[LogRecord]:
    try:
        request = _decode(body)
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except msgspec.DecodeError as wrong:
        raise Malformed(f"The body cannot be read: {wrong}.") from None
    for resource in request.resource_logs or ():
        for scope in resource.scope_logs or ():
            yield from scope.log_records or ()


def _read_protobuf(body: bytes) -> Iterator[LogRecord]:
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        raise Malformed("The body is no ExportLogsServiceRequest.") from None
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield _record(record)


def _record(record: logs_pb2.LogRecord) -> LogRecord:
    return LogRecord(
        str(record.time_unix_nano) if record.time_unix_nano else None,
        str(record.observed_time_unix_nano) if record.observed_time_unix_nano else None,
        record.event_name,
        [KeyValue(item.key, _value(item.value)) for item in record.attributes],
    )


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


def success(encoding: str, n_rejected: int = 0, message: str = "") -> Answer:
    """The events are durable, but for those that are counted; a message alone is a warning."""
    if encoding == PROTOBUF:
        said = ExportLogsServiceResponse()
        if message:
            part = ExportLogsPartialSuccess(rejected_log_records=n_rejected, error_message=message)
            said.partial_success.CopyFrom(part)
        return Answer(200, said.SerializeToString(), PROTOBUF)
    body: dict[str, Any] = {}
    if message:
        body["partialSuccess"] = {"rejectedLogRecords": str(n_rejected), "errorMessage": message}
    return Answer(200, json_bytes.dumps(body), JSON)


def refusal(wrong: RolloutsError, content_type: str) -> Answer:
    """The whole request is refused: our own form in JSON, a Status in protobuf."""
    answer = answers.refusal(wrong)
    if _plain_name(content_type) != PROTOBUF:
        return answer
    # OTLP wants google.rpc.Status with its message in field 2 and lets its code be left out.
    # A span's Status has its message in field 2 too, so that the bytes are the same.
    body = Status(message=wrong.detail).SerializeToString()
    return Answer(answer.status, body, PROTOBUF, answer.headers)
