"""Roots of nearly straight curves."""

from math import inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.roots import near_linear_root


@given(st.floats(-50, 50), st.floats(0.1, 10), st.floats(-100, 100))
def test_a_bent_line_is_solved_from_anywhere(root, slope, guess):
    """Guess and run need not be good: the bracket leads there."""
    found = near_linear_root(lambda x: slope * (x - root) + (x - root) ** 3 / 50, guess, 1.0)

    assert found == pytest.approx(root, abs=1e-7)


@pytest.mark.parametrize("guess", [-3.0, 0.0, 0.99])
def test_a_curve_that_does_not_cross_ends_at_its_domain(guess):
    """The end of the domain where it comes nearest is the limit."""
    assert near_linear_root(lambda x: x - 2, guess, 0.1, low=-1, high=1) == 1
    assert near_linear_root(lambda x: x + 2, guess, 0.1, low=-1, high=1) == -1


def test_infinite_values_only_say_where_to_look():
    """A curve may be infinite towards its ends."""

    def curve(x):
        return -inf if x <= 0 else log(x)

    assert near_linear_root(curve, -5.0, 1.0, low=-10, high=10) == pytest.approx(1)
