"""Plans move on: a ramp's new allocation, a metric added. The sums follow here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from rollouts.ledger import units as stored
from rollouts.ledger.bulk import CHUNK, table_of, upsert
from rollouts.ledger.catalogue import Catalogue, Counting, total_up
from rollouts.ledger.deltas import Deltas
from rollouts.ledger.filling import Entry, entries_of
from rollouts.ledger.model import Standing
from rollouts.ledger.store import CountedRolloutRow, ExposureRow, SumRow, TotalRow, UnitCountRow

_exposures = table_of(ExposureRow)


def list_behind(session: Session, catalogue: Catalogue) -> set[int]:
    """Rollouts whose sums were made for another plan than theirs is now."""
    query = select(CountedRolloutRow.rollout_id, CountedRolloutRow.fingerprint)
    held = {row.rollout_id: row.fingerprint for row in session.execute(query)}
    return {
        counting.id
        for counting in catalogue.countings.values()
        if held.get(counting.id) != counting.measured.fingerprint
    }


def adopt(session: Session, catalogue: Catalogue) -> None:
    """Bring the sums of every rollout to its plan as it is now."""
    held = {row.rollout_id: row for row in session.scalars(select(CountedRolloutRow))}
    for rollout_id in sorted(list_behind(session, catalogue)):
        counting, row = catalogue.countings[rollout_id], held.get(rollout_id)
        if row is None or not has_grown(counting, row):
            remember(session, counting, entries_of(counting, None))
            backfill(session, Catalogue([counting.measured]), counting)
            continue
        n_cuts, entries = len(row.cuts), entries_of(counting, row.metrics)
        remember(session, counting, entries)
        if n_cuts < len(counting.cuts_us):
            restratify(session, counting, since_us=counting.cuts_us[n_cuts])


def has_grown(counting: Counting, row: CountedRolloutRow) -> bool:
    """Whether cuts and metrics were only added: then what was counted for them stands."""
    same = list(counting.cuts_us[: len(row.cuts)]) == row.cuts
    return same and {entry[0] for entry in row.metrics} <= {held.id for held in counting.metrics}


def remember(session: Session, counting: Counting, metrics: list[Entry]) -> None:
    """Note what the sums are made for now."""
    row = {
        "rollout_id": counting.id,
        "fingerprint": counting.measured.fingerprint,
        "cuts": list(counting.cuts_us),
        "metrics": metrics,
        "n_crossed": 0,
    }
    upsert(session, CountedRolloutRow, [row], put=("fingerprint", "cuts", "metrics"))


def restratify(session: Session, counting: Counting, *, since_us: int) -> None:
    """Move units first exposed since a new cut into its stratum."""
    query = (
        select(_exposures.c.unit)
        .where(_exposures.c.rollout_id == counting.id)
        .where(_exposures.c.first_us >= since_us)
    )
    deltas = Deltas()
    units = list(session.scalars(query))
    standings, totals = stored.standings_of(session, units), stored.totals_of(session, units)
    for unit in units:
        old = standings[unit][counting.id]
        new = replace(old, stratum=counting.stratum_at(old.first_us))
        held = totals.get((counting.id, unit), {})
        deltas.stand(counting, unit, old, new)
        deltas.move(counting, unit, (old, held), (new, held))
    deltas.write(session)


def backfill(session: Session, catalogue: Catalogue, counting: Counting) -> None:
    """Make a rollout's totals and sums anew from its exposures and their units' outcomes."""
    for row in (TotalRow, SumRow, UnitCountRow):
        table = table_of(row)
        session.execute(delete(table).where(table.c.rollout_id == counting.id))
    counted = table_of(CountedRolloutRow)
    session.execute(update(counted).where(counted.c.rollout_id == counting.id).values(n_crossed=0))
    for standings in exposed(session, counting.id):
        weighed = stored.weighed_of(session, catalogue, list(standings))
        deltas = Deltas()
        for unit, old in standings.items():
            new = replace(old, stratum=counting.stratum_at(old.first_us))
            deltas.stand(counting, unit, None, new)
            if not new.is_crossed:
                totals = total_up(counting, weighed.get(unit, ()), new.first_us)
                deltas.move(counting, unit, (None, {}), (new, totals))
        deltas.write(session)


def exposed(session: Session, rollout_id: int, size: int = CHUNK) -> Iterator[dict[int, Standing]]:
    """All units of a rollout, some thousand at a time, in the order of their numbers."""
    after: int | None = None
    while standings := stored.exposed_after(session, rollout_id, after, size):
        after = max(standings)
        yield standings
