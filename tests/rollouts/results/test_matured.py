"""A change that moves when outcomes arrive, not how many: only matured customers tell."""

import pytest
from flask.testing import FlaskClient

from rollouts.runtime import Runtime
from tests.factories.story import contacts, plan
from tests.rollouts.results.timeline import Timeline, every, found, named

N = 400
WEEK = 7 * 86_400


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    return Timeline(api, parts)


def launch(story: Timeline, **rail) -> None:
    story.set_up()
    within = {**contacts(), "key": "recontacts", "name": "Contacts again", "window_seconds": WEEK}
    story.post("/metrics", within)
    rails = [{"metric": "recontacts", "margin": 0.25, **rail}]
    story.post("/rollouts", plan(key="moved", guardrails=rails, goals=[]))
    story.post("/rollouts/moved/start")


def two_cohorts(story: Timeline) -> None:
    """Half come on day 0, half on day 8. One in four contacts us, sooner or later."""
    for day, start in ((0, 0), (8, N)):
        for arm, waits in (("control", 6), ("new", 1)):
            units = named(arm, N, start)
            story.move(days=day, minutes=5)
            story.expose(units, arm, "moved")
            story.move(days=day + waits)
            if day + waits <= 10:
                story.happen(every(units, 0.25), "contact", channel="phone")
    story.move(days=10)
    story.happen(["somebody-else"], "contact")


def test_so_far_and_matured_are_shown_side_by_side(story: Timeline):
    """So far it looks twice as bad; of those whose week is complete nothing changed."""
    launch(story, action="observe")
    two_cohorts(story)

    body = story.look("moved")

    item = found(body, "recontacts")
    assert (item["control"]["n"], item["treatment"]["n"]) == (2 * N, 2 * N)
    assert item["relative"]["estimate"] == pytest.approx(1.0, abs=0.05)
    assert item["finding"] == "harm"
    matured = item["matured"]
    assert (matured["n_control"], matured["n_treatment"]) == (N, N)
    assert matured["absolute"]["estimate"] == pytest.approx(0.0, abs=1e-9)
    assert matured["relative"]["estimate"] == pytest.approx(0.0, abs=1e-9)
    assert matured["relative"]["low"] < 0 < matured["relative"]["high"]
    assert matured["undecided"] is None
    assert matured["text"].startswith(
        "So far 100\u00a0% more; of those whose 7 days are complete, no change (between "
    )
    assert item["matured_only"] is False
    assert item["so_far"] is None


def test_a_plan_can_have_the_stop_loss_judge_matured_customers_only(story: Timeline):
    """The same data withdraw nothing; so far stands beside it, for information."""
    launch(story, matured_only=True)
    two_cohorts(story)

    body = story.look("moved")

    item = found(body, "recontacts")
    assert item["matured_only"] is True
    assert (item["control"]["n"], item["treatment"]["n"]) == (N, N)
    assert item["finding"] in ("unknown", "safe")
    assert item["relative"]["estimate"] == pytest.approx(0.0, abs=1e-9)
    assert item["matured"]["relative"] == item["relative"]
    assert item["so_far"]["relative"]["estimate"] == pytest.approx(1.0, abs=0.05)
    assert item["so_far"]["n_treatment"] == 2 * N
    assert story.get("/rollouts/moved")["state"] == "running"
    assert story.get("/rollouts/moved")["guardrails"][0]["matured_only"] is True


def test_by_default_the_same_data_withdraw_it(story: Timeline):
    """So the option matters: what judges is locked, and it is a choice."""
    launch(story)
    two_cohorts(story)

    assert story.look("moved")["verdict"]["kind"] == "withdrawn"


def test_before_anybody_is_mature_nothing_is_claimed(story: Timeline):
    """The reason says so, and real harm is found once they are."""
    launch(story, matured_only=True)
    story.move(minutes=5)
    arms = {"control": 0.2, "new": 0.6}
    for arm, rate in arms.items():
        story.expose(named(arm, N), arm, "moved")
        story.happen(every(named(arm, N), rate), "contact")
    story.move(days=2)
    early = found(story.look("moved"), "recontacts")
    assert early["finding"] == "unknown"
    assert early["relative"] is None
    assert (early["matured"]["n_control"], early["matured"]["n_treatment"]) == (0, 0)
    assert early["so_far"]["relative"]["low"] > 0
    assert "whose 7 days are complete, nothing can be said yet" in early["matured"]["text"]

    story.move(days=8)
    story.happen(["somebody-else"], "contact")

    late = story.look("moved")
    assert late["verdict"]["kind"] == "withdrawn"
    assert found(late, "recontacts")["relative"]["estimate"] == pytest.approx(2.0, abs=0.05)


def test_a_metric_without_a_window_never_matures(story: Timeline):
    """There is no matured to show, and a plan that asks for it is refused."""
    story.launch()
    story.move(minutes=5)
    story.expose(named("control", 30), "control")

    assert found(story.look(), "contacts")["matured"] is None
    rails = [{"metric": "contacts", "margin": 0.1, "matured_only": True}]
    answer = story.client.post("/api/v1/rollouts", json=plan(key="no", guardrails=rails))

    assert answer.status_code == 422
    assert "window" in answer.text
