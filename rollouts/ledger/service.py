"""From the journal to sums: each event counted once, whatever happens in between.

The totals and the offset they stand for are committed together, so a crash repeats work but
neither loses nor doubles an event. Any process may fold at any time; whoever comes second
finds the offset moved and starts from there.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from rollouts.db import Database
from rollouts.errors import NotFound
from rollouts.ingest.journal import Journal
from rollouts.ingest.model import EPOCH, Entry, Happening, from_us, to_us
from rollouts.ingest.understand import Understood, hasher_of_units, understand
from rollouts.ledger import pruning, reading, recent
from rollouts.ledger.adopt import adopt, is_current
from rollouts.ledger.apply import apply
from rollouts.ledger.bulk import fetch_in, table_of, upsert
from rollouts.ledger.catalogue import Catalogue, Counting
from rollouts.ledger.model import Folded, Sums
from rollouts.ledger.resolve import Resolver
from rollouts.ledger.segments import SegmentSums, segment_sums
from rollouts.ledger.store import LedgerStateRow, RecentExposureRow, SeenMessageRow
from rollouts.lifecycle.measured import list_measured

__all__ = [
    "Folded",
    "SegmentSums",
    "Sums",
    "catch_up",
    "fold_once",
    "list_recent",
    "offset",
    "prune",
    "recount",
    "segment_sums",
    "sums",
    "verify",
]

log = structlog.get_logger()

CATCH_UP_EVENTS = 20_000  # in one transaction, so that other writers get their turn
STATE_ID = 1

Read = tuple[Entry, list[Understood]]


def fold_once(
    db: Database, journal: Journal, *, unit_key: bytes, limit_events: int, now: datetime
) -> Folded:
    """Count what follows in the journal, in one transaction of its own.

    unit_key: keys the hash that units are stored under. Safe from any process and thread.
    """
    with db.reading() as session:
        start = offset(session)
    with _collector_paused():
        # The slow part is done outside the transaction, which others wait for.
        read = [_understand(entry) for entry in journal.read(start, limit_events)]
        if not read and _is_idle(db):
            return Folded(0, start, True)
        with db.transaction() as session:
            state = _locked_state(session)
            if state.offset != start:
                return Folded(0, state.offset, False)
            _count(session, state, read, unit_key)
            end = state.offset
    return Folded(end - start, end, end >= journal.end())


def catch_up(db: Database, journal: Journal, *, unit_key: bytes, now: datetime) -> int:
    """Fold until all that is in the journal now is counted; how many events this call counted."""
    goal, events = journal.end(), 0
    while True:
        folded = fold_once(db, journal, unit_key=unit_key, limit_events=CATCH_UP_EVENTS, now=now)
        events += folded.events
        if folded.offset >= goal:
            return events


def offset(session: Session) -> int:
    """Offset of the last event that is counted."""
    return session.scalar(select(LedgerStateRow.offset)) or 0


def sums(session: Session, rollout_id: int) -> Sums:
    """All that the statistics need of a rollout."""
    return reading.read_sums(session, rollout_id)


def recount(session: Session, rollout_id: int) -> Sums:
    """The same from single outcomes: slow, and equal to `sums` once the ledger has caught up.

    Raises NotFound for a rollout that never started.
    """
    for measured in list_measured(session):
        if measured.rollout_id == rollout_id:
            return reading.recount_sums(session, Counting.of(measured))
    raise NotFound("started rollout", rollout_id)


def verify(session: Session) -> list[str]:
    """The standing self-check: what differs between kept and recounted sums, in words."""
    found = []
    for measured in list_measured(session):
        kept = reading.read_sums(session, measured.rollout_id)
        anew = reading.recount_sums(session, Counting.of(measured))
        found += [f"{measured.key}: {what}" for what in reading.differences(kept, anew)]
    return found


def list_recent(
    session: Session,
    *,
    unit_key: bytes,
    unit: str = "",
    rollout: str = "",
    limit: int = 50,
    before_id: int | None = None,
) -> Sequence[RecentExposureRow]:
    """The last exposures as understood and as refused, newest first."""
    units: set[int] = set()
    if unit:
        number = hasher_of_units(unit_key)
        attributes = Catalogue(list_measured(session)).attributes
        units = {number(attribute, unit) for attribute in attributes}
    return recent.list_recent(
        session, limit=limit, before_id=before_id, units=sorted(units), rollout=rollout
    )


def prune(db: Database, *, before: datetime) -> int:
    """Forget messages, and outcomes of units in no rollout, from before a time; how many."""
    with db.transaction() as session:
        return pruning.prune(session, before_us=to_us(before), before_day=_day(before))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No search for cycles: there are none, and looking through each batch takes 40 % of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _understand(entry: Entry) -> Read:
    if entry.frame is None:
        return entry, []
    try:
        return entry, understand(entry.frame)
    except (msgspec.DecodeError, RecursionError):
        return Entry(entry.start, entry.end, None, "the events cannot be read"), []


def _is_idle(db: Database) -> bool:
    with db.reading() as session:
        return is_current(session, Catalogue(list_measured(session)))


def _locked_state(session: Session) -> LedgerStateRow:
    """The offset's row, for this transaction alone."""
    upsert(session, LedgerStateRow, [{"id": STATE_ID, "offset": 0, "n_damaged": 0}], put=("id",))
    return session.scalars(
        select(LedgerStateRow).where(LedgerStateRow.id == STATE_ID).with_for_update()
    ).one()


def _count(session: Session, state: LedgerStateRow, read: Sequence[Read], unit_key: bytes) -> None:
    # The rollouts are read after the frames: whatever a unit was exposed to had started by then.
    catalogue = Catalogue(list_measured(session))
    adopt(session, catalogue)
    known = _known(session, read)
    resolver = Resolver(catalogue, hasher_of_units(unit_key), known)
    for entry, events in read:
        if entry.frame is None:
            log.error("journal_damaged", start=entry.start, end=entry.end, why=entry.fault)
            state.n_damaged += entry.n_events
        else:
            resolver.add(entry.frame, events)
            state.data_us = to_us(entry.frame.received_at)
        state.offset = entry.end
    if read:
        day = _day(from_us(state.data_us)) if state.data_us is not None else 0
        apply(session, resolver.batch, catalogue, day=day)


def _known(session: Session, read: Sequence[Read]) -> set[int]:
    """Those of the messages read that were counted before."""
    messages = {
        event.message
        for _, events in read
        for event in events
        if isinstance(event, Happening) and event.message is not None
    }
    seen = table_of(SeenMessageRow)
    return {row.id for row in fetch_in(session, select(seen.c.id), seen.c.id, messages)}


def _day(at: datetime) -> int:
    return at.toordinal() - EPOCH.toordinal()
