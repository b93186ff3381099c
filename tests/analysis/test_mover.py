"""Two arms' limits joined."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.mover import Limits, difference_limits, ratio_limits

estimates = st.tuples(st.floats(1, 100), st.floats(0.01, 0.9), st.floats(0.01, 3))
arms = estimates.map(lambda e: Limits(e[0] * (1 - e[1]), e[0], e[0] * (1 + e[2])))


def fieller(control, treatment, error0, error1, t):
    """Fieller's limits of a ratio of independent means, in their textbook form."""
    g = (t * error0 / control) ** 2
    ratio = treatment / control
    half = t / control * sqrt(error1**2 * (1 - g) + ratio**2 * error0**2)
    return (ratio - half) / (1 - g), (ratio + half) / (1 - g)


def test_symmetric_limits_give_fiellers_ratio():
    """With the same half widths it is Fieller's theorem."""
    found = ratio_limits(Limits(8, 10, 12), Limits(25, 30, 35))

    assert found == pytest.approx(fieller(10, 30, 1, 2.5, 2))


@given(arms, arms)
def test_swapping_inverts_ratios_and_turns_differences(control, treatment):
    """Treatment over control is one over control over treatment."""
    low, high = difference_limits(control, treatment)
    assert difference_limits(treatment, control) == pytest.approx((-high, -low))
    low, high = ratio_limits(control, treatment)
    assert ratio_limits(treatment, control) == pytest.approx((1 / high, 1 / low))


@given(arms, arms)
def test_joined_limits_enclose_the_estimate(control, treatment):
    """They are never narrower than one arm's own uncertainty."""
    low, high = difference_limits(control, treatment)
    assert low <= treatment.estimate - control.estimate <= high
    low, high = ratio_limits(control, treatment)
    assert low <= treatment.estimate / control.estimate <= high


def test_a_ratio_to_what_may_be_zero_has_no_limits():
    """The control must lie clearly above zero."""
    assert ratio_limits(Limits(0, 1, 2), Limits(1, 2, 3)) is None


@pytest.mark.parametrize("high", [19.9, 20.0, 20.1, 300.0])
def test_a_control_bounded_only_far_above_still_gives_limits(high):
    """Nothing jumps where its upper limit passes twice the estimate."""
    low, top = ratio_limits(Limits(8, 10, high), Limits(25, 30, 35))

    assert 0 < low < 3 < top
    assert low == pytest.approx(ratio_limits(Limits(8, 10, high + 1e-6), Limits(25, 30, 35))[0])
