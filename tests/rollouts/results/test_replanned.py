"""A new plan under way: tests whose rule changed begin anew, and say so; none breaks."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from rollouts.guard import service as guard
from rollouts.results.store import LookStateRow
from rollouts.runtime import Runtime
from tests.factories.story import plan
from tests.rollouts.results.timeline import Timeline, every, found, named

RAIL = {"metric": "contacts", "margin": 0.5, "action": "observe"}


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    return Timeline(api, parts)


def begun(story: Timeline) -> dict:
    story.launch(guardrails=[RAIL])
    story.move(minutes=5)
    for arm in ("control", "new"):
        units = named(arm, 150)
        story.expose(units, arm)
        story.happen(every(units, 0.3), "contact")
        story.happen(every(units, 0.3), "order")
    return story.look()


def replan(story: Timeline, **over) -> dict:
    body = plan(**{"guardrails": [RAIL], **over})
    body.pop("key")
    story.post("/rollouts/guided/plan-versions", {**body, "reason": "We learnt something."})
    return story.look()


@pytest.mark.parametrize(
    "over",
    [
        {"alpha": 0.02},
        {"guardrails": [{**RAIL, "scale": "absolute"}]},
        {"guardrails": [{**RAIL, "margin": 0.6}]},
        {"guardrails": [RAIL, {"metric": "orders", "margin": 0.2}], "goals": []},
    ],
)
def test_a_test_whose_rule_changed_begins_anew_and_says_so(story: Timeline, over: dict):
    """Another level, scale or number of guardrails: what was spent before is not forgotten."""
    first = begun(story)
    assert found(first, "contacts")["notes"] == []

    for body in (replan(story, **over), story.look()):
        item = found(body, "contacts")
        assert item["finding"] in ("unknown", "safe")
        assert item["evidence"] is not None
        assert any("began anew" in note for note in item["notes"])
        assert any("began anew" in line["text"] for line in body["quality"])
        assert item["alpha_left"] < item["alpha"]


def test_a_rule_that_comes_back_is_not_paid_for_twice_by_the_customer(story: Timeline):
    """There and back again: the test goes on at what is left, and no look breaks."""
    begun(story)
    matured = {**RAIL, "margin": 0.6}
    first = found(replan(story, guardrails=[matured]), "contacts")

    back = found(replan(story), "contacts")

    assert back["alpha_left"] < first["alpha_left"]
    assert back["alpha_left"] >= 0.1 * back["alpha"]
    assert back["evidence"] is not None


def test_a_test_whose_rule_stands_goes_on(story: Timeline):
    """Another size, floor or deed asks nothing else of the same sums."""
    begun(story)

    body = replan(story, guardrails=[{**RAIL, "action": "warn"}], planned_units=9000)

    assert found(body, "contacts")["notes"] == []
    assert body["plan"]["version"] == 2


def test_one_rollout_that_cannot_be_looked_at_keeps_no_other_waiting(story: Timeline):
    """The stop-loss of the others goes on."""
    begun(story)
    story.post("/flags", {"key": "second", "kind": "boolean"})
    story.post("/rollouts", plan(key="second", flag="second"))
    story.post("/rollouts/second/start")
    with story.parts.db.transaction() as session:
        for row in session.scalars(select(LookStateRow)):
            row.state = {**row.state, "look": {"harm": {}}, "goal": {"relative": {"alpha": 1}}}
    story.move(days=1)

    due = guard.take_due_looks(story.parts, now=story.at + timedelta(seconds=1))

    assert due == 2
    assert story.get("/rollouts/second/looks")["items"][0]["look"] == 1
    assert len(story.get("/rollouts/guided/looks")["items"]) == 1
