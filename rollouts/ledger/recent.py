"""The last exposures of each environment, as understood and as refused: for people who debug."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rollouts.ledger.bulk import add_rows, table_of
from rollouts.ledger.resolve import RECENT_KEPT
from rollouts.ledger.store import RecentExposureRow

_recent = table_of(RecentExposureRow)


def keep_recent(session: Session, recent: Mapping[int, Iterable[dict[str, Any]]]) -> None:
    """Add the newest exposures and drop as many of the oldest."""
    for environment_id, rows in recent.items():
        add_rows(session, RecentExposureRow, list(rows))
        oldest_kept = (
            select(_recent.c.id)
            .where(_recent.c.environment_id == environment_id)
            .order_by(_recent.c.id.desc())
            .offset(RECENT_KEPT - 1)
            .limit(1)
            .scalar_subquery()
        )
        session.execute(
            delete(_recent)
            .where(_recent.c.environment_id == environment_id)
            .where(_recent.c.id < oldest_kept)
        )


def list_recent(
    session: Session,
    *,
    limit: int,
    before_id: int | None = None,
    units: Sequence[int] = (),
    rollout: str = "",
) -> Sequence[RecentExposureRow]:
    """The last exposures, newest first; of some units or one rollout if given."""
    query = select(RecentExposureRow).order_by(RecentExposureRow.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(RecentExposureRow.id < before_id)
    if units:
        query = query.where(RecentExposureRow.unit.in_(units))
    if rollout:
        query = query.where(RecentExposureRow.rollout == rollout)
    return session.scalars(query).all()
