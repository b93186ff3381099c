"""The head that all pages of one rollout share, and where the rollout stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.model import State
from rollouts.lifecycle.plan import Draft
from rollouts.web import formatting as say

if TYPE_CHECKING:
    from rollouts.lifecycle.store import RolloutRow


@dataclass(frozen=True, slots=True)
class Head:
    """What stands at the top of a rollout's pages."""

    id: int
    key: str
    name: str
    state: str
    environment: str
    owner: str
    flag: str
    started_at: datetime | None
    ended_at: datetime | None
    next_look_at: datetime | None
    hold_reason: str
    plan_hash: str
    locked_at: datetime | None
    is_live: bool


def head_of(session: Session, row: RolloutRow) -> Head:
    """The head of one rollout, with its newest locked plan if there is one."""
    plans = lifecycle.list_plans(session, row.id)
    plan = plans[-1] if plans else None
    return Head(
        id=row.id,
        key=row.key,
        name=row.name,
        state=shown_state(row),
        environment=row.environment_key,
        owner=row.owner,
        flag=row.flag_key,
        started_at=row.started_at,
        ended_at=row.ended_at,
        next_look_at=row.next_look_at,
        hold_reason=row.hold_reason,
        plan_hash=plan.hash if plan else "",
        locked_at=plan.locked_at if plan else None,
        is_live=row.state.is_live,
    )


def shown_state(row: RolloutRow) -> str:
    """The state as people say it: a running rollout that the guard holds is held."""
    if row.state is State.RUNNING and row.hold_reason:
        return "held"
    return row.state.value


def where(row: RolloutRow, draft: Draft) -> str:
    """How many meet it: "10 % of production"."""
    if row.started_at is None:
        return "Nobody yet"
    share = draft.ramp[row.stage].share
    people = "Everyone" if share >= 1 else say.percent(share)
    return f"{people} {'in' if share >= 1 else 'of'} {row.environment_key}"


def what_next(row: RolloutRow, draft: Draft) -> str:
    """What will happen by itself, and when."""
    if row.started_at is None:
        return "Start it to lock the plan"
    if row.state is State.PAUSED:
        return "Paused: the ramp stays until someone resumes it"
    if row.hold_reason:
        return f"Held: {row.hold_reason}"
    if row.stage + 1 >= len(draft.ramp):
        return "Last stage: ship it, stop it, or let it run"
    following, hold = draft.ramp[row.stage + 1].share, draft.ramp[row.stage].hold
    entered = row.stage_entered_at or row.started_at
    people = "everyone" if following >= 1 else say.percent(following)
    return f"{people} from {say.clock(entered + hold)} UTC if the checks hold"


def missed_looks(row: RolloutRow, draft: Draft, default: float, now: datetime) -> str:
    """A notice if the guard has not looked for two turns, else nothing."""
    if row.next_look_at is None or not row.state.is_live:
        return ""
    every = timedelta(seconds=draft.look_every_seconds or default)
    if now - row.next_look_at < max(2 * every, timedelta(seconds=30)):
        return ""
    return (
        f"The stop-loss has missed its looks: one was due {say.clock(row.next_look_at)} UTC. "
        "Nothing is withdrawn and no ramp moves until the worker runs again."
    )
