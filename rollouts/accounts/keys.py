"""Keys: made, listed, reported, revoked. Their text is known only to whoever asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from rollouts.accounts import key_text, store
from rollouts.accounts.model import Actor, KeyKind, Role
from rollouts.accounts.store import AccessKeyRow
from rollouts.audit import service as audit
from rollouts.errors import Fault, Invalid, NotAllowed, NotFound

API_KEY_DAYS = 365
WRITE_KINDS = (KeyKind.SERVER_WRITE, KeyKind.BROWSER_WRITE)
BOOTSTRAP_ID = "bootstrap"

list_keys = store.list_keys


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its text, which is shown once."""

    row: AccessKeyRow
    text: str


def create_api_key(
    session: Session,
    *,
    name: str,
    role: Role,
    environments: tuple[str, ...] = (),
    valid: timedelta = timedelta(days=API_KEY_DAYS),
    actor: Actor,
    now: datetime,
) -> IssuedKey:
    """A key for the API. Nobody makes one that may more than they may themselves."""
    actor.check_grants(role)
    for environment in environments:
        _get_environment_id(session, environment)
        actor.check_environment(environment)
    # A key bound to environments makes no key that is free of them.
    held = environments or tuple(sorted(actor.environments))
    if held and role is Role.ADMIN:
        problem = "An administrator's key cannot be bound to environments; take editor or reader."
        raise Invalid(problem, faults=(Fault("role", problem),))
    new = key_text.make(KeyKind.API)
    row = _row(new, KeyKind.API, name, actor, now)
    row.role, row.environments, row.expires_at = str(role), list(held), now + valid
    return _issue(session, row, new.text, actor, now)


def create_write_key(
    session: Session, *, name: str, environment: str, kind: KeyKind, actor: Actor, now: datetime
) -> IssuedKey:
    """A key that sends events of one environment."""
    assert kind in WRITE_KINDS
    actor.check_environment(environment)
    new = key_text.make(kind)
    row = _row(new, kind, name, actor, now)
    row.environment_id = _get_environment_id(session, environment)
    row.environments = [environment]
    return _issue(session, row, new.text, actor, now)


def revoke_key(
    session: Session, key_id: str, kinds: tuple[KeyKind, ...], *, actor: Actor, now: datetime
) -> None:
    """End a key; every process refuses it within seconds. Raises NotFound."""
    row = session.get(AccessKeyRow, key_id)
    if row is None or row.kind not in kinds or row.revoked_at is not None:
        raise NotFound("key", key_id)
    if row.role is not None:
        actor.check_grants(Role(row.role))
    for environment in row.environments:
        actor.check_environment(environment)
    if actor.environments and not row.environments:
        raise NotAllowed("A key bound to environments cannot end one that is free of them.")
    row.revoked_at = now
    _record(session, actor, "key.revoked", row, now, before=_state(row))


def report_leak(session: Session, key_id: str, origin: str, *, actor: Actor, now: datetime) -> None:
    """Remember, once, that a secret key arrived from a page: people can read it there."""
    row = session.get(AccessKeyRow, key_id)
    if row is None or row.leaked_at is not None:
        return
    row.leaked_at = now
    _record(session, actor, "key.leaked", row, now, after={"origin": origin[:200]})


def put_bootstrap_key(session: Session, text: str, *, actor: Actor, now: datetime) -> None:
    """Make the key of the setting exist; another text replaces the former one.

    A key that was revoked stays so until the setting holds another.
    """
    held = session.get(AccessKeyRow, BOOTSTRAP_ID)
    secret_hash = key_text.digest(text)
    if held is not None and held.secret_hash == secret_hash:
        return
    if held is not None:
        held.secret_hash, held.revoked_at, held.created_at = secret_hash, None, now
        held.last_used_at = held.leaked_at = None
        _record(session, actor, "key.replaced", held, now, after=_state(held))
        return
    new = key_text.NewKey(BOOTSTRAP_ID, text, secret_hash)
    row = _row(new, KeyKind.API, "ROLLOUTS_BOOTSTRAP_ADMIN_KEY", actor, now)
    row.role = str(Role.ADMIN)
    _issue(session, row, text, actor, now)


def _row(
    new: key_text.NewKey, kind: KeyKind, name: str, actor: Actor, now: datetime
) -> AccessKeyRow:
    return AccessKeyRow(
        id=new.id,
        kind=str(kind),
        name=name,
        role=None,
        environments=[],
        environment_id=None,
        secret_hash=new.secret_hash,
        created_at=now,
        created_by=actor.name,
        expires_at=None,
        last_used_at=None,
        leaked_at=None,
        revoked_at=None,
    )


def _issue(
    session: Session, row: AccessKeyRow, text: str, actor: Actor, now: datetime
) -> IssuedKey:
    session.add(row)
    _record(session, actor, "key.created", row, now, after=_state(row))
    return IssuedKey(row, text)


def _get_environment_id(session: Session, key: str) -> int:
    found = store.find_environment_id(session, key)
    if found is None:
        problem = f"There is no environment {key!r}."
        raise Invalid(problem, faults=(Fault("environment", problem),))
    return found


def _state(row: AccessKeyRow) -> dict[str, object]:
    return {
        "name": row.name,
        "kind": row.kind,
        "role": row.role,
        "environments": row.environments,
        "expires_at": row.expires_at,
    }


def _record(
    session: Session,
    actor: Actor,
    action: str,
    row: AccessKeyRow,
    now: datetime,
    *,
    before: object = None,
    after: object = None,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="key",
        subject=row.id,
        before=before,
        after=after,
        now=now,
    )
