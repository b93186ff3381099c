"""OTLP over HTTP: which encoding a request is in, and how it is answered. Pure: nothing is stored."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from rollouts.errors import RolloutsError, UnsupportedEncoding
from rollouts.ingest import answers
from rollouts.ingest.model import Answer
from rollouts.web import json_bytes

JSON, PROTOBUF = "application/json", "application/x-protobuf"
OPEN = {**answers.ANY_ORIGIN, "Access-Control-Expose-Headers": "retry-after"}


class Signal(StrEnum):
    """What a request of OTLP carries, by the last part of its path."""

    LOGS = "logs"
    TRACES = "traces"


def encoding_of(content_type: str) -> str:
    """Which of the two encodings a request is in, and its answer. Raises UnsupportedEncoding."""
    named = _plain_name(content_type)
    if named in (JSON, PROTOBUF):
        return named
    raise UnsupportedEncoding(f"Send them as {PROTOBUF} or as {JSON}.")


def _plain_name(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def success(signal: Signal, encoding: str, n_rejected: int = 0, message: str = "") -> Answer:
    """The events are durable, but for those that are counted; a message alone is a warning."""
    if encoding == PROTOBUF:
        return Answer(200, _in_protobuf(signal, n_rejected, message), PROTOBUF, OPEN)
    body: dict[str, Any] = {}
    if message:
        name = "rejectedLogRecords" if signal is Signal.LOGS else "rejectedSpans"
        body["partialSuccess"] = {name: str(n_rejected), "errorMessage": message}
    return Answer(200, json_bytes.dumps(body), JSON, OPEN)


def _in_protobuf(signal: Signal, n_rejected: int, message: str) -> bytes:
    if not message:
        return b""  # as an empty response of either kind is written
    if signal is Signal.LOGS:
        logs = ExportLogsPartialSuccess(rejected_log_records=n_rejected, error_message=message)
        return ExportLogsServiceResponse(partial_success=logs).SerializeToString()
    spans = ExportTracePartialSuccess(rejected_spans=n_rejected, error_message=message)
    return ExportTraceServiceResponse(partial_success=spans).SerializeToString()


def refusal(wrong: RolloutsError, content_type: str) -> Answer:
    """The whole request is refused: our own form in JSON, a Status in protobuf."""
    answer = answers.refusal(wrong, OPEN)
    if _plain_name(content_type) != PROTOBUF:
        return answer
    # OTLP wants google.rpc.Status with its message in field 2 and lets its code be left out.
    # A span's Status has its message in field 2 too, so that the bytes are the same.
    body = Status(message=wrong.detail).SerializeToString()
    return Answer(answer.status, body, PROTOBUF, answer.headers)
