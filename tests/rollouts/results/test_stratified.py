"""Effects among customers who are alike, against independent computations."""

import numpy as np
import pytest
from flask.testing import FlaskClient

from rollouts.runtime import Runtime
from tests.factories.story import contacts, plan
from tests.rollouts.results.test_groups import meet
from tests.rollouts.results.timeline import Timeline, found

N = 200
LEVELS = {"new": 1.0, "old": 6.0, "vip": 14.0}
BEFORE = 14 * 86_400


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    story = Timeline(api, parts)
    story.set_up()
    story.post("/metrics", {**contacts(), "key": "sums", "name": "Spent", "aggregation": "sum"})
    more = {"aggregation": "sum", "pre_period_seconds": BEFORE}
    story.post("/metrics", {**contacts(), "key": "both", "name": "Both", **more})
    return story


def lived(story: Timeline, extra: float = 1.0) -> dict[str, list[tuple[str, float, float]]]:
    """Customers of three kinds: what each spent before and after, by version."""
    rng = np.random.default_rng(3)
    lives: dict[str, list[tuple[str, float, float]]] = {"control": [], "new": []}
    for arm, held in lives.items():
        for _ in range(N):
            kind = ("new", "old", "vip")[int(rng.integers(3))]
            usual = rng.gamma(4.0)
            gain = extra if arm == "new" else 0.0
            held.append((kind, usual, LEVELS[kind] + usual + gain + rng.gamma(1.0)))
    story.move(days=-3)
    for arm, held in lives.items():
        for i, (_, before, _) in enumerate(held):
            story.happen([f"{arm}{i}"], "contact", 1, value=before)
    story.move(minutes=5)
    for arm, held in lives.items():
        for kind in LEVELS:
            mine = [f"{arm}{i}" for i, life in enumerate(held) if life[0] == kind]
            meet(story, mine, arm, "alike", kind=kind)
        for i, (_, _, after) in enumerate(held):
            story.happen([f"{arm}{i}"], "contact", 2, value=after)
    return lives


def launch(story: Timeline, **over) -> None:
    rails = [{"metric": key, "margin": 0.9, "action": "observe"} for key in ("sums", "both")]
    body = {"guardrails": rails, "goals": [], "segments": ["kind"], "adjust_by": ["kind"]}
    story.post("/rollouts", plan(key="alike", **{**body, **over}))
    story.post("/rollouts/alike/start")


def test_the_effect_is_post_stratified_and_sharper(story: Timeline):
    """Stratum by stratum, each weighted by its share of all; the gain is what was removed."""
    launch(story)
    lives = lived(story)

    body = story.look("alike")

    held = found(body, "sums")["adjusted_by"]
    table = {
        arm: {k: np.array([x[2] for x in rows if x[0] == k]) for k in LEVELS}
        for arm, rows in lives.items()
    }
    weights = {k: sum(len(table[arm][k]) for arm in table) / (2 * N) for k in LEVELS}
    gap = sum(w * (table["new"][k].mean() - table["control"][k].mean()) for k, w in weights.items())
    assert held["absolute"]["estimate"] == pytest.approx(gap, rel=1e-9)
    assert held["gain"] > 0.5
    assert held["absolute"]["validity"] == "anytime"
    assert (held["attributes"], held["strata"], held["with_before"]) == (["kind"], 3, False)


def test_kinds_and_the_time_before_are_adjusted_for_together(story: Timeline):
    """Least squares with one slope and one level for each kind, as an independent solver has it."""
    launch(story)
    lives = lived(story)

    body = story.look("alike")

    rows = [(arm == "new", *life) for arm, held in lives.items() for life in held]
    design = np.array(
        [[1.0, is_new, before, kind == "old", kind == "vip"] for is_new, kind, before, _ in rows]
    )
    outcome = np.array([after for *_, after in rows])
    slope = np.linalg.lstsq(design, outcome, rcond=None)[0][1]
    both, alone = (found(body, key)["adjusted_by"] for key in ("both", "sums"))
    assert both["absolute"]["estimate"] == pytest.approx(slope, rel=1e-6)
    assert both["with_before"] is True
    assert both["gain"] > alone["gain"]
    assert both["gain"] > found(body, "both")["adjusted"]["gain"]
    page = story.client.get(
        f"/rollouts/alike/report/{body['id']}", headers={"Accept": "text/html"}
    ).text
    assert "Adjusted by kind and the time before: " in page
    assert "more customers" in page


def test_kinds_that_fell_unevenly_are_refused(story: Timeline):
    """Then the change, or a broken split, has touched what customers are."""
    launch(story)
    story.move(minutes=5)
    for arm, kinds in (("control", (150, 50)), ("new", (50, 150))):
        for kind, n in zip(("new", "old"), kinds, strict=True):
            units = [f"{arm}{kind}{i}" for i in range(n)]
            meet(story, units, arm, "alike", kind=kind)
            for i, unit in enumerate(units):
                story.happen([unit], "contact", value=1 + i % 4)

    held = found(story.look("alike"), "sums")["adjusted_by"]

    assert held["absolute"] is None
    assert "differs between the variations" in held["reason"]


def test_only_what_was_kept_since_the_start_may_adjust(story: Timeline):
    """An attribute recorded later may have been touched by the change."""
    body = plan(key="alike", adjust_by=["kind"])
    refused = story.client.post("/api/v1/rollouts", json=body)
    assert refused.status_code == 422
    assert "kept from the first exposure" in refused.text

    launch(story, segments=[], adjust_by=[])
    rails = [{"metric": key, "margin": 0.9, "action": "observe"} for key in ("sums", "both")]
    later = plan(guardrails=rails, goals=[], segments=["kind"], adjust_by=["kind"])
    later.pop("key")
    late = story.client.post(
        "/api/v1/rollouts/alike/plan-versions", json={**later, "reason": "We want to know."}
    )
    assert late.status_code == 422
    assert "not kept from the start" in late.text
