"""OpenTelemetry's own SDK tells of OpenFeature's evaluations, and a rollout counts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from openfeature import api as openfeature
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.hook import Hook, HookContext
from opentelemetry import trace
from opentelemetry._logs import Logger
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.live import LiveService
from tests.sdk.shop import Shop, until

UNITS = [f"customer-{number}" for number in range(60)]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """Web and worker of a fresh store: the worker folds what the exporter sends."""
    service = LiveService(tmp_path_factory.mktemp("live"))
    service.start()
    yield service
    service.stop()


class LogEvaluations(Hook):
    """Logs each evaluation in the words of OpenTelemetry's conventions for feature flags."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def after(
        self,
        hook_context: HookContext,
        details: FlagEvaluationDetails[Any],
        hints: Mapping[str, Any],
    ) -> None:
        """The evaluation is done."""
        self._logger.emit(event_name="feature_flag.evaluation", attributes=told_of(details))


def told_of(details: FlagEvaluationDetails[Any]) -> dict[str, str]:
    """An evaluation in the conventions' words; whom it was for is told by the provider."""
    return {
        "feature_flag.key": details.flag_key,
        "feature_flag.result.variant": details.variant or "",
        "feature_flag.result.reason": str(details.reason).lower(),
        "feature_flag.context.id": str(details.flag_metadata["contextId"]),
        "feature_flag.provider.name": "ofrep",
    }


class NoteEvaluations(Hook):
    """Notes each evaluation as an event of the span under way, in older words if wanted."""

    def __init__(self, is_older: bool) -> None:
        self._is_older = is_older

    def after(
        self,
        hook_context: HookContext,
        details: FlagEvaluationDetails[Any],
        hints: Mapping[str, Any],
    ) -> None:
        """The evaluation is done."""
        told, name = told_of(details), "feature_flag.evaluation"
        if self._is_older:
            name = "feature_flag"
            told["feature_flag.variant"] = told.pop("feature_flag.result.variant")
            told["feature_flag.evaluation.reason"] = told.pop("feature_flag.result.reason")
        trace.get_current_span().add_event(name, told)


def start_rollout(shop: Shop) -> None:
    """A rollout that is before everybody, half and half; the one there is if it runs already."""
    if shop.live.api.find("/rollouts/guided-returns") is not None:
        return
    shop.live.api.post("/flags", {"key": shop.flag, "kind": "boolean"})
    metric = {"key": "contacts", "name": "Contacts", "event": "contact"}
    shop.live.api.post("/metrics", {**metric, "aggregation": "count", "good": "down"})
    shares = {"control": False, "new": True}
    body = {
        "key": "guided-returns",
        "name": "Guided returns",
        "flag": shop.flag,
        "variations": [{"key": k, "value": v, "share": 0.5} for k, v in shares.items()],
        "ramp": [{"share": 1}],
        "guardrails": [{"metric": "contacts", "margin": 0.1}],
    }
    shop.live.api.post("/rollouts", body)
    shop.live.api.post("/rollouts/guided-returns/start", {})


def evaluate(shop: Shop, hook: Hook, units: list[str]) -> dict[str, str]:
    """Evaluate the rollout's flag twice for each unit; the variation that each was given."""
    start_rollout(shop)
    flag = shop.live.api.get("/rollouts/guided-returns")["flag"]
    key = shop.connect()["client_key"]
    openfeature.set_provider_and_wait(
        OFREPProvider(shop.host, headers_factory=lambda: {"Authorization": f"Bearer {key}"})
    )
    client = openfeature.get_client()
    client.add_hooks([hook])
    given = {
        unit: "new" if client.get_boolean_value(flag, False, EvaluationContext(unit)) else "control"
        for unit in units
        for _ in range(2)
    }
    openfeature.shutdown()
    assert set(given.values()) == {"control", "new"}
    return given


def write_key(live: LiveService) -> dict[str, str]:
    """The headers of a new write key."""
    key = live.api.post("/write-keys", {"name": "otel", "environment": "production"})["write_key"]
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_logged_evaluations_become_exposures(live: LiveService, compression: Compression) -> None:
    """Every unit once, under the variation it was given, from the exporter's own protobuf."""
    logs = LoggerProvider()
    exporter = OTLPLogExporter(
        f"{live.url}/v1/logs", headers=write_key(live), compression=compression
    )
    logs.add_log_record_processor(BatchLogRecordProcessor(exporter))
    units = [f"{compression.value}-{unit}" for unit in UNITS]
    given = evaluate(Shop(live), LogEvaluations(logs.get_logger("shop")), units)
    logs.shutdown()

    assert_shown(live, given)


@pytest.mark.parametrize("is_older", [False, True])
def test_evaluations_noted_in_spans_become_exposures(live: LiveService, is_older: bool) -> None:
    """As events of a span, in today's spelling and in the first one."""
    spans = TracerProvider()
    exporter = OTLPSpanExporter(
        f"{live.url}/v1/traces", headers=write_key(live), compression=Compression.Gzip
    )
    spans.add_span_processor(BatchSpanProcessor(exporter))
    units = [f"span-{is_older}-{unit}" for unit in UNITS]
    with spans.get_tracer("shop").start_as_current_span("checkout"):
        given = evaluate(Shop(live), NoteEvaluations(is_older), units)
    spans.shutdown()

    assert_shown(live, given)


def assert_shown(live: LiveService, given: dict[str, str]) -> None:
    """The first units come to be shown, each once, under the variation that it was given."""
    units = list(given)[:5]

    def seen() -> dict[str, set[tuple[str, str, str]]]:
        return {unit: shown(live, unit) for unit in units}

    expected = {unit: {("guided-returns", given[unit], "counted")} for unit in units}
    assert until(lambda: seen() == expected), (seen(), expected)


def shown(live: LiveService, unit: str) -> set[tuple[str, str, str]]:
    """A unit's exposures as the debug view has them."""
    items = live.api.get(f"/exposures?unit={unit}")["items"]
    return {(item["rollout"], item["variation"], item["state"]) for item in items}
