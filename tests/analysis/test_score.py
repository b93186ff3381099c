"""Score limits of two proportions."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from statsmodels.stats.proportion import confint_proportions_2indep, score_test_proportions_2indep

from analysis import score

# Newcombe (1998), Statistics in Medicine 17:873, table II, method 6 (Miettinen-Nurminen)
NEWCOMBE_1998 = [
    ((56, 70), (48, 80), (0.0528, 0.3382)),
    ((9, 10), (3, 10), (0.1700, 0.8406)),
    ((6, 7), (2, 7), (0.0342, 0.8534)),
    ((5, 56), (0, 29), (-0.0326, 0.1933)),
    ((0, 10), (0, 20), (-0.1658, 0.2844)),
    ((0, 10), (0, 10), (-0.2879, 0.2879)),
    ((10, 10), (0, 20), (0.7156, 1.0)),
    ((10, 10), (0, 10), (0.6636, 1.0)),
]

tables = st.tuples(st.integers(1, 300), st.integers(1, 300)).flatmap(
    lambda n: st.tuples(st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1]))
)


@pytest.mark.parametrize(("treatment", "control", "limits"), NEWCOMBE_1998)
def test_published_limits_of_the_difference(treatment, control, limits):
    """All eight tables of Newcombe's comparison, to the four digits printed."""
    found = score.difference_limits(*control, *treatment)

    assert [round(limit, 4) for limit in found] == pytest.approx(limits, abs=1e-9)


def test_published_limits_of_the_ratio():
    """Koopman (1984): 36/40 over 16/80 lies between 2.94 and 7.15 (without N / (N - 1))."""
    for ratio, side in ((2.939, 1), (7.152, -1)):
        steps = score.ratio_score(16, 80, 36, 40, ratio) * (120 / 119) ** 0.5
        assert steps == pytest.approx(side * 1.96, abs=2e-3)


@pytest.mark.parametrize("table", [(48, 80, 56, 70), (300, 1000, 350, 1100), (7, 90, 30, 120)])
def test_the_test_of_no_difference_is_that_of_statsmodels(table):
    """Where statsmodels does the same thing, it says the same to 1e-8."""
    x0, n0, x1, n1 = table
    other = score_test_proportions_2indep(
        x1, n1, x0, n0, value=0, compare="diff", correction=True, return_results=True
    )

    assert score.p_value(*table) == pytest.approx(other.pvalue, abs=1e-8)


@pytest.mark.parametrize("table", [(48, 80, 56, 70), (300, 1000, 350, 1100), (7, 90, 30, 120)])
def test_ratio_limits_agree_with_statsmodels(table):
    """Statsmodels inverts the same test of the ratio."""
    x0, n0, x1, n1 = table
    other = confint_proportions_2indep(
        x1, n1, x0, n0, compare="ratio", method="score", correction=True
    )

    assert score.ratio_limits(*table) == pytest.approx(other, rel=1e-3)


@given(tables)
def test_limits_solve_the_score_equation(table):
    """At a limit inside the parameter space the score is the normal quantile."""
    x0, n0, x1, n1 = table
    low, high = score.difference_limits(*table)
    assert -1 <= low <= x1 / n1 - x0 / n0 <= high <= 1
    for limit, z in ((low, 1.959963984540054), (high, -1.959963984540054)):
        if abs(limit) < 1 - 1e-9:
            assert score.difference_score(*table, limit) == pytest.approx(z, abs=1e-6)


@given(tables)
def test_the_restricted_estimate_is_the_likeliest(table):
    """The closed form, polished, is the root that plain bisection of the likelihood finds."""
    x0, n0, x1, n1 = table
    for delta in (-0.3, -1e-3, 0.0, 1e-3, 0.4):
        low, high = max(0.0, -delta), min(1.0, 1 - delta)

        def slope(p, delta=delta):
            q = p + delta
            return (x0 - n0 * p) * q * (1 - q) + (x1 - n1 * q) * p * (1 - p)

        found = score.restricted_difference(*table, delta)
        if slope(low) > 1e-9 and slope(high) < -1e-9:
            assert found == pytest.approx(brentq(slope, low, high, xtol=1e-15), abs=1e-8)
        assert low <= found <= high


@given(tables)
def test_swapping_the_arms_mirrors_the_limits(table):
    """Treatment against control is control against treatment, turned round."""
    x0, n0, x1, n1 = table
    low, high = score.difference_limits(x0, n0, x1, n1)
    assert score.difference_limits(x1, n1, x0, n0) == pytest.approx((-high, -low), abs=1e-8)
    low, high = score.ratio_limits(x0, n0, x1, n1)
    mirrored = [1 / limit if limit else float("inf") for limit in (high, low)]
    assert score.ratio_limits(x1, n1, x0, n0) == pytest.approx(mirrored, rel=1e-7)


def test_a_billion_units_keep_their_digits():
    """The limit of a rare event's difference solves the score equation in rational arithmetic."""
    x0, n0, x1, n1 = 100, 10**9, 130, 10**9
    low, _ = score.difference_limits(x0, n0, x1, n1)
    delta, left, right = Fraction(low), Fraction(0), Fraction(1, 10**6)
    for _ in range(120):
        p = (left + right) / 2
        q = p + delta
        rising = (x0 - n0 * p) * q * (1 - q) + (x1 - n1 * q) * p * (1 - p) > 0
        left, right = (p, right) if rising else (left, p)
        left, right = Fraction(left.limit_denominator(10**40)), right.limit_denominator(10**40)
    variance = (left * (1 - left) / n0 + (left + delta) * (1 - left - delta) / n1) * Fraction(
        n0 + n1, n0 + n1 - 1
    )
    score_squared = (Fraction(x1, n1) - Fraction(x0, n0) - delta) ** 2 / variance

    assert float(score_squared) ** 0.5 == pytest.approx(1.959963984540054, abs=1e-8)
