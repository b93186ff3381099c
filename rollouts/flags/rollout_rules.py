"""The rules that rollouts put before all others of their flag, change and take away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.errors import Conflict, NotFound
from rollouts.flags.changes import change_flag, get_flag, with_state
from rollouts.flags.checks import check_variations, refuse
from rollouts.flags.environments import get_environment
from rollouts.flags.model import Arm, Condition, Flag, RolloutRule, Rule


def check_rollout(
    session: Session,
    *,
    flag: str,
    environment: str,
    variations: Sequence[Arm],
    condition: Condition | None,
) -> None:
    """Raise Invalid naming what is wrong with a rollout that is to run on a flag."""
    get_environment(session, environment)
    held = get_flag(session, flag)
    if held.is_archived:
        raise Conflict(f"The flag {flag!r} is archived. Restore it first.")
    refuse("The rollout", check_variations(held.kind, held.schema, variations, condition))


def put_rollout_rule(
    session: Session,
    *,
    flag: str,
    environment: str,
    rule: RolloutRule,
    actor: Actor,
    reason: str,
    now: datetime,
) -> int:
    """Put a rollout's rule first, or replace it where it stands. Returns the payload version."""
    get_environment(session, environment)
    named = replace(rule, id=f"rollout:{rule.rollout}")

    def change(held: Flag) -> Flag:
        if held.is_archived:
            raise Conflict(f"The flag {flag!r} is archived. Restore it first.")
        state = held.state(environment)
        return with_state(held, environment, replace(state, rules=_placed(state.rules, named)))

    change_flag(
        session, flag, change, action="flag.rollout_changed", actor=actor, reason=reason, now=now
    )
    return get_environment(session, environment).version


def _placed(rules: tuple[Rule, ...], new: RolloutRule) -> tuple[Rule, ...]:
    if any(_is_of(rule, new.rollout) for rule in rules):
        return tuple(new if _is_of(rule, new.rollout) else rule for rule in rules)
    return (new, *rules)


def _is_of(rule: Rule, rollout: str) -> bool:
    return isinstance(rule, RolloutRule) and rule.rollout == rollout


def remove_rollout_rule(
    session: Session,
    *,
    flag: str,
    environment: str,
    rollout: str,
    actor: Actor,
    reason: str,
    now: datetime,
) -> int:
    """Take a rollout's rule away, so that the rules after it decide. Returns the version."""

    def change(held: Flag) -> Flag:
        state = held.state(environment)
        rules = tuple(rule for rule in state.rules if not _is_of(rule, rollout))
        if len(rules) == len(state.rules):
            raise NotFound("rule of rollout", rollout)
        return with_state(held, environment, replace(state, rules=rules))

    change_flag(
        session, flag, change, action="flag.rollout_removed", actor=actor, reason=reason, now=now
    )
    return get_environment(session, environment).version
