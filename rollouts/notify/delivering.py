"""Deliver what is due: take in hand, try, write down how it ended.

A process that dies between the second and the third step leaves a lease that ends, and the
message is tried again under the same id: at least once, and a receiver can tell.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from rollouts.config import Settings
from rollouts.db import Database
from rollouts.errors import SettingWrong
from rollouts.notify import chat, store, webhooks
from rollouts.notify.model import (
    Attempt,
    DeliveryState,
    DestinationKind,
    Message,
    Outcome,
    next_try,
)
from rollouts.notify.sealing import Seal
from rollouts.notify.store import DestinationRow
from rollouts.web import json_bytes

log = structlog.get_logger()

LEASE = timedelta(seconds=60)
AT_ONCE = 8
PATIENCE_SECONDS = 20.0  # well below the lease


@dataclass(frozen=True, slots=True)
class _Job:
    """A delivery in hand."""

    id: int
    attempts: int
    created_at: datetime
    message: Message
    destination: DestinationRow


def deliver_due(db: Database, seal: Seal, settings: Settings, *, now: datetime) -> int:
    """Try what is due, a few at once; returns how many were delivered. Call it again and again."""
    with db.reading() as session:
        if not store.has_due(session, now=now):
            return 0
    with db.transaction() as session:
        claimed = store.claim_due(session, limit=AT_ONCE, lease=LEASE, now=now)
        jobs = [
            _Job(row.id, row.attempts, row.created_at, message.to_domain(), destination)
            for row, message, destination in claimed
        ]
    attempts = _try_all(jobs, seal, settings, now)
    for job, ended in zip(jobs, attempts, strict=True):
        _settle(db, job, ended, now)
    return sum(ended.outcome is Outcome.DELIVERED for ended in attempts)


def attempt(
    destination: DestinationRow, message: Message, seal: Seal, settings: Settings, *, now: datetime
) -> Attempt:
    """Try once. Never raises: whatever goes wrong is how it ended."""
    networks = settings.outbound_networks
    try:
        held = json_bytes.loads(seal.open(destination.sealed, about=destination.about).encode())
        if store.kind_of(destination) is DestinationKind.WEBHOOK:
            return webhooks.send(held["url"], held["secret"], message, networks, now=now)
        return chat.send(held["url"], message, networks)
    except SettingWrong:
        return Attempt(Outcome.FAILED, "The address does not open: ROLLOUTS_SECRET_KEY changed.")
    except Exception as wrong:  # a fault in a library must not stop other deliveries
        log.error("delivery_broke", destination=destination.id, error=type(wrong).__name__)
        return Attempt(Outcome.FAILED, "Sending failed unexpectedly.")


def _try_all(jobs: Sequence[_Job], seal: Seal, settings: Settings, now: datetime) -> list[Attempt]:
    """Each in a thread of its own, so that a slow receiver delays no other for long."""
    ended: dict[int, Attempt] = {}

    def run(job: _Job) -> None:
        ended[job.id] = attempt(job.destination, job.message, seal, settings, now=now)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    until = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    late = Attempt(Outcome.FAILED, "The receiver took too long.")
    return [ended.get(job.id, late) for job in jobs]


def _settle(db: Database, job: _Job, ended: Attempt, now: datetime) -> None:
    again = next_try(job.id, job.attempts, job.created_at, now)
    state = DeliveryState.PENDING
    if ended.outcome is Outcome.DELIVERED:
        state = DeliveryState.DELIVERED
    elif ended.outcome is Outcome.GONE or again is None:
        state = DeliveryState.DEAD
    with db.transaction() as session:
        store.settle(
            session,
            job.id,
            job.attempts,
            state=state,
            problem=ended.problem[:300],
            next_at=again or now,
            ended_at=None if state is DeliveryState.PENDING else now,
        )
    if state is not DeliveryState.DELIVERED:
        log.warning(
            "delivery_failed",
            delivery=job.id,
            destination=job.destination.id,
            attempts=job.attempts,
            state=str(state),
            problem=ended.problem,
        )
