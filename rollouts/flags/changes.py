"""How a flag changes: the rows, a revision, a new payload version and an audit entry at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.audit import service as audit
from rollouts.errors import NotFound
from rollouts.flags import environment_store, store
from rollouts.flags.checks import TEXT_MAX, flag_faults, refuse, text_faults
from rollouts.flags.differences import Difference, differences, sides
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
    places = list_places(session)
    check_flag(places, before, after, actor, reason)
    groups = {group.key: group for group in list_groups(session)}
    live = store.list_live_flags(session)
    refuse("The flag", flag_reference_faults(after, live, groups))
    (written,) = write_all(session, [(before, after)], action, actor, reason, now)
    saved = written.flag
    others = [flag for flag in live if flag.key != saved.key]
    live = others if saved.is_archived else [*others, saved]
    publish(session, now, live=live, places=_touched(places, before, saved))
    return saved


def list_places(session: Session) -> list[str]:
    """Keys of all environments."""
    return [row.key for row in environment_store.list_environments(session)]


def check_flag(
    places: Sequence[str], before: Flag | None, after: Flag, actor: Actor, reason: str
) -> None:
    """Refuse what may not be, or not by this actor. What it refers to is not looked at.

    places: keys of all environments.
    """
    for environment in _touched(places, before, after):
        actor.check_environment(environment)
    for key in after.states:
        if key not in places:
            raise NotFound("environment", key)
    refuse("The change", text_faults(reason, "reason", TEXT_MAX))
    refuse("The flag", flag_faults(after))


@dataclass(frozen=True, slots=True)
class Written:
    """A flag as it was stored, and what that changed."""

    flag: Flag
    differences: list[Difference]


def write_all(
    session: Session,
    changes: Sequence[tuple[Flag | None, Flag]],
    action: str,
    actor: Actor,
    reason: str,
    now: datetime,
) -> list[Written]:
    """Write flags that were checked, their revisions and audit entries; nothing is published.

    changes: each flag before, None if it is new, and after.
    """
    after = [_with_ids(flag) for _, flag in changes]
    rows = store.write_flags(session, after, now)
    found: list[list[Difference]] = []
    for row, flag, (before, _) in zip(rows, after, changes, strict=True):
        snapshot = dump_flag(flag)
        add_revision(session, row, snapshot, action=action, actor=actor, reason=reason, now=now)
        found.append(differences({} if before is None else dump_flag(before), snapshot))
    deeds = [
        audit.Deed(
            action,
            "flag",
            flag.key,
            before=None if before is None else sides(told, "before"),
            after=sides(told, "after"),
            reason=reason,
        )
        for flag, told, (before, _) in zip(after, found, changes, strict=True)
    ]
    audit.record_all(session, deeds, actor=actor, now=now)
    stored = (row.to_domain(dict(flag.states)) for row, flag in zip(rows, after, strict=True))
    return [Written(flag, told) for flag, told in zip(stored, found, strict=True)]


def _touched(places: Sequence[str], before: Flag | None, after: Flag) -> Sequence[str]:
    """Environments in which a change is seen: some keys may change only some of them."""
    if before is None or before.is_archived != after.is_archived:
        return places
    return [
        key
        for key in places
        if before.state(key) != after.state(key)
        or before.default_in(key) != after.default_in(key)
        or before.off_value != after.off_value
    ]


def _with_ids(flag: Flag) -> Flag:
    return replace(flag, states={key: _named(state) for key, state in flag.states.items()})


def _named(state: FlagState) -> FlagState:
    """Every rule has an id that stays with it, however the rules are moved."""
    rules = (rule if rule.id else replace(rule, id=new_rule_id()) for rule in state.rules)
    return replace(state, rules=tuple(rules))


def new_rule_id() -> str:
    """An id for a rule that came without one."""
    return "fr_" + secrets.token_hex(6)


def check_references(session: Session, changed: Sequence[Flag], live: Sequence[Flag]) -> None:
    """Refuse flags that refer to what does not exist, or to themselves by way of others.

    live: all flags that are not archived, as they now are.
    """
    groups = {group.key: group for group in list_groups(session)}
    refuse("The flags", many_reference_faults(changed, live, groups))


def with_state(flag: Flag, environment: str, state: FlagState) -> Flag:
    """The flag with that state in that environment."""
    return replace(flag, states={**flag.states, environment: state})
