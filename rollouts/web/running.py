"""Whether the service is up and whether it can do its work."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from flask import Blueprint, Response, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from rollouts.accounts.model import Access, Role
from rollouts.beats import find_beat
from rollouts.ledger import service as ledger
from rollouts.telemetry import LAG, exposition
from rollouts.web import json_bytes
from rollouts.web.access import requires
from rollouts.web.context import Runtime, now, runtime
from rollouts.web.problems import wants_page

bp = Blueprint("running", __name__)


@bp.get("/healthz")
@requires(Access.ANYONE)
def healthz() -> Response:
    """Whether this process answers at all."""
    return Response(b'{"healthy":true}', content_type="application/json")


@bp.get("/readyz")
@requires(Access.ANYONE)
def readyz() -> Response:
    """Whether the store answers, the worker works, and the journal is folded."""
    checks = readiness(runtime(), now())
    ready = all(check["ok"] for check in checks.values())
    return Response(
        json_bytes.dumps({"ready": ready, "checks": checks}),
        200 if ready else 503,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@bp.get("/metrics")
@requires(Role.READER)
def metrics() -> ResponseReturnValue:
    """The catalogue for a person with a browser; the service's own metrics for Prometheus."""
    if wants_page() and "reports.metrics" in current_app.view_functions:
        return cast("ResponseReturnValue", current_app.view_functions["reports.metrics"]())
    body, kind = exposition()
    return Response(body, content_type=kind)


def readiness(parts: Runtime, at: datetime) -> dict[str, dict[str, Any]]:
    """Each thing the service needs, and whether it is there."""
    try:
        with parts.db.reading() as session:
            seen = find_beat(session, "worker")
            offset = ledger.offset(session)
    except SQLAlchemyError as wrong:
        dead = {"ok": False, "detail": f"the store does not answer ({type(wrong).__name__})"}
        return {"store": dead, "flags": parts.delivery.health()}
    lag = parts.journal.lag(offset)
    LAG.set(lag)
    age = (at - seen).total_seconds() if seen else None
    late = parts.settings.worker_late_seconds
    return {
        "store": {"ok": True, "detail": "answers"},
        "worker": {
            "ok": age is not None and age <= late,
            "age_seconds": age,
            "detail": "has not started" if age is None else f"last seen {age:.1f} s ago",
        },
        "journal": {
            "ok": lag <= parts.settings.journal_lag_events,
            "lag_events": lag,
            "detail": f"{lag} events wait to be folded",
        },
        "flags": parts.delivery.health(),
    }
