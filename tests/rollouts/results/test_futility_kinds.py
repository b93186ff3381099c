"""Futility and what would settle it for every kind of goal, and for several versions at once."""

import pytest
from flask.testing import FlaskClient

from rollouts.runtime import Runtime
from tests.factories.story import plan
from tests.rollouts.results.timeline import Timeline, found, named

N = 250
GOALS = {
    "median": {"aggregation": "sum", "good": "down", "statistic": "quantile"},
    "mean": {"aggregation": "sum", "good": "down"},
    "profit": {"aggregation": "sum", "good": "up", "allow_negative": True},
    "grade": {"aggregation": "average", "good": "up", "statistic": "grade"},
    "ratio": {
        "aggregation": "ratio",
        "good": "down",
        "denominator": {"event": "resolved", "aggregation": "count"},
    },
}


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    return Timeline(api, parts)


def lived(story: Timeline, arms: tuple[str, ...], worthwhile: float = 0.3, **over) -> dict:
    story.set_up(key="first")
    for key, body in GOALS.items():
        story.post("/metrics", {"key": key, "name": key, "event": "resolved", **body})
    goals = [{"metric": key, "smallest_worthwhile": worthwhile} for key in GOALS]
    story.post("/rollouts", plan(goals=goals, planned_units=len(arms) * N * 3, **over))
    story.post("/rollouts/guided/start")
    story.move(minutes=5)
    for arm in arms:
        units = named(arm, N)
        story.expose(units, arm)
        for spent in range(11):
            story.happen(units[spent::11], "resolved", value=5 + spent)
    story.move(days=4)
    return story.look()


def test_every_kind_tells_its_chances_or_why_it_cannot(story: Timeline):
    """The versions are alike to the last customer: the worthwhile effect is what remains."""
    body = lived(story, ("control", "new"), futility_floor=0.2)

    for key in ("median", "mean", "profit", "ratio"):
        held = found(body, key)["futility"]
        assert held["at_worthwhile"] is not None, (key, held)
        assert 0 <= held["at_trend"] <= held["predictive"] <= held["at_worthwhile"] <= 1, key
        assert held["at_worthwhile"] > 0.5, key
        assert held["is_futile"] is False
    grade = found(body, "grade")["futility"]
    assert grade["at_worthwhile"] is None
    assert "no share of control" in grade["reason"]
    for key in GOALS:
        item = found(body, key)
        assert item["finding"] == "unknown"
        assert item["settles"]["customers"] is None
        assert "too close to no change" in item["needs"]


def test_nothing_falls_by_the_whole_of_it(story: Timeline):
    """A goal to halve is a goal; one to fall by all is none, and is answered with a reason."""
    body = lived(story, ("control", "new"), worthwhile=1.0)

    assert found(body, "mean")["futility"]["at_worthwhile"] is None
    assert "fall by the whole" in found(body, "mean")["futility"]["reason"]
    assert found(body, "profit")["futility"]["at_worthwhile"] is not None


def test_one_version_that_may_still_work_keeps_the_rollout_from_being_futile(story: Timeline):
    """Every goal of every version must be beyond hope."""
    shares = (("control", 0.4), ("new", 0.3), ("other", 0.3))
    variations = [
        {"key": key, "name": key, "value": key == "new", "share": share} for key, share in shares
    ]
    story.set_up(
        variations=variations,
        goals=[{"metric": "orders", "smallest_worthwhile": 0.1}],
        guardrails=[{"metric": "contacts", "margin": 0.5}],
        futility_floor=0.1,
        planned_units=4000,
    )
    story.post("/rollouts/guided/start")
    story.move(minutes=5)
    for arm, n, events in (("control", 800, 240), ("new", 600, 120), ("other", 600, 215)):
        story.expose(named(arm, n), arm)
        story.happen(named(arm, events), "order")
        story.happen(named(arm, n // 5), "contact")
    story.move(days=4)

    body = story.look()

    held = {arm["key"]: arm["metrics"][-1]["futility"]["is_futile"] for arm in body["arms"]}
    assert held == {"new": True, "other": False}
    assert body["verdict"]["kind"] != "futile"
    assert {item["key"] for item in body["recommendation"]["arms"]} == {"new", "other"}
