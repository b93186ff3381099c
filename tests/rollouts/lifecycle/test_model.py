from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.errors import Invalid, WrongState
from rollouts.lifecycle.model import (
    NEXT,
    Deed,
    InvalidRamp,
    Stage,
    State,
    Variation,
    check_ramp,
    check_variations,
    follow,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@given(st.sampled_from(State), st.sampled_from(Deed))
def test_a_deed_leads_on_or_is_refused_with_what_would_do(state, deed):
    """There is no third way out of a state."""
    if state in NEXT[deed]:
        assert follow("r", state, deed) is NEXT[deed][state]
    else:
        with pytest.raises(WrongState, match=deed.value):
            follow("r", state, deed)


@pytest.mark.parametrize("state", [s for s in State if s.is_ended])
@pytest.mark.parametrize("deed", Deed)
def test_an_ended_rollout_stays_ended(state, deed):
    """Its report is the record of what happened; a second life would be another rollout."""
    with pytest.raises(WrongState, match="make a new one"):
        follow("r", state, deed)


def test_a_stage_is_due_once_it_was_held():
    """Not a moment earlier."""
    stage = Stage(0.1, timedelta(hours=1))

    assert not stage.is_due(NOW, NOW + timedelta(minutes=59))
    assert stage.is_due(NOW, NOW + timedelta(hours=1))


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_a_stage_covers_some_of_the_traffic(share):
    """Nothing and more than everything are not stages."""
    with pytest.raises(InvalidRamp):
        Stage(share, timedelta(0))


def test_a_ramp_rises():
    """Stepping down is what withdrawal is for."""
    check_ramp((Stage(0.1, timedelta(0)), Stage(0.5, timedelta(0))))
    with pytest.raises(InvalidRamp, match="larger"):
        check_ramp((Stage(0.5, timedelta(0)), Stage(0.5, timedelta(0))))
    with pytest.raises(InvalidRamp, match="at least one"):
        check_ramp(())


@pytest.mark.parametrize(
    ("shares", "control", "problem"),
    [
        ((1.0,), "v0", "at least two"),
        ((0.5, 0.6), "v0", "sum to 1"),
        ((0.0, 1.0), "v0", "above 0"),
        ((0.5, 0.5), "v9", "not one of"),
    ],
)
def test_variations_that_do_not_fit_are_refused(shares, control, problem):
    """Each fault in words."""
    held = tuple(Variation(f"v{n}", "", n, share) for n, share in enumerate(shares))

    with pytest.raises(Invalid, match=problem):
        check_variations(held, control)


def test_variations_need_keys_of_their_own():
    """Two with one key could not be told apart in what the SDK reports."""
    with pytest.raises(Invalid, match="key of its own"):
        check_variations((Variation("a", "", 0, 0.5), Variation("a", "", 1, 0.5)), "a")
