"""What a look calls for: the worst finding decides, and no data never passes."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.guard.model import is_all_safe, judge
from rollouts.tolerances.model import Action

Body = dict[str, Any]


def metric(key: str, finding: str = "safe", **over: Any) -> Body:
    """A guardrail as a look holds it."""
    held = {"key": key, "name": key, "role": "guardrail", "finding": finding, "reason": "so it is"}
    return {**held, "action": "withdraw", "budget": None, "allow_untrusted": False, **over}


def look(*metrics: Body, srm: str = "ok", deadline: bool = False, due: bool = True) -> Body:
    """A look at one treatment, at a stage that is due or not."""
    next_at = "2026-05-14T09:00:00+00:00" if due else "2026-05-14T12:00:00+00:00"
    return {
        "arms": [{"key": "new", "metrics": list(metrics)}],
        "srm": {"state": srm, "text": "900 to 100"},
        "look": {"taken_at": "2026-05-14T10:00:00+00:00", "is_deadline": deadline},
        "stage": {"next_at": next_at, "next_share": 0.5, "share": 0.1},
    }


def test_one_broken_guardrail_decides_however_many_are_safe():
    found = judge(look(metric("a"), metric("b", "harm"), metric("c")))

    assert found.action is Action.WITHDRAW
    assert found.worst is not None
    assert (found.worst.metric, found.worst.kind) == ("b", "harm")
    assert not found.is_pass


def test_the_worst_action_comes_first():
    """A warning does not hide a withdrawal, whichever stands first in the plan."""
    found = judge(look(metric("mild", "harm", action="warn"), metric("grave", "harm")))

    assert [cause.metric for cause in found.causes] == ["grave", "mild"]


def test_safe_or_not_yet_known_calls_for_nothing():
    """But not yet known is never called safe."""
    assert judge(look(metric("a"), metric("b", "unknown"))).is_pass
    assert is_all_safe(look(metric("a")))
    assert not is_all_safe(look(metric("a"), metric("b", "unknown")))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (look(metric("a"), srm="broken"), "split"),
        (look(metric("a", "nodata")), "nodata"),
        (look(metric("a", "unknown"), deadline=True), "deadline"),
    ],
)
def test_what_cannot_be_believed_or_goes_on_too_long_holds(body: Body, kind: str):
    found = judge(body)

    assert found.action is Action.HOLD
    assert found.worst is not None
    assert found.worst.kind == kind


def test_silence_is_forgiven_until_the_stage_is_due():
    assert judge(look(metric("a", "nodata"), due=False)).is_pass


def test_a_split_that_broke_never_counts_as_all_safe():
    assert not is_all_safe(look(metric("a"), srm="broken"))


def test_what_anyone_can_send_holds_and_never_withdraws():
    """A metric that takes events from browsers' keys could be forged."""
    assert judge(look(metric("a", "harm", allow_untrusted=True))).action is Action.HOLD


@pytest.mark.parametrize(("state", "action"), [("spent", Action.WITHDRAW), ("hold", Action.HOLD)])
def test_a_budget_withdraws_when_spent_and_holds_when_it_may_be(state: str, action: Action):
    """Whatever the finding on the rate says."""
    budget = {"state": state, "amount": 100.0, "estimate": 113.0, "low": 35.0, "unit": "contacts"}

    found = judge(look(metric("a", "unknown", budget=budget)))

    assert found.action is action
    assert found.worst is not None
    assert "100 contacts" in found.worst.reason or "of 100" in found.worst.reason
