"""Futility from the plan's floor to the sentence, and what it may not do."""

from math import log, log1p, sqrt

import pytest
from flask.testing import FlaskClient
from scipy.stats import norm

from rollouts.runtime import Runtime
from tests.factories.story import plan
from tests.rollouts.results.timeline import Timeline, every, found, named

N = 700
NBSP = "\u00a0"


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    return Timeline(api, parts)


def told(story: Timeline, new_rate: float, *, day: float = 10, n: int = N, **over) -> dict:
    """A look on some day: 30 % of control ordered, and as many in either arm had contact."""
    base = {
        "goals": [{"metric": "orders", "smallest_worthwhile": 0.1}],
        "guardrails": [{"metric": "contacts", "margin": 0.5}],
        "deadline": "2026-05-29T09:00:00+00:00",
        "futility_floor": 0.1,
        "planned_units": 4000,
    }
    story.launch(**{**base, **over})
    story.move(minutes=5)
    for arm, rate in (("control", 0.3), ("new", new_rate)):
        units = named(arm, n)
        story.expose(units, arm)
        story.happen(every(units, rate), "order")
        story.happen(every(units, 0.2), "contact")
    story.move(days=day)
    return story.look()


def test_what_can_hardly_be_shown_any_more_is_said_and_nothing_is_withdrawn(story: Timeline):
    """Advice with its chance, its date and what stopping saves; told once."""
    body = told(story, 0.24)

    held = found(body, "orders")["futility"]
    assert held["is_futile"] is True
    assert held["floor"] == 0.1
    assert held["saved_days"] == pytest.approx(15)
    assert held["saved_units"] == pytest.approx(2 * N * 1.5, rel=0.01)
    verdict = body["verdict"]
    assert verdict["kind"] == "futile"
    assert verdict["lead"] == "Not working:"
    assert "to be shown better by 29 May if the truth is " in verdict["sentence"]
    assert f"if the truth is +10{NBSP}% in customers who ordered" in verdict["sentence"]
    assert "No harm shown. Stopping now saves 15 days." in verdict["sentence"]
    assert story.get("/rollouts/guided")["state"] == "running"
    assert body["decision"]["action"] == "warn"

    story.move(days=11)
    again = story.look()

    assert again["verdict"]["kind"] == "futile"
    assert len(story.messages("rollout.futile")) == 1
    assert story.messages("rollout.warned") == []
    stopped = story.post("/rollouts/guided/stop", {"reason": "It does not work."})
    assert stopped["verdict"]["kind"] == "stopped"
    assert ", not working:" in stopped["verdict"]["lead"]
    assert "14 days saved." in stopped["verdict"]["sentence"]


def test_a_ramp_with_further_stages_is_held_not_climbed(story: Timeline):
    """No more customers for what does not work; none lose what they have."""
    body = told(
        story,
        0.2,
        ramp=[{"share": 0.1, "hold_seconds": 86_400}, {"share": 1.0}],
        planned_units=2100,
        deadline=None,
    )

    assert body["decision"]["action"] == "hold"
    assert body["verdict"]["kind"] == "futile"
    assert story.get("/rollouts/guided")["stage"] == 0
    assert len(story.messages("rollout.futile")) == 1


def test_the_chances_agree_with_a_delta_method_and_a_plain_formula(story: Timeline):
    """Recomputed from the four counts alone, with the boundary of the plan's end."""
    body = told(story, 0.29)

    goal = found(body, "orders")
    held = goal["futility"]
    x0, x1 = goal["control"]["total"], goal["treatment"]["total"]
    estimate = log(x1 / x0)
    error = sqrt((1 - x0 / N) / x0 + (1 - x1 / N) / x1)
    fraction = 10 / 25
    left = sqrt(1 - fraction)

    def power(truth: float, critical: float) -> float:
        drift = truth / error / sqrt(fraction) * (1 - fraction)
        return float(norm.sf((critical - estimate / error * sqrt(fraction) - drift) / left))

    low, high = power(log1p(0.1), 2.3), power(log1p(0.1), 2.0)
    assert low - 0.02 < held["at_worthwhile"] < high + 0.02
    assert power(estimate, 2.3) - 0.02 < held["at_trend"] < power(estimate, 2.0) + 0.02
    assert held["at_trend"] <= held["predictive"] <= held["at_worthwhile"]
    assert body["verdict"]["kind"] != "futile" or held["is_futile"]


def test_without_a_floor_the_chances_are_told_and_nothing_follows(story: Timeline):
    """Off is the default; the plan locks what was chosen."""
    body = told(story, 0.24, futility_floor=None)

    held = found(body, "orders")["futility"]
    assert held["at_worthwhile"] < 0.1
    assert (held["is_futile"], held["floor"], held["saved_days"]) == (False, None, None)
    assert body["verdict"]["kind"] != "futile"
    assert story.get("/rollouts/guided")["futility_floor"] is None


def test_a_change_that_works_is_not_called_futile(story: Timeline):
    """Nor one that may still come to."""
    held = found(told(story, 0.34), "orders")["futility"]

    assert held["is_futile"] is False
    assert held["predictive"] > 0.5


def test_at_the_end_there_is_nothing_left_to_forecast(story: Timeline):
    """Then the findings themselves speak."""
    body = told(story, 0.24, day=26)

    held = found(body, "orders")["futility"]
    assert (held["at_worthwhile"], held["is_futile"]) == (None, False)
    assert "end is reached" in held["reason"]


def test_a_goal_without_a_smallest_worthwhile_effect_has_no_chances(story: Timeline):
    """There is nothing to fall short of."""
    body = told(story, 0.24, goals=[{"metric": "orders"}])

    assert found(body, "orders")["futility"] is None
    assert body["verdict"]["kind"] != "futile"


def test_harm_is_said_before_futility(story: Timeline):
    """Somebody is worse off: that comes first."""
    rail = {"metric": "contacts", "margin": 0.05, "action": "warn"}
    story.set_up(
        goals=[{"metric": "orders", "smallest_worthwhile": 0.1}],
        guardrails=[rail],
        futility_floor=0.1,
        planned_units=2000,
    )
    story.post("/rollouts/guided/start")
    story.move(minutes=5)
    for arm, orders, contacts in (("control", 0.3, 0.1), ("new", 0.2, 0.4)):
        units = named(arm, N)
        story.expose(units, arm)
        story.happen(every(units, orders), "order")
        story.happen(every(units, contacts), "contact")
    story.move(days=3)

    body = story.look()

    assert found(body, "orders")["futility"]["is_futile"] is True
    assert body["verdict"]["kind"] == "harm"
    assert "No harm" not in body["verdict"]["sentence"]


@pytest.mark.parametrize("floor", [-0.1, 0.6, "low"])
def test_a_floor_that_cannot_be_is_refused(story: Timeline, floor: object):
    """A chance to give up at lies between nothing and one half."""
    story.set_up(key="other")

    answer = story.client.post("/api/v1/rollouts", json=plan(futility_floor=floor))

    assert answer.status_code == 422
    assert "futility_floor" in answer.text


def test_a_later_hold_for_harms_sake_is_still_news(story: Timeline):
    """People who were told that it does not work must hear that the budget runs out."""
    told(
        story,
        0.2,
        ramp=[{"share": 0.1, "hold_seconds": 86_400}, {"share": 1.0}],
        guardrails=[{"metric": "contacts", "margin": 0.9, "budget": {"amount": 60}}],
        planned_units=2100,
        deadline=None,
    )
    assert story.messages("rollout.held") == []
    story.happen(every(named("new", N), 0.06), "contact", 7)
    story.move(days=11)

    body = story.look()

    assert body["decision"]["action"] == "hold"
    assert found(body, "contacts")["budget"]["state"] == "hold"
    assert len(story.messages("rollout.held")) == 1
