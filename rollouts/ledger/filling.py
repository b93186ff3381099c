"""A metric that a plan adds is counted from what is stored, in slices that others get in between.

Folding goes on meanwhile and need not know: it adds new outcomes to whatever a unit's total is,
and a slice sets the totals of its units to all their outcomes, whatever was there before. How
far the slices are stands beside the metric; until they are through, its sums are not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollouts.ledger import units as stored
from rollouts.ledger.bulk import CHUNK
from rollouts.ledger.catalogue import Catalogue, Counting, total_up
from rollouts.ledger.deltas import Deltas
from rollouts.ledger.model import Standing
from rollouts.ledger.store import CountedRolloutRow

SLICE = CHUNK  # units in one transaction, which takes about a quarter of a second
DONE = 2  # members of an entry of `CountedRolloutRow.metrics`; one more says how far it is

Entry = list[Any]  # a metric's id, whether it is a ratio, and while it is filled the last unit


def entries_of(counting: Counting, held: Iterable[Entry] | None) -> list[Entry]:
    """The metrics counted for, as they are remembered: those not yet held are to be filled.

    held: what is remembered so far; None if all of them are being counted anew.
    """
    known = {entry[0]: entry for entry in held or ()}
    rest: Entry = [] if held is None else [None]
    return [
        known.get(metric.id, [metric.id, metric.is_ratio, *rest]) for metric in counting.metrics
    ]


def is_filled(entry: Entry) -> bool:
    """Whether the sums of a metric are complete."""
    return len(entry) == DONE


def list_unfilled(session: Session) -> set[int]:
    """Rollouts with a metric that is not counted from all that is stored yet."""
    query = select(CountedRolloutRow.rollout_id, CountedRolloutRow.metrics)
    return {
        rollout_id
        for rollout_id, metrics in session.execute(query)
        if not all(is_filled(entry) for entry in metrics)
    }


def fill_slice(session: Session, counting: Counting, size: int) -> None:
    """Count the next units for those metrics that are as far as the first unfilled one."""
    row = session.get_one(CountedRolloutRow, counting.id)
    after = next(entry[DONE] for entry in row.metrics if not is_filled(entry))
    ids = {entry[0] for entry in row.metrics if not is_filled(entry) and entry[DONE] == after}
    standings = stored.exposed_after(session, counting.id, after, size)
    part = replace(counting, metrics=tuple(held for held in counting.metrics if held.id in ids))
    _count(session, part, standings)
    last = [max(standings)] if standings else []
    row.metrics = [[*entry[:DONE], *last] if entry[0] in ids else entry for entry in row.metrics]


def _count(session: Session, part: Counting, standings: dict[int, Standing]) -> None:
    weighed = stored.weighed_of(session, Catalogue([part.measured]), list(standings))
    totals = stored.totals_of(session, list(standings))
    deltas = Deltas()
    for unit, standing in standings.items():
        if not standing.is_crossed:
            before = totals.get((part.id, unit), {})
            after = total_up(part, weighed.get(unit, ()), standing.first_us)
            deltas.move(part, unit, (standing, before), (standing, after))
    deltas.write(session)
