"""Sums that add, and lose no digits."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.summary import PairSummary, Summary

values = st.lists(st.floats(-1e6, 1e6), min_size=2)
pairs = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2)


@given(values, values)
def test_merged_summaries_describe_all_values(left, right):
    """Days and shards may be folded in any grouping without changing a result."""
    merged, whole = Summary.of(left) + Summary.of(right), Summary.of(left + right)

    assert merged.n == whole.n
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert merged.variance == pytest.approx(whole.variance, rel=1e-9, abs=1e-2)


@given(pairs, pairs)
def test_merged_pairs_describe_all_pairs(left, right):
    """The same holds for two values per unit and their product."""
    merged = PairSummary.of(*zip(*left, strict=True)) + PairSummary.of(*zip(*right, strict=True))
    whole = PairSummary.of(*zip(*left, *right, strict=True))

    assert merged.n == whole.n
    assert merged.centred == pytest.approx(whole.centred, rel=1e-9, abs=1e-4)
    assert (merged.x.mean, merged.y.mean) == pytest.approx((whole.x.mean, whole.y.mean), abs=1e-6)


@pytest.mark.parametrize("level", [0, 1, 1000, 10**6])
def test_a_billion_units_lose_no_digit_of_the_variance(level):
    """Half the units hold `level`, half `level + 2`: the variance is 1, exactly, however high."""
    half = 5 * 10**8
    total = half * (2 * level + 2)
    squares = half * (level**2 + (level + 2) ** 2)
    exact = (Fraction(squares) - Fraction(total) ** 2 / (2 * half)) / (2 * half - 1)

    assert Summary(2 * half, total, squares).variance == pytest.approx(float(exact), rel=1e-12)


def test_a_billion_units_held_as_floats_agree_with_rational_arithmetic_on_the_same_floats():
    """What the floats say is computed without adding an error of our own."""
    summary = Summary(10**9, 2.0000003e12, 4.0000013e15)
    exact = Fraction(summary.squares) - Fraction(summary.total) ** 2 / summary.n

    assert summary.centred == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("value", [0.1, 1 / 3, -7.7, 1e-5, 12345.678])
def test_equal_values_have_no_variance_at_all(value):
    """Rounding in the sums is not mistaken for a spread."""
    assert Summary.of([value] * 1000).variance == 0
    assert sum([Summary.of([value] * 10)] * 100, Summary()).variance == 0


def test_no_units_have_no_spread():
    """An empty summary adds and centres, but has no mean."""
    assert Summary().centred == 0
    assert PairSummary().centred == 0
    with pytest.raises(ZeroDivisionError):
        _ = Summary().mean


def test_pairs_of_different_lengths_are_refused():
    """One value of each per unit."""
    with pytest.raises(ValueError, match="xs has 2 values and ys 1"):
        PairSummary.of([1, 2], [1])
