"""Set up: who is told what happened, and what became of the last exposures."""

from __future__ import annotations

from typing import Any

from flask import Response

from rollouts.accounts.model import Role
from rollouts.ingest.model import from_us
from rollouts.ledger import service as ledger
from rollouts.notify import service as notify
from rollouts.notify.model import DestinationKind
from rollouts.reports import asked
from rollouts.reports.blueprint import bp
from rollouts.reports.setup_parts import MOST, PAGE, Answer, choice, doing, needed, page, text
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction


@bp.get("/setup/alerts", endpoint="setup_alerts")
@requires(Role.EDITOR)
def show_alerts() -> Response:
    """Who is told, and whether it arrived."""
    return _alerts()


@bp.post("/setup/alerts", endpoint="setup_alerts_sent")
@requires(Role.ADMIN)
def change_alerts() -> Response:
    """Add, test or remove a place that is told; try a delivery again."""
    deeds = {
        "destination": _new_destination,
        "test": _test_destination,
        "remove": _remove_destination,
        "retry": _retry,
    }
    return doing(deeds, _alerts)


def _alerts(**held: Any) -> Response:
    state, before = asked.text("state"), asked.number("before")
    with reading() as session:
        rows = notify.list_deliveries(session, limit=PAGE + 1, before_id=before, state=state)
        return page(
            "alerts",
            destinations=notify.list_destinations(session, limit=MOST),
            names={row.id: row.name for row in notify.list_destinations(session)},
            deliveries=rows[:PAGE],
            next_before=rows[PAGE - 1][0].id if len(rows) > PAGE else None,
            state=state,
            before=before,
            **held,
        )


def _new_destination() -> Answer:
    kinds = tuple(part.strip() for part in text("kinds").split(",") if part.strip())
    with transaction() as session:
        row, secret = notify.create_destination(
            session,
            runtime().seal,
            runtime().settings,
            name=needed("name"),
            kind=choice(DestinationKind, "kind"),
            url=needed("url", 2000),
            secret=text("secret"),
            kinds=kinds,
            actor=current_actor(),
            now=now(),
        )
    shown = [("Secret that signs each message", secret)] if secret else []
    return {"done": f"“{row.name}” is told from now on", "secrets": shown}


def _test_destination() -> Answer:
    held = runtime()
    ended = notify.send_test(
        held.db, held.seal, held.settings, needed("id"), actor=current_actor(), now=now()
    )
    return {"done": f"Test {ended.outcome}" + (f": {ended.problem}" if ended.problem else "")}


def _remove_destination() -> Answer:
    with transaction() as session:
        notify.remove_destination(session, needed("id"), actor=current_actor(), now=now())
    return {"done": "Removed: it is told nothing more, and its address is forgotten"}


def _retry() -> Answer:
    given = needed("id")
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else 0
    with transaction() as session:
        notify.retry_delivery(session, number, actor=current_actor(), now=now())
    return {"done": "It is tried again from the beginning"}


@bp.get("/setup/events", endpoint="setup_events")
@requires(Role.EDITOR)
def show_events() -> Response:
    """The last exposures as understood and as refused, with the reason."""
    unit, rollout = asked.text("unit"), asked.text("rollout")
    before = asked.number("before")
    with reading() as session:
        rows = ledger.list_recent(
            session,
            unit_key=runtime().seal.unit_key,
            unit=unit,
            rollout=rollout,
            limit=PAGE + 1,
            before_id=before,
        )
        return page(
            "events",
            events=[(row, from_us(row.at_us), from_us(row.received_us)) for row in rows[:PAGE]],
            next_before=rows[PAGE - 1].id if len(rows) > PAGE else None,
            unit=unit,
            rollout=rollout,
            before=before,
        )
