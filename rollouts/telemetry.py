"""What the service tells of itself: structured logs without secrets, and Prometheus metrics."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from rollouts.clock import utcnow
from rollouts.config import Settings

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "rollouts_http_requests_total", "Requests answered.", ["route", "status"], registry=REGISTRY
)
SECONDS = Histogram(
    "rollouts_http_request_seconds", "Time to answer.", ["route"], registry=REGISTRY
)
FOLDED = Counter("rollouts_folded_events_total", "Events folded.", registry=REGISTRY)
LOOKS = Counter("rollouts_looks_total", "Looks taken.", registry=REGISTRY)
DELIVERED = Counter("rollouts_alerts_delivered_total", "Alerts delivered.", registry=REGISTRY)
THROTTLED = Counter(
    "rollouts_ingest_throttled_total",
    "Ingest requests refused because their key was over a limit.",
    ["limit"],
    registry=REGISTRY,
)
LAG = Gauge("rollouts_journal_lag_events", "Events accepted but not folded.", registry=REGISTRY)

_SECRET_NAMES = re.compile(
    r"(?i)(authorization|cookie|secret|password|token|api_?key|write_?key|webhook_?url|apprise)"
)
_SECRETS = re.compile(
    r"rlk_[a-z]+_[A-Za-z0-9_-]+|whsec_[A-Za-z0-9+/=]+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=/link/)[^/\s?#\"'&]+"  # one-time sign-in links
)


def configure(settings: Settings) -> None:
    """Set logging up for this process: to standard error, as lines for people or as JSON."""
    render: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    level = getattr(logging, settings.log_level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, mask, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is then
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask,
                render,
            ],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def mask(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide what must not reach a log: by the field's name, and by the look of the text."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = "[hidden]"
        elif isinstance(value, str):
            event[name] = _SECRETS.sub("[hidden]", value)
    return event


def register(app: Flask) -> None:
    """Count and time every request by its route, never by its path."""

    @app.before_request
    def _begin() -> None:
        g.began_at = utcnow()

    @app.after_request
    def _end(answer: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "unknown"
        REQUESTS.labels(route, str(answer.status_code)).inc()
        if "began_at" in g:
            SECONDS.labels(route).observe((utcnow() - g.began_at).total_seconds())
        return answer


def exposition() -> tuple[bytes, str]:
    """The metrics in Prometheus' own form, with their content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
