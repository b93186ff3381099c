"""What processes have told of how far versions have come, and the sum over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import String, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base
from rollouts.flags.environment_store import ConnectionRow, EnvironmentRow
from rollouts.flags.propagation import Reach

ALIVE = timedelta(seconds=30)  # a process that told nothing for longer knows no clients any more
KEPT = timedelta(days=30)
MOST_SHOWN = 20  # versions


class PropagationRow(Base):
    """How far one version of one client key has come, as one process told last."""

    __tablename__ = "propagation"

    process: Mapped[str] = mapped_column(String(60), primary_key=True)
    client_key: Mapped[str] = mapped_column(String(80), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    published_at: Mapped[datetime]
    n_known: Mapped[int]
    n_reached: Mapped[int]
    seconds: Mapped[float | None]
    told_at: Mapped[datetime] = mapped_column(index=True)


def save(session: Session, process: str, reaches: Sequence[Reach], now: datetime) -> None:
    """Keep what a process knows, and forget what was told long ago."""
    for reach in reaches:
        row = session.get(PropagationRow, (process, reach.client_key, reach.version))
        row = row or PropagationRow(
            process=process, client_key=reach.client_key, version=reach.version
        )
        row.published_at, row.seconds, row.told_at = reach.published_at, reach.seconds, now
        row.n_known, row.n_reached = reach.n_known, reach.n_reached
        session.add(row)
    session.execute(delete(PropagationRow).where(PropagationRow.told_at < now - KEPT))


def list_reaches(session: Session, client_key: str) -> list[Reach]:
    """How far the versions of a client key have come, over all processes, newest first."""
    query = (
        select(PropagationRow)
        .where(PropagationRow.client_key == client_key)
        .order_by(PropagationRow.version.desc(), PropagationRow.told_at.desc())
    )
    found: dict[int, Reach] = {}
    newest: dict[int, datetime] = {}
    for row in session.scalars(query):
        newest.setdefault(row.version, row.told_at)
        if newest[row.version] - row.told_at <= ALIVE:
            found[row.version] = _with(found.get(row.version), row)
    return list(found.values())[:MOST_SHOWN]


def _with(sum_so_far: Reach | None, row: PropagationRow) -> Reach:
    one = Reach(
        row.client_key, row.version, row.published_at, row.n_known, row.n_reached, row.seconds
    )
    if sum_so_far is None:
        return one
    times = [seconds for seconds in (sum_so_far.seconds, one.seconds) if seconds is not None]
    return replace(
        sum_so_far,
        n_known=sum_so_far.n_known + one.n_known,
        n_reached=sum_so_far.n_reached + one.n_reached,
        seconds=max(times, default=None),
    )


def clients_seen(session: Session) -> dict[str, datetime]:
    """When clients of each environment were last known, by its key; within the time that is kept."""
    query = (
        select(EnvironmentRow.key, func.max(PropagationRow.told_at))
        .join(ConnectionRow, ConnectionRow.environment_id == EnvironmentRow.id)
        .join(PropagationRow, PropagationRow.client_key == ConnectionRow.client_key)
        .where(PropagationRow.n_known > 0)
        .group_by(EnvironmentRow.key)
    )
    return {row[0]: row[1] for row in session.execute(query)}
