"""Sums made when a look asks: over some of the units, by when they came, or with the data's cap.

The sums that the folder keeps know neither.
"""

from __future__ import annotations

from datetime import datetime
from math import ceil

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from analysis.summary import PairSummary
from rollouts.ingest.model import MICROSECOND, to_us
from rollouts.ledger.bulk import table_of
from rollouts.ledger.members import members, with_totals
from rollouts.ledger.model import Cell
from rollouts.ledger.segments import denominator, settled
from rollouts.ledger.store import ExposureRow
from rollouts.metrics.model import Definition

_exposures = table_of(ExposureRow)


def matured_sums(
    session: Session,
    rollout_id: int,
    metric_version_id: int,
    definition: Definition,
    data_end: datetime,
) -> dict[Cell, PairSummary]:
    """One metric's sums by (variation, stratum), of uncrossed units whose window ended in time.

    data_end: until when events are known. A unit's window ends `definition.window` after its
    first exposure; without a window nobody is ever mature.
    """
    if definition.window is None:
        return {}
    cutoff = to_us(data_end) - definition.window // MICROSECOND
    return _sums(
        session, rollout_id, metric_version_id, definition, _exposures.c.first_us <= cutoff
    )


def sums_since(
    session: Session,
    rollout_id: int,
    metric_version_id: int,
    definition: Definition,
    since: datetime,
) -> dict[Cell, PairSummary]:
    """The same of uncrossed units that were first exposed at a time or later."""
    begins = _exposures.c.first_us >= to_us(since)
    return _sums(session, rollout_id, metric_version_id, definition, begins)


def whole_sums(
    session: Session, rollout_id: int, metric_version_id: int, definition: Definition
) -> dict[Cell, PairSummary]:
    """One metric's sums by (variation, stratum) of all uncrossed units, with the cap given."""
    return _sums(session, rollout_id, metric_version_id, definition, None)


def cut_limit(
    session: Session,
    rollout_id: int,
    metric_version_id: int,
    definition: Definition,
    quantile: float,
) -> tuple[float, int] | None:
    """The quantile of all versions' units together that have any value, and how many have one.

    None where no unit has. All versions together, so that the limit favours none of them.
    """
    x = settled(definition)
    held = members(select(x), rollout_id).select_from(with_totals(metric_version_id)).where(x > 0)
    n = session.scalar(select(func.count()).select_from(held.subquery())) or 0
    if not n:
        return None
    rank = max(ceil(n * quantile), 1)
    limit = session.scalar(held.order_by(x).offset(rank - 1).limit(1))
    return (float(limit), n) if limit is not None else None


def _sums(
    session: Session,
    rollout_id: int,
    metric_version_id: int,
    definition: Definition,
    which: ColumnElement[bool] | None,
) -> dict[Cell, PairSummary]:
    x, y = settled(definition), denominator(definition)
    sums = (func.sum(x), func.sum(y), func.sum(x * x), func.sum(y * y), func.sum(x * y))
    query = (
        members(
            select(_exposures.c.variation, _exposures.c.stratum, func.count(), *sums), rollout_id
        )
        .select_from(with_totals(metric_version_id))
        .group_by(_exposures.c.variation, _exposures.c.stratum)
    )
    if which is not None:
        query = query.where(which)
    return {
        (variation, stratum): PairSummary(n, *(float(item) for item in rest))
        for variation, stratum, n, *rest in session.execute(query)
    }
