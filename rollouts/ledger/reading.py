"""The sums as the statistics take them, and the same made anew from single outcomes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from math import isclose

from sqlalchemy import select
from sqlalchemy.orm import Session

from analysis.summary import PairSummary
from rollouts.ingest.model import from_us
from rollouts.ledger import units as stored
from rollouts.ledger.adopt import exposed
from rollouts.ledger.catalogue import Counting
from rollouts.ledger.filling import is_filled
from rollouts.ledger.model import Cell, Standing, Sums
from rollouts.ledger.resolve import NOWHERE
from rollouts.ledger.store import (
    CountedRolloutRow,
    FeedRow,
    LedgerStateRow,
    RefusedRow,
    SumRow,
    UnitCountRow,
)
from rollouts.metrics.model import Outcome

SAME = 1e-9  # relative: sums of doubles depend on their order in the last digits

CellKey = tuple[int, int, int]  # metric version, variation, stratum


def read_sums(session: Session, rollout_id: int) -> Sums:
    """The sums of a rollout as the folder keeps them; empty ones for one without events."""
    counts = session.scalars(
        select(UnitCountRow).where(UnitCountRow.rollout_id == rollout_id)
    ).all()
    counted = session.get(CountedRolloutRow, rollout_id)
    units = {(row.variation, row.stratum): row.n for row in counts if row.n}
    return _with_context(
        session,
        rollout_id,
        units=units,
        crossed=counted.n_crossed if counted else 0,
        untrusted=sum(row.n_untrusted for row in counts),
        by_metric=_cells(session, rollout_id, counted, units),
    )


def _cells(
    session: Session,
    rollout_id: int,
    counted: CountedRolloutRow | None,
    units: Mapping[Cell, int],
) -> dict[CellKey, PairSummary]:
    """One pair of sums per metric and cell, zeros where nothing happened yet."""
    rows = session.scalars(select(SumRow).where(SumRow.rollout_id == rollout_id))
    held = {(row.metric_version_id, row.variation, row.stratum): row for row in rows}
    cells: dict[CellKey, PairSummary] = {}
    for entry in counted.metrics if counted else ():
        if not is_filled(entry):
            continue
        metric_id, is_ratio = entry
        for cell, n in units.items():
            row = held.get((metric_id, *cell))
            x, xx = (row.x, row.xx) if row else (0.0, 0.0)
            if not is_ratio:  # the denominator is the unit: 1 for each
                cells[metric_id, *cell] = PairSummary(n, x, float(n), xx, float(n), x)
            elif row:
                cells[metric_id, *cell] = PairSummary(n, x, row.y, xx, row.yy, row.xy)
            else:
                cells[metric_id, *cell] = PairSummary(n)
    return cells


def recount_sums(session: Session, counting: Counting) -> Sums:
    """The sums made anew, unit by unit, with the plan's cuts and the metrics' own arithmetic."""
    units: Counter[Cell] = Counter()
    values: dict[CellKey, list[tuple[float, float]]] = defaultdict(list)
    crossed = untrusted = 0
    for standings in exposed(session, counting.id):
        outcomes = stored.outcomes_of(session, list(standings))
        for unit, standing in standings.items():
            if standing.is_crossed:
                crossed += 1
                continue
            cell = (standing.variation, counting.stratum_at(standing.first_us))
            units[cell] += 1
            untrusted += 0 if standing.is_trusted else 1
            held = outcomes.get(unit, ())
            for metric_id, pair in _values(counting, standing, held):
                values[metric_id, *cell].append(pair)
    by_metric = {
        key: PairSummary.of([x for x, _ in pairs], [y for _, y in pairs])
        for key, pairs in values.items()
    }
    return _with_context(
        session,
        counting.id,
        units=dict(units),
        crossed=crossed,
        untrusted=untrusted,
        by_metric=by_metric,
    )


def _values(
    counting: Counting, standing: Standing, outcomes: Iterable[tuple[int, int, Outcome]]
) -> Iterable[tuple[int, tuple[float, float]]]:
    mine = [outcome for _, environment, outcome in outcomes if counting.counts_in(environment)]
    first_at = from_us(standing.first_us)
    for metric in counting.metrics:
        yield metric.id, metric.definition.per_unit(mine, first_at)


def _with_context(
    session: Session,
    rollout_id: int,
    *,
    units: Mapping[Cell, int],
    crossed: int,
    untrusted: int,
    by_metric: Mapping[CellKey, PairSummary],
) -> Sums:
    """Add what is known beside the sums."""
    state = session.get(LedgerStateRow, 1)
    refused = session.scalars(
        select(RefusedRow).where(RefusedRow.rollout_id == rollout_id).order_by(RefusedRow.reason)
    )
    feeds = session.scalars(select(FeedRow).where(FeedRow.rollout_id == rollout_id))
    return Sums(
        units=units,
        crossed=crossed,
        untrusted_units=untrusted,
        refused={row.reason: row.n for row in refused},
        by_metric=by_metric,
        data_at=from_us(state.data_us) if state and state.data_us is not None else None,
        last_event_at={row.metric_version_id: from_us(row.last_us) for row in feeds},
        damaged=state.n_damaged if state else 0,
    )


def list_refused_nowhere(session: Session) -> dict[str, int]:
    """Events that counted for no rollout at all, by reason."""
    rows = session.scalars(select(RefusedRow).where(RefusedRow.rollout_id == NOWHERE))
    return {row.reason: row.n for row in rows}


def differences(kept: Sums, anew: Sums) -> list[str]:
    """What differs between two ways to the same sums, in words; nothing if they agree."""
    found = [
        f"{name}: kept {getattr(kept, name)}, anew {getattr(anew, name)}"
        for name in ("units", "crossed", "untrusted_units")
        if getattr(kept, name) != getattr(anew, name)
    ]
    for key in sorted({*kept.by_metric, *anew.by_metric}):
        left, right = kept.by_metric.get(key), anew.by_metric.get(key)
        if left is None or right is None or not _agree(left, right):
            found.append(f"metric version, variation, stratum {key}: kept {left}, anew {right}")
    return found


def _agree(left: PairSummary, right: PairSummary) -> bool:
    """Equal but for rounding, measured against the squares: sums may cancel to nothing."""
    if left.n != right.n:
        return False
    scale = 1.0 + left.xx + left.yy
    return all(
        isclose(getattr(left, name), getattr(right, name), rel_tol=SAME, abs_tol=SAME * scale)
        for name in ("x_total", "y_total", "xx", "yy", "xy")
    )
