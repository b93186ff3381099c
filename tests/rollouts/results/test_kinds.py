"""Every kind of metric from its definition to a finding, through the API."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from flask.testing import FlaskClient
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time

from tests.factories.story import Story, did, plan, seen

N = 400
KINDS = {
    "median": {"event": "resolved", "aggregation": "sum", "good": "down", "statistic": "quantile"},
    "slowest": {
        "event": "resolved",
        "aggregation": "sum",
        "good": "down",
        "statistic": "quantile",
        "quantile": 0.9,
    },
    "spread": {"event": "resolved", "aggregation": "sum", "good": "down", "statistic": "spread"},
    "csat": {
        "event": "survey",
        "aggregation": "average",
        "good": "up",
        "statistic": "top_box",
        "top_from": 4,
    },
    "csat-mean": {"event": "survey", "aggregation": "average", "good": "up"},
    "grades": {"event": "survey", "aggregation": "average", "good": "up", "statistic": "grade"},
    "nps": {"event": "recommend", "aggregation": "average", "good": "up", "statistic": "nps"},
    "first-contact": {
        "event": "resolved",
        "aggregation": "any",
        "good": "up",
        "statistic": "time",
    },
}
ABSOLUTE = {"grades", "nps"}


def launch(api: FlaskClient) -> Story:
    story = Story(api)
    story.set_up()
    for key, body in KINDS.items():
        story.post("/metrics", {"key": key, "name": key, **body})
    rails = [
        {
            "metric": key,
            "margin": 0.15 if key in ABSOLUTE else 0.4,
            "action": "observe",
            "scale": "absolute" if key in ABSOLUTE else "relative",
        }
        for key in KINDS
    ]
    story.post("/rollouts", plan(key="kinds", guardrails=rails, planned_units=2 * N))
    story.post("/rollouts/kinds/start")
    return story


def life(rng: random.Random, arm: str) -> tuple[float, int, int]:
    slow = 3.0 if arm == "new" else 1.0
    return (
        rng.expovariate(1.0) * slow,
        rng.choices((1, 2, 3, 4, 5), (1, 1, 2, 3, 3) if arm == "control" else (3, 3, 2, 1, 1))[0],
        rng.choices((3, 8, 10), (1, 1, 2) if arm == "control" else (2, 1, 1))[0],
    )


def test_every_kind_reaches_a_finding_that_agrees_with_its_numbers(api: FlaskClient):
    """Treatment is three times slower and graded lower: every kind sees it in its own way."""
    story = launch(api)
    rng = random.Random(11)
    events, held = [], {"control": [], "new": []}
    for arm, lives in held.items():
        for i in range(N):
            unit = f"{arm}{i}"
            hours, stars, score = life(rng, arm)
            lives.append((hours, stars, score))
            events += [
                seen(unit, arm, "kinds"),
                did(unit, "resolved", value=hours),
                did(unit, "survey", value=stars),
                did(unit, "recommend", value=score),
            ]
    story.send(events)

    body = story.look("kinds")

    found = {
        item["key"]: item for item in body["arms"][0]["metrics"] if item["role"] == "guardrail"
    }
    for key in ("median", "slowest", "csat", "grades", "nps"):
        assert found[key]["finding"] == "harm", (key, found[key])
    for key, item in found.items():
        for scale in ("relative", "absolute"):
            effect = item[scale]
            if effect is not None:
                assert effect["validity"] == "anytime", key
                assert effect["low"] <= effect["estimate"] <= effect["high"]
        assert item["method"]
        assert item["meaning"]
    old, new = (np.array(held[arm]) for arm in ("control", "new"))
    assert found["median"]["absolute"]["estimate"] == pytest.approx(
        np.median(new[:, 0]) - np.median(old[:, 0]), abs=0.05
    )
    assert found["csat"]["absolute"]["estimate"] == pytest.approx(
        (new[:, 1] >= 4).mean() - (old[:, 1] >= 4).mean()
    )
    assert found["csat-mean"]["treatment"]["mean"] == pytest.approx(new[:, 1].mean())
    scores = [np.where(a[:, 2] >= 9, 1, np.where(a[:, 2] <= 6, -1, 0)).mean() for a in (old, new)]
    assert found["nps"]["absolute"]["estimate"] == pytest.approx(scores[1] - scores[0])


def test_customers_who_did_not_answer_are_left_out_of_averages(api: FlaskClient):
    """Silence is not a grade of zero."""
    story = launch(api)
    events = [seen(f"c{i}", "control", "kinds") for i in range(60)]
    events += [seen(f"n{i}", "new", "kinds") for i in range(60)]
    events += [did(f"{arm}{i}", "survey", value=5) for arm in "cn" for i in range(0, 60, 2)]
    story.send(events)

    body = story.look("kinds")

    mean = next(item for item in body["arms"][0]["metrics"] if item["key"] == "csat-mean")
    assert mean["control"]["mean"] == 5.0
    assert mean["control"]["n"] == 60


def test_times_censor_those_still_waiting(api: FlaskClient):
    """A restricted mean that equals lifelines', with customers for whom nothing happened yet."""
    story = launch(api)
    now = datetime.now(UTC)
    rng = random.Random(3)
    start = now - timedelta(seconds=50)
    waits = {arm: [rng.uniform(1, 60) for _ in range(150)] for arm in ("control", "new")}
    events = []
    for arm, held in waits.items():
        for i, wait in enumerate(held):
            unit = f"{arm}{i}"
            events.append(seen(unit, arm, "kinds", timestamp=start.isoformat()))
            if wait <= 40:
                at = (start + timedelta(seconds=wait)).isoformat()
                events.append({**did(unit, "resolved", value=wait), "timestamp": at})
    story.send(events)

    body = story.look("kinds")

    item = next(m for m in body["arms"][0]["metrics"] if m["key"] == "first-contact")
    effect = item["absolute"]
    assert effect is not None, item
    means = []
    for held in waits.values():
        fitter = KaplanMeierFitter().fit([min(w, 50.0) for w in held], [w <= 40 for w in held])
        means.append(restricted_mean_survival_time(fitter, t=50.0))
    assert effect["estimate"] == pytest.approx(means[1] - means[0], abs=0.3)
