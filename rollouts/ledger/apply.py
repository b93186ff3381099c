"""One batch into the store: only the units it touches cost anything.

A unit that is new, or whose first exposure turns out to be earlier, is totalled up from all
its outcomes; any other only gets what its new outcomes add.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec
from sqlalchemy.orm import Session

from rollouts.ledger import units as stored
from rollouts.ledger.bulk import add_missing, add_rows, upsert
from rollouts.ledger.catalogue import Catalogue, Counting, Weighed, total_up
from rollouts.ledger.deltas import Deltas, Key
from rollouts.ledger.model import NO_TOTAL, UNIT_OUTCOMES_MAX, Standing, Total
from rollouts.ledger.recent import keep_recent
from rollouts.ledger.resolve import NOWHERE, Batch, NewOutcome
from rollouts.ledger.store import (
    FeedRow,
    OutcomeRow,
    RefusedRow,
    SeenMessageRow,
    UnitSegmentRow,
)

Standings = dict[int, dict[int, Standing]]
TOO_MANY = f"more than {UNIT_OUTCOMES_MAX:,} outcomes of one unit"
NEGATIVE = "negative value"

_encode = msgspec.json.Encoder().encode


def apply(session: Session, batch: Batch, catalogue: Catalogue, *, day: int) -> None:
    """Count a batch. day: of its arrival, in days since 1970."""
    outcomes = _within_cap(session, batch)
    _add_outcomes(session, outcomes)
    weighed = _weigh(session, batch, catalogue, outcomes)
    _count(session, batch, catalogue, weighed)
    messages = [{"id": message, "day": day} for message in sorted(batch.messages)]
    add_rows(session, SeenMessageRow, messages)
    _keep_segments(session, batch)
    keep_recent(session, batch.recent)
    add_refused(session, batch.refused)


def _keep_segments(session: Session, batch: Batch) -> None:
    """What units were when they were first seen; later exposures change nothing of it."""
    rows = [
        {"rollout_id": rollout_id, "unit": unit, "attribute": attribute, "value": value}
        for (rollout_id, unit, attribute), value in batch.segments.items()
    ]
    add_missing(session, UnitSegmentRow, rows)


def add_refused(session: Session, refused: dict[tuple[int, str], int]) -> None:
    """Count events that were not counted."""
    rows = [
        {"rollout_id": rollout_id, "reason": reason, "n": n}
        for (rollout_id, reason), n in refused.items()
    ]
    upsert(session, RefusedRow, rows, add=("n",))


def _within_cap(session: Session, batch: Batch) -> list[NewOutcome]:
    held = stored.n_outcomes_of(session, {item.unit for item in batch.outcomes})
    kept = []
    for item in batch.outcomes:
        n = held.get(item.unit, 0)
        if n >= UNIT_OUTCOMES_MAX:
            batch.refused[NOWHERE, TOO_MANY] += 1
            continue
        held[item.unit] = n + 1
        kept.append(item)
    return kept


def _add_outcomes(session: Session, outcomes: Iterable[NewOutcome]) -> None:
    rows = [
        {
            "unit": item.unit,
            "at_us": item.at_us,
            "environment_id": item.environment_id,
            "name": item.outcome.name,
            "value": item.outcome.value,
            "channel": item.outcome.channel,
            "properties": _encode(item.outcome.properties).decode()
            if item.outcome.properties
            else "",
            "is_trusted": item.outcome.is_trusted,
        }
        for item in outcomes
    ]
    add_rows(session, OutcomeRow, rows)


def _weigh(
    session: Session, batch: Batch, catalogue: Catalogue, outcomes: Iterable[NewOutcome]
) -> dict[int, list[Weighed]]:
    """What the new outcomes add, by unit; on the way, when each metric was last heard of."""
    weighed: dict[int, list[Weighed]] = defaultdict(list)
    last: dict[tuple[int, int], int] = {}
    for item in outcomes:
        held = catalogue.weigh(item.outcome, item.at_us, item.environment_id)
        if held is not None:
            weighed[item.unit].append(held)
            for metric_id in held.parts:
                for counting in catalogue.users[metric_id]:
                    if counting.counts_in(item.environment_id):
                        key = (counting.id, metric_id)
                        last[key] = max(last.get(key, item.at_us), item.at_us)
        if item.outcome.value is not None and item.outcome.value < 0:
            _refuse_negative(batch, catalogue, item)
    keep_feeds(session, last)
    return weighed


def _refuse_negative(batch: Batch, catalogue: Catalogue, item: NewOutcome) -> None:
    """Count a value below 0 for each rollout with a metric that takes the event but not that."""
    for metric in catalogue.by_event.get(item.outcome.name, ()):
        if metric.is_negative(item.outcome):
            for counting in catalogue.users[metric.id]:
                if counting.counts_in(item.environment_id):
                    batch.refused[counting.id, NEGATIVE] += 1


def keep_feeds(session: Session, last: dict[tuple[int, int], int]) -> None:
    """Remember when each metric of each rollout was last heard of."""
    known = (
        {(row.rollout_id, row.metric_version_id): row.last_us for row in session.query(FeedRow)}
        if last
        else {}
    )
    rows = [
        {"rollout_id": rollout_id, "metric_version_id": metric_id, "last_us": at_us}
        for (rollout_id, metric_id), at_us in last.items()
        if at_us > known.get((rollout_id, metric_id), at_us - 1)
    ]
    upsert(session, FeedRow, rows, put=("last_us",))


def _count(
    session: Session, batch: Batch, catalogue: Catalogue, weighed: dict[int, list[Weighed]]
) -> None:
    touched = {unit for _, unit in batch.sightings} | set(weighed)
    standings = stored.standings_of(session, touched)
    changed = _changed(batch, catalogue, standings)
    afresh = {
        unit
        for (rollout_id, unit), new in changed.items()
        if _is_moved(standings[unit].get(rollout_id), new)
    }
    whole = stored.weighed_of(session, catalogue, afresh)
    totals = stored.totals_of(session, touched)
    deltas = Deltas()
    for (rollout_id, unit), new in changed.items():
        counting, old = catalogue.countings[rollout_id], standings[unit].get(rollout_id)
        before = totals.get((rollout_id, unit), {})
        if _is_moved(old, new):
            after = total_up(counting, whole.get(unit, ()), new.first_us)
        else:
            after = _grown(counting, before, weighed.get(unit, ()), new)
        deltas.stand(counting, unit, old, new)
        deltas.move(counting, unit, (old, before), (new, after))
    _grow(deltas, catalogue, standings, changed, totals, weighed)
    deltas.write(session)


def _changed(batch: Batch, catalogue: Catalogue, standings: Standings) -> dict[Key, Standing]:
    """Units whose standing is new or another one after the batch's exposures."""
    changed = {}
    for (rollout_id, unit), seen in batch.sightings.items():
        old = standings[unit].get(rollout_id)
        new = catalogue.countings[rollout_id].stand(old, seen)
        if new != old:
            changed[rollout_id, unit] = new
    return changed


def _is_moved(old: Standing | None, new: Standing) -> bool:
    """Whether all outcomes must be looked at again."""
    return not new.is_crossed and (old is None or old.first_us != new.first_us)


def _grow(
    deltas: Deltas,
    catalogue: Catalogue,
    standings: Standings,
    changed: dict[Key, Standing],
    totals: dict[Key, dict[int, Total]],
    weighed: dict[int, list[Weighed]],
) -> None:
    """Add new outcomes to the totals of units whose standing stays."""
    for unit, items in weighed.items():
        for rollout_id, standing in standings[unit].items():
            counting = catalogue.countings.get(rollout_id)
            if counting is None or standing.is_crossed or (rollout_id, unit) in changed:
                continue
            before = totals.get((rollout_id, unit), {})
            after = _grown(counting, before, items, standing)
            if after != before:
                deltas.move(counting, unit, (standing, before), (standing, after))


def _grown(
    counting: Counting, before: dict[int, Total], items: Iterable[Weighed], standing: Standing
) -> dict[int, Total]:
    """Totals with what new outcomes add; none for a unit in quarantine."""
    if standing.is_crossed:
        return {}
    after = dict(before)
    for metric_id, (x, y) in total_up(counting, items, standing.first_us).items():
        held = before.get(metric_id, NO_TOTAL)
        after[metric_id] = (held[0] + x, held[1] + y)
    return after
