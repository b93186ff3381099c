"""Tables of destinations, of what is to be told (the outbox), and of deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, ForeignKey, Index, LargeBinary, String, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base, BigId
from rollouts.notify.model import DeliveryState, DestinationKind, Message


class DestinationRow(Base):
    """A place that is told. Its address and secret are sealed together."""

    __tablename__ = "destinations"

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(300))  # as much of it as may be shown
    kinds: Mapped[list[Any]]  # of messages; empty: all
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(200))
    removed_at: Mapped[datetime | None]

    @property
    def about(self) -> str:
        """What the sealed value is bound to."""
        return f"destination:{self.id}"


class OutboxMessageRow(Base):
    """One thing that happened, kept for every destination and for who asks later."""

    __tablename__ = "outbox_messages"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[str] = mapped_column(String(100), index=True)
    subject: Mapped[str] = mapped_column(String(400))
    happened: Mapped[str] = mapped_column(String(2000))
    done: Mapped[str] = mapped_column(String(2000))
    links: Mapped[dict[str, Any]]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    def to_domain(self) -> Message:
        """The message as it is told."""
        return Message(
            id=self.message_id,
            kind=self.kind,
            subject=self.subject,
            happened=self.happened,
            done=self.done,
            created_at=self.created_at,
            links=self.links,
            data=self.data,
        )


class DeliveryRow(Base):
    """A message on its way to one destination."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("ix_deliveries_due", "state", "next_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("outbox_messages.id"), index=True)
    destination_id: Mapped[str] = mapped_column(ForeignKey("destinations.id"), index=True)
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


def list_destinations(
    session: Session, *, limit: int | None = None, after: str | None = None, search: str = ""
) -> list[DestinationRow]:
    """Destinations that are told, by id."""
    query = select(DestinationRow).where(DestinationRow.removed_at.is_(None))
    query = query.order_by(DestinationRow.id).limit(limit)
    if after is not None:
        query = query.where(DestinationRow.id > after)
    if search:
        query = query.where(DestinationRow.name.icontains(search, autoescape=True))
    return list(session.scalars(query))


def find_destination(session: Session, destination_id: str) -> DestinationRow | None:
    """A destination that is told, or None."""
    row = session.get(DestinationRow, destination_id)
    return row if row is not None and row.removed_at is None else None


def end_deliveries(session: Session, destination_id: str, problem: str, *, now: datetime) -> None:
    """Give up what is still on its way to a destination."""
    change = update(DeliveryRow).where(
        DeliveryRow.destination_id == destination_id, DeliveryRow.state == DeliveryState.PENDING
    )
    session.execute(change.values(state=DeliveryState.DEAD, problem=problem, ended_at=now))


def has_due(session: Session, *, now: datetime) -> bool:
    """Whether anything waits to be delivered and is not in somebody's hands."""
    return session.scalars(_due(now).limit(1)).first() is not None


def claim_due(
    session: Session, *, limit: int, lease: timedelta, now: datetime
) -> Sequence[tuple[DeliveryRow, OutboxMessageRow, DestinationRow]]:
    """Take deliveries in hand for the time of a lease; other workers pass them over.

    Whoever dies with one in hand loses it when the lease ends, and it is tried again.
    """
    query = _due(now).order_by(DeliveryRow.next_at).limit(limit).with_for_update(skip_locked=True)
    rows = session.scalars(query).all()
    for row in rows:
        row.leased_until = now + lease
        row.attempts += 1
    return [
        (
            row,
            session.get_one(OutboxMessageRow, row.message_id),
            session.get_one(DestinationRow, row.destination_id),
        )
        for row in rows
    ]


def _due(now: datetime) -> Any:
    free = or_(DeliveryRow.leased_until.is_(None), DeliveryRow.leased_until <= now)
    return select(DeliveryRow).where(
        DeliveryRow.state == DeliveryState.PENDING, DeliveryRow.next_at <= now, free
    )


def settle(
    session: Session,
    delivery_id: int,
    attempts: int,
    *,
    state: DeliveryState,
    problem: str,
    next_at: datetime,
    ended_at: datetime | None,
) -> bool:
    """Write down how a try ended, unless the lease was lost and another has tried since."""
    change = update(DeliveryRow).where(
        DeliveryRow.id == delivery_id,
        DeliveryRow.attempts == attempts,
        DeliveryRow.state == DeliveryState.PENDING,
    )
    done = session.execute(
        change.values(
            state=state, problem=problem, next_at=next_at, ended_at=ended_at, leased_until=None
        )
    )
    return cast("CursorResult[Any]", done).rowcount == 1


def list_deliveries(
    session: Session,
    *,
    limit: int,
    before_id: int | None = None,
    state: str = "",
    destination: str = "",
    search: str = "",
) -> Sequence[tuple[DeliveryRow, OutboxMessageRow]]:
    """Deliveries with their messages, newest first."""
    query = (
        select(DeliveryRow, OutboxMessageRow)
        .join(OutboxMessageRow, OutboxMessageRow.id == DeliveryRow.message_id)
        .order_by(DeliveryRow.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(DeliveryRow.id < before_id)
    if state:
        query = query.where(DeliveryRow.state == state)
    if destination:
        query = query.where(DeliveryRow.destination_id == destination)
    if search:
        query = query.where(OutboxMessageRow.subject.icontains(search, autoescape=True))
    return [(row[0], row[1]) for row in session.execute(query)]


def list_messages(
    session: Session, *, limit: int, after_id: int = 0, kind: str = "", search: str = ""
) -> Sequence[OutboxMessageRow]:
    """What was told, oldest first, after a place in the outbox."""
    query = select(OutboxMessageRow).where(OutboxMessageRow.id > after_id)
    if kind:
        query = query.where(OutboxMessageRow.kind == kind)
    if search:
        query = query.where(OutboxMessageRow.subject.icontains(search, autoescape=True))
    return session.scalars(query.order_by(OutboxMessageRow.id).limit(limit)).all()


def wants(destination: DestinationRow, kind: str) -> bool:
    """Whether a destination asked for messages of this kind."""
    return not destination.kinds or kind in destination.kinds


def kind_of(destination: DestinationRow) -> DestinationKind:
    """How a destination is spoken to."""
    return DestinationKind(destination.kind)
