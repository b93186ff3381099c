"""Environments: the places in which a flag has a state of its own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.accounts.model import OPERATOR, Actor
from rollouts.audit import service as audit
from rollouts.errors import AlreadyExists, NotFound
from rollouts.flags import environment_store as store
from rollouts.flags.checks import NAME_MAX, key_faults, refuse, text_faults
from rollouts.flags.environment_store import EnvironmentRow
from rollouts.flags.publishing import publish

DEFAULTS = (("production", "Production"), ("staging", "Staging"))

list_environments = store.list_environments


def ensure_defaults(session: Session, now: datetime) -> None:
    """Make production and staging at the first start."""
    if store.list_environments(session):
        return
    for key, name in DEFAULTS:
        create_environment(session, key=key, name=name, actor=OPERATOR, now=now)


def get_environment(session: Session, key: str) -> EnvironmentRow:
    """The environment of that key. Raises NotFound."""
    row = store.find_environment(session, key)
    if row is None:
        raise NotFound("environment", key)
    return row


def create_environment(
    session: Session, *, key: str, name: str, actor: Actor, now: datetime
) -> EnvironmentRow:
    """Add an environment; every flag starts there switched off."""
    refuse("The environment", [*key_faults(key, "key"), *text_faults(name, "name", NAME_MAX)])
    store.lock_environments(session)
    if store.find_environment(session, key) is not None:
        raise AlreadyExists("environment", key)
    row = EnvironmentRow(
        key=key, name=name or key, version=0, digest="", updated_at=now, created_at=now
    )
    session.add(row)
    publish(session, now)
    audit.record(
        session,
        actor=actor,
        action="environment.created",
        subject_kind="environment",
        subject=key,
        after={"key": key, "name": row.name},
        now=now,
    )
    return row
