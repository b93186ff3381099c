"""One stretch of the journal into the books, in one transaction with the offset."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from rollouts.db import Database
from rollouts.ingest.journal import Journal
from rollouts.ingest.model import EPOCH, Entry, Happening, from_us, to_us
from rollouts.ingest.understand import Understood, hasher_of_units, understand
from rollouts.ledger.adopt import adopt, list_behind
from rollouts.ledger.apply import apply
from rollouts.ledger.bulk import fetch_in, table_of, upsert
from rollouts.ledger.current import current_catalogue
from rollouts.ledger.filling import SLICE, fill_slice, list_unfilled
from rollouts.ledger.model import Folded
from rollouts.ledger.resolve import Resolver
from rollouts.ledger.store import LedgerStateRow, SeenMessageRow

log = structlog.get_logger()

STATE_ID = 1
SEARCHED_FRAMES = 50  # how far to look for a frame that can be counted past one that cannot

Read = tuple[Entry, list[Understood]]


def fold(db: Database, journal: Journal, *, unit_key: bytes, limit_events: int) -> Folded:
    """Count what follows in the journal."""
    with db.reading() as session:
        start = find_offset(session)
    with _collector_paused():
        # The slow part is done outside the transaction, which others wait for.
        read = [_understand(entry) for entry in journal.read(start, limit_events)]
        if not read:
            return Folded(0, start, True)
        events, end = _fold(db, start, read, unit_key)
    return Folded(events, end, end >= journal.end())


def adopt_plans(db: Database) -> None:
    """Bring the sums to the plans as they are now, where no event has done so already."""
    with db.reading() as session:
        is_behind = bool(list_behind(session, current_catalogue(session)))
    if is_behind:
        with _collector_paused(), db.transaction() as session:
            _locked_state(session)
            adopt(session, current_catalogue(session))
    while fill(db):
        continue


def fill(db: Database) -> bool:
    """Count one more slice of a metric that was added, in its own transaction; False if none is."""
    with db.reading() as session:
        if not list_unfilled(session):
            return False
    with _collector_paused(), db.transaction() as session:
        _locked_state(session)
        unfilled = list_unfilled(session)  # somebody else may have been faster
        if unfilled:
            fill_slice(session, current_catalogue(session).countings[min(unfilled)], SLICE)
    return True


def find_offset(session: Session) -> int:
    """Offset of the last event that is counted."""
    return session.scalar(select(LedgerStateRow.offset)) or 0


def _fold(db: Database, start: int, read: Sequence[Read], unit_key: bytes) -> tuple[int, int]:
    """Count; how many events, and the offset then. One bad frame holds up no other.

    None is known that cannot be counted, but the stop-loss must not stand still over one.
    """
    try:
        return _commit(db, start, read, unit_key)
    except (OperationalError, InterfaceError):  # the store's fault: the caller tries again
        raise
    except Exception as wrong:
        log.exception("fold_failed", start=start, n_frames=len(read), exc_info=wrong)
        counted = _fold_around(db, start, read, unit_key)
        if counted is None:
            raise
        return counted


def _fold_around(
    db: Database, start: int, read: Sequence[Read], unit_key: bytes
) -> tuple[int, int] | None:
    """Count the frames before the bad one; or, if it is the first, give it up and go on.

    It is given up only if a later frame can be counted. If none can, the fault is not the
    frames', and nothing is lost by waiting: None.
    """
    n = len(read)
    while (n := n // 2) > 0:
        counted = _try_commit(db, start, read[:n], unit_key)
        if counted is not None:
            return counted
    lost: list[Read] = []
    for entry, events in read[:SEARCHED_FRAMES]:
        if lost:
            counted = _try_commit(db, start, [*lost, (entry, events)], unit_key)
            if counted is not None:
                return counted
        lost.append((Entry(entry.start, entry.end, None, "it cannot be counted"), []))
    return None


def _try_commit(
    db: Database, start: int, read: Sequence[Read], unit_key: bytes
) -> tuple[int, int] | None:
    try:
        return _commit(db, start, read, unit_key)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        return None


def _commit(db: Database, start: int, read: Sequence[Read], unit_key: bytes) -> tuple[int, int]:
    """One transaction; nothing is counted if somebody else was faster."""
    with db.transaction() as session:
        state = _locked_state(session)
        if state.offset == start:
            _count(session, state, read, unit_key)
            return state.offset - start, state.offset
        return 0, state.offset


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


def _locked_state(session: Session) -> LedgerStateRow:
    """The offset's row, for this transaction alone."""
    upsert(session, LedgerStateRow, [{"id": STATE_ID, "offset": 0, "n_damaged": 0}], put=("id",))
    return session.scalars(
        select(LedgerStateRow).where(LedgerStateRow.id == STATE_ID).with_for_update()
    ).one()


def _count(session: Session, state: LedgerStateRow, read: Sequence[Read], unit_key: bytes) -> None:
    # The rollouts are read after the frames: whatever a unit was exposed to had started by then.
    catalogue = current_catalogue(session)
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
        day = day_of(from_us(state.data_us)) if state.data_us is not None else 0
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


def day_of(at: datetime) -> int:
    """Days since 1970."""
    return at.toordinal() - EPOCH.toordinal()
