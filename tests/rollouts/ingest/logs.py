"""Log records, and spans with events that say the same, in OTLP's two encodings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rollouts.ingest import otlp_service
from rollouts.ingest.model import Answer
from rollouts.ingest.otlp import Signal
from tests.rollouts.ingest.make import NOW, SERVER_KEY, Parts

JSON, PROTOBUF = "application/json", "application/x-protobuf"


def attribute(key: str, value: object) -> dict[str, Any]:
    """One attribute as OTLP's JSON writes it."""
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": value}}


def record(event_name: str = "feature_flag.evaluation", ns: int = 0, **attributes: object) -> Any:
    """A log record; `__` in an attribute's name stands for its dots."""
    held = [attribute(name.replace("__", "."), value) for name, value in attributes.items()]
    return {"timeUnixNano": str(ns), "eventName": event_name, "attributes": held}


def split(
    unit: str = "u1", variant: str = "treatment", flag: str = "new-checkout", **more: Any
) -> Any:
    """An evaluation that the unit's share decided."""
    given: dict[str, Any] = {
        "feature_flag__key": flag,
        "feature_flag__result__variant": variant,
        "feature_flag__result__reason": "split",
        "feature_flag__context__id": unit,
        **more,
    }
    return record(**given)


def request_of(records: Sequence[Any], signal: Signal = Signal.LOGS) -> dict[str, Any]:
    """An export request with all that real ones have around the records."""
    resource = {"attributes": [attribute("service.name", "shop")]}
    scope = {"scope": {"name": "openfeature", "version": "1"}}
    if signal is Signal.TRACES:
        scope_spans = [{**scope, "spans": [span(item) for item in records]}]
        return {"resourceSpans": [{"resource": resource, "scopeSpans": scope_spans}]}
    scope_logs = [{**scope, "logRecords": list(records)}]
    return {"resourceLogs": [{"resource": resource, "scopeLogs": scope_logs}]}


def span(*records: Any) -> dict[str, Any]:
    """A span in which those log records are events."""
    events = [
        {
            "timeUnixNano": item.get("timeUnixNano"),
            "name": item.get("eventName", ""),
            "attributes": item["attributes"],
        }
        for item in records
    ]
    return {"name": "checkout", "startTimeUnixNano": "1", "endTimeUnixNano": "2", "events": events}


def body_of(records: Sequence[Any], encoding: str = JSON, signal: Signal = Signal.LOGS) -> bytes:
    """The body of an export request; the protobuf one by OpenTelemetry's own schema."""
    return encoded(request_of(records, signal), encoding, signal)


def encoded(request: Any, encoding: str, signal: Signal) -> bytes:
    """A request as it is sent."""
    if encoding == JSON:
        return json.dumps(request).encode()
    is_logs = signal is Signal.LOGS
    message = ExportLogsServiceRequest() if is_logs else ExportTraceServiceRequest()
    return bytes(json_format.ParseDict(request, message).SerializeToString())


def export(
    parts: Parts,
    records: Sequence[Any] | bytes,
    encoding: str = JSON,
    signal: Signal = Signal.LOGS,
    **more: Any,
) -> Answer:
    """Post log records, or spans in which each is an event."""
    given = {
        "authorization": f"Bearer {SERVER_KEY}",
        "content_type": encoding,
        "content_encoding": "",
        "now": NOW,
        **more,
    }
    body = records if isinstance(records, bytes) else body_of(records, encoding, signal)
    return otlp_service.accept_otlp(parts, signal, body=body, **given)
