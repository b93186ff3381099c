"""What is said of an edit before it is saved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rollouts.db import Database
from rollouts.flags import service as flags
from rollouts.flags.impact import Compared
from rollouts.flags.model import Flag, FlagState, ForceRule, Schedule
from rollouts.reports.flagging.effects import Effect, get_effects, told
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import NOW

SOON = NOW + timedelta(days=1)
LATER = NOW + timedelta(days=2)


def effects(db: Database, before: Flag, after: Flag) -> tuple[Effect, ...]:
    """In production, on two users."""
    users = [{"id": "u1", "country": "NZ"}, {"id": "u2"}]
    with db.reading() as session:
        return get_effects(session, before, after, ["production"], users, now=NOW)


def with_rule(flag: Flag, rule: ForceRule) -> Flag:
    """The flag with one rule."""
    return replace(flag, states={"production": FlagState(True, None, (rule,))})


def test_a_rule_that_waits_is_asked_about_when_its_time_has_come(db: Database):
    """Not now, when it would seem to change nothing."""
    shop.make_catalogue(db)
    with db.reading() as session:
        before = flags.get_flag(session, "guided-returns")
    rule = ForceRule(id="a", value=True, condition={"country": "NZ"})
    (at_once,) = effects(db, before, with_rule(before, rule))
    waiting = with_rule(before, replace(rule, schedule=Schedule(SOON, LATER)))
    (waits,) = effects(db, before, waiting)

    assert (at_once.at, at_once.impact.n_changed, at_once.impact.n_users) == (NOW, 1, 2)
    assert (waits.at, waits.impact.n_changed) == (SOON, 1)
    over = with_rule(before, replace(rule, schedule=Schedule(None, NOW - timedelta(1))))
    assert effects(db, before, over) == ()
    assert at_once.who == "the 2 users you gave"


def test_what_a_live_rollout_loses_is_told_arm_by_arm():
    """Nothing lost, some of each, an uneven split, nobody left, and not known."""
    old, new = Compared("r", "old", 50, 50), Compared("r", "new", 50, 50)

    assert told([old, new], "ids")[0] is False
    even = told([replace(old, n_after=40), replace(new, n_after=40)], "ids")
    assert even[0]
    assert "50 before, 40 after" in even[1]
    assert "planned one" in told([replace(old, n_after=20), new], "ids")[1]
    assert (
        "Nobody would be left" in told([replace(old, n_after=0), replace(new, n_after=0)], "x")[1]
    )
    assert told([], "ids 1 to 9") == (
        False,
        "It compares none of ids 1 to 9, so what the edit does to it is not known.",
    )
