"""Saved groups: named lists and conditions that rules of any flag refer to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.audit import service as audit
from rollouts.errors import AlreadyExists, Conflict, NotFound
from rollouts.flags import environment_store, store
from rollouts.flags.checks import refuse
from rollouts.flags.condition_checks import referenced_groups
from rollouts.flags.group_checks import group_faults
from rollouts.flags.model import SavedGroup
from rollouts.flags.publishing import publish
from rollouts.flags.references import group_reference_faults, groups_of
from rollouts.flags.revisions import check_revision
from rollouts.flags.store import SavedGroupRow


def get_group(session: Session, key: str) -> SavedGroup:
    """The saved group of that key. Raises NotFound."""
    return _get_row(session, key).to_domain()


def list_groups(
    session: Session, *, after: str | None = None, limit: int | None = None, search: str = ""
) -> list[SavedGroup]:
    """Saved groups by key."""
    rows = store.list_group_rows(session, after=after, limit=limit, search=search)
    return [row.to_domain() for row in rows]


def _get_row(session: Session, key: str) -> SavedGroupRow:
    row = store.find_group_row(session, key)
    if row is None:
        raise NotFound("saved group", key)
    return row


def create_group(session: Session, group: SavedGroup, *, actor: Actor, now: datetime) -> SavedGroup:
    """Add a saved group."""
    environment_store.lock_environments(session)
    if store.find_group_row(session, group.key) is not None:
        raise AlreadyExists("saved group", group.key)
    return _save(session, None, group, actor, now)


def edit_group(
    session: Session,
    group: SavedGroup,
    *,
    expected_revision: int,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> SavedGroup:
    """Replace a saved group; every flag that refers to it changes with it."""
    environment_store.lock_environments(session)
    row = _get_row(session, group.key)
    check_revision("saved group", group.key, row.revision, expected_revision)
    return _save(session, row, group, actor, now, reason)


def _save(
    session: Session,
    row: SavedGroupRow | None,
    group: SavedGroup,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> SavedGroup:
    check_group(session, group, actor)
    check_references(session, [group])
    saved = write(session, row, group, actor, now, reason)
    publish(session, now)
    return saved


def check_group(session: Session, group: SavedGroup, actor: Actor) -> None:
    """Refuse what may not be, or not by this actor. What it refers to is not looked at."""
    check_everywhere(session, actor)
    refuse("The saved group", group_faults(group))


def check_references(session: Session, groups: Iterable[SavedGroup]) -> None:
    """Refuse groups that refer to what does not exist, or to themselves by way of others."""
    everything = {item.key: item for item in list_groups(session)}
    for group in groups:
        refuse("The saved group", group_reference_faults(group, everything))


def write(
    session: Session,
    row: SavedGroupRow | None,
    group: SavedGroup,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> SavedGroup:
    """Write a group that was checked, with its audit entry; nothing is published."""
    before = None if row is None else row.to_domain()
    row = row or SavedGroupRow(key=group.key, revision=0, created_at=now)
    row.name, row.description, row.attribute = group.name, group.description, group.attribute
    row.members = list(group.values)
    row.condition = {} if group.condition is None else {"is": group.condition}
    row.revision, row.updated_at = row.revision + 1, now
    session.add(row)
    session.flush()
    action = "saved_group.created" if before is None else "saved_group.edited"
    _record(session, group.key, action, before, group, actor, now, reason)
    return row.to_domain()


def check_everywhere(session: Session, actor: Actor) -> None:
    """Refuse a key that may change only some environments: groups are shared by all."""
    for row in environment_store.list_environments(session):
        actor.check_environment(row.key)


def delete_group(
    session: Session, key: str, *, expected_revision: int, actor: Actor, now: datetime
) -> None:
    """Forget a saved group that nothing refers to any more."""
    environment_store.lock_environments(session)
    row = _get_row(session, key)
    check_revision("saved group", key, row.revision, expected_revision)
    users = users_of(session, key)
    if users:
        raise Conflict(f"The saved group {key!r} is used by {', '.join(users[:10])}.")
    check_everywhere(session, actor)
    before = row.to_domain()
    store.delete_group(session, key)
    publish(session, now)
    _record(session, key, "saved_group.deleted", before, None, actor, now, "")


def users_of(session: Session, key: str) -> list[str]:
    """Keys of the flags and saved groups that refer to a group."""
    flags = [
        f"flag {flag.key}"
        for flag in store.list_live_flags(session)
        if any(key in groups_of(rule) for state in flag.states.values() for rule in state.rules)
    ]
    groups = [
        f"saved group {group.key}"
        for group in list_groups(session)
        if key in referenced_groups(group.condition)
    ]
    return flags + groups


def dump_group(group: SavedGroup) -> dict[str, Any]:
    """A saved group as JSON."""
    own = {"attribute": group.attribute, "values": list(group.values)}
    return {
        "key": group.key,
        "name": group.name,
        "description": group.description,
        **(own if group.condition is None else {"condition": group.condition}),
    }


def _record(
    session: Session,
    key: str,
    action: str,
    before: SavedGroup | None,
    after: SavedGroup | None,
    actor: Actor,
    now: datetime,
    reason: str,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="saved_group",
        subject=key,
        before=None if before is None else dump_group(before),
        after=None if after is None else dump_group(after),
        reason=reason,
        now=now,
    )
