"""What can be done to a flag. Each change stands or falls with the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.errors import AlreadyExists, Conflict
from rollouts.flags import environment_store, store
from rollouts.flags.archiving import check_archivable
from rollouts.flags.changes import (
    change_flag,
    find_flag,
    get_flag,
    get_row,
    list_flags,
    save,
    with_state,
)
from rollouts.flags.connections import (
    create_connection,
    edit_connection,
    get_connection,
    get_connection_with_environment,
    list_connections,
    revoke_connection,
)
from rollouts.flags.environments import (
    create_environment,
    ensure_defaults,
    get_environment,
    list_environments,
)
from rollouts.flags.model import Flag, FlagState, RolloutRule, Rule
from rollouts.flags.propagation_store import list_reaches
from rollouts.flags.publishing import publish_due
from rollouts.flags.revisions import get_revision
from rollouts.flags.rollout_rules import check_rollout, put_rollout_rule, remove_rollout_rule
from rollouts.flags.rule_json import load_flag
from rollouts.flags.store import RevisionRow

__all__ = [
    "archive",
    "check_rollout",
    "create_connection",
    "create_environment",
    "create_flag",
    "edit_connection",
    "edit_flag",
    "ensure_defaults",
    "find_flag",
    "get_connection",
    "get_connection_with_environment",
    "get_environment",
    "get_flag",
    "get_flag_revision",
    "kill",
    "list_connections",
    "list_environments",
    "list_flag_revisions",
    "list_flags",
    "list_reaches",
    "publish_due",
    "put_rollout_rule",
    "remove_rollout_rule",
    "restore",
    "revert",
    "revoke_connection",
    "set_enabled",
    "set_state",
]


def list_flag_revisions(
    session: Session, key: str, *, before: int | None = None, limit: int = 100
) -> list[RevisionRow]:
    """A flag's revisions, newest first."""
    return store.list_revisions(session, get_row(session, key).id, before=before, limit=limit)


def get_flag_revision(session: Session, key: str, number: int) -> RevisionRow:
    """One revision of a flag. Raises NotFound."""
    return get_revision(session, get_row(session, key), number)


def create_flag(
    session: Session, flag: Flag, *, actor: Actor, now: datetime, reason: str = ""
) -> Flag:
    """Add a flag. Environments it says nothing about get it switched on, with no rules."""
    environments = [row.key for row in environment_store.lock_environments(session)]
    if store.find_flag_row(session, flag.key) is not None:
        raise AlreadyExists("flag", flag.key)
    states = {key: flag.states.get(key, FlagState(is_enabled=True)) for key in environments}
    whole = replace(flag, states={**flag.states, **states})
    for state in whole.states.values():
        _refuse_rollout_rules((), state.rules)
    return save(session, None, None, whole, "flag.created", actor, reason, now)


def edit_flag(
    session: Session,
    key: str,
    fields: Mapping[str, Any],
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    expected_revision: int | None = None,
) -> Flag:
    """Change what holds for a flag in every environment: the fields of `Flag` that are given."""
    return change_flag(
        session,
        key,
        lambda flag: replace(flag, **fields),
        action="flag.edited",
        actor=actor,
        now=now,
        reason=reason,
        expected_revision=expected_revision,
    )


def set_state(
    session: Session,
    key: str,
    environment: str,
    state: FlagState,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    expected_revision: int | None = None,
) -> Flag:
    """Replace what a flag does in an environment; a rollout's rule may be moved, not touched."""
    get_environment(session, environment)

    def change(flag: Flag) -> Flag:
        _refuse_rollout_rules(flag.state(environment).rules, state.rules)
        return with_state(flag, environment, state)

    return change_flag(
        session,
        key,
        change,
        action="flag.edited",
        actor=actor,
        now=now,
        reason=reason,
        expected_revision=expected_revision,
    )


def set_enabled(
    session: Session,
    key: str,
    environment: str,
    enabled: bool,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Flag:
    """Switch a flag on or off in one environment, whatever else is being edited."""
    get_environment(session, environment)

    def change(flag: Flag) -> Flag:
        state = replace(flag.state(environment), is_enabled=enabled)
        return with_state(flag, environment, state)

    action = "flag.enabled" if enabled else "flag.disabled"
    return change_flag(session, key, change, action=action, actor=actor, now=now, reason=reason)


def kill(
    session: Session,
    key: str,
    *,
    environment: str | None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Flag:
    """Switch a flag off at once, in one environment or in all."""
    if environment is not None:
        get_environment(session, environment)

    def change(flag: Flag) -> Flag:
        states = {
            name: replace(state, is_enabled=False) if environment in (None, name) else state
            for name, state in flag.states.items()
        }
        return replace(flag, states=states)

    return change_flag(
        session, key, change, action="flag.killed", actor=actor, now=now, reason=reason
    )


def archive(
    session: Session,
    key: str,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    expected_revision: int | None = None,
) -> Flag:
    """Take a flag out of every payload; it and its history stay, and it can be restored."""
    live = store.list_live_flags(session)

    def change(flag: Flag) -> Flag:
        check_archivable(flag, live)
        return replace(flag, is_archived=True)

    return change_flag(
        session,
        key,
        change,
        action="flag.archived",
        actor=actor,
        now=now,
        reason=reason,
        expected_revision=expected_revision,
    )


def restore(session: Session, key: str, *, actor: Actor, now: datetime, reason: str = "") -> Flag:
    """Serve an archived flag again, as it was."""
    return change_flag(
        session,
        key,
        lambda flag: replace(flag, is_archived=False),
        action="flag.restored",
        actor=actor,
        now=now,
        reason=reason,
    )


def revert(
    session: Session,
    key: str,
    number: int,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    expected_revision: int | None = None,
) -> Flag:
    """Bring a flag back to an earlier revision, except for the rules of rollouts: these stay."""
    earlier = load_flag(get_flag_revision(session, key, number).snapshot)

    def change(flag: Flag) -> Flag:
        keys = {*earlier.states, *flag.states}
        states = {k: _keep_rollouts(earlier.state(k), flag.state(k)) for k in sorted(keys)}
        return replace(earlier, states=states, is_archived=flag.is_archived)

    return change_flag(
        session,
        key,
        change,
        action="flag.reverted",
        actor=actor,
        now=now,
        reason=reason or f"back to revision {number}",
        expected_revision=expected_revision,
    )


def _keep_rollouts(earlier: FlagState, current: FlagState) -> FlagState:
    kept = tuple(rule for rule in current.rules if isinstance(rule, RolloutRule))
    others = tuple(rule for rule in earlier.rules if not isinstance(rule, RolloutRule))
    return replace(earlier, rules=kept + others)


def _refuse_rollout_rules(before: Iterable[Rule], after: Sequence[Rule]) -> None:
    """A rollout's rule belongs to its locked plan; only the rollout itself changes it."""
    held = {rule.rollout: rule for rule in before if isinstance(rule, RolloutRule)}
    sent = [rule for rule in after if isinstance(rule, RolloutRule)]
    if sorted(rule.rollout for rule in sent) != sorted(held) or any(
        held[rule.rollout] != rule for rule in sent
    ):
        names = ", ".join(sorted({*held, *(rule.rollout for rule in sent)}))
        raise Conflict(
            f"The rules of rollouts ({names}) are changed by the rollouts themselves."
            " Send them back as they are, in any place among the others."
        )
