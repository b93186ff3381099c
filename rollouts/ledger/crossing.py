"""Who was seen in two versions, by the version seen first."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollouts.ledger.bulk import table_of
from rollouts.ledger.store import ExposureRow

_exposures = table_of(ExposureRow)


def crossed_by_variation(session: Session, rollout_id: int) -> dict[int, int]:
    """Units seen in more than one variation, by the place of the one seen first."""
    query = (
        select(_exposures.c.variation, func.count().label("n"))
        .where(_exposures.c.rollout_id == rollout_id)
        .where(_exposures.c.is_crossed.is_(True))
        .group_by(_exposures.c.variation)
    )
    return {row.variation: row.n for row in session.execute(query)}
