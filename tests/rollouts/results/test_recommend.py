"""One rule over all metrics: when it says ship, and every way in which it does not."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from analysis.quality import Check, State
from rollouts.results.recommend import recommendation
from rollouts.runtime import Runtime
from tests.rollouts.results.timeline import Timeline, every, found, named

SOUND = Check("SRM", State.FINE, "as planned", 0.6)


def metric(role: str, low: float, high: float, finding: str, **over: Any) -> dict[str, Any]:
    effect = {
        "estimate": (low + high) / 2,
        "low": low,
        "high": high,
        "level": 0.95,
        "validity": "anytime",
        "method": "a test",
    }
    return {
        "key": role,
        "name": "Orders" if role == "goal" else "Contacts",
        "role": role,
        "direction": "up" if role == "goal" else "down",
        "limit": None if role == "goal" else 0.1,
        "limit_scale": None if role == "goal" else "relative",
        "finding": finding,
        "reason": "",
        "needs": "",
        "relative": effect,
        "absolute": None,
        "undecided": None,
        "control": {"n": 1000},
        "treatment": {"n": 1000},
        **over,
    }


WON = metric("goal", 0.02, 0.08, "safe")
OPEN = metric("goal", -0.02, 0.04, "unknown")
LOST = metric("goal", -0.09, -0.03, "harm")
SAFE = metric("guardrail", -0.05, 0.05, "safe")
WIDE = metric("guardrail", -0.05, 0.2, "unknown")
HARMED = metric("guardrail", 0.2, 0.5, "harm")
SILENT = metric("guardrail", 0.0, 0.0, "nodata", relative=None, needs="a feed")


def told(*arms: list[dict[str, Any]], split: Check = SOUND, complete: bool = False) -> dict:
    body = {
        "plan": {"alpha": 0.05},
        "arms": [{"key": f"arm{i}", "metrics": held} for i, held in enumerate(arms)],
    }
    return recommendation(body, split, complete=complete)


@pytest.mark.parametrize(
    ("metrics", "complete", "outcome", "reason"),
    [
        ([WON, SAFE], False, "ship", "Orders is better"),
        ([OPEN, SAFE], False, "undecided", "no success metric was shown to be better"),
        ([OPEN, SAFE], True, "not shown", "no success metric was shown to be better"),
        ([WON, WIDE], True, "not shown", "Contacts was not shown to stay within its tolerance"),
        ([WON, HARMED], False, "harm", "Contacts has become worse"),
        ([LOST, SAFE], False, "harm", "Orders has become worse"),
        ([WON, SILENT], True, "undecided", "Contacts: there are no data"),
        ([SAFE], False, "ship", "every guardrail stays within its tolerance"),
        ([], True, "undecided", "the plan names neither a goal nor a guardrail"),
    ],
)
def test_the_rule(metrics: list[dict], complete: bool, outcome: str, reason: str):
    """The worst reason decides, and it is told."""
    found_ = told(metrics, complete=complete)

    assert found_["outcome"] == outcome
    assert reason in found_["reasons"]


def test_a_guardrail_the_plan_leaves_open_is_never_shipped():
    """The rule alone would pass it at an undivided level; the plan promised a divided one."""
    nearly = metric("guardrail", -0.05, 0.095, "unknown")

    assert told([WON, nearly], complete=True)["outcome"] == "undecided"


def test_a_broken_split_overrules_everything():
    """And a split that cannot be judged yet leaves it open."""
    broken = Check("SRM", State.BROKEN, "uneven", 1e-9)
    early = Check("SRM", State.UNKNOWN, "fewer than 5 units", needs="more units")

    assert told([WON, SAFE], split=broken)["outcome"] == "invalid"
    assert told([WON, SAFE], split=early)["outcome"] == "undecided"


def test_of_several_versions_the_best_is_told_with_its_name():
    """One that can be shipped is worth more than another that harms."""
    found_ = told([LOST, SAFE], [WON, SAFE])

    assert (found_["outcome"], found_["arm"]) == ("ship", "arm1")
    assert [item["outcome"] for item in found_["arms"]] == ["harm", "ship"]


def test_from_customers_to_a_recommendation(api: FlaskClient, parts: Runtime):
    """A goal clearly better, a guardrail clearly within: the rule says ship, and nobody does."""
    story = Timeline(api, parts)
    story.launch(guardrails=[{"metric": "contacts", "margin": 0.5}], planned_units=3000)
    story.move(minutes=5)
    for arm, orders in (("control", 0.2), ("new", 0.4)):
        units = named(arm, 900)
        story.expose(units, arm)
        story.happen(every(units, 0.3), "contact")
        story.happen(every(units, orders), "order")
    story.move(hours=2)

    body = story.look()

    assert found(body, "contacts")["finding"] == "safe"
    assert body["recommendation"]["outcome"] == "ship", body["recommendation"]
    assert "Customers who ordered is better" in body["recommendation"]["reasons"]
    assert story.get("/rollouts/guided")["state"] == "running"
