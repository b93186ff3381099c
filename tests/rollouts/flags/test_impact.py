"""Whose answers an edit changes, against asking each user by hand."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from rollouts.db import Database
from rollouts.flags import service
from rollouts.flags.impact import Impact, is_told_by_ids, made_up_users, measure
from rollouts.flags.model import Flag, ForceRule, PercentageRule
from rollouts.flags.simulating import simulate
from tests.rollouts.flags.makers import EDITOR, NOW, flag, make_flag, rollout_rule, state

NZ = {"country": "NZ"}


def impact(session: Session, before: Flag, after: Flag, n: int = 10_000) -> Impact:
    """Measured over so many made-up users."""
    users = made_up_users((before, after), "production")[:n]
    return measure(session, before, after, "production", users, now=NOW)


def test_a_wider_share_changes_as_many_answers_as_one_by_one(db: Database):
    """The made-up users get what the simulator says each of them gets, before and after."""
    with db.transaction() as session:
        before = make_flag(session, "f", PercentageRule(id="p", value=True, share=0.2))
        after = replace(
            before, states={"production": state(PercentageRule(id="p", value=True, share=0.5))}
        )
        found = impact(session, before, after, 300)
        users = made_up_users((before,), "production")[:300]
        was = [simulate(session, "f", "production", user, now=NOW).value for user in users]
        service.set_state(
            session, "f", "production", after.state("production"), actor=EDITOR, now=NOW
        )
        will = [simulate(session, "f", "production", user, now=NOW).value for user in users]

    assert found.n_users == 300
    assert found.n_changed == sum(a != b for a, b in zip(was, will, strict=True)) > 50
    told = {answer.value: (answer.n_before, answer.n_after) for answer in found.answers}
    assert told["true"] == (sum(was), sum(will))
    assert found.example is not None


def test_live_rollouts_are_told_what_they_lose(db: Database):
    """A rule above takes units out of the comparison; of each arm it says how many."""
    with db.transaction() as session:
        live = replace(rollout_rule(coverage=1.0), id="r")
        before = flag("f", live)
        make_flag(session, "f")
        same = impact(session, before, replace(before, description="x"), 1_000)
        above = replace(before, states={"production": state(ForceRule(id="a", value=True), live)})
        taken = impact(session, before, above, 1_000)

    assert [item.n_before for item in same.compared] == [item.n_after for item in same.compared]
    assert sum(item.n_before for item in same.compared) == 1_000
    assert {item.variation: item.n_after for item in taken.compared} == {"control": 0, "guided": 0}
    assert taken.compared[0].rollout == "guided-returns"


def test_conditions_are_only_told_by_users_that_have_attributes(db: Database):
    """Ids alone do not meet them, and that is said."""
    asks = flag("f", ForceRule(id="a", value=True, condition=NZ))
    with db.transaction() as session:
        make_flag(session, "f")
        empty = replace(asks, states={"production": state()})
        nobody = impact(session, empty, asks, 100)
        users = [{"id": "u1", **NZ}, {"id": "u2"}]
        one = measure(session, empty, asks, "production", users, now=NOW)

    assert nobody.n_changed == 0
    assert (one.n_changed, one.example) == (1, users[0])
    assert is_told_by_ids(empty, "production")
    assert not is_told_by_ids(asks, "production")
