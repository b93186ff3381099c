"""Snapshots never change. Beside them: the points that charts draw, and the tests' state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, String, UniqueConstraint, func, select, tuple_
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.audit.append_only import attach_append_only
from rollouts.db import Base, BigId
from rollouts.errors import NotFound


class SnapshotRow(Base):
    """What was known at one look. Written once."""

    __tablename__ = "snapshots"
    __table_args__ = (UniqueConstraint("rollout_id", "look"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"), index=True)
    look: Mapped[int]
    taken_at: Mapped[datetime]
    body: Mapped[dict[str, Any]]


class PointRow(Base):
    """One metric of one arm at one look: what the charts over time are drawn from."""

    __tablename__ = "look_points"
    __table_args__ = (UniqueConstraint("rollout_id", "look", "arm", "metric"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"))
    look: Mapped[int]
    taken_at: Mapped[datetime]
    arm: Mapped[str] = mapped_column(String(200))
    metric: Mapped[str] = mapped_column(String(200))
    units: Mapped[int]
    evidence_share: Mapped[float | None]
    estimate: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    harm_estimate: Mapped[float | None]
    harm_low: Mapped[float | None]
    harm_high: Mapped[float | None]


class LookStateRow(Base):
    """Where a sequential test stands after its last look; it must survive a restart."""

    __tablename__ = "look_states"
    __table_args__ = (UniqueConstraint("rollout_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"))
    name: Mapped[str] = mapped_column(String(600))
    look: Mapped[int]
    state: Mapped[dict[str, Any]]


# Once written they stand: the triggers refuse what no code of ours would try.
attach_append_only(SnapshotRow.__table__)
attach_append_only(PointRow.__table__)


def find_latest(session: Session, rollout_id: int) -> SnapshotRow | None:
    """The newest snapshot of a rollout, if there was a look."""
    return session.scalar(
        select(SnapshotRow)
        .where(SnapshotRow.rollout_id == rollout_id)
        .order_by(SnapshotRow.look.desc())
        .limit(1)
    )


def list_latest(session: Session, ids: list[int]) -> dict[int, SnapshotRow]:
    """The newest snapshot of each of these rollouts."""
    rows = session.scalars(select(SnapshotRow).where(_is_newest(ids)))
    return {row.rollout_id: row for row in rows}


def _is_newest(ids: list[int]) -> ColumnElement[bool]:
    """Of these rollouts the snapshot that no later one follows."""
    newest = (
        select(SnapshotRow.rollout_id, func.max(SnapshotRow.look))
        .where(SnapshotRow.rollout_id.in_(ids))
        .group_by(SnapshotRow.rollout_id)
    )
    return tuple_(SnapshotRow.rollout_id, SnapshotRow.look).in_(newest)


def list_latest_ids(session: Session, ids: list[int]) -> dict[int, str]:
    """The id of the newest snapshot of each of these rollouts, without its body."""
    rows = session.execute(select(SnapshotRow.rollout_id, SnapshotRow.id).where(_is_newest(ids)))
    return {row.rollout_id: row.id for row in rows}


def get_snapshot(session: Session, snapshot_id: str) -> SnapshotRow:
    """The snapshot with this id. Raises NotFound."""
    row = session.get(SnapshotRow, snapshot_id)
    if row is None:
        raise NotFound("snapshot", snapshot_id)
    return row


def list_snapshots(
    session: Session, rollout_id: int, *, before: int | None, limit: int
) -> list[SnapshotRow]:
    """Snapshots of a rollout, newest first, from before a look."""
    query = select(SnapshotRow).where(SnapshotRow.rollout_id == rollout_id)
    if before is not None:
        query = query.where(SnapshotRow.look < before)
    return list(session.scalars(query.order_by(SnapshotRow.look.desc()).limit(limit)))


def list_points(session: Session, rollout_id: int, up_to_look: int) -> list[PointRow]:
    """The points of all looks up to one, in order."""
    return list(
        session.scalars(
            select(PointRow)
            .where(PointRow.rollout_id == rollout_id)
            .where(PointRow.look <= up_to_look)
            .order_by(PointRow.look, PointRow.id)
        )
    )


def load_states(session: Session, rollout_id: int) -> dict[str, dict[str, Any]]:
    """The state of every test of a rollout, by name."""
    rows = session.scalars(select(LookStateRow).where(LookStateRow.rollout_id == rollout_id))
    return {row.name: row.state for row in rows}


def save_states(
    session: Session, rollout_id: int, look: int, states: dict[str, dict[str, Any]]
) -> None:
    """Replace the state of the tests that looked."""
    held = {
        row.name: row
        for row in session.scalars(
            select(LookStateRow).where(LookStateRow.rollout_id == rollout_id)
        )
    }
    for name, state in states.items():
        row = held.get(name)
        if row is None:
            session.add(LookStateRow(rollout_id=rollout_id, name=name, look=look, state=state))
        else:
            row.look, row.state = look, state
