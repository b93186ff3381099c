"""One rollout's effect with an error for one look, however its ramp went."""

from fractions import Fraction
from math import inf, log, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.effect import Undecided
from analysis.estimate import Estimate
from analysis.stoploss import Stratum
from analysis.stratified import difference_of_means, ratio_of_means
from analysis.summary import Summary


def test_one_stratum_is_the_plain_comparison():
    """Without strata nothing is weighted: Welch's error, and its delta method on the logarithm."""
    control, treatment = Summary(500, 100.0, 260.0), Summary(400, 110.0, 300.0)
    held = [Stratum(500, 100.0, 260.0, 400, 110.0, 300.0)]
    plain, ratio = difference_of_means("", held), ratio_of_means("", held)
    v0, v1 = control.variance / 500, treatment.variance / 400

    assert isinstance(plain, Estimate)
    assert isinstance(ratio, Estimate)
    assert plain.value == pytest.approx(treatment.mean - control.mean)
    assert plain.error == pytest.approx(sqrt(v0 + v1))
    assert ratio.value == pytest.approx(log(treatment.mean / control.mean))
    assert ratio.error == pytest.approx(sqrt(v0 / control.mean**2 + v1 / treatment.mean**2))


def test_a_ramp_on_a_drifting_level_fools_nobody():
    """No effect in any stage: none together, though the totals differ by a half."""
    held = [Stratum(9000, 900, 900, 1000, 100, 100), Stratum(1000, 400, 400, 1000, 400, 400)]

    found = ratio_of_means("", held)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0)
    assert abs(log((500 / 2000) / (1300 / 10000))) > 0.5


def test_errors_are_as_large_as_the_scatter():
    """Over simulated ramps, the estimate lies as far from the truth as its error says."""
    draw, steps = np.random.default_rng(5), []
    for _ in range(2000):
        held = []
        for n0, n1, rate in ((1800, 200, 0.1), (1000, 1000, 0.2), (500, 1500, 0.3)):
            s0, s1 = draw.binomial(n0, rate), draw.binomial(n1, rate * 1.1)
            held.append(Stratum(n0, s0, s0, n1, s1, s1))
        found = ratio_of_means("", held)
        assert isinstance(found, Estimate)
        steps.append((found.value - log(1.1)) / found.error)

    assert np.mean(steps) == pytest.approx(0, abs=0.08)
    assert np.std(steps) == pytest.approx(1, abs=0.06)


def test_clusters_bring_their_own_variance():
    """Of a ratio the error follows the customers' scatter, not the events'."""
    wide = ratio_of_means("", [Stratum(1000, 500, 0, 1000, 500, 0, 900.0, 900.0, 200, 200)])

    assert isinstance(wide, Undecided)  # no squares: nobody knows what the sums are worth
    found = ratio_of_means("", [Stratum(1000, 500, 700, 1000, 500, 700, 900.0, 900.0, 200, 200)])
    assert isinstance(found, Estimate)
    assert found.error == pytest.approx(sqrt(2 * 900 / 1000**2) / 0.5)


ODD = st.sampled_from([0.0, 1.0, -5.0, 1e-300, 1e15, 1e59, 1e300, nan, inf, -inf])
sums = ODD | st.floats(-10, 1000)
strata = st.lists(st.builds(Stratum, sums, sums, sums, sums, sums, sums), max_size=4)


@given(strata)
def test_whatever_comes_an_estimate_or_a_reason(held):
    """Never a NaN, an infinity or a warning."""
    for combine in (ratio_of_means, difference_of_means):
        found = combine("", held)
        if isinstance(found, Undecided):
            assert found.reason
        else:
            assert np.isfinite([found.value, found.error]).all()


@given(
    st.lists(st.tuples(st.integers(50, 900), st.integers(10, 40), st.integers(10, 40)), min_size=1)
)
def test_swapping_the_versions_turns_the_sign(held):
    """The same evidence, seen from the other side."""
    there = [Stratum(2 * n, a, a, n, b, b) for n, a, b in held]
    back = [Stratum(n, b, b, 2 * n, a, a) for n, a, b in held]
    for combine in (ratio_of_means, difference_of_means):
        one, other = combine("", there), combine("", back)
        assert isinstance(one, Estimate)
        assert isinstance(other, Estimate)
        assert one.value == pytest.approx(-other.value, abs=1e-12)
        assert one.error == pytest.approx(other.error)


def test_a_billion_customers_lose_no_digit():
    """Against exact rational arithmetic: a spread of seven around a mean of a million."""
    n, mean, spread = 10**9, 10**6, 7
    held = [
        Stratum(
            n, n * mean, n * (mean**2 + spread), n, n * (mean + 1), n * ((mean + 1) ** 2 + spread)
        )
    ]
    exact = sqrt(2 * Fraction(n * spread, n - 1) / n)
    plain, ratio = difference_of_means("", held), ratio_of_means("", held)

    assert isinstance(plain, Estimate)
    assert isinstance(ratio, Estimate)
    assert plain.value == 1.0
    assert plain.error == pytest.approx(exact, rel=1e-12)
    assert ratio.value == pytest.approx(1e-6, rel=1e-6)
