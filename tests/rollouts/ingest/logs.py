"""Log records in OTLP's two encodings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from rollouts.ingest import otlp_service
from rollouts.ingest.model import Answer
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


def request_of(records: Sequence[Any]) -> dict[str, Any]:
    """An export request with all that real ones have around the records."""
    resource = {"attributes": [attribute("service.name", "shop")]}
    scope = {"scope": {"name": "openfeature", "version": "1"}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


def body_of(records: Sequence[Any], encoding: str = JSON) -> bytes:
    """The body of an export request; the protobuf one by OpenTelemetry's own schema."""
    if encoding == JSON:
        return json.dumps(request_of(records)).encode()
    message = json_format.ParseDict(request_of(records), ExportLogsServiceRequest())
    return bytes(message.SerializeToString())


def export(
    parts: Parts, records: Sequence[Any] | bytes, encoding: str = JSON, **more: Any
) -> Answer:
    """Post log records."""
    given = {
        "authorization": f"Bearer {SERVER_KEY}",
        "content_type": encoding,
        "content_encoding": "",
        "now": NOW,
        **more,
    }
    body = records if isinstance(records, bytes) else body_of(records, encoding)
    return otlp_service.accept_otlp(parts, body=body, **given)
