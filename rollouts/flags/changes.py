"""How a flag changes: the rows, a revision, a new payload version and an audit entry at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.audit import service as audit
from rollouts.errors import NotFound
from rollouts.flags import environment_store, store
from rollouts.flags.checks import TEXT_MAX, flag_faults, refuse, text_faults
from rollouts.flags.differences import differences, sides
from rollouts.flags.groups import list_groups
from rollouts.flags.model import Flag, FlagState
from rollouts.flags.publishing import publish
from rollouts.flags.references import flag_reference_faults, many_reference_faults
from rollouts.flags.revisions import add_revision, check_flag_revision
from rollouts.flags.rule_json import dump_flag
from rollouts.flags.store import FlagRow


def get_flag(session: Session, key: str) -> Flag:
    """The flag of that key, archived or not. Raises NotFound."""
    return store.to_flags(session, [get_row(session, key)])[0]


def find_flag(session: Session, key: str) -> Flag | None:
    """The flag of that key, if there is one."""
    row = store.find_flag_row(session, key)
    return None if row is None else store.to_flags(session, [row])[0]


def list_flags(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 1_000_000,
    search: str = "",
    with_archived: bool = False,
) -> list[Flag]:
    """Flags by key."""
    rows = store.list_flag_rows(
        session, after=after, limit=limit, search=search, with_archived=with_archived
    )
    return store.to_flags(session, rows)


def get_row(session: Session, key: str) -> FlagRow:
    """The row of a flag. Raises NotFound."""
    row = store.find_flag_row(session, key)
    if row is None:
        raise NotFound("flag", key)
    return row


def change_flag(
    session: Session,
    key: str,
    change: Callable[[Flag], Flag],
    *,
    action: str,
    actor: Actor,
    now: datetime,
    reason: str = "",
    expected_revision: int | None = None,
) -> Flag:
    """Replace a flag by what `change` makes of it; one that changes nothing leaves no trace."""
    environment_store.lock_environments(session)
    row = get_row(session, key)
    before = store.to_flags(session, [row])[0]
    check_flag_revision(session, row, before, expected_revision)
    after = change(before)
    if after == before:
        return before
    return save(session, row, before, after, action, actor, reason, now)


def save(
    session: Session,
    row: FlagRow | None,
    before: Flag | None,
    after: Flag,
    action: str,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Flag:
    """Check a flag and write all that a change leaves behind."""
    check_flag(session, before, after, actor, reason)
    groups = {group.key: group for group in list_groups(session)}
    refuse("The flag", flag_reference_faults(after, store.list_live_flags(session), groups))
    saved = write(session, row, before, after, action, actor, reason, now)
    publish(session, now)
    return saved


def check_flag(
    session: Session, before: Flag | None, after: Flag, actor: Actor, reason: str
) -> None:
    """Refuse what may not be, or not by this actor. What it refers to is not looked at."""
    for environment in _touched(session, before, after):
        actor.check_environment(environment)
    _check(session, after, reason)


def write(
    session: Session,
    row: FlagRow | None,
    before: Flag | None,
    after: Flag,
    action: str,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Flag:
    """Write a flag that was checked, its revision and the audit entry; nothing is published."""
    after = replace(after, states={key: _named(state) for key, state in after.states.items()})
    row = store.write_flag(session, row, after, now)
    add_revision(session, row, after, action=action, actor=actor, reason=reason, now=now)
    found = differences({} if before is None else dump_flag(before), dump_flag(after))
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="flag",
        subject=after.key,
        before=None if before is None else sides(found, "before"),
        after=sides(found, "after"),
        reason=reason,
        now=now,
    )
    return store.to_flags(session, [row])[0]


def _touched(session: Session, before: Flag | None, after: Flag) -> list[str]:
    """Environments in which a change is seen: some keys may change only some of them."""
    keys = [row.key for row in environment_store.list_environments(session)]
    if before is None or before.is_archived != after.is_archived:
        return keys
    return [
        key
        for key in keys
        if before.state(key) != after.state(key)
        or before.default_in(key) != after.default_in(key)
        or before.off_value != after.off_value
    ]


def _named(state: FlagState) -> FlagState:
    """Every rule has an id that stays with it, however the rules are moved."""
    rules = (rule if rule.id else replace(rule, id=new_rule_id()) for rule in state.rules)
    return replace(state, rules=tuple(rules))


def new_rule_id() -> str:
    """An id for a rule that came without one."""
    return "fr_" + secrets.token_hex(6)


def _check(session: Session, flag: Flag, reason: str) -> None:
    known = {row.key for row in environment_store.list_environments(session)}
    for key in flag.states:
        if key not in known:
            raise NotFound("environment", key)
    refuse("The change", text_faults(reason, "reason", TEXT_MAX))
    refuse("The flag", flag_faults(flag))


def check_references(session: Session, changed: Sequence[Flag]) -> None:
    """Refuse flags that refer to what does not exist, or to themselves by way of others."""
    groups = {group.key: group for group in list_groups(session)}
    live = store.list_live_flags(session)
    refuse("The flags", many_reference_faults(changed, live, groups))


def with_state(flag: Flag, environment: str, state: FlagState) -> Flag:
    """The flag with that state in that environment."""
    return replace(flag, states={**flag.states, environment: state})
