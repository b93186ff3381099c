"""Effects sharpened by the time before exposure, against an independent computation."""

import numpy as np
import pytest
from flask.testing import FlaskClient

from rollouts.runtime import Runtime
from tests.factories.story import contacts, plan
from tests.rollouts.results.timeline import Timeline, found, named

N = 300
BEFORE = 14 * 86_400
REAL = {"property": "kind", "operator": "is", "value": "real"}


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    return Timeline(api, parts)


def launch(story: Timeline) -> None:
    story.set_up()
    for key, more in (
        ("calls", {}),
        ("real-calls", {"filters": [REAL]}),
        ("phone-calls", {"channels": ["phone"], "aggregation": "any"}),
    ):
        body = {**contacts(), "key": key, "name": key, "pre_period_seconds": BEFORE, **more}
        story.post("/metrics", body)
    rails = [
        {"metric": key, "margin": 0.3, "action": "observe"}
        for key in ("calls", "real-calls", "phone-calls")
    ]
    story.post("/rollouts", plan(key="sharp", guardrails=rails, goals=[], planned_units=2 * N))


def habits(arm: str) -> list[tuple[int, int]]:
    """How often each customer called before and after; who called before calls again."""
    rng = np.random.default_rng(5 if arm == "control" else 6)
    held = []
    for _ in range(N):
        usual = rng.gamma(0.6, 3.0)
        extra = 0.15 if arm == "new" else 0.0
        held.append((int(rng.poisson(usual)), int(rng.poisson(usual + extra))))
    return held


def lived(story: Timeline, before_start: float = -3.0, shift: int = 0) -> dict[str, np.ndarray]:
    """Calls before, exposure, calls after; calls of long ago and of strangers do not count."""
    lives = {arm: habits(arm) for arm in ("control", "new")}
    lives["new"] = [(before + shift, after) for before, after in lives["new"]]
    for days, which in ((before_start, 0), (1, 1)):
        story.move(days=days)
        for arm, held in lives.items():
            for number in range(max(pair[which] for pair in held)):
                units = [f"{arm}{i}" for i, pair in enumerate(held) if pair[which] > number]
                at = number + 1000 * which
                story.happen(units, "contact", at, channel="phone", kind="real")
        if which == 0:
            story.move(days=-30)
            story.happen(named("new", N), "contact", 5000, channel="phone", kind="real")
            story.move(days=0)
            story.post("/rollouts/sharp/start")
            story.move(minutes=5)
            for arm in lives:
                story.expose(named(arm, N), arm, "sharp")
    story.move(days=2)
    return {arm: np.array(held, dtype=float) for arm, held in lives.items()}


def test_the_adjusted_effect_is_cuped_and_narrower_than_the_raw_one(story: Timeline):
    """One theta within the arms, as Deng et al. have it; the gain is what was removed."""
    launch(story)
    lives = lived(story)

    body = story.look("sharp")

    adjusted = found(body, "calls")["adjusted"]
    old, new = lives["control"], lives["new"]
    covariance = sum(np.cov(arm.T)[0, 1] for arm in (old, new))
    theta = covariance / sum(arm[:, 0].var(ddof=1) for arm in (old, new))
    gap = new.mean(axis=0) - old.mean(axis=0)
    assert adjusted["absolute"]["estimate"] == pytest.approx(gap[1] - theta * gap[0], rel=1e-9)
    left = [(arm[:, 1] - theta * arm[:, 0]).var(ddof=1) for arm in (old, new)]
    raw = [arm[:, 1].var(ddof=1) for arm in (old, new)]
    assert adjusted["gain"] == pytest.approx(1 - sum(left) / sum(raw), abs=0.01)
    assert adjusted["gain"] > 0.3
    assert adjusted["absolute"]["validity"] == "anytime"
    assert adjusted["relative"]["low"] <= adjusted["relative"]["estimate"]
    assert adjusted["reason"] == ""
    assert adjusted["pre_period_seconds"] == BEFORE
    item = found(body, "calls")
    assert item["treatment"]["total"] == new[:, 1].sum()
    assert "adjusted for the 14 days before it" in item["meaning"]


def test_a_filter_is_read_apart_and_counts_the_same(story: Timeline):
    """Columns in SQL and properties one by one lead to the same sums."""
    launch(story)
    lived(story)

    body = story.look("sharp")

    plain, filtered = (found(body, key)["adjusted"] for key in ("calls", "real-calls"))
    for scale in ("absolute", "relative"):
        for end in ("estimate", "low", "high"):
            assert filtered[scale][end] == pytest.approx(plain[scale][end], rel=1e-9)
    assert filtered["gain"] == pytest.approx(plain["gain"], rel=1e-9)
    share = found(body, "phone-calls")
    assert share["adjusted"]["absolute"] is not None
    assert -1 < share["adjusted"]["absolute"]["estimate"] < 1


def test_versions_that_differed_before_are_no_evidence(story: Timeline):
    """The adjustment is refused with its reason, and the grade says not to use the results."""
    launch(story)
    lived(story, shift=4)

    body = story.look("sharp")

    adjusted = found(body, "calls")["adjusted"]
    assert adjusted["absolute"] is None
    assert adjusted["gain"] is None
    assert "differs between the variations" in adjusted["reason"]
    assert body["evidence"]["grade"] == "none"
    line = next(item for item in body["quality"] if item["key"] == "before:calls")
    assert line["state"] == "broken"
    assert "differed in calls before the rollout began" in line["text"]


def test_nothing_from_before_is_said_and_not_invented(story: Timeline):
    """Without earlier events there is little to adjust by, and unknown never counts as fine."""
    launch(story)
    story.post("/rollouts/sharp/start")
    story.move(minutes=5)
    for arm in ("control", "new"):
        story.expose(named(arm, 20), arm, "sharp")
        story.happen(named(arm, 20), "contact", channel="phone", kind="real")

    adjusted = found(story.look("sharp"), "calls")["adjusted"]

    assert adjusted["absolute"] is None
    assert adjusted["reason"]


@pytest.mark.parametrize(
    "over",
    [
        {"aggregation": "average"},
        {"aggregation": "sum", "statistic": "quantile"},
        {"pre_period_seconds": -5},
    ],
)
def test_only_plain_sums_can_be_sharpened(story: Timeline, over: dict):
    """A ratio or a quantile has no such covariate; the refusal names the field."""
    body = {**contacts(), "key": "odd", "pre_period_seconds": 60, **over}
    answer = story.client.post("/api/v1/metrics", json=body)

    assert answer.status_code == 422
    assert "pre_period_seconds" in answer.text
