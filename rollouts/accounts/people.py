"""People: invite, change, disable; and their passwords."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.accounts import passwords, store
from rollouts.accounts.model import Actor, ActorKind, Role
from rollouts.accounts.sessions import Visit, count_attempt, forget_attempts, normal_name
from rollouts.accounts.store import UserRow
from rollouts.audit import service as audit
from rollouts.db import Database
from rollouts.errors import AlreadyExists, Conflict, Fault, Invalid, NotAllowed, NotFound

list_users = store.list_users
_ADMIN: dict[str, object] = {"role": "admin", "is_disabled": False}


def get_user(session: Session, name: str) -> UserRow:
    """The person of that name. Raises NotFound."""
    user = store.find_user(session, normal_name(name))
    if user is None:
        raise NotFound("user", name)
    return user


def create_user(
    session: Session, *, name: str, role: Role, actor: Actor, now: datetime, full_name: str = ""
) -> UserRow:
    """Add a person, who signs in by a one-time link first."""
    actor.check_grants(role)
    name = normal_name(name)
    is_odd = not name.isprintable() or "/" in name or "\ufffd" in name
    if is_odd or not 1 <= len(name) <= 200:
        problem = "1 to 200 printable characters without '/', such as an e-mail address"
        raise Invalid(f"A user's name has {problem}.", faults=(Fault("name", problem),))
    if store.find_user(session, name) is not None:
        raise AlreadyExists("user", name)
    user = UserRow(
        name=name,
        full_name=full_name.strip(),
        role=str(role),
        password_hash=None,
        created_at=now,
        created_by=actor.name,
        signed_in_at=None,
        disabled_at=None,
    )
    session.add(user)
    _record(session, actor, "user.created", user, now, after=_state(user))
    return user


def change_user(
    session: Session,
    name: str,
    *,
    actor: Actor,
    now: datetime,
    role: Role | None = None,
    is_disabled: bool | None = None,
) -> UserRow:
    """Change somebody else's role or whether they may sign in; nobody changes their own."""
    user = get_user(session, name)
    if actor.kind is ActorKind.PERSON and actor.id == str(user.id):
        raise NotAllowed("Nobody changes their own role or access. Ask another administrator.")
    actor.check_grants(Role(user.role))
    before = _state(user)
    if role is not None:
        actor.check_grants(role)
        user.role = str(role)
    if is_disabled is not None:
        user.disabled_at = (user.disabled_at or now) if is_disabled else None
    if before == _ADMIN:
        _keep_an_admin(session, user)
    if user.disabled_at is not None:
        store.end_sessions(session, user.id, now=now)
    if _state(user) != before:
        _record(session, actor, "user.changed", user, now, before=before, after=_state(user))
    return user


def set_password(
    db: Database,
    visit: Visit,
    *,
    old: str,
    new: str,
    address: str,
    names: tuple[str, ...] = (),
    now: datetime,
) -> None:
    """Set one's own password and end all other sessions.

    The old one is asked for, unless a one-time link was opened just now. `names` are words too
    near to be taken, besides the person's own. Raises Invalid with the field that is wrong.
    """
    with db.reading() as session:
        user = session.get_one(UserRow, visit.user_id)
    passwords.check(new, names=(*names, *user.name.split("@"), *user.full_name.split()))
    if user.password_hash is not None and not visit.is_fresh(now):
        _check_old(db, user, old, address, now)
    kept = passwords.hash_password(new)
    with db.transaction() as session:
        user = session.get_one(UserRow, visit.user_id)
        user.password_hash = kept
        store.end_sessions(session, user.id, now=now, keep=visit.public_id)
        _record(session, visit.actor, "user.password_set", user, now)


def has_password(session: Session, visit: Visit) -> bool:
    """Whether this person has set a password yet."""
    return session.get_one(UserRow, visit.user_id).password_hash is not None


def _check_old(db: Database, user: UserRow, old: str, address: str, now: datetime) -> None:
    """Whoever holds only a session may not guess the password without limit either."""
    count_attempt(db, user.name, address, now=now)
    if not passwords.is_right(old, user.password_hash):
        problem = "This is not your present password."
        raise Invalid(problem, faults=(Fault("old", problem),))
    forget_attempts(db, user.name)


def _keep_an_admin(session: Session, user: UserRow) -> None:
    if _state(user) != _ADMIN and store.count_other_admins(session, user.id) == 0:
        raise Conflict("This is the last administrator. Make somebody else one first.")


def _state(user: UserRow) -> dict[str, object]:
    return {"role": user.role, "is_disabled": user.disabled_at is not None}


def _record(
    session: Session,
    actor: Actor,
    action: str,
    user: UserRow,
    now: datetime,
    *,
    before: object = None,
    after: object = None,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="user",
        subject=user.name,
        before=before,
        after=after,
        now=now,
    )
