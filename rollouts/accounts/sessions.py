"""Signing in and out: passwords, one-time links, and the sessions they open."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from rollouts.accounts import passwords, store
from rollouts.accounts.model import Actor, ActorKind, Role
from rollouts.accounts.store import OneTimeLinkRow, SessionRow, SignInAttemptRow, UserRow
from rollouts.audit import service as audit
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.errors import NotFound, NotSignedIn, TooMany

log = structlog.get_logger()

WINDOW = timedelta(minutes=10)
MOST_PER_ACCOUNT, MOST_PER_ADDRESS = 10, 30
LINK_VALID = timedelta(minutes=10)
FIRST_LINK_VALID = timedelta(minutes=60)
FRESH = timedelta(minutes=10)  # how long after a link the old password is not asked for
SEEN_EVERY = timedelta(minutes=1)
KEPT = timedelta(days=30)

UNFIT = "That name and password do not fit. After too many tries only a one-time link works."
LINK_DEAD = "This link was used already or is too old. Ask for a new one."


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a sign-in comes from."""

    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session at the only moment its token is known."""

    token: str
    public_id: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Visit:
    """A session that was presented and holds."""

    actor: Actor
    user_id: int
    public_id: str
    method: str
    created_at: datetime
    seen_at: datetime
    token_hash: str

    def is_fresh(self, now: datetime) -> bool:
        """Whether a one-time link opened it just now, so that a password may be set anew."""
        return self.method == "link" and now - self.created_at < FRESH


def sign_in(
    db: Database, name: str, password: str, visitor: Visitor, settings: Settings, *, now: datetime
) -> SignedIn:
    """Open a session for a person with a password.

    Raises NotSignedIn without saying what was wrong, TooMany after too many failures. The try is
    counted before it is made, so many at once count as many.
    """
    name = normal_name(name)
    count_attempt(db, name, visitor.address, now=now)
    with db.reading() as session:
        user = store.find_user(session, name)
    fits = passwords.is_right(password, user.password_hash if user else None)
    if user is None or not fits or user.disabled_at is not None:
        log.warning("sign_in_failed", address=visitor.address)
        raise NotSignedIn(UNFIT)
    stronger = None
    if user.password_hash is not None and passwords.needs_rehash(user.password_hash):
        stronger = passwords.hash_password(password)
    with db.transaction() as session:
        store.forget_attempts(session, account=token_digest(name))
        held = session.get_one(UserRow, user.id)
        if stronger:
            held.password_hash = stronger
        return _open_session(session, held, "password", visitor, settings, now)


def create_link(
    session: Session, user: UserRow, *, actor: Actor, now: datetime, valid: timedelta = LINK_VALID
) -> str:
    """A token that signs this person in once. Nobody makes one for a role above their own."""
    actor.check_grants(Role(user.role))
    token = secrets.token_urlsafe(16)
    session.add(
        OneTimeLinkRow(
            token_hash=token_digest(token),
            user_id=user.id,
            created_at=now,
            created_by=actor.name,
            expires_at=now + valid,
            spent_at=None,
        )
    )
    audit.record(
        session,
        actor=actor,
        action="link.created",
        subject_kind="user",
        subject=user.name,
        after={"valid_minutes": valid.total_seconds() / 60},
        now=now,
    )
    return token


def get_link(session: Session, token: str, *, now: datetime) -> UserRow:
    """Whom an unspent link would sign in; looking spends nothing."""
    found = store.find_link(session, token_digest(token))
    if found is None:
        raise NotSignedIn(LINK_DEAD)
    link, user = found
    if link.spent_at is not None or link.expires_at <= now or user.disabled_at is not None:
        raise NotSignedIn(LINK_DEAD)
    return user


def spend_link(
    session: Session, token: str, visitor: Visitor, settings: Settings, *, now: datetime
) -> SignedIn:
    """Open a session by a one-time link, which then is spent. Raises NotSignedIn."""
    user = get_link(session, token, now=now)
    if not store.spend_link(session, token_digest(token), now=now):
        raise NotSignedIn(LINK_DEAD)
    return _open_session(session, user, "link", visitor, settings, now)


def find_visit(session: Session, token: str, settings: Settings, *, now: datetime) -> Visit | None:
    """The session behind a cookie, unless it ended, was silent too long, or its person is out."""
    token_hash = token_digest(token)
    found = store.find_session(session, token_hash)
    if found is None:
        return None
    row, user = found
    idle = timedelta(hours=settings.session_idle_hours)
    if row.ended_at is not None or now >= row.ends_at or now - row.seen_at >= idle:
        return None
    if user.disabled_at is not None:
        return None
    return Visit(
        actor=person(user),
        user_id=user.id,
        public_id=row.public_id,
        method=row.method,
        created_at=row.created_at,
        seen_at=row.seen_at,
        token_hash=token_hash,
    )


def person(user: UserRow) -> Actor:
    """A person as the hand that does it."""
    return Actor(ActorKind.PERSON, str(user.id), user.shown_name, Role(user.role))


def remember_seen(db: Database, visit: Visit, *, now: datetime) -> None:
    """Keep a session from falling silent. If the store is busy, the next request tries again."""
    try:
        with db.transaction() as session:
            store.touch_session(session, visit.token_hash, now=now)
    except SQLAlchemyError as wrong:
        log.debug("session_use_not_written", error=type(wrong).__name__)


def sign_out(session: Session, visit: Visit, *, now: datetime) -> None:
    """End the session at the server; the cookie is worth nothing from here on."""
    end_session(session, visit, visit.public_id, now=now)


def end_session(session: Session, visit: Visit, public_id: str, *, now: datetime) -> None:
    """End one of one's own sessions. Raises NotFound for anybody else's."""
    if store.end_sessions(session, visit.user_id, now=now, only=public_id) == 0:
        raise NotFound("session", public_id)
    audit.record(
        session,
        actor=visit.actor,
        action="session.ended",
        subject_kind="session",
        subject=public_id,
        now=now,
    )


def list_sessions(session: Session, visit: Visit, *, now: datetime) -> list[SessionRow]:
    """One's own sessions, newest first."""
    return store.list_sessions(session, visit.user_id, now=now)


def normal_name(name: str) -> str:
    """Names are told apart without case or outer spaces; NUL is in none."""
    return name.replace("\x00", "\ufffd").strip().casefold()


def token_digest(token: str) -> str:
    """How tokens and names that need not be known again are kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _open_session(
    session: Session,
    user: UserRow,
    method: str,
    visitor: Visitor,
    settings: Settings,
    now: datetime,
) -> SignedIn:
    store.forget_sessions(session, before=now - KEPT)
    opened = SignedIn(
        token=secrets.token_urlsafe(32),
        public_id=secrets.token_hex(6),
        ends_at=now + timedelta(days=settings.session_days),
    )
    session.add(
        SessionRow(
            token_hash=token_digest(opened.token),
            public_id=opened.public_id,
            user_id=user.id,
            method=method,
            created_at=now,
            seen_at=now,
            ends_at=opened.ends_at,
            ended_at=None,
            address=visitor.address[:64],
            agent=visitor.agent[:300],
        )
    )
    user.signed_in_at = now
    audit.record(
        session,
        actor=person(user),
        action="session.started",
        subject_kind="session",
        subject=opened.public_id,
        after={"method": method, "address": visitor.address[:64]},
        now=now,
    )
    return opened


def count_attempt(db: Database, name: str, address: str, *, now: datetime) -> None:
    """Count a try against the account and the address. Raises TooMany beyond the limits."""
    account, network, since = token_digest(name), _network(address), now - WINDOW
    with db.transaction() as session:
        store.lock(session, store.SIGN_IN_LOCK)
        store.forget_attempts(session, before=since)
        _check_limit(
            store.list_attempts(session, since=since, account=account), MOST_PER_ACCOUNT, now
        )
        _check_limit(
            store.list_attempts(session, since=since, address=network), MOST_PER_ADDRESS, now
        )
        session.add(SignInAttemptRow(account=account, address=network, at=now))


def forget_attempts(db: Database, name: str) -> None:
    """Start counting anew for an account whose password was right."""
    with db.transaction() as session:
        store.forget_attempts(session, account=token_digest(name))


def _check_limit(failed: Sequence[datetime], most: int, now: datetime) -> None:
    if len(failed) < most:
        return
    wait = failed[-most] + WINDOW - now
    raise TooMany(
        "Too many sign-ins failed. Wait some minutes, or use a one-time link.",
        retry_after_seconds=max(1, int(wait.total_seconds()) + 1),
    )


def _network(address: str) -> str:
    """What counts as one address: of IPv6 the half that a household gets."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        return str(ip_network((int(found), 64), strict=False))
    return str(found)
