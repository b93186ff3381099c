"""Shares, counts, sums and ratios through API, ingest, ledger and look."""

import random
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from statsmodels.stats.proportion import confint_proportions_2indep
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from tests.factories.story import JSON, Story, did, plan, seen

N = 400
KINDS: dict[str, dict[str, Any]] = {
    "bought": {"event": "order", "aggregation": "any", "good": "up"},
    "orders": {"event": "order", "aggregation": "count", "good": "up"},
    "spent": {"event": "order", "aggregation": "sum", "good": "up"},
    "capped": {"event": "order", "aggregation": "sum", "good": "up", "cap": 30},
    "contacts-per-order": {
        "event": "contact",
        "aggregation": "ratio",
        "numerator_aggregation": "count",
        "good": "down",
        "denominator": {"event": "order"},
    },
}


@pytest.fixture
def story(api: FlaskClient) -> Story:
    """A running rollout with a guardrail on each kind."""
    story = Story(api)
    story.write_key = story.post("/write-keys", {"name": "tests"})["write_key"]
    story.post("/flags", {"key": "guided", "kind": "boolean"})
    for key, body in KINDS.items():
        story.post("/metrics", {"key": key, "name": key, **body})
    rails = [{"metric": key, "margin": 0.1, "action": "observe"} for key in KINDS]
    story.post("/rollouts", plan(key="kinds", guardrails=rails, goals=[], planned_units=2 * N))
    story.post("/rollouts/kinds/start")
    return story


def lives(rate: float, seed: int) -> list[tuple[list[float], int]]:
    """Each customer's orders and contacts."""
    draw = np.random.default_rng(seed)
    orders = draw.poisson(rate, N)
    return [
        ([float(draw.exponential(20)) for _ in range(n)], int(draw.poisson(0.3 + 0.2 * n)))
        for n in orders
    ]


def send(story: Story, held: dict[str, list[tuple[list[float], int]]]) -> None:
    events: list[JSON] = []
    for arm, customers in held.items():
        for i, (orders, contacts) in enumerate(customers):
            unit = f"{arm}{i}"
            events.append(seen(unit, arm, "kinds"))
            events += [did(unit, "order", n, value=value) for n, value in enumerate(orders)]
            events += [did(unit, "contact", n) for n in range(contacts)]
    random.Random(1).shuffle(events)
    story.send(events)


def metrics_of(body: JSON) -> dict[str, Any]:
    return {item["key"]: item for item in body["arms"][0]["metrics"]}


def test_summed_kinds_agree_with_independent_statistics(story: Story):
    """Estimates are those of the data; intervals, valid at every look, enclose those for one."""
    held = {"control": lives(0.8, 1), "new": lives(1.2, 2)}
    send(story, held)

    found = metrics_of(story.look("kinds"))

    old, new = held["control"], held["new"]
    arms = {
        "orders": [np.array([len(o) for o, _ in arm], float) for arm in (old, new)],
        "spent": [np.array([sum(o) for o, _ in arm]) for arm in (old, new)],
        "capped": [np.minimum([sum(o) for o, _ in arm], 30.0) for arm in (old, new)],
    }
    bought = [int((arm > 0).sum()) for arm in arms["orders"]]
    _agrees(
        found["bought"],
        (bought[0] / N, bought[1] / N),
        confint_proportions_2indep(bought[1], N, bought[0], N, method="score"),
    )
    for key, (first, second) in arms.items():
        welch = CompareMeans(DescrStatsW(second), DescrStatsW(first)).tconfint_diff(
            usevar="unequal"
        )
        _agrees(found[key], (first.mean(), second.mean()), welch)
    ratios = [
        sum(contacts for _, contacts in arm) / sum(len(orders) for orders, _ in arm)
        for arm in (old, new)
    ]
    item = found["contacts-per-order"]
    assert [item["control"]["mean"], item["treatment"]["mean"]] == pytest.approx(ratios)
    assert item["relative"]["estimate"] == pytest.approx(ratios[1] / ratios[0] - 1)
    assert item["relative"]["low"] < item["relative"]["estimate"] < item["relative"]["high"]


def _agrees(item: JSON, levels: tuple[float, float], once: tuple[float, float]) -> None:
    old, new = levels
    assert item["absolute"]["estimate"] == pytest.approx(new - old)
    assert item["relative"]["estimate"] == pytest.approx(new / old - 1)
    assert item["absolute"]["validity"] == item["relative"]["validity"] == "anytime"
    assert item["absolute"]["low"] < once[0] < once[1] < item["absolute"]["high"]


def test_few_events_are_not_judged_and_say_how_many_it_takes(story: Story):
    """Under twenty events there is no verdict; the needs are told, and nothing is a number."""
    few = [([12.0] if i < 3 else [], 1 if i < 3 else 0) for i in range(N)]
    send(story, {"control": few, "new": few})

    for key, item in metrics_of(story.look("kinds")).items():
        assert item["finding"] == "unknown", key
        assert item["relative"] is None, (key, item["relative"])
        assert item["undecided"]["reason"], key
        assert item["needs"], key


def test_a_denominator_of_nothing_is_no_ratio(story: Story):
    """Contacts without one order: no level, no effect, and the reason."""
    none = [([], 1) for _ in range(N)]
    send(story, {"control": none, "new": none})

    item = metrics_of(story.look("kinds"))["contacts-per-order"]

    assert item["control"]["mean"] is None
    assert item["relative"] is None
    assert item["finding"] == "unknown"
    assert item["undecided"]["reason"]
