"""What a change of plan costs: earlier rules' spending is taken off, and protection never ends."""

import pytest

from analysis.guardrail import SAFE_LEVEL, Rule, look
from analysis.stoploss import Kind, Stratum
from rollouts.results.charged import LEAST, Charge, charge, spent_of

ALPHA = 0.05


def looked(alpha: float = ALPHA, deadline: bool = False) -> dict:
    rule = Rule(Kind.PROPORTION, 1, 0.5, alpha=alpha, beta=alpha, planned_information=60)
    seen = look([Stratum(500, 100, 100, 500, 110, 110)], rule, deadline=deadline)
    return {"look": seen.state, "mark": [1]}


def test_a_rule_that_stands_is_charged_nothing():
    states = {"new/contacts": looked()}

    for _ in range(2):
        found = charge(states, "new/contacts", "new/contacts", [1], ALPHA)
        assert (found.harm, found.safe, found.note) == (ALPHA, ALPHA, "")


def test_a_new_rule_pays_for_what_the_earlier_one_spent():
    """The chances of both to stop a harmless change sum to what the plan promised."""
    states = {"new/contacts": looked()}
    charge(states, "new/contacts", "new/contacts", [1], ALPHA)
    spent = spent_of(states["new/contacts"], "harm")
    assert 0.1 * ALPHA < spent < 0.9 * ALPHA

    for _ in range(2):  # it is paid for once
        found = charge(states, "new/contacts", "new/contacts", [2], ALPHA)
        assert found.harm + spent == pytest.approx(ALPHA)
        assert found.safe == pytest.approx(ALPHA - spent_of(looked(), "safe") / SAFE_LEVEL)
    assert "began anew" in found.note
    assert "are left of 5\u00a0%" in found.note


def test_another_test_of_the_same_guardrail_pays_too():
    """From the share test to the exact one, or from all customers to matured ones."""
    states = {"new/contacts": looked()}
    charge(states, "new/contacts", "new/contacts", [1], ALPHA)

    exact = charge(states, "new/contacts", "new/contacts/exact", [1], ALPHA)
    assert exact.harm < ALPHA
    states["new/contacts/exact"] = {"exact": {"harm": exact.harm, "safe": exact.safe}}

    back = charge(states, "new/contacts", "new/contacts", [1], ALPHA)
    assert back.harm == pytest.approx(LEAST * ALPHA)


def test_a_tenth_is_left_whatever_was_spent():
    """No change of plan ends the protection; what comes on top is said."""
    states = {"new/contacts": looked(deadline=True)}
    charge(states, "new/contacts", "new/contacts", [1], ALPHA)

    found = charge(states, "new/contacts", "new/contacts", [2], ALPHA)

    assert found.harm == pytest.approx(LEAST * ALPHA)
    assert "on top of 5\u00a0%" in found.note
    assert Charge(ALPHA, spent=1.0).harm == pytest.approx(LEAST * ALPHA)


def test_a_test_that_never_spoke_has_spent_nothing():
    assert spent_of({}, "harm") == 0
    assert spent_of({"look": {}}, "harm") == 0
    assert spent_of({"look": {"absolute": None}}, "harm") == 0
