"""The most extreme value that one unit has, of each variation and stratum."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollouts.ledger.bulk import table_of
from rollouts.ledger.members import members, with_totals
from rollouts.ledger.model import Cell
from rollouts.ledger.segments import settled
from rollouts.ledger.store import ExposureRow
from rollouts.metrics.model import Definition

_exposures = table_of(ExposureRow)


def extreme_units(
    session: Session, rollout_id: int, metric_version_id: int, definition: Definition
) -> dict[Cell, tuple[float, float]]:
    """Smallest and largest value of any uncrossed unit, by (variation, stratum)."""
    x = settled(definition)
    columns = (_exposures.c.variation, _exposures.c.stratum, func.min(x), func.max(x))
    query = (
        members(select(*columns), rollout_id)
        .select_from(with_totals(metric_version_id))
        .group_by(_exposures.c.variation, _exposures.c.stratum)
    )
    return {
        (variation, stratum): (float(least), float(most))
        for variation, stratum, least, most in session.execute(query)
    }
