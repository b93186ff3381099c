"""OpenTelemetry's own SDK logs OpenFeature's evaluations, and a rollout counts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from openfeature import api as openfeature
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.hook import Hook, HookContext
from opentelemetry._logs import Logger
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

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
        self._logger.emit(
            event_name="feature_flag.evaluation",
            attributes={
                "feature_flag.key": details.flag_key,
                "feature_flag.result.variant": details.variant or "",
                "feature_flag.result.reason": str(details.reason).lower(),
                "feature_flag.context.id": hook_context.evaluation_context.targeting_key or "",
                "feature_flag.provider.name": "ofrep",
            },
        )


def start_rollout(shop: Shop) -> None:
    """A rollout that is before everybody, half and half."""
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


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_evaluations_become_exposures(live: LiveService, compression: Compression) -> None:
    """Every unit once, under the variation it was given, from the exporter's own protobuf."""
    shop = Shop(live)
    if compression is Compression.NoCompression:
        start_rollout(shop)
    flag = live.api.get("/rollouts/guided-returns")["flag"]
    key = live.api.post("/write-keys", {"name": "otel", "environment": "production"})["write_key"]
    exporter = OTLPLogExporter(
        f"{live.url}/v1/logs", headers={"authorization": f"Bearer {key}"}, compression=compression
    )
    logs = LoggerProvider()
    logs.add_log_record_processor(BatchLogRecordProcessor(exporter))
    client_key = shop.connect()["client_key"]
    openfeature.set_provider_and_wait(
        OFREPProvider(shop.host, headers_factory=lambda: {"Authorization": f"Bearer {client_key}"})
    )
    client = openfeature.get_client()
    client.add_hooks([LogEvaluations(logs.get_logger("shop"))])
    units = [f"{compression.value}-{unit}" for unit in UNITS]
    given = {
        unit: "new" if client.get_boolean_value(flag, False, EvaluationContext(unit)) else "control"
        for unit in units
        for _ in range(2)
    }
    logs.shutdown()

    def seen() -> dict[str, set[tuple[str, str, str]]]:
        return {unit: shown(live, unit) for unit in units[:5]}

    expected = {unit: {("guided-returns", given[unit], "counted")} for unit in units[:5]}
    assert until(lambda: seen() == expected), (seen(), expected)
    assert set(given.values()) == {"control", "new"}
    openfeature.shutdown()


def shown(live: LiveService, unit: str) -> set[tuple[str, str, str]]:
    """A unit's exposures as the debug view has them."""
    items = live.api.get(f"/exposures?unit={unit}")["items"]
    return {(item["rollout"], item["variation"], item["state"]) for item in items}
