"""Two-sided effects valid at every look: levels, states, scales, and too little data."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analysis.anytime import anytime_effect
from analysis.effect import Effect, Undecided, Validity
from analysis.stoploss import Stratum
from tests.analysis.test_stoploss import proportions, valued_strata


@settings(max_examples=25)
@given(valued_strata(), st.sampled_from([0.05, 0.1]))
def test_goal_effects_hold_their_estimates(strata, alpha):
    """Relative and absolute effect carry the level that was asked for and do not contradict.

    In one stratum: over several of opposite effects they weigh them differently, and may.
    """
    relative, absolute, state = anytime_effect(strata[:1], kind="other", alpha=alpha)
    assume(isinstance(relative, Effect) and isinstance(absolute, Effect))

    assert relative.level == absolute.level == pytest.approx(1 - alpha)
    assert not (relative.low > 0 and absolute.high < 0)
    assert not (relative.high < 0 and absolute.low > 0)
    assert json.loads(json.dumps(state)) == state


def test_goal_effects_go_on_from_their_state():
    first, _, state = anytime_effect(
        [proportions(1000, 50, 1000, 60)], kind="proportion", alpha=0.05, planned_information=200
    )
    then, _, _ = anytime_effect(
        [proportions(4000, 200, 4000, 240)], kind="proportion", alpha=0.05, state=state
    )

    assert isinstance(first, Effect)
    assert then.high - then.low < first.high - first.low


def test_goal_effects_without_data_are_undecided():
    relative, absolute, state = anytime_effect([], kind="gaussian", alpha=0.05)

    assert isinstance(relative, Undecided)
    assert isinstance(absolute, Undecided)
    assert json.loads(json.dumps(state)) == state


def test_the_absolute_effect_is_harm_per_treated_customer():
    """Forty extra events among a thousand treated are 0.04 each, in both arms' own terms."""
    relative, absolute, _ = anytime_effect(
        [proportions(2000, 100, 1000, 90)], kind="proportion", alpha=0.05
    )

    assert absolute.estimate == pytest.approx(0.04)
    assert relative.estimate == pytest.approx(0.8)
    assert relative.validity is absolute.validity is Validity.ANYTIME
    assert (absolute.n_control, absolute.n_treatment) == (2000, 1000)


def test_values_that_may_be_negative_have_an_absolute_effect_only():
    relative, absolute, _ = anytime_effect(
        [Stratum(400, -40, 900, 400, 80, 1100)], kind="gaussian", alpha=0.05
    )

    assert isinstance(relative, Undecided)
    assert absolute.estimate == pytest.approx(0.3)


@pytest.mark.parametrize("kind", ["proportion", "gaussian"])
def test_a_state_of_another_alpha_is_refused(kind):
    sums = [proportions(1000, 50, 1000, 60)]
    _, _, state = anytime_effect(sums, kind=kind, alpha=0.05)

    with pytest.raises(ValueError, match="another alpha"):
        anytime_effect(sums, kind=kind, alpha=0.1, state=state)


def test_the_same_sums_again_change_nothing():
    sums = [proportions(1000, 50, 1000, 60)]
    first = anytime_effect(sums, kind="proportion", alpha=0.05, planned_information=90)

    assert anytime_effect(sums, kind="proportion", alpha=0.05, state=first[2]) == first
