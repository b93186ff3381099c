"""Whose answer an edit would change: one flag before and after, asked for the same users.

The service keeps nobody's attributes, so the users are made up or given: ids 1 to 10,000 and
nothing else, or a list that somebody has at hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from rollouts.flags import payload, store
from rollouts.flags.environments import get_environment
from rollouts.flags.evaluation.program import Program
from rollouts.flags.evaluation.results import Result, User
from rollouts.flags.groups import list_groups
from rollouts.flags.growthbook_sections import BANDITS
from rollouts.flags.model import ExperimentRule, Flag, PercentageRule, RolloutRule
from rollouts.web import json_bytes

Json = dict[str, Any]

N_MADE_UP = 10_000
MOST_GIVEN = 10_000
MOST_SHOWN = 20  # answers
BEFORE, AFTER = "\0before", "\0after"  # no real flag has such a key


@dataclass(frozen=True, slots=True)
class Answer:
    """One value, and how many got it before and would get it after."""

    value: str  # as JSON
    n_before: int
    n_after: int


@dataclass(frozen=True, slots=True)
class Compared:
    """One variation of a live rollout, and how many are compared in it before and after."""

    rollout: str
    variation: str
    n_before: int
    n_after: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What one user gets from one state of the flag."""

    value: str  # as JSON
    arm: tuple[str, str] | None  # rollout and variation, if the user is compared


@dataclass(frozen=True, slots=True)
class Impact:
    """How many answers of how many users an edit changes."""

    n_users: int
    n_changed: int
    answers: tuple[Answer, ...]
    n_more: int  # answers that are not listed
    example: Json | None  # a user whose answer changes
    compared: tuple[Compared, ...]  # in live rollouts

    @property
    def share(self) -> float:
        """The share of users whose answer changes; there is at least one user."""
        return self.n_changed / self.n_users


def measure(
    session: Session,
    before: Flag,
    after: Flag,
    environment: str,
    users: Sequence[Json],
    *,
    now: datetime,
) -> Impact:
    """Both states of a flag for the same users, everything else of the environment as it is."""
    carried = get_environment(session, environment).carried
    flags = store.list_live_flags(session)
    told = payload.build(flags, environment, list_groups(session), now)
    sides = {
        BEFORE: payload.feature(before, environment, now),
        AFTER: payload.feature(after, environment, now),
    }
    features = {**told["features"], **{name: _seeded(side, before) for name, side in sides.items()}}
    program = Program(features, told["savedGroups"], carried.get(BANDITS, {}))
    live = _live_rules(before, environment) | _live_rules(after, environment)
    return _counted(users, [_asked(program, user, live) for user in users])


def _live_rules(flag: Flag, environment: str) -> dict[str, str]:
    """Rollouts that are still being compared, by the id of their rule."""
    return {
        rule.id: rule.rollout
        for rule in flag.state(environment).rules
        if isinstance(rule, RolloutRule) and rule.decided is None
    }


def _seeded(feature: Json, flag: Flag) -> Json:
    """Without a seed of its own a rule takes the flag's key, which here is another's."""
    rules = [
        {"seed": flag.key, **rule} if "force" in rule else rule for rule in feature.get("rules", ())
    ]
    return {**feature, "rules": rules}


def _asked(program: Program, user: Json, live: Mapping[str, str]) -> tuple[Asked, Asked]:
    evaluation = program.start(User(user))
    before, after = (_answer(evaluation.result(name), live) for name in (BEFORE, AFTER))
    return before, after


def _answer(result: Result, live: Mapping[str, str]) -> Asked:
    rollout, assigned = live.get(result.rule_id), result.experiment_result
    arm = (rollout, assigned.key) if rollout is not None and assigned is not None else None
    return Asked(json_bytes.dumps(result.value).decode(), arm)


def _counted(users: Sequence[Json], answers: Sequence[tuple[Asked, Asked]]) -> Impact:
    before, after = (Counter(asked.value for asked in side) for side in zip(*answers, strict=True))
    values = sorted({*before, *after}, key=lambda value: (-before[value] - after[value], value))
    pairs = zip(users, answers, strict=True)
    changed = [user for user, (was, will) in pairs if was.value != will.value]
    return Impact(
        n_users=len(users),
        n_changed=len(changed),
        answers=tuple(Answer(value, before[value], after[value]) for value in values[:MOST_SHOWN]),
        n_more=max(len(values) - MOST_SHOWN, 0),
        example=changed[0] if changed else None,
        compared=_compared(answers),
    )


def _compared(answers: Sequence[tuple[Asked, Asked]]) -> tuple[Compared, ...]:
    before, after = (
        Counter(asked.arm for asked in side if asked.arm) for side in zip(*answers, strict=True)
    )
    return tuple(
        Compared(rollout, arm, before[rollout, arm], after[rollout, arm])
        for rollout, arm in sorted({*before, *after})
    )


def made_up_users(flag_states: Iterable[Flag], environment: str) -> list[Json]:
    """Users with ids 1 to 10,000 under every name that the flag's rules divide by, and no more."""
    names = {"id"}
    for flag in flag_states:
        for rule in flag.state(environment).rules:
            if isinstance(rule, PercentageRule | ExperimentRule | RolloutRule):
                names.add(rule.unit)
    return [dict.fromkeys(sorted(names), str(n)) for n in range(1, N_MADE_UP + 1)]


def is_told_by_ids(flag: Flag, environment: str) -> bool:
    """Whether ids alone decide: no rule that is on asks for any other attribute."""
    return not any(
        rule.condition or rule.saved_groups or rule.prerequisites
        for rule in flag.state(environment).rules
        if rule.is_enabled
    )
