"""What earlier versions wrote is still read, and means what it meant."""

from datetime import timedelta

from rollouts.guard.model import is_futile, judge
from rollouts.lifecycle.model import Stage, Variation
from rollouts.lifecycle.plan import Draft, draft_from_dict, draft_to_dict
from rollouts.metrics.codec import from_dict, to_dict
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector
from rollouts.tolerances.codec import guardrail_from_dict, guardrail_to_dict
from rollouts.tolerances.model import Guardrail
from tests.factories.snapshots import make_snapshot


def test_definitions_from_before_have_no_time_before():
    """A version of the catalogue is never changed; the field is simply absent."""
    definition = Definition(Selector("contact"), Aggregation.COUNT, Direction.DOWN)
    held = to_dict(definition)
    assert held.pop("pre_period_seconds") is None

    assert from_dict(held) == definition


def test_plans_from_before_have_no_floor_and_judge_everybody():
    """A locked plan's hash stands, so its text stays as it was."""
    guardrail = guardrail_to_dict(Guardrail("contacts", 0.1))
    assert guardrail.pop("matured_only") is False
    assert guardrail_from_dict(guardrail) == Guardrail("contacts", 0.1)
    draft = Draft(
        key="guided",
        name="Guided returns",
        hypothesis="",
        owner="ana",
        flag="guided",
        environment="production",
        unit="id",
        variations=(Variation("control", "", False, 0.5), Variation("new", "", True, 0.5)),
        control="control",
        ramp=(Stage(1.0, timedelta(0)),),
        goals=(),
        guardrails=(),
    )
    held = draft_to_dict(draft)
    assert held.pop("futility_floor") is None
    assert draft_from_dict(held) == draft


def test_snapshots_from_before_are_judged_as_they_were():
    """They have no chances, and nothing about them is futile."""
    body = make_snapshot()
    body["look"]["is_deadline"] = False

    assert is_futile(body) is False
    assert all(cause.kind != "futile" for cause in judge(body).causes)
