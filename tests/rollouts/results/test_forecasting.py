"""Forecasts through the API: levels from earlier rollouts, or given; cached; honest gaps."""

import time
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from rollouts.ledger import service as ledger
from rollouts.runtime import Runtime
from tests.factories.story import Story, did, plan, seen

GIVEN = {"contacts": {"mean": 0.08, "dispersion": 1.2}, "orders": {"mean": 0.3}}


@pytest.fixture
def story(api: FlaskClient) -> Story:
    """A story that has not begun."""
    return Story(api)


def ask(story: Story, key: str = "guided", **body) -> dict:
    """The forecast for what is given."""
    return dict(story.post(f"/rollouts/{key}/forecast", body))


def measure(story: Story, parts: Runtime, n: int = 400) -> None:
    """An earlier rollout in which a fifth of control made contact and a quarter ordered."""
    story.launch()
    story.send(
        event
        for arm in ("control", "new")
        for i in range(n)
        for event in (
            [seen(f"{arm}-{i}", arm)]
            + ([did(f"{arm}-{i}", "contact")] if i % 5 == 0 else [])
            + ([did(f"{arm}-{i}", "order")] if i % 4 == 0 else [])
        )
    )
    ledger.catch_up(parts.db, parts.journal, unit_key=parts.seal.unit_key, now=parts.now())


def draft_next(story: Story, **over) -> None:
    """A second plan on the same metrics."""
    story.post("/flags", {"key": "next", "kind": "boolean"})
    story.post("/rollouts", plan(key="next", flag="next", **over))


def test_without_a_level_the_forecast_says_what_to_give(story: Story):
    """No number is made up: a reason, and what would help."""
    story.set_up()
    found = story.get("/rollouts/guided/forecast")

    rail = found["guardrails"][0]
    assert rail["truths"] == []
    assert "nobody knows its level today" in rail["undecided"]["reason"]
    assert "mean per customer" in rail["undecided"]["needs"]
    assert found["goals"][0]["undecided"]["needs"] == "its mean per customer as a baseline"
    assert "Contacts: nobody knows its level today" in found["to_settle"][0]


def test_with_a_level_every_guardrail_has_its_chances_and_costs(story: Story):
    """False stops at the limit, chances at 1.5, 2 and 4 times, customers and harm until then."""
    story.set_up(planned_units=40_000)
    found = ask(story, baselines=GIVEN, customers_per_day=1000)
    rail = found["guardrails"][0]
    by = {item["multiple"]: item for item in rail["truths"]}

    assert list(by) == [0, 1, 1.5, 2, 4]
    assert by[1]["stopped"]["low"] <= 0.05
    assert by[4]["stopped"]["value"] > 0.95
    assert by[4]["exposed"]["value"] < by[1]["exposed"]["value"]
    assert by[1.5]["spent"]["value"] > by[1]["spent"]["value"] > 0
    for item in rail["truths"]:
        for name in ("stopped", "exposed", "spent"):
            assert item[name]["low"] <= item[name]["value"] <= item[name]["high"]
    assert found["course"]["days"] == pytest.approx(40)
    assert found["baselines"]["contacts"]["source"] == "given"
    assert found["goals"][0]["detectable"] > 0
    assert any("one stage" in line for line in ask(story, baselines=GIVEN)["assumptions"])


def test_a_budget_that_runs_out_first_is_told_before_locking(story: Story):
    """More harm than the budget is expected before harm is shown."""
    story.set_up(
        planned_units=40_000,
        guardrails=[{"metric": "contacts", "margin": 0.1, "budget": {"amount": 20}}],
    )
    found = ask(story, baselines=GIVEN)

    assert found["guardrails"][0]["truths"][1]["is_over_budget"]
    assert any("more than the budget of 20" in line for line in found["to_settle"])


def test_too_few_customers_are_told_at_planning(story: Story):
    """A plan that cannot reach a verdict says so, and what would help."""
    story.set_up(planned_units=200)
    found = ask(story, baselines={"contacts": {"mean": 0.01}})

    assert "independent events a verdict needs" in found["guardrails"][0]["undecided"]["reason"]
    assert "a longer plan, more traffic" in found["to_settle"][0]


def test_levels_come_from_those_who_kept_the_old_version(story: Story, parts: Runtime):
    """Measured on control of the newest rollout that counted the metric, and named."""
    measure(story, parts)
    draft_next(story)
    found = story.get("/rollouts/next/forecast")

    held = found["baselines"]["contacts"]
    assert held["mean"] == pytest.approx(0.2)
    assert held["dispersion"] == pytest.approx(0.8, rel=0.01)
    assert held["units"] == 400
    assert held["source"] == "control of Guided returns"
    assert found["baselines"]["orders"]["mean"] == pytest.approx(0.25)
    assert found["guardrails"][0]["truths"]
    assert found["traffic"] is None  # one minute does not tell how many come on a day


def test_what_is_given_goes_before_what_was_measured(story: Story, parts: Runtime):
    """The owner knows that this season is another."""
    measure(story, parts)
    draft_next(story)
    found = ask(story, "next", baselines={"contacts": {"mean": 0.5}})

    assert found["baselines"]["contacts"]["mean"] == 0.5
    assert found["baselines"]["orders"]["source"] == "control of Guided returns"


def test_a_rollout_is_not_forecast_from_itself(story: Story, parts: Runtime):
    """What came in after the start is no knowledge from before it."""
    measure(story, parts)

    assert story.get("/rollouts/guided/forecast")["baselines"] == {}


def test_traffic_is_known_after_a_day(story: Story, parts: Runtime):
    """Customers a day, over the share that the ramp took in."""
    measure(story, parts)
    draft_next(story)
    now = parts.now()
    parts.now = lambda: now + timedelta(days=2)
    story.post("/rollouts/guided/stop", {"reason": "enough"})
    found = story.get("/rollouts/next/forecast")

    assert found["traffic"]["customers_per_day"] == pytest.approx(400, rel=0.01)
    assert found["traffic"]["source"] == "as in Guided returns"
    assert found["course"]["days"] == pytest.approx(10, rel=0.01)


def test_equal_questions_are_answered_from_memory(story: Story):
    """The second answer is the first one, at once; another level is another question."""
    story.set_up()
    first = ask(story, baselines=GIVEN)
    began = time.perf_counter()
    second = ask(story, baselines=GIVEN)
    took = time.perf_counter() - began

    assert second == first
    assert took < 0.3
    assert ask(story, baselines={"contacts": {"mean": 0.2}}) != first


def test_a_reader_may_ask_and_nothing_is_stored(story: Story):
    """Asking changes neither the plan nor the audit."""
    story.set_up()
    before = story.get("/rollouts/guided"), len(story.get("/audit?limit=50")["items"])
    ask(story, baselines=GIVEN)

    assert (story.get("/rollouts/guided"), len(story.get("/audit?limit=50")["items"])) == before


@pytest.mark.parametrize(
    "body",
    [
        {"baselines": {"contacts": {"mean": 0}}},
        {"baselines": {"contacts": {"mean": -1}}},
        {"baselines": {"contacts": {"mean": 1e300}}},
        {"baselines": {"nothing": {"mean": 0.1}}},
        {"baselines": {"contacts": {}}},
        {"customers_per_day": 0},
        {"metrics": ["nothing"]},
        {"surprise": 1},
    ],
)
def test_a_wrong_question_is_refused_with_its_place(story: Story, body):
    """Never a fault of the service, always the name of what is wrong."""
    story.set_up()
    answer = story.client.post("/api/v1/rollouts/guided/forecast", json=body)

    assert answer.status_code == 422
    assert answer.get_json()["errors"]
