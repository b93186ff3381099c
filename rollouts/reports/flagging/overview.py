"""One flag at a glance: what it serves where, what is live on it, how far its change has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from rollouts.flags import service as flags
from rollouts.flags import staleness
from rollouts.flags.groups import list_groups
from rollouts.flags.model import Flag, Rule
from rollouts.flags.reached import Arrival, list_arrivals
from rollouts.flags.references import groups_of
from rollouts.lifecycle import service as lifecycle
from rollouts.reports.flagging.history import History, get_history
from rollouts.reports.flagging.listing import Place, places_of

if TYPE_CHECKING:
    from rollouts.lifecycle.store import RolloutRow

MOST_ROLLOUTS = 25
MOST_CHANGES = 5
MOST_ARRIVALS = 10


@dataclass(frozen=True, slots=True)
class FlagPage:
    """One flag."""

    flag: Flag
    places: tuple[Place, ...]
    rollouts: Sequence[RolloutRow]
    newest: History
    arrivals: Sequence[Arrival]
    decided: Sequence[staleness.Reason]
    n_mentions: int
    is_scanned: bool
    groups: tuple[str, ...]
    asks: tuple[str, ...]  # flags whose value it waits for
    asked_by: tuple[str, ...]  # flags that wait for its value

    @property
    def live_in(self) -> frozenset[str]:
        """Environments in which a rollout is being compared on this flag."""
        return frozenset(row.environment_key for row in self.rollouts if row.state.is_live)


def get_flag(session: Session, key: str) -> FlagPage:
    """One flag with all that hangs on it. Raises NotFound."""
    flag = flags.get_flag(session, key)
    known = {group.key for group in list_groups(session)}
    used = {name for rule in rules_of(flag) for name in groups_of(rule)}
    return FlagPage(
        flag=flag,
        places=places_of(flag, flags.list_environments(session)),
        rollouts=lifecycle.list_rollouts(session, flag=key, limit=MOST_ROLLOUTS),
        newest=get_history(session, key, limit=MOST_CHANGES),
        arrivals=[] if flag.is_archived else list_arrivals(session, key),
        decided=staleness.decided_in(flag),
        n_mentions=len(staleness.list_code_references(session, key)),
        is_scanned=bool(staleness.list_code_scans(session, key)),
        groups=tuple(sorted(used & known)),
        asks=_asked(flag),
        asked_by=tuple(other.key for other in flags.list_flags(session) if key in _asked(other)),
    )


def rules_of(flag: Flag) -> list[Rule]:
    """All rules of a flag."""
    return [rule for state in flag.states.values() for rule in state.rules]


def _asked(flag: Flag) -> tuple[str, ...]:
    return tuple(sorted({item.flag for rule in rules_of(flag) for item in rule.prerequisites}))
