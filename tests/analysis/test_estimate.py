from math import inf, log, nan

import numpy as np
import pytest
from scipy import stats

from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.estimate import Estimate, columns
from analysis.summary import Summary


def effect(estimate, low, high, scale=Scale.ABSOLUTE, validity=Validity.FIXED):
    return Effect(estimate, low, high, scale, validity, 0.9, 10, 12, "some method")


def test_the_error_of_two_means_is_welchs():
    """The same that scipy's unequal-variance test divides by."""
    a, b = [1.0, 4.0, 2.0, 8.0], [3.0, 3.5, 9.0]
    estimate = Estimate.of_means("all", Summary.of(a), Summary.of(b))
    z = stats.ttest_ind(b, a, equal_var=False).statistic

    assert estimate.value / estimate.error == pytest.approx(z)
    assert (estimate.n_control, estimate.n_treatment) == (4, 3)


def test_an_intervals_half_width_is_z_errors():
    """Ninety per cent: 1.645 errors to each side."""
    estimate = Estimate.of_effect("all", effect(1, 0, 2))

    assert estimate.error == pytest.approx(1 / stats.norm.isf(0.05))


def test_relative_effects_become_logarithms():
    """A doubling and a halving are equally far from nothing."""
    up = Estimate.of_effect("all", effect(1, 0.5, 2, Scale.RELATIVE))

    assert up.value == pytest.approx(log(2))
    assert up.error == pytest.approx((log(3) - log(1.5)) / 2 / stats.norm.isf(0.05))


def test_effects_without_an_error_are_undecided():
    """No width, no customers, or a ratio that reaches down to nothing."""
    assert isinstance(Estimate.of_effect("all", effect(1, 1, 1)), Undecided)
    assert isinstance(Estimate.of_effect("all", effect(0, -1, 2, Scale.RELATIVE)), Undecided)
    assert isinstance(Estimate.of_means("all", Summary.of([1]), Summary.of([1, 2])), Undecided)
    assert isinstance(Estimate.of_means("all", Summary.of([1, 1]), Summary.of([2, 2])), Undecided)
    broken = Summary(9, nan, 4.0)
    assert isinstance(Estimate.of_means("all", broken, Summary.of([2, 3])), Undecided)
    wide = effect(1, -1 + 1e-15, 1e20, Scale.RELATIVE)
    assert isinstance(Estimate.of_effect("all", wide), Undecided)


@pytest.mark.parametrize("value", [nan, inf])
def test_mistakes_are_named(value):
    """Missing values, errors of none, anytime intervals and mixed scales."""
    with pytest.raises(ValueError, match="value"):
        Estimate("a", value, 1)
    with pytest.raises(ValueError, match="error"):
        Estimate("a", 1, value)
    with pytest.raises(ValueError, match="error of 'a'"):
        Estimate("a", 1, 0)
    with pytest.raises(ValueError, match="logarithm"):
        Estimate("a", 51, 1, Scale.RELATIVE)
    with pytest.raises(ValueError, match="fixed"):
        Estimate.of_effect("a", effect(1, 0, 2, validity=Validity.ANYTIME))
    with pytest.raises(ValueError, match="one scale"):
        columns([Estimate("a", 1, 1), Estimate("b", 1, 1, Scale.RELATIVE)])
    with pytest.raises(ValueError, match="at least 2"):
        columns([Estimate("a", 1, 1)])


def test_columns_keep_the_order():
    """Values and errors, one of each."""
    values, errors = columns([Estimate("b", 2, 3), Estimate("a", 1, 4)])

    assert np.array_equal(values, [2, 1])
    assert np.array_equal(errors, [3, 4])
