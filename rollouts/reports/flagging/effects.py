"""Before saving: whose answers an edit changes, and what it does to live rollouts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from analysis.proportion import wilson
from rollouts.flags import payload
from rollouts.flags.impact import Compared, Impact, is_told_by_ids, made_up_users, measure
from rollouts.flags.model import Flag
from rollouts.lifecycle import service as lifecycle
from rollouts.web import formatting as say

if TYPE_CHECKING:
    from rollouts.lifecycle.store import RolloutRow

MOST_ROLLOUTS = 25
_SIDES = ("n_before", "n_after")
UNEVEN = 0.02  # of the units left, by which a variation's part may move before it is told


@dataclass(frozen=True, slots=True)
class OnRollout:
    """What an edit does to one live rollout."""

    key: str
    name: str
    is_harmed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What an edit does in one environment, to the users that were asked."""

    environment: str
    at: datetime  # from when on
    impact: Impact
    is_made_up: bool  # ids 1 to 10,000; else a list that somebody gave
    is_whole: bool  # nothing but ids decides, so that made-up users tell all
    rollouts: tuple[OnRollout, ...]

    @property
    def who(self) -> str:
        """The users, in words."""
        n = say.count(self.impact.n_users)
        return f"ids 1 to {n}" if self.is_made_up else f"the {n} users you gave"

    @property
    def interval(self) -> str:
        """In which share of real ids the answer would change, where ids alone decide.

        Nothing where all made-up ones agree: then so do nearly all real ones.
        """
        if self.impact.n_changed in (0, self.impact.n_users):
            return ""
        limits = wilson(self.impact.n_changed, self.impact.n_users)
        return f"between {say.exact_share(limits.low)} and {say.exact_share(limits.high)}"


def get_effects(
    session: Session,
    before: Flag,
    after: Flag,
    environments: Iterable[str],
    given: Sequence[dict[str, Any]],
    *,
    now: datetime,
) -> tuple[Effect, ...]:
    """The effect in each of these environments that would serve something else."""
    live = [
        row
        for row in lifecycle.list_rollouts(session, flag=before.key, limit=MOST_ROLLOUTS)
        if row.state.is_live
    ]
    moments = {name: _first_difference(before, after, name, now) for name in environments}
    return tuple(
        _effect(session, before, after, environment, given, live, moment)
        for environment, moment in moments.items()
        if moment is not None
    )


def _first_difference(
    before: Flag, after: Flag, environment: str, now: datetime
) -> datetime | None:
    """When the two first serve something else: now, or once a schedule lets a rule in or out."""
    moment: datetime | None = now
    while moment is not None:
        sides = [payload.feature(flag, environment, moment) for flag in (before, after)]
        if sides[0] != sides[1]:
            return moment
        moment = payload.next_change((before, after), environment, moment)
    return None


def _effect(
    session: Session,
    before: Flag,
    after: Flag,
    environment: str,
    given: Sequence[dict[str, Any]],
    live: Iterable[RolloutRow],
    at: datetime,
) -> Effect:
    users = given or made_up_users((before, after), environment)
    impact = measure(session, before, after, environment, users, now=at)
    is_whole = all(is_told_by_ids(flag, environment) for flag in (before, after))
    touched = [row for row in live if row.environment_key == environment]
    found = Effect(environment, at, impact, not given, is_whole, ())
    told = (_on_rollout(row, after, found) for row in touched)
    return replace(found, rollouts=tuple(told))


def _on_rollout(row: RolloutRow, after: Flag, effect: Effect) -> OnRollout:
    compared = [item for item in effect.impact.compared if item.rollout == row.key]
    if not after.state(effect.environment).is_enabled:
        text = "The flag is switched off here, so its comparison ends."
        return OnRollout(row.key, row.name, True, text)
    is_harmed, text = told(compared, effect.who)
    return OnRollout(row.key, row.name, is_harmed, text)


def told(compared: Sequence[Compared], who: str) -> tuple[bool, str]:
    """Whether a comparison loses anybody, and how the split moves.

    >>> told([Compared("r", "old", 40, 40), Compared("r", "new", 60, 60)], "ids 1 to 100")
    (False, 'Of ids 1 to 100 it compares 100, before and after: old 40, new 60.')
    """
    before, after = (sum(getattr(item, side) for item in compared) for side in _SIDES)
    if not compared:
        return False, f"It compares none of {who}, so what the edit does to it is not known."
    if all(item.n_before == item.n_after for item in compared):
        arms = ", ".join(f"{item.variation} {say.count(item.n_before)}" for item in compared)
        return False, f"Of {who} it compares {say.count(before)}, before and after: {arms}."
    arms = "; ".join(
        f"{item.variation} {say.count(item.n_before)} before, {say.count(item.n_after)} after"
        for item in compared
    )
    text = f"Of {who} it compares {say.count(before)} now and {say.count(after)} then: {arms}."
    if after == 0:
        return True, f"{text} Nobody would be left to compare."
    if any(
        abs(_part(item.n_before, before) - _part(item.n_after, after)) > UNEVEN for item in compared
    ):
        return (
            True,
            f"{text} The split would no longer be the planned one, so it could not be judged.",
        )
    return True, f"{text} Whoever leaves or joins meets another version than they were counted in."


def _part(n: int, whole: int) -> float:
    return n / whole if whole else 0.0
