"""Destinations, deliveries and the outbox over HTTP."""

from __future__ import annotations

import base64
from typing import Any, Literal

from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid
from rollouts.notify import service
from rollouts.notify.model import DestinationKind
from rollouts.notify.store import DeliveryRow, DestinationRow, OutboxMessageRow
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction
from rollouts.web.paging import PageQuery, page

bp = APIBlueprint(
    "notify_api",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Alerts", description="Who is told what, and whether it arrived.")],
)


class DestinationPath(BaseModel):
    """Which destination."""

    destination_id: str = Field(max_length=20)


class DeliveryPath(BaseModel):
    """Which delivery."""

    delivery_id: int = Field(ge=1, le=2**63 - 1)


class DestinationBody(BaseModel):
    """A place to be told."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    kind: DestinationKind = DestinationKind.WEBHOOK
    url: str = Field(
        min_length=1, max_length=2000, description="An http(s) address, or an Apprise address."
    )
    secret: str = Field(
        "",
        max_length=200,
        description="For webhooks: `whsec_` and base64. Empty: one is made and shown once.",
    )
    kinds: list[str] = Field(
        default_factory=list,
        max_length=50,
        description="Kinds of messages it wants, e.g. `rollout.withdrawn`; empty: all.",
    )


class DeliveryQuery(PageQuery):
    """Which deliveries are wanted; newest first."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["", "pending", "delivered", "dead"] = ""
    destination: str = Field("", max_length=20, description="Only to this destination, by its id.")

    @property
    def before_id(self) -> int | None:
        """The id that the page before ended with."""
        return _number(self.after)


class OutboxQuery(PageQuery):
    """Which messages are wanted; oldest first, so that a reader can go on where it ended."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field("", max_length=100, description="Only this kind.")

    @property
    def after_id(self) -> int:
        """The place in the outbox that was read last."""
        return _number(self.after) or 0


# Whoever adds a destination makes the service call out, so it takes an administrator.
@bp.post("/destinations")
@requires(Role.ADMIN)
def create_destination(body: DestinationBody) -> tuple[dict[str, Any], int]:
    """Add a place that is told. A secret that was made here is in this answer and nowhere else."""
    with transaction() as session:
        row, secret = service.create_destination(
            session,
            runtime().seal,
            runtime().settings,
            name=body.name,
            kind=body.kind,
            url=body.url,
            secret=body.secret,
            kinds=tuple(body.kinds),
            actor=current_actor(),
            now=now(),
        )
    return show(row) | ({"secret": secret} if secret else {}), 201


@bp.get("/destinations")
@requires(Role.EDITOR)
def list_destinations(query: PageQuery) -> dict[str, Any]:
    """List places that are told; their addresses are cut, their secrets never shown."""
    with reading() as session:
        rows = service.list_destinations(
            session, limit=query.limit + 1, after=query.after, search=query.search
        )
        return page(rows, query, lambda row: row.id, show)


@bp.get("/destinations/<destination_id>")
@requires(Role.EDITOR)
def get_destination(path: DestinationPath) -> dict[str, Any]:
    """One place that is told."""
    with reading() as session:
        return show(service.get_destination(session, path.destination_id))


@bp.delete("/destinations/<destination_id>")
@requires(Role.ADMIN)
def remove_destination(path: DestinationPath) -> tuple[str, int]:
    """Tell a place nothing more."""
    with transaction() as session:
        service.remove_destination(session, path.destination_id, actor=current_actor(), now=now())
    return "", 204


@bp.post("/destinations/<destination_id>/test")
@requires(Role.ADMIN)
def send_test(path: DestinationPath) -> dict[str, Any]:
    """Send a test message now: delivered, refused by our own rules, or failed."""
    held = runtime()
    ended = service.send_test(
        held.db,
        held.seal,
        held.settings,
        path.destination_id,
        actor=current_actor(),
        now=now(),
    )
    return {"outcome": ended.outcome, "problem": ended.problem}


@bp.get("/deliveries")
@requires(Role.EDITOR)
def list_deliveries(query: DeliveryQuery) -> dict[str, Any]:
    """List deliveries, newest first: what waits, what arrived, what was given up and why."""
    with reading() as session:
        rows = service.list_deliveries(
            session,
            limit=query.limit + 1,
            before_id=query.before_id,
            state=query.state,
            destination=query.destination,
            search=query.search,
        )
        return page(rows, query, lambda row: row[0].id, lambda row: show_delivery(*row))


@bp.post("/deliveries/<delivery_id>/retry")
@requires(Role.ADMIN)
def retry_delivery(path: DeliveryPath) -> tuple[str, int]:
    """Try a delivery that was given up again."""
    with transaction() as session:
        service.retry_delivery(session, path.delivery_id, actor=current_actor(), now=now())
    return "", 204


@bp.get("/outbox")
@requires(Role.READER)
def list_outbox(query: OutboxQuery) -> dict[str, Any]:
    """Replay what was told, oldest first.

    `last_cursor` points behind the last item even on the last page: keep it, and ask again with
    it later for what came since.
    """
    with reading() as session:
        rows = service.list_messages(
            session,
            limit=query.limit + 1,
            after_id=query.after_id,
            kind=query.kind,
            search=query.search,
        )
        answer = page(rows, query, lambda row: row.id, show_message)
    shown = rows[: query.limit]
    return answer | {"last_cursor": _cursor(shown[-1].id) if shown else query.cursor}


def show(row: DestinationRow) -> dict[str, Any]:
    """A destination as it goes out."""
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "address": row.address,
        "kinds": row.kinds,
        "created_at": row.created_at.isoformat(),
        "created_by": row.created_by,
    }


def show_delivery(row: DeliveryRow, message: OutboxMessageRow) -> dict[str, Any]:
    """A delivery as it goes out."""
    is_waiting = row.state == "pending"
    return {
        "id": row.id,
        "message_id": message.message_id,
        "kind": message.kind,
        "subject": message.subject,
        "destination": row.destination_id,
        "state": row.state,
        "attempts": row.attempts,
        "problem": row.problem,
        "created_at": row.created_at.isoformat(),
        "next_at": row.next_at.isoformat() if is_waiting else None,
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
    }


def show_message(row: OutboxMessageRow) -> dict[str, Any]:
    """A message as webhooks get it, with its id."""
    message = row.to_domain()
    return {"id": message.id, **message.body()}


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode()


def _number(after: str | None) -> int | None:
    if after is None:
        return None
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise Invalid("This cursor is not one of ours.", faults=(Fault("cursor", "no cursor"),))
    return int(after)
