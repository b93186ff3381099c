"""Guardrails that a plan wants judged by the exact test: what is told, refused and taken over."""

from math import sqrt

import numpy as np
import pytest
from flask.testing import FlaskClient

from analysis.guardrail import Rule
from analysis.stoploss import Kind, Stratum
from rollouts.results.judging import UNEVEN, exactly
from rollouts.runtime import Runtime
from tests.factories.story import contacts, plan
from tests.rollouts.results.timeline import Timeline, every, found, named

N = 400
RAIL = {"metric": "touched", "margin": 0.1, "method": "exact"}
COUNT = {"metric": "contacts", "margin": 0.1, "method": "exact"}


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    story = Timeline(api, parts)
    story.set_up()
    touched = {**contacts(), "key": "touched", "name": "In contact", "aggregation": "any"}
    story.post("/metrics", touched)
    return story


def launch(story: Timeline, **over) -> dict:
    body = {"guardrails": [RAIL], "goals": [], "key": "surely", **over}
    story.post("/rollouts", plan(**body))
    started = story.post("/rollouts/surely/start")
    story.move(minutes=5)
    return started


def lived(story: Timeline, rates: tuple[float, float], n: tuple[int, int] = (N, N), times: int = 1):
    """Customers of either version, of whom these shares made contact so many times each."""
    for arm, rate, size in zip(("control", "new"), rates, n, strict=True):
        units = named(arm, size)
        story.expose(units, arm, "surely")
        for number in range(times):
            story.happen(every(units, rate), "contact", number)


def test_harm_withdraws_the_change_and_the_report_names_the_test(story: Timeline):
    """In a line for anyone, with what it takes for granted, and the statement one click away."""
    started = launch(story)
    lived(story, (0.10, 0.30))

    body = story.look("surely")

    assert body["verdict"]["kind"] == "withdrawn"
    item = found(body, "touched")
    assert item["finding"] == "harm"
    assert item["test"] == {"asked": "exact", "used": "exact", "instead": ""}
    assert item["method"].startswith("Exact test: a bet")
    assert "customers arrive as the plan set it" in item["method"]
    assert "e-process inverted, exact at every look" in item["relative"]["method"]
    assert item["relative"]["low"] > 0.1
    assert item["absolute"]["low"] > 0
    assert item["evidence"]["share"] >= 1
    assert started["guardrails"][0]["method"] == "exact"
    assert "touched: exact e-process" in started["method"]
    page = story.client.get(
        f"/rollouts/surely/report/{body['id']}", headers={"Accept": "text/html"}
    )
    assert "Exact test: a bet" in page.text
    assert "/method#exact" in page.text
    assert 'id="exact"' in story.client.get("/method").text
    assert "exact test</a>" in story.client.get("/rollouts/surely/plan").text


def test_safe_and_not_yet_known_are_told_apart(story: Timeline):
    """With what would settle it, by this test's own evidence."""
    launch(story, guardrails=[{**RAIL, "margin": 0.5}])
    lived(story, (0.3, 0.3), (150, 150))

    first = found(story.look("surely"), "touched")
    assert first["finding"] == "unknown"
    assert first["settles"]["customers"] > 0
    assert first["settles"]["towards"] == "safe"

    lived(story, (0.3, 0.3), (2000, 2000))
    assert found(story.look("surely"), "touched")["finding"] == "safe"


def test_a_ramp_goes_on_within_its_budget(story: Timeline):
    """What a next stage could cost is known for exact guardrails too."""
    launch(
        story,
        guardrails=[{**RAIL, "margin": 0.5, "budget": {"amount": 5000}}],
        ramp=[{"share": 0.5, "hold_seconds": 60}, {"share": 1}],
    )
    lived(story, (0.3, 0.3), (1500, 1500))

    body = story.look("surely")

    assert found(body, "touched")["budget"]["estimate"] == pytest.approx(0, abs=1)
    assert body["decision"]["action"] == "none"
    assert story.get("/rollouts/surely")["stage"] == 1


@pytest.mark.parametrize(
    ("over", "why"),
    [
        ({"aggregation": "sum"}, "an amount, such as money"),
        ({"aggregation": "sum", "allow_negative": True}, "may be negative"),
        ({"aggregation": "average"}, "an average"),
        ({"aggregation": "ratio", "denominator_event": "order"}, "a ratio"),
        ({"aggregation": "sum", "statistic": "quantile"}, "its quantile"),
        ({"cap": 3}, "capped"),
    ],
)
def test_it_is_refused_where_it_would_not_be_exact(story: Timeline, over: dict, why: str):
    """When the plan is drafted, with the reason, in plans and in the organisation's tolerances."""
    over = dict(over)
    denominator = over.pop("denominator_event", None)
    more = {"denominator": {"event": denominator}} if denominator else {}
    made = story.client.post(
        "/api/v1/metrics", json={**contacts(), "key": "odd", "name": "Odd", **over, **more}
    )
    assert made.status_code == 201, made.text
    scale = "relative"
    rail = {"metric": "odd", "margin": 0.1, "method": "exact", "scale": scale}
    answers = [
        story.client.post("/api/v1/rollouts", json=plan(guardrails=[rail], key="x", goals=[])),
        story.client.put(
            "/api/v1/tolerances/odd", json={"margin": 0.1, "method": "exact", "scale": scale}
        ),
    ]

    for answer in answers:
        assert answer.status_code == 422
        assert why in answer.text or "relative margin has no meaning" in answer.text
    assert why in answers[1].text
    assert [item["where"] for item in answers[1].get_json()["errors"]] == ["method"]


@pytest.mark.parametrize("method", ["share", "exact"])
def test_a_limit_that_nothing_can_pass_is_refused(story: Timeline, method: str):
    """Nothing falls by more than all of it; a look could not judge such a guardrail."""
    rail = {"metric": "orders", "margin": 1.5, "method": method}
    answer = story.client.post("/api/v1/rollouts", json=plan(guardrails=[rail], key="x", goals=[]))

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["where"] == "guardrails.margin"


def test_an_absolute_limit_has_no_exact_test(story: Timeline):
    """It speaks of percentages only."""
    rail = {**RAIL, "scale": "absolute", "margin": 0.02}
    answer = story.client.post("/api/v1/rollouts", json=plan(guardrails=[rail], key="x"))

    assert answer.status_code == 422
    assert "needs a relative margin" in answer.text


def test_counts_that_vary_too_much_are_judged_by_the_share_test_from_then_on(story: Timeline):
    """Protection never ends: which test judges, and why, is on the report and in the grade."""
    launch(story, guardrails=[{**COUNT, "action": "observe"}])
    lived(story, (0.10, 0.10), times=4)

    body = story.look("surely")

    item = found(body, "contacts")
    assert item["test"]["used"] == "share"
    assert "differ more in their counts" in item["test"]["instead"]
    assert item["method"].startswith("Share test, in place of the exact one that the plan asks for")
    line = next(line for line in body["quality"] if line["key"] == "test:new:contacts")
    assert line["state"] == "warn"
    assert "judges in its place" in line["text"]
    assert body["evidence"]["grade"] != "strong"

    story.move(hours=1)
    units = named("new", N)
    for number in range(10, 16):
        story.happen(units, "contact", number)
    after = found(story.look("surely"), "contacts")
    assert (after["finding"], after["test"]["used"]) == ("harm", "share")


def test_poisson_counts_are_judged_exactly(story: Timeline):
    """Counts that vary as chance makes them."""
    launch(story, guardrails=[{**COUNT, "action": "observe"}])
    rng = np.random.default_rng(2)
    for arm, mean in (("control", 0.3), ("new", 0.7)):
        units, drawn = named(arm, N), rng.poisson(mean, N)
        story.expose(units, arm, "surely")
        for number in range(drawn.max()):
            hit = [unit for unit, n in zip(units, drawn, strict=True) if n > number]
            story.happen(hit, "contact", number)

    body = story.look("surely")

    item = found(body, "contacts")
    assert item["test"]["used"] == "exact"
    assert item["finding"] == "harm"
    line = next(line for line in body["quality"] if line["key"] == "test:new:contacts")
    assert line["state"] == "ok"


def test_a_split_that_is_not_as_set_ends_it(story: Timeline):
    """It bets on the shares that were set; with others it would see harm that is not there."""
    launch(story, guardrails=[{**RAIL, "action": "observe"}])
    lived(story, (0.3, 0.3), (600, 1000))

    item = found(story.look("surely"), "touched")

    assert item["test"] == {"asked": "exact", "used": "share", "instead": UNEVEN}
    assert item["finding"] != "harm"


def test_the_forecast_is_the_exact_tests_own(story: Timeline):
    """Never the share test's figures; where counts vary too much, none and why."""
    launch(story, guardrails=[RAIL, COUNT])
    story.post("/flags", {"key": "next", "kind": "boolean"})
    usual = [{**item, "method": "share"} for item in (RAIL, COUNT)]
    story.post("/rollouts", plan(key="next", flag="next", guardrails=usual, goals=[]))
    given = {
        "baselines": {
            "touched": {"mean": 0.2},
            "contacts": {"mean": 0.3, "dispersion": 2.5},
        }
    }

    exact = story.post("/rollouts/surely/forecast", given)
    share = story.post("/rollouts/next/forecast", given)

    ours, theirs = exact["guardrails"][0], share["guardrails"][0]
    assert ours["method"] == "exact"
    at = {truth["multiple"]: truth["stopped"]["value"] for truth in ours["truths"]}
    assert at[1] <= ours["alpha"] + 3 * sqrt(ours["alpha"] / exact["replications"])
    assert at[4] > 0.5
    assert at != {truth["multiple"]: truth["stopped"]["value"] for truth in theirs["truths"]}
    assert exact["guardrails"][1]["truths"] == []
    assert "chance alone explains" in exact["guardrails"][1]["undecided"]["reason"]
    assert any("exact test that the plan asks for" in line for line in exact["assumptions"])


@pytest.mark.slow
def test_what_takes_over_holds_the_level_on_counts_that_vary():
    """Harm as large as tolerated, variance three times the mean, six looks: few false stops."""
    rng, plays, looks, per_look, alpha = np.random.default_rng(1), 40, 6, 150, 0.05
    rule = Rule(Kind.COUNT, 1, 0.1, alpha=alpha, beta=alpha, planned_information=300)
    stopped = taken_over = 0
    for _ in range(plays):
        shape = np.array([0.3, 0.33]) / 2
        values = rng.negative_binomial(shape[:, None], 1 / 3, (2, looks * per_look)).astype(float)
        state: dict = {}
        for look in range(1, looks + 1):
            a, b = values[:, : look * per_look]
            n = look * per_look
            sums = Stratum(n, a.sum(), (a * a).sum(), n, b.sum(), (b * b).sum())
            judged = exactly([sums], rule, 0.5, state, deadline=look == looks)
            state = judged.state
            if judged.seen.finding.value == "harm":
                stopped += 1
                break
        taken_over += bool(state.get("instead"))

    assert taken_over == plays
    assert stopped / plays <= alpha + 3.3 * sqrt(alpha * (1 - alpha) / plays)
