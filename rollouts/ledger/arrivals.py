"""On which day units were first exposed, by variation."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollouts.ledger.bulk import table_of
from rollouts.ledger.members import members
from rollouts.ledger.store import ExposureRow

_exposures = table_of(ExposureRow)
DAY_US = 86_400 * 1_000_000


def units_by_day(session: Session, rollout_id: int) -> dict[tuple[int, int], int]:
    """Uncrossed units by (variation, day of their first exposure in UTC, counted from 1970)."""
    first = _exposures.c.first_us
    day = (first - first % DAY_US) / DAY_US
    query = (
        members(select(_exposures.c.variation, day, func.count()), rollout_id)
        .select_from(_exposures)
        .group_by(_exposures.c.variation, day)
    )
    return {(variation, int(held)): n for variation, held, n in session.execute(query)}
