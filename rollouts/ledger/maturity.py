"""Sums over those units only whose window is complete, made when a look asks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from analysis.summary import PairSummary
from rollouts.ingest.model import MICROSECOND, to_us
from rollouts.ledger.bulk import table_of
from rollouts.ledger.model import Cell
from rollouts.ledger.segments import denominator, settled
from rollouts.ledger.store import ExposureRow, TotalRow
from rollouts.metrics.model import Definition

_exposures, _totals = table_of(ExposureRow), table_of(TotalRow)


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
    total = and_(
        _totals.c.unit == _exposures.c.unit,
        _totals.c.rollout_id == _exposures.c.rollout_id,
        _totals.c.metric_version_id == metric_version_id,
    )
    x, y = settled(definition), denominator(definition)
    sums = (func.sum(x), func.sum(y), func.sum(x * x), func.sum(y * y), func.sum(x * y))
    query = (
        select(_exposures.c.variation, _exposures.c.stratum, func.count(), *sums)
        .select_from(_exposures.outerjoin(_totals, total))
        .where(_exposures.c.rollout_id == rollout_id)
        .where(_exposures.c.first_us <= cutoff)
        .where(_exposures.c.is_crossed.is_(False))
        .group_by(_exposures.c.variation, _exposures.c.stratum)
    )
    return {
        (variation, stratum): PairSummary(n, *(float(item) for item in rest))
        for variation, stratum, n, *rest in session.execute(query)
    }
