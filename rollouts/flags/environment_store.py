"""Tables of environments, connections and payload versions, and the queries they answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Integer,
    String,
    Text,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base, BigId
from rollouts.flags.model import Mode, Options
from rollouts.flags.rule_json import load_options

CHANNEL = "rollouts_flags"  # where PostgreSQL announces a new serial


class EnvironmentRow(Base):
    """A place with its own state of every flag; `version` counts its payloads."""

    __tablename__ = "environments"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    version: Mapped[int] = mapped_column(default=0)
    digest: Mapped[str] = mapped_column(String(64), default="")
    updated_at: Mapped[datetime]
    next_change_at: Mapped[datetime | None] = mapped_column(index=True)
    # Sections of payloads that were imported and are passed on as they are, by their name.
    carried: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    created_at: Mapped[datetime]


class ConnectionRow(Base):
    """A public client key. The encryption key is stored as it is: it ships in every client."""

    __tablename__ = "connections"

    id: Mapped[int] = mapped_column(primary_key=True)
    client_key: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    mode: Mapped[str] = mapped_column(String(20))
    encryption_key: Mapped[str | None] = mapped_column(String(80))
    options: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    def to_mode(self) -> Mode:
        """The mode as the model knows it."""
        return Mode(self.mode)

    def to_options(self) -> Options:
        """The options as the model knows them."""
        return load_options(self.options)


class PayloadRow(Base):
    """One version of what an environment's clients are told; old bodies are dropped."""

    __tablename__ = "payloads"

    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    updated_at: Mapped[datetime]
    digest: Mapped[str] = mapped_column(String(64))
    body: Mapped[str | None] = mapped_column(Text)


class DeliverySerialRow(Base):
    """One number that grows with each change a delivering process must notice."""

    __tablename__ = "delivery_serial"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    serial: Mapped[int] = mapped_column(BigId)


def lock_environments(session: Session) -> list[EnvironmentRow]:
    """All environments, held until the transaction ends, so that flag changes come one by one.

    Two changes at once would each build a payload without the other's.
    """
    query = select(EnvironmentRow).order_by(EnvironmentRow.id).with_for_update()
    return list(session.scalars(query.execution_options(populate_existing=True)))


def list_environments(session: Session) -> list[EnvironmentRow]:
    """All environments in the order they were made."""
    return list(session.scalars(select(EnvironmentRow).order_by(EnvironmentRow.id)))


def find_environment(session: Session, key: str) -> EnvironmentRow | None:
    """The environment of that key."""
    return session.scalar(select(EnvironmentRow).where(EnvironmentRow.key == key))


def get_environment_by_id(session: Session, environment_id: int) -> EnvironmentRow:
    """The environment that another row refers to."""
    return session.get_one(EnvironmentRow, environment_id)


def find_connection(session: Session, client_key: str) -> ConnectionRow | None:
    """The connection of that client key, revoked or not."""
    return session.scalar(select(ConnectionRow).where(ConnectionRow.client_key == client_key))


def list_connections(
    session: Session, *, after: str | None, limit: int, search: str = ""
) -> list[tuple[ConnectionRow, EnvironmentRow]]:
    """Connections in use, by client key."""
    query = (
        select(ConnectionRow, EnvironmentRow)
        .join(EnvironmentRow, EnvironmentRow.id == ConnectionRow.environment_id)
        .where(ConnectionRow.revoked_at.is_(None))
        .where(holds(search, ConnectionRow.name, ConnectionRow.client_key))
        .order_by(ConnectionRow.client_key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(ConnectionRow.client_key > after)
    return [(row[0], row[1]) for row in session.execute(query)]


def holds(search: str, *columns: Any) -> Any:
    """Whether one of the columns has the text in it, as a clause."""
    return or_(*(column.icontains(search, autoescape=True) for column in columns))


def list_served(session: Session) -> list[tuple[ConnectionRow, EnvironmentRow]]:
    """Every connection in use with its environment, in the order they were made."""
    query = (
        select(ConnectionRow, EnvironmentRow)
        .join(EnvironmentRow, EnvironmentRow.id == ConnectionRow.environment_id)
        .where(ConnectionRow.revoked_at.is_(None))
        .order_by(ConnectionRow.id)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def read_bodies(session: Session) -> dict[int, str]:
    """The current body of each environment by the environment's id."""
    query = select(PayloadRow.environment_id, PayloadRow.body).join(
        EnvironmentRow,
        (PayloadRow.environment_id == EnvironmentRow.id)
        & (PayloadRow.version == EnvironmentRow.version),
    )
    return {environment_id: body or "" for environment_id, body in session.execute(query)}


def find_due_change(session: Session, now: datetime) -> int | None:
    """An environment whose payload a schedule has changed by now."""
    return session.scalar(
        select(EnvironmentRow.id).where(EnvironmentRow.next_change_at <= now).limit(1)
    )


def find_version_at(
    session: Session, environment_id: int, moment: datetime, within: timedelta
) -> int | None:
    """The first version that an environment published at a moment, or as soon after it."""
    return session.scalar(
        select(func.min(PayloadRow.version)).where(
            PayloadRow.environment_id == environment_id,
            PayloadRow.updated_at >= moment,
            PayloadRow.updated_at < moment + within,
        )
    )


def drop_old_bodies(session: Session, environment_id: int, up_to: int) -> None:
    """Forget the text of versions that nobody can be served any more."""
    session.execute(
        update(PayloadRow)
        .where(PayloadRow.environment_id == environment_id, PayloadRow.version <= up_to)
        .where(PayloadRow.body.is_not(None))
        .values(body=None)
    )


def bump_serial(session: Session) -> None:
    """Tell every delivering process to look again, once this transaction is committed."""
    changed = session.execute(
        update(DeliverySerialRow)
        .where(DeliverySerialRow.id == 1)
        .values(serial=DeliverySerialRow.serial + 1)
    )
    if changed.rowcount == 0:  # type: ignore[attr-defined]
        session.add(DeliverySerialRow(id=1, serial=1))
        session.flush()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


def get_serial(session: Session) -> int:
    """The number that grew with the last change; 0 before the first."""
    return session.scalar(select(func.max(DeliverySerialRow.serial))) or 0
