"""Rollouts, their locked plans, the moments their allocation changed, and their timeline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Enum, ForeignKey, String, UniqueConstraint, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.audit.append_only import attach_append_only
from rollouts.db import Base, BigId
from rollouts.errors import NotFound
from rollouts.lifecycle.model import State

WORD = Enum(
    State, native_enum=False, length=20, values_callable=lambda kind: [s.value for s in kind]
)


class RolloutRow(Base):
    """One rollout. `draft` holds the plan while it may still be edited."""

    __tablename__ = "rollouts"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    owner: Mapped[str] = mapped_column(String(200))
    flag_key: Mapped[str] = mapped_column(String(200), index=True)
    environment_id: Mapped[int]
    environment_key: Mapped[str] = mapped_column(String(200))
    state: Mapped[State] = mapped_column(WORD)
    draft: Mapped[dict[str, Any]]
    revision: Mapped[int] = mapped_column(default=1)
    stage: Mapped[int] = mapped_column(default=0)
    stage_entered_at: Mapped[datetime | None]
    hold_reason: Mapped[str] = mapped_column(String(10_000), default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    next_look_at: Mapped[datetime | None] = mapped_column(index=True)


class PlanRow(Base):
    """A locked plan: never updated, only followed by a new version that says why."""

    __tablename__ = "plans"
    __table_args__ = (UniqueConstraint("rollout_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"))
    version: Mapped[int]
    body: Mapped[dict[str, Any]]
    hash: Mapped[str] = mapped_column(String(64))
    locked_at: Mapped[datetime]
    locked_by: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(String(10_000), default="")


class AllocationRow(Base):
    """From this moment on the allocation was this; its place in order is the stratum."""

    __tablename__ = "allocations"

    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"), index=True)
    stage: Mapped[int]
    share: Mapped[float]
    at: Mapped[datetime]


class TimelineRow(Base):
    """One thing that happened to a rollout, as a sentence."""

    __tablename__ = "timeline"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(200))
    sentence: Mapped[str] = mapped_column(String(10_000))


# Once written they stand: the triggers refuse what no code of ours would try.
attach_append_only(PlanRow.__table__)
attach_append_only(AllocationRow.__table__)
attach_append_only(TimelineRow.__table__)


Row = TypeVar("Row", PlanRow, AllocationRow)


def get_rollout(session: Session, key: str, *, lock: bool = False) -> RolloutRow:
    """The rollout with this key, locked against other writers if asked. Raises NotFound."""
    query = select(RolloutRow).where(RolloutRow.key == key)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("rollout", key)
    return row


def find_rollout(session: Session, key: str) -> RolloutRow | None:
    """The rollout with this key, if there is one."""
    return session.scalar(select(RolloutRow).where(RolloutRow.key == key))


def list_rollouts(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 500,
    search: str = "",
    states: Sequence[State] = (),
    flag: str | None = None,
) -> list[RolloutRow]:
    """Rollouts by key, from behind `after`."""
    query = select(RolloutRow).order_by(RolloutRow.key)
    if after is not None:
        query = query.where(RolloutRow.key > after)
    if states:
        query = query.where(RolloutRow.state.in_(states))
    if flag is not None:
        query = query.where(RolloutRow.flag_key == flag)
    if search:
        found = (c.icontains(search, autoescape=True) for c in (RolloutRow.key, RolloutRow.name))
        query = query.where(or_(*found))
    return list(session.scalars(query.limit(limit)))


def list_ended(session: Session, *, limit: int) -> list[RolloutRow]:
    """Rollouts that are over, the last to end first."""
    query = select(RolloutRow).where(RolloutRow.ended_at.is_not(None))
    return list(session.scalars(query.order_by(RolloutRow.ended_at.desc()).limit(limit)))


def list_started(session: Session, *, limit: int) -> list[RolloutRow]:
    """Rollouts that ever started, the last to start first."""
    query = select(RolloutRow).where(RolloutRow.started_at.is_not(None))
    return list(session.scalars(query.order_by(RolloutRow.started_at.desc()).limit(limit)))


def list_live_on(session: Session, flag: str, environment: str) -> list[RolloutRow]:
    """Rollouts that run or pause on a flag in an environment."""
    return list(
        session.scalars(
            select(RolloutRow)
            .where(RolloutRow.flag_key == flag)
            .where(RolloutRow.environment_key == environment)
            .where(RolloutRow.state.in_((State.RUNNING, State.PAUSED)))
        )
    )


def count_by_state(session: Session) -> dict[State, int]:
    """How many rollouts are in each state."""
    rows = session.execute(select(RolloutRow.state, func.count()).group_by(RolloutRow.state))
    return {State(state): count for state, count in rows}


def list_due(session: Session, now: datetime) -> list[RolloutRow]:
    """Live rollouts whose next look is due, longest waiting first."""
    return list(
        session.scalars(
            select(RolloutRow)
            .where(RolloutRow.state.in_((State.RUNNING, State.PAUSED)))
            .where(RolloutRow.next_look_at <= now)
            .order_by(RolloutRow.next_look_at)
        )
    )


def list_plans(session: Session, rollout_id: int) -> list[PlanRow]:
    """All versions of a rollout's plan, oldest first."""
    return list_plans_of(session, [rollout_id]).get(rollout_id, [])


def list_plans_of(session: Session, ids: Sequence[int]) -> dict[int, list[PlanRow]]:
    """All plans of these rollouts, oldest first."""
    query = select(PlanRow).where(PlanRow.rollout_id.in_(ids)).order_by(PlanRow.version)
    return _grouped(session.scalars(query))


def list_allocations_of(session: Session, ids: Sequence[int]) -> dict[int, list[AllocationRow]]:
    """When the allocation of these rollouts changed, in order."""
    query = (
        select(AllocationRow)
        .where(AllocationRow.rollout_id.in_(ids))
        .order_by(AllocationRow.at, AllocationRow.id)
    )
    return _grouped(session.scalars(query))


def list_timeline(session: Session, rollout_id: int) -> list[TimelineRow]:
    """What happened to a rollout, oldest first."""
    return list(
        session.scalars(
            select(TimelineRow)
            .where(TimelineRow.rollout_id == rollout_id)
            .order_by(TimelineRow.at, TimelineRow.id)
        )
    )


def _grouped(rows: Iterable[Row]) -> dict[int, list[Row]]:
    held: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        held[row.rollout_id].append(row)
    return dict(held)
