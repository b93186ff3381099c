"""Tables of people, their sessions and links, and of keys; and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    CursorResult,
    ForeignKey,
    Index,
    String,
    column,
    delete,
    func,
    or_,
    select,
    table,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.accounts.model import Key, KeyKind, Role
from rollouts.db import Base, BigId

# Numbers of advisory locks: "boot" and "sign" in ASCII.
BOOTSTRAP_LOCK = 0x626F6F74
SIGN_IN_LOCK = 0x7369676E

# The room of flags stands above this one and owns the table; here it is only looked up.
environments = table("environments", column("id"), column("key"))


class UserRow(Base):
    """A person who may sign in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    full_name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20))
    password_hash: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(200))
    signed_in_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]

    @property
    def shown_name(self) -> str:
        """How pages and records call this person."""
        return self.full_name or self.name


class SessionRow(Base):
    """One browser that is signed in. The id it holds is kept only as a hash."""

    __tablename__ = "sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    public_id: Mapped[str] = mapped_column(String(16), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    method: Mapped[str] = mapped_column(String(20))  # password or link
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    address: Mapped[str] = mapped_column(String(64))
    agent: Mapped[str] = mapped_column(String(300))


class OneTimeLinkRow(Base):
    """A link that signs in once."""

    __tablename__ = "one_time_links"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    spent_at: Mapped[datetime | None]


class SignInAttemptRow(Base):
    """A sign-in that has not succeeded; names are hashed, for people type passwords there."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = (
        Index("ix_sign_in_attempts_account", "account", "at"),
        Index("ix_sign_in_attempts_address", "address", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(index=True)


class AccessKeyRow(Base):
    """A key of the API or of ingest, without its secret."""

    __tablename__ = "access_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), index=True)
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str | None] = mapped_column(String(20))
    environments: Mapped[list[Any]]
    environment_id: Mapped[int | None]
    secret_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    leaked_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    def to_domain(self) -> Key:
        """The key as the rest of the service knows it."""
        return Key(
            id=self.id,
            kind=KeyKind(self.kind),
            name=self.name,
            role=Role(self.role) if self.role else None,
            environment_id=self.environment_id,
            environments=frozenset(self.environments),
        )


def lock(session: Session, number: int) -> None:
    """One transaction at a time past this point. SQLite's write lock does it already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def find_user(session: Session, name: str) -> UserRow | None:
    """The person of that name, spelled as stored."""
    return session.scalars(select(UserRow).where(UserRow.name == name)).one_or_none()


def list_users(
    session: Session, *, limit: int, after: str | None = None, search: str = ""
) -> list[UserRow]:
    """People by name."""
    query = select(UserRow).order_by(UserRow.name).limit(limit)
    if after is not None:
        query = query.where(UserRow.name > after)
    if search:
        found = (UserRow.name, UserRow.full_name)
        query = query.where(or_(*(item.icontains(search, autoescape=True) for item in found)))
    return list(session.scalars(query))


def count_users(session: Session) -> int:
    """How many people there are, disabled ones included."""
    return session.scalars(select(func.count()).select_from(UserRow)).one()


def count_other_admins(session: Session, user_id: int) -> int:
    """How many administrators would be left without this one."""
    query = select(func.count()).select_from(UserRow)
    query = query.where(UserRow.role == Role.ADMIN, UserRow.disabled_at.is_(None))
    return session.scalars(query.where(UserRow.id != user_id)).one()


def find_session(session: Session, token_hash: str) -> tuple[SessionRow, UserRow] | None:
    """A session and whose it is."""
    query = select(SessionRow, UserRow).join(UserRow, UserRow.id == SessionRow.user_id)
    row = session.execute(query.where(SessionRow.token_hash == token_hash)).first()
    return (row[0], row[1]) if row else None


def list_sessions(session: Session, user_id: int, *, now: datetime) -> list[SessionRow]:
    """A person's sessions that were neither ended nor outlived, newest first."""
    query = select(SessionRow).where(SessionRow.user_id == user_id)
    query = query.where(SessionRow.ended_at.is_(None), SessionRow.ends_at > now)
    return list(session.scalars(query.order_by(SessionRow.created_at.desc())))


def end_sessions(
    session: Session, user_id: int, *, now: datetime, keep: str = "", only: str = ""
) -> int:
    """End a person's sessions: all, all but one, or one, by public id."""
    change = update(SessionRow).where(SessionRow.user_id == user_id, SessionRow.ended_at.is_(None))
    if keep:
        change = change.where(SessionRow.public_id != keep)
    if only:
        change = change.where(SessionRow.public_id == only)
    return _count(session.execute(change.values(ended_at=now)))


def forget_sessions(session: Session, *, before: datetime) -> None:
    """Drop rows of sessions and links that ended long ago."""
    session.execute(delete(SessionRow).where(SessionRow.ends_at < before))
    session.execute(delete(OneTimeLinkRow).where(OneTimeLinkRow.expires_at < before))


def find_link(session: Session, token_hash: str) -> tuple[OneTimeLinkRow, UserRow] | None:
    """A one-time link and whom it signs in."""
    query = select(OneTimeLinkRow, UserRow).join(UserRow, UserRow.id == OneTimeLinkRow.user_id)
    row = session.execute(query.where(OneTimeLinkRow.token_hash == token_hash)).first()
    return (row[0], row[1]) if row else None


def spend_link(session: Session, token_hash: str, *, now: datetime) -> bool:
    """Mark a link as spent; false if it is spent, too old or unknown. One caller wins."""
    change = update(OneTimeLinkRow).where(
        OneTimeLinkRow.token_hash == token_hash,
        OneTimeLinkRow.spent_at.is_(None),
        OneTimeLinkRow.expires_at > now,
    )
    return _count(session.execute(change.values(spent_at=now))) == 1


def list_attempts(
    session: Session, *, since: datetime, account: str = "", address: str = ""
) -> Sequence[datetime]:
    """When sign-ins failed lately, for an account or from an address, oldest first."""
    query = select(SignInAttemptRow.at).where(SignInAttemptRow.at > since)
    if account:
        query = query.where(SignInAttemptRow.account == account)
    if address:
        query = query.where(SignInAttemptRow.address == address)
    return session.scalars(query.order_by(SignInAttemptRow.at)).all()


def forget_attempts(session: Session, *, before: datetime | None = None, account: str = "") -> None:
    """Drop attempts that no longer count: the old ones, or those of an account."""
    change = delete(SignInAttemptRow)
    if before is not None:
        change = change.where(SignInAttemptRow.at <= before)
    if account:
        change = change.where(SignInAttemptRow.account == account)
    session.execute(change)


def list_keys(
    session: Session,
    kinds: Sequence[KeyKind],
    *,
    limit: int,
    after: str | None = None,
    search: str = "",
) -> list[AccessKeyRow]:
    """Keys that are not revoked, by id."""
    query = select(AccessKeyRow).where(AccessKeyRow.kind.in_([str(kind) for kind in kinds]))
    query = query.where(AccessKeyRow.revoked_at.is_(None)).order_by(AccessKeyRow.id).limit(limit)
    if after is not None:
        query = query.where(AccessKeyRow.id > after)
    if search:
        query = query.where(AccessKeyRow.name.icontains(search, autoescape=True))
    return list(session.scalars(query))


def touch_key(session: Session, key_id: str, *, now: datetime, every: timedelta) -> None:
    """Remember that a key was used, unless that is remembered already."""
    stale = or_(AccessKeyRow.last_used_at.is_(None), AccessKeyRow.last_used_at <= now - every)
    change = update(AccessKeyRow).where(AccessKeyRow.id == key_id, stale)
    session.execute(change.values(last_used_at=now))


def touch_session(session: Session, token_hash: str, *, now: datetime) -> None:
    """Remember that a session was used."""
    change = update(SessionRow).where(SessionRow.token_hash == token_hash)
    session.execute(change.where(SessionRow.seen_at < now).values(seen_at=now))


def find_environment_id(session: Session, key: str) -> int | None:
    """The id of an environment, by its key."""
    found = session.execute(select(environments.c.id).where(environments.c.key == key)).scalar()
    return None if found is None else int(found)


def _count(result: Any) -> int:
    return cast("CursorResult[Any]", result).rowcount
