import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.errors import Invalid
from rollouts.tolerances.codec import guardrail_from_dict, guardrail_to_dict
from rollouts.tolerances.model import Action, Budget, BudgetRule, Guardrail, split_alpha

guardrails = st.builds(
    Guardrail,
    st.text(min_size=1, max_size=8),
    st.floats(0.001, 10),
    action=st.sampled_from(Action),
    weight=st.floats(0.1, 100),
    budget=st.none()
    | st.builds(Budget, st.floats(1, 1e6), st.floats(0.01, 1), st.sampled_from(BudgetRule)),
)


@given(
    st.lists(guardrails, min_size=1, max_size=8, unique_by=lambda g: g.metric), st.integers(1, 5)
)
def test_the_parts_of_alpha_sum_to_alpha(held, n_arms):
    """However many guardrails and arms, the chance of a false stop is the one that was planned."""
    parts = split_alpha(0.05, tuple(held), n_arms)

    assert sum(parts.values()) * n_arms == pytest.approx(0.05)


@given(guardrails)
def test_a_guardrail_survives_the_store(guardrail):
    """What was locked is what is judged by."""
    assert guardrail_from_dict(guardrail_to_dict(guardrail)) == guardrail


@pytest.mark.parametrize("margin", [0, -0.1, float("nan"), float("inf")])
def test_a_margin_must_say_how_much(margin):
    """No margin, no guardrail: zero tolerance would call every change harm in the end."""
    with pytest.raises(Invalid, match="margin"):
        Guardrail("contacts", margin)


@pytest.mark.parametrize(("amount", "hold_at"), [(0, 0.5), (-1, 0.5), (10, 0), (10, 1.5)])
def test_a_budget_must_be_an_amount(amount, hold_at):
    """A budget is in the customer's units, above nothing."""
    with pytest.raises(Invalid):
        Budget(amount, hold_at)


def test_actions_form_a_ladder():
    """From looking on to taking away."""
    assert [action.rank for action in Action] == [0, 1, 2, 3]
