"""From the journal to sums: each event counted once, whatever happens in between.

The totals and the offset they stand for are committed together, so a crash repeats work but
neither loses nor doubles an event. Any process may fold at any time; whoever comes second
finds the offset moved and starts from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.db import Database
from rollouts.errors import NotFound
from rollouts.ingest.journal import Journal
from rollouts.ingest.model import to_us
from rollouts.ingest.understand import hasher_of_units
from rollouts.ledger import adopt, filling, folding, pruning, reading, recent
from rollouts.ledger.answers import asked, events_of
from rollouts.ledger.arrivals import units_by_day
from rollouts.ledger.before import before_and_after, before_by_strata
from rollouts.ledger.catalogue import Counting
from rollouts.ledger.crossing import crossed_by_variation
from rollouts.ledger.current import current_catalogue
from rollouts.ledger.distributions import histograms, times
from rollouts.ledger.extremes import extreme_units
from rollouts.ledger.maturity import cut_limit, matured_sums, sums_since, whole_sums
from rollouts.ledger.model import Folded, Sums
from rollouts.ledger.segments import SegmentSums, segment_histograms, segment_sums
from rollouts.ledger.store import RecentExposureRow
from rollouts.ledger.volume import volume_before
from rollouts.lifecycle.measured import list_measured

__all__ = [
    "Folded",
    "SegmentSums",
    "Sums",
    "asked",
    "before_and_after",
    "before_by_strata",
    "catch_up",
    "crossed_by_variation",
    "cut_limit",
    "events_of",
    "extreme_units",
    "fold_once",
    "histograms",
    "list_recent",
    "matured_sums",
    "offset",
    "prune",
    "recount",
    "segment_histograms",
    "segment_sums",
    "sums",
    "sums_since",
    "times",
    "units_by_day",
    "verify",
    "volume_before",
    "whole_sums",
]

# Attributes by which an exposure of no known rollout may name its unit.
ALWAYS_ASKED = ("id", "user_id", "device_id")

CATCH_UP_EVENTS = 20_000  # in one transaction, so that other writers get their turn


def fold_once(
    db: Database, journal: Journal, *, unit_key: bytes, limit_events: int, now: datetime
) -> Folded:
    """Count what follows in the journal, in one transaction of its own.

    unit_key: keys the hash that units are stored under. Safe from any process and thread.
    """
    return folding.fold(db, journal, unit_key=unit_key, limit_events=limit_events)


def catch_up(db: Database, journal: Journal, *, unit_key: bytes, now: datetime) -> int:
    """Fold until all that is in the journal now is counted, by the plans as they are now.

    Returns how many events this call counted.
    """
    goal, events = journal.end(), 0
    while True:
        folded = fold_once(db, journal, unit_key=unit_key, limit_events=CATCH_UP_EVENTS, now=now)
        events += folded.events
        if folded.offset >= goal:
            folding.adopt_plans(db)
            return events


def offset(session: Session) -> int:
    """Offset of the last event that is counted."""
    return folding.find_offset(session)


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
    """The standing self-check: what differs between kept and recounted sums, in words.

    A rollout whose plan moved on is left out until its sums have followed.
    """
    found = []
    catalogue = current_catalogue(session)
    behind = adopt.list_behind(session, catalogue) | filling.list_unfilled(session)
    for counting in catalogue.countings.values():
        if counting.id in behind:
            continue
        kept = reading.read_sums(session, counting.id)
        anew = reading.recount_sums(session, counting)
        found += [f"{counting.measured.key}: {what}" for what in reading.differences(kept, anew)]
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
        attributes = {*current_catalogue(session).attributes, *ALWAYS_ASKED}
        units = {number(attribute, unit) for attribute in attributes}
    return recent.list_recent(
        session, limit=limit, before_id=before_id, units=sorted(units), rollout=rollout
    )


def prune(db: Database, *, before: datetime) -> int:
    """Forget messages, and outcomes of units in no rollout, from before a time; how many."""
    with db.transaction() as session:
        return pruning.prune(session, before_us=to_us(before), before_day=folding.day_of(before))
