"""What every comparison asks of its sums first."""

from fractions import Fraction
from math import inf, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import inputs, mean
from analysis.effect import Scale, Undecided
from analysis.summary import Summary


@given(st.floats(0.5, 0.999), st.floats(1, 1e6), st.floats(-30, 30))
def test_quantiles_and_chances_are_scipys(level, degrees, statistic):
    """The quick forms used in every effect, beside scipy's distributions."""
    tail = (1 - level) / 2
    assert inputs.z_quantile(level) == pytest.approx(stats.norm.isf(tail))
    assert inputs.t_quantile(level, degrees) == pytest.approx(stats.t.isf(tail, degrees))
    assert inputs.t_p_value(statistic, degrees) == pytest.approx(
        2 * stats.t.sf(abs(statistic), degrees), rel=1e-6, abs=1e-300
    )


@given(st.floats(-5, 5), st.floats(0.01, 5), st.floats(0.01, 5), st.floats(0.5, 0.99))
def test_a_p_value_read_off_an_interval_agrees_with_it(estimate, below, above, level):
    """It is below 1 - level exactly where zero lies outside."""
    low, high = estimate - below, estimate + above
    p_value = inputs.side_p_value(estimate, low, high, level)
    if abs(p_value - (1 - level)) > 1e-9:
        assert (p_value < 1 - level) == (low > 0 or high < 0)


def test_an_effect_without_limits_is_undecided():
    """Infinite or missing limits never leave as numbers."""
    for low, high in ((-inf, 1.0), (0.0, inf), (nan, 1.0)):
        answer = inputs.fixed_effect(
            0.5, low, high, scale=Scale.ABSOLUTE, level=0.95, units=(2, 2), method="test"
        )
        assert isinstance(answer, Undecided)


def test_rounding_never_puts_the_estimate_outside():
    """A limit that passes the estimate by a rounding error is moved to it."""
    effect = inputs.fixed_effect(
        0.3, 0.30000000000000004, 0.4, scale=Scale.ABSOLUTE, level=0.95, units=(2, 2), method="test"
    )
    assert effect.low == effect.estimate == 0.3


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, nan])
def test_a_level_that_is_none_is_refused(level):
    """By name."""
    with pytest.raises(ValueError, match="level"):
        inputs.check_level(level)


def test_a_billion_units_are_compared_as_rational_arithmetic_would():
    """Half the control holds 10^6, half 10^6 + 2; treatment one more in every thousandth unit."""
    n, half = 10**9, 5 * 10**8
    a, b = 10**6, 10**6 + 2
    control = Summary(n, half * (a + b), half * (a * a + b * b))
    more = n // 1000
    extra = more // 2 * ((a + 1) ** 2 - a * a) + more // 2 * ((b + 1) ** 2 - b * b)
    treatment = Summary(n, control.total + more, control.squares + extra)
    effect = mean.difference(control, treatment)
    variance = sum(
        (Fraction(arm.squares) - Fraction(arm.total) ** 2 / n) / (n - 1) / n
        for arm in (control, treatment)
    )

    assert effect.estimate == pytest.approx(0.001, rel=1e-6)
    assert effect.high - effect.estimate == pytest.approx(
        1.959963986 * sqrt(float(variance)), rel=1e-8
    )
