"""SDK connections: public client keys, each for one environment and one way of delivery."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.audit import service as audit
from rollouts.errors import NotFound
from rollouts.flags import environment_store as store
from rollouts.flags.checks import NAME_MAX, refuse, text_faults
from rollouts.flags.environment_store import ConnectionRow, EnvironmentRow
from rollouts.flags.environments import get_environment
from rollouts.flags.model import Mode, Options
from rollouts.flags.publishing import publish
from rollouts.flags.rule_json import dump_options

list_connections = store.list_connections


def create_connection(
    session: Session,
    *,
    name: str,
    environment: str,
    mode: Mode,
    options: Options,
    actor: Actor,
    now: datetime,
) -> ConnectionRow:
    """A new client key for an environment, with an encryption key if it is to be encrypted."""
    refuse("The connection", text_faults(name, "name", NAME_MAX))
    row = ConnectionRow(
        client_key="sdk-" + secrets.token_hex(12),
        name=name,
        environment_id=get_environment(session, environment).id,
        mode=mode.value,
        encryption_key=_encryption_key() if mode is Mode.ENCRYPTED else None,
        options=dump_options(options),
        created_at=now,
    )
    session.add(row)
    store.bump_serial(session)
    _record(session, row, "connection.created", actor, now, environment=environment)
    return row


def _encryption_key() -> str:
    return base64.b64encode(secrets.token_bytes(16)).decode()


def get_connection(session: Session, client_key: str) -> ConnectionRow:
    """The connection in use of that client key. Raises NotFound."""
    row = store.find_connection(session, client_key)
    if row is None or row.revoked_at is not None:
        raise NotFound("connection", client_key)
    return row


def get_connection_with_environment(
    session: Session, client_key: str
) -> tuple[ConnectionRow, EnvironmentRow]:
    """A connection in use and its environment. Raises NotFound."""
    row = get_connection(session, client_key)
    return row, store.get_environment_by_id(session, row.environment_id)


def edit_connection(
    session: Session,
    client_key: str,
    *,
    name: str | None,
    options: Options | None,
    actor: Actor,
    now: datetime,
) -> ConnectionRow:
    """Rename a connection, or change what its payload holds; that makes a new version."""
    row = get_connection(session, client_key)
    if name is not None:
        refuse("The connection", text_faults(name, "name", NAME_MAX))
        row.name = name
    if options is not None and dump_options(options) != row.options:
        row.options = dump_options(options)
        store.lock_environments(session)
        environment = store.get_environment_by_id(session, row.environment_id)
        publish(session, now, forced=environment.key)
    _record(session, row, "connection.edited", actor, now)
    return row


def revoke_connection(session: Session, client_key: str, *, actor: Actor, now: datetime) -> None:
    """Stop serving a client key."""
    row = get_connection(session, client_key)
    row.revoked_at = now
    store.bump_serial(session)
    _record(session, row, "connection.revoked", actor, now)


def _record(
    session: Session, row: ConnectionRow, action: str, actor: Actor, now: datetime, **more: Any
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="connection",
        subject=row.client_key,
        after={"name": row.name, "mode": row.mode, "options": row.options, **more},
        now=now,
    )
