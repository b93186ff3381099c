"""What an operator does with access on the machine itself; the command line hangs these in.

Each function does one thing in its own transaction and returns what there is to print. Whoever
can run them can read the store anyway, so they act as the operator, an administrator.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from rollouts.accounts import service
from rollouts.accounts.model import OPERATOR, KeyKind, Role
from rollouts.config import Settings
from rollouts.db import Database


def print_link(
    db: Database, settings: Settings, name: str, *, now: datetime, next_path: str = ""
) -> str:
    """A fresh one-time sign-in link for somebody. Raises NotFound."""
    with db.transaction() as session:
        user = service.get_user(session, name)
        token = service.create_link(session, user, actor=OPERATOR, now=now)
    return service.link_address(settings, token, next_path)


def add_user(
    db: Database, settings: Settings, name: str, role: Role, *, now: datetime, full_name: str = ""
) -> str:
    """Add a person; returns the link that signs them in for the first time."""
    with db.transaction() as session:
        user = service.create_user(
            session, name=name, full_name=full_name, role=role, actor=OPERATOR, now=now
        )
        token = service.create_link(session, user, actor=OPERATOR, now=now)
    return service.link_address(settings, token)


def change_user(
    db: Database,
    name: str,
    *,
    now: datetime,
    role: Role | None = None,
    is_disabled: bool | None = None,
) -> None:
    """Change a person's role or access."""
    with db.transaction() as session:
        service.change_user(
            session, name, role=role, is_disabled=is_disabled, actor=OPERATOR, now=now
        )


def list_users(db: Database) -> list[tuple[str, ...]]:
    """Name, role, whether disabled, and when last signed in."""
    with db.reading() as session:
        return [
            (
                user.name,
                user.role,
                "disabled" if user.disabled_at else "",
                _moment(user.signed_in_at),
            )
            for user in service.list_users(session, limit=10_000)
        ]


def add_api_key(
    db: Database,
    name: str,
    role: Role,
    *,
    now: datetime,
    environments: tuple[str, ...] = (),
    days: int = service.API_KEY_DAYS,
) -> str:
    """A new API key; its text is returned here and nowhere else."""
    with db.transaction() as session:
        issued = service.create_api_key(
            session,
            name=name,
            role=role,
            environments=environments,
            valid=timedelta(days=days),
            actor=OPERATOR,
            now=now,
        )
    return issued.text


def add_write_key(
    db: Database, name: str, environment: str, kind: KeyKind, *, now: datetime
) -> str:
    """A new write key; its text is returned here and nowhere else."""
    with db.transaction() as session:
        issued = service.create_write_key(
            session, name=name, environment=environment, kind=kind, actor=OPERATOR, now=now
        )
    return issued.text


def list_keys(db: Database) -> list[tuple[str, ...]]:
    """Id, kind, name, role or environment, and when last used, of keys that are not revoked."""
    with db.reading() as session:
        return [
            (
                row.id,
                row.kind,
                row.name,
                row.role or ", ".join(row.environments),
                _moment(row.last_used_at),
            )
            for row in service.list_keys(session, tuple(KeyKind), limit=10_000)
        ]


def revoke_key(db: Database, key_id: str, *, now: datetime) -> None:
    """End a key, everywhere within seconds. Raises NotFound."""
    with db.transaction() as session:
        service.revoke_key(session, key_id, tuple(KeyKind), actor=OPERATOR, now=now)


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"
