"""Within segments each kind is compared as it is on the whole, and the worst one is told."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from statsmodels.stats.proportion import proportions_ztest

from tests.factories.story import JSON, Story, did, plan, seen

N = 400  # of each version in each segment
STARS = {"event": "survey", "aggregation": "average", "good": "up"}
KINDS: dict[str, dict[str, Any]] = {
    "top": {**STARS, "statistic": "top_box", "top_from": 4},
    "p75": {**STARS, "statistic": "quantile", "quantile": 0.75},
    "contacted": {"event": "contact", "aggregation": "any", "good": "down"},
    "times": {"event": "contact", "aggregation": "any", "good": "down", "statistic": "time"},
}
# Of each version in each segment, the share who are happy: only web is hurt.
HAPPY = {
    ("web", "control"): 0.8,
    ("web", "new"): 0.4,
    ("shop", "control"): 0.7,
    ("shop", "new"): 0.7,
}


@pytest.fixture
def body(api: FlaskClient) -> JSON:
    """A look at a rollout whose change makes people on the web unhappy."""
    story = Story(api)
    story.write_key = story.post("/write-keys", {"name": "tests"})["write_key"]
    story.post("/flags", {"key": "guided", "kind": "boolean"})
    for key, metric in KINDS.items():
        story.post("/metrics", {"key": key, "name": key, **metric})
    rails = [
        {
            "metric": key,
            "margin": 0.25,
            "action": "observe",
            "scale": "absolute" if key == "top" else "relative",
        }
        for key in KINDS
    ]
    story.post("/rollouts", plan(key="kinds", guardrails=rails, goals=[], segments=["place"]))
    story.post("/rollouts/kinds/start")
    events = []
    for (place, arm), share in HAPPY.items():
        for i in range(N):
            unit, is_happy = f"{place}{arm}{i}", i < share * N
            shown = {"experiment_id": "kinds", "variation_id": arm, "place": place}
            events.append(seen(unit, arm, "kinds", properties=shown))
            events.append(did(unit, "survey", value=5 if is_happy else 1 + i % 3))
            events += [did(unit, "contact")] if i % 4 == 0 else []
    story.send(events)
    return {"client": story.client, **story.look("kinds")}


def within(body: JSON, key: str) -> dict[str, Any]:
    """One metric within the plan's segment."""
    held = body["arms"][0]["segments"][0]["metrics"]
    return dict(next(item for item in held if item["key"] == key))


def test_segments_compare_each_kind_as_the_whole_does(body: JSON):
    """A share of good grades is a share in every segment, and a quantile a quantile."""
    top = within(body, "top")
    for item in top["values"]:
        old, new = (HAPPY[item["value"], arm] for arm in ("control", "new"))
        assert item["levels"] == {
            "control": pytest.approx(old),
            "treatment": pytest.approx(new),
            "note": "graded 4 or better",
        }
        assert item["absolute"]["estimate"] == pytest.approx(new - old)
        _, theirs = proportions_ztest([new * N, old * N], [N, N])
        assert item["p_value"] == pytest.approx(theirs, rel=0.05, abs=1e-12)
    for item in within(body, "p75")["values"]:
        stars = [
            [5 if i < HAPPY[item["value"], arm] * N else 1 + i % 3 for i in range(N)]
            for arm in ("control", "new")
        ]
        levels = [np.quantile(held, 0.75, method="averaged_inverted_cdf") for held in stars]
        assert [item["levels"]["control"], item["levels"]["treatment"]] == levels
    for item in within(body, "times")["values"]:
        assert item["absolute"] is None
        assert "for all customers together only" in item["undecided"]["reason"]


def test_the_worst_segment_is_told_against_the_limit(body: JSON):
    """Harm to one segment is harm, corrected for looking at all; safety needs every one."""
    worst = within(body, "top")["worst"]
    assert (worst["finding"], worst["segment"], worst["harmed"]) == ("harm", "web", ["web"])
    assert worst["text"].startswith("Shown worse than the limit of 25 points: web, between ")
    assert within(body, "times")["worst"] is None
    page = body["client"].get(f"/rollouts/kinds/report/{body['id']}").text
    assert "Shown worse than the limit of 25 points: web" in page
    rows = csv.DictReader(
        io.StringIO(body["client"].get(f"/rollouts/kinds/report/{body['id']}.csv").text)
    )
    web = next(row for row in rows if (row["metric"], row["segment_value"]) == ("top", "web"))
    assert float(web["new_level"]) == pytest.approx(0.4)
