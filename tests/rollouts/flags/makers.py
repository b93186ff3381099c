"""What the tests of flags are made from: short ways to say a flag, a rule, a connection."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor, ActorKind, Role
from rollouts.flags import groups, service
from rollouts.flags.environment_store import ConnectionRow
from rollouts.flags.model import (
    Arm,
    Flag,
    FlagKind,
    FlagState,
    Mode,
    Options,
    RolloutRule,
    Rule,
    SavedGroup,
)

NOW = datetime(2026, 5, 14, 9, 42, 0, 123456, tzinfo=UTC)
EDITOR = Actor(ActorKind.KEY, "k1", "Ada", Role.EDITOR)
ENVIRONMENT = "production"


def state(*rules: Rule, is_enabled: bool = True) -> FlagState:
    """A state with these rules."""
    return FlagState(is_enabled=is_enabled, rules=rules)


def flag(key: str = "new-checkout", *rules: Rule, **more: Any) -> Flag:
    """A boolean flag with these rules in production."""
    fields: dict[str, Any] = {"kind": FlagKind.BOOLEAN, "default": False, **more}
    return Flag(key=key, states={ENVIRONMENT: state(*rules)}, **fields)


def rollout_rule(key: str = "guided-returns", **more: Any) -> RolloutRule:
    """A rollout of a boolean flag, half and half, at a tenth of the traffic."""
    fields: dict[str, Any] = {
        "rollout": key,
        "unit": "id",
        "variations": (Arm("control", "Old", False, 0.5), Arm("guided", "New", True, 0.5)),
        "control": "control",
        "coverage": 0.1,
        **more,
    }
    return RolloutRule(**fields)


def make_flag(session: Session, key: str = "new-checkout", *rules: Rule, **more: Any) -> Flag:
    """A stored flag."""
    service.ensure_defaults(session, NOW)
    return service.create_flag(session, flag(key, *rules, **more), actor=EDITOR, now=NOW)


def make_group(session: Session, key: str, **fields: Any) -> SavedGroup:
    """A stored saved group."""
    service.ensure_defaults(session, NOW)
    group = SavedGroup(key=key, name=key, **fields)
    return groups.create_group(session, group, actor=EDITOR, now=NOW)


def make_connection(
    session: Session,
    mode: Mode = Mode.PLAIN,
    environment: str = ENVIRONMENT,
    options: Options | None = None,
) -> ConnectionRow:
    """A stored connection."""
    service.ensure_defaults(session, NOW)
    return service.create_connection(
        session,
        name="web",
        environment=environment,
        mode=mode,
        options=options or Options(),
        actor=EDITOR,
        now=NOW,
    )
