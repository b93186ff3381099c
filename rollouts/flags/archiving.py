"""Whether a flag may leave every payload."""

from __future__ import annotations

from collections.abc import Iterable

from rollouts.errors import Conflict
from rollouts.flags.model import Flag, RolloutRule


def check_archivable(flag: Flag, live: Iterable[Flag]) -> None:
    """Refuse to archive a flag that others wait for, or that carries a running rollout.

    live: the flags that stay. Raises Conflict.
    """
    users = [other.key for other in live if other.key != flag.key and _depends_on(other, flag.key)]
    if users:
        raise Conflict(f"The flag {flag.key!r} is a prerequisite of {', '.join(users[:10])}.")
    running = sorted(
        {
            rule.rollout
            for state in flag.states.values()
            for rule in state.rules
            if isinstance(rule, RolloutRule) and rule.decided is None
        }
    )
    if running:
        raise Conflict(f"The flag {flag.key!r} carries the running rollout {', '.join(running)}.")


def _depends_on(flag: Flag, key: str) -> bool:
    return any(
        item.flag == key
        for state in flag.states.values()
        for rule in state.rules
        for item in rule.prerequisites
    )
