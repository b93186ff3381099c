"""Tell people and programs what happened: kept with the deed, delivered at least once."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.audit import service as audit
from rollouts.audit.model import plain
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.errors import Conflict, NotFound
from rollouts.notify import chat, store, webhooks
from rollouts.notify.delivering import attempt, deliver_due
from rollouts.notify.model import (
    Attempt,
    DeliveryState,
    DestinationKind,
    Message,
    one_line,
)
from rollouts.notify.sealing import Seal
from rollouts.notify.store import DeliveryRow, DestinationRow, OutboxMessageRow
from rollouts.web import json_bytes

__all__ = [
    "create_destination",
    "deliver_due",
    "enqueue",
    "get_destination",
    "list_deliveries",
    "list_destinations",
    "list_messages",
    "remove_destination",
    "reseal",
    "retry_delivery",
    "send_test",
]

list_destinations = store.list_destinations
list_deliveries = store.list_deliveries
list_messages = store.list_messages


def enqueue(
    session: Session,
    *,
    kind: str,
    subject: str,
    happened: str,
    done: str,
    links: dict[str, str],
    data: dict[str, Any],
    now: datetime,
) -> str:
    """Keep what is to be told, in the transaction that does it; returns the message's id.

    `happened` and `done` are a sentence each. Nothing here refuses: an odd character in a name
    must not keep a withdrawal from being committed, so text is put on one line and other links
    than http(s) are dropped.
    """
    audit.lock(session)  # numbers are committed in order, so that a cursor misses none
    message = OutboxMessageRow(
        message_id=f"msg_{secrets.token_hex(12)}",
        kind=kind,
        subject=one_line(plain(subject), 400),
        happened=one_line(plain(happened)),
        done=one_line(plain(done)),
        links={
            one_line(name, 100): link
            for name, link in plain(links).items()
            if urlsplit(link).scheme in ("http", "https") and link.isprintable()
        },
        data=plain(data),
        created_at=now,
    )
    session.add(message)
    session.flush()
    for destination in store.list_destinations(session):
        if store.wants(destination, kind):
            session.add(_delivery(message, destination, now))
    return message.message_id


def _delivery(message: OutboxMessageRow, destination: DestinationRow, now: datetime) -> DeliveryRow:
    return DeliveryRow(
        message_id=message.id,
        destination_id=destination.id,
        state=DeliveryState.PENDING,
        attempts=0,
        next_at=now,
        leased_until=None,
        problem="",
        created_at=now,
        ended_at=None,
    )


def create_destination(
    session: Session,
    seal: Seal,
    settings: Settings,
    *,
    name: str,
    kind: DestinationKind,
    url: str,
    secret: str = "",
    kinds: tuple[str, ...] = (),
    actor: Actor,
    now: datetime,
) -> tuple[DestinationRow, str]:
    """Add a place that is told. Returns it with a webhook's secret if that was made here."""
    made = ""
    if kind is DestinationKind.WEBHOOK:
        webhooks.check_address(url, settings.outbound_networks)
        made = "" if secret else webhooks.make_secret()
        webhooks.check_secret(secret or made)
        address = webhooks.shown_address(url)
    else:
        chat.check_address(url, settings.outbound_networks)
        address = chat.shown_address(url)
    row = DestinationRow(
        id=f"dst_{secrets.token_hex(6)}",
        name=name,
        kind=str(kind),
        address=address,
        kinds=list(kinds),
        created_at=now,
        created_by=actor.name,
        removed_at=None,
    )
    held = {"url": url, "secret": secret or made}
    row.sealed = seal.seal(json_bytes.dumps(held).decode(), about=row.about)
    session.add(row)
    _record(session, actor, "destination.created", row, now, after=_state(row))
    return row, made


def get_destination(session: Session, destination_id: str) -> DestinationRow:
    """A place that is told. Raises NotFound."""
    row = store.find_destination(session, destination_id)
    if row is None:
        raise NotFound("destination", destination_id)
    return row


def remove_destination(
    session: Session, destination_id: str, *, actor: Actor, now: datetime
) -> None:
    """Tell a place nothing more; its address and secret are forgotten."""
    row = get_destination(session, destination_id)
    row.removed_at, row.sealed = now, b""
    store.end_deliveries(session, row.id, "The destination was removed.", now=now)
    _record(session, actor, "destination.removed", row, now, before=_state(row))


def send_test(
    db: Database,
    seal: Seal,
    settings: Settings,
    destination_id: str,
    *,
    actor: Actor,
    now: datetime,
) -> Attempt:
    """Send a message that says it is a test, once, and say how that ended."""
    with db.transaction() as session:
        row = get_destination(session, destination_id)
        _record(session, actor, "destination.tested", row, now)
    message = Message(
        id=f"msg_{secrets.token_hex(12)}",
        kind="test",
        subject="Rollouts: a test message",
        happened=f"{one_line(actor.name, 200)} asked for a test of this destination.",
        done="Nothing was changed. Alerts will arrive here like this one.",
        created_at=now,
        links={"Rollouts": settings.base_url},
    )
    return attempt(row, message, seal, settings, now=now)


def retry_delivery(session: Session, delivery_id: int, *, actor: Actor, now: datetime) -> None:
    """Try a delivery that was given up again, from the beginning."""
    row = session.get(DeliveryRow, delivery_id)
    if row is None:
        raise NotFound("delivery", delivery_id)
    if row.state != DeliveryState.DEAD:
        raise Conflict("Only a delivery that was given up can be tried again.")
    destination = get_destination(session, row.destination_id)
    row.state, row.attempts, row.next_at = str(DeliveryState.PENDING), 0, now
    row.created_at, row.ended_at, row.problem = now, None, ""
    _record(session, actor, "delivery.retried", destination, now, after={"delivery": row.id})


def reseal(session: Session, former: Seal, seal: Seal) -> int:
    """Put all destinations under a new secret; returns how many were under the former one."""
    moved = 0
    for row in store.list_destinations(session):
        if not seal.has_sealed(row.sealed):
            row.sealed = seal.rewrap(row.sealed, about=row.about, former=former)
            moved += 1
    return moved


def _state(row: DestinationRow) -> dict[str, object]:
    return {"name": row.name, "kind": row.kind, "address": row.address, "kinds": row.kinds}


def _record(
    session: Session,
    actor: Actor,
    action: str,
    row: DestinationRow,
    now: datetime,
    *,
    before: object = None,
    after: object = None,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="destination",
        subject=row.id,
        before=before,
        after=after,
        now=now,
    )
