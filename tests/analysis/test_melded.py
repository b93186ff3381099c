"""Exact limits where events are few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from analysis import melded

tables = st.tuples(st.integers(1, 60), st.integers(1, 60)).flatmap(
    lambda n: st.tuples(st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1]))
)


@pytest.mark.parametrize("table", [(3, 10, 9, 10), (1, 7, 4, 6), (2, 40, 11, 35), (1, 2, 1, 2)])
def test_the_lower_limit_is_the_quantile_of_a_difference_of_betas(table):
    """Another way round: at the limit, adaptive quadrature finds the tail to be 0.025."""
    x0, n0, x1, n1 = table
    low, _ = melded.difference_limits(*table)
    ratio, _ = melded.ratio_limits(*table)
    control, treatment = stats.beta(x0 + 1, n0 - x0), stats.beta(x1, n1 - x1 + 1)

    def tail(edge):
        def integrand(p):
            return control.pdf(p) * treatment.cdf(edge(p))

        return integrate.quad(integrand, 0, 1, epsabs=1e-11, limit=400, points=[0.2, 0.5, 0.8])[0]

    assert tail(lambda p: p + low) == pytest.approx(0.025, abs=1e-8)
    assert tail(lambda p: p * ratio) == pytest.approx(0.025, abs=1e-8)


def test_rare_events_among_many_units_are_drawn_the_same():
    """The quantiles of a million simulated differences and ratios lie where the limits do."""
    draw = np.random.default_rng(7)
    control, treatment = draw.beta(4, 10**6 - 3, 10**6), draw.beta(12, 10**5 - 11, 10**6)
    low, _ = melded.difference_limits(3, 10**6, 12, 10**5)
    ratio, _ = melded.ratio_limits(3, 10**6, 12, 10**5)

    assert np.mean(treatment - control <= low) == pytest.approx(0.025, abs=1e-3)
    assert np.mean(treatment / control <= ratio) == pytest.approx(0.025, abs=1e-3)


@given(tables)
def test_the_p_value_is_fishers(table):
    """Twice the smaller one-sided p-value of scipy's Fisher test."""
    x0, n0, x1, n1 = table
    square = [[x1, n1 - x1], [x0, n0 - x0]]
    tails = [stats.fisher_exact(square, side).pvalue for side in ("less", "greater")]

    assert melded.p_value(*table) == pytest.approx(min(1, 2 * min(tails)), abs=1e-10)


@settings(max_examples=40)
@given(tables)
def test_interval_and_test_never_disagree(table):
    """Zero lies outside the interval of the difference exactly when Fisher's test rejects."""
    low, high = melded.difference_limits(*table)
    ratio_low, ratio_high = melded.ratio_limits(*table)
    p_value = melded.p_value(*table)
    if abs(p_value - 0.05) > 1e-6:
        assert (low > 0 or high < 0) == (p_value < 0.05)
        assert (ratio_low > 1 or ratio_high < 1) == (p_value < 0.05)


@settings(max_examples=40)
@given(tables)
def test_the_estimate_lies_within_and_swapping_mirrors(table):
    """Limits enclose the observed difference and turn round with the arms."""
    x0, n0, x1, n1 = table
    low, high = melded.difference_limits(*table)

    assert -1 <= low <= x1 / n1 - x0 / n0 <= high <= 1
    assert melded.difference_limits(x1, n1, x0, n0) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("n0", "n1", "p0", "p1"), [(12, 9, 0.2, 0.5), (1000, 50, 0.004, 0.02)])
def test_coverage_is_at_least_nominal(n0, n1, p0, p1):
    """Summed over all tables, not simulated: each side misses at most 2.5 per cent."""
    below = above = 0.0
    for x0 in range(min(n0, 25) + 1):
        for x1 in range(min(n1, 12) + 1):
            chance = stats.binom.pmf(x0, n0, p0) * stats.binom.pmf(x1, n1, p1)
            if chance < 1e-7:
                continue
            low, high = melded.difference_limits(x0, n0, x1, n1)
            below += chance * (p1 - p0 > high)
            above += chance * (p1 - p0 < low)

    assert max(below, above) <= 0.025
