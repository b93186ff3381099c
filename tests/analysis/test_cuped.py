"""Sharper comparisons from what was known before exposure."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from analysis import cuped, mean
from analysis.effect import Undecided
from analysis.moments import Moments
from analysis.summary import PairSummary, Summary


def drawn(seed, n, effect=0.5, correlation=0.8, covariates=1):
    """Two arms whose outcome is predicted by their covariates with this correlation."""
    draw = np.random.default_rng(seed)
    arms = []
    for lift in (0.0, effect):
        before = draw.normal(size=(n, covariates))
        signal = before.sum(axis=1) / covariates**0.5
        outcome = 10 + lift + correlation * signal
        outcome += (1 - correlation**2) ** 0.5 * draw.normal(size=n)
        arms.append(np.column_stack([outcome, before]))
    return arms


def pair(table):
    return PairSummary.of(table[:, 0], table[:, 1])


def test_the_variance_falls_by_the_squared_correlation():
    """Deng et al. (2013): what is left is 1 - rho^2 of the variance."""
    arms = drawn(1, 50_000)
    found = cuped.difference(*map(pair, arms), before_exposure=True)
    plain = mean.difference(*(Summary.of(arm[:, 0]) for arm in arms))
    correlation = np.mean([np.corrcoef(arm.T)[0, 1] for arm in arms])

    assert found.gain == pytest.approx(correlation**2, abs=1e-3)
    width = (found.effect.high - found.effect.low) / (plain.high - plain.low)
    assert width**2 == pytest.approx(1 - found.gain, rel=1e-3)
    assert found.effect.estimate == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("covariates", [1, 3])
def test_theta_is_that_of_the_regression_with_a_common_slope(covariates):
    """Ordinary least squares of the outcome on arm and covariates: same effect, same slopes."""
    arms = drawn(2, 400, covariates=covariates)
    found = cuped.difference(*map(Moments.of, arms), before_exposure=True)
    table = np.vstack(arms)
    design = np.column_stack([np.ones(800), np.repeat([0, 1], 400), table[:, 1:]])
    fit = sm.OLS(table[:, 0], design).fit()

    assert found.effect.estimate == pytest.approx(fit.params[1], abs=1e-10)
    assert found.weights == pytest.approx(fit.params[2:], abs=1e-10)
    half = found.effect.high - found.effect.estimate
    assert half == pytest.approx(1.963 * fit.bse[1], rel=0.02)


def test_a_pair_and_its_moments_are_the_same():
    """One covariate may come either way."""
    arms = drawn(3, 200)
    one = cuped.difference(*map(pair, arms), before_exposure=True)
    two = cuped.difference(*map(Moments.of, arms), before_exposure=True)

    assert one.effect.estimate == pytest.approx(two.effect.estimate, abs=1e-12)
    assert one.effect.low == pytest.approx(two.effect.low, abs=1e-12)


def test_relative_change_of_adjusted_means():
    """Sharper than the plain ratio, about the same place, on both scales."""
    arms = drawn(4, 5000, effect=1.0)
    plain = mean.relative(*(Summary.of(arm[:, 0]) for arm in arms))
    for scale in ("log", "delta"):
        found = cuped.relative(*map(pair, arms), before_exposure=True, scale=scale)
        assert found.effect.low <= 0.1 <= found.effect.high
        assert found.effect.high - found.effect.low < 0.65 * (plain.high - plain.low)


@given(st.integers(0, 1000), st.floats(0.1, 100), st.floats(-50, 50))
def test_the_covariates_unit_and_origin_do_not_matter(seed, factor, shift):
    """Cents or euros before exposure: the same adjusted effect."""
    arms = drawn(seed, 60)
    moved = [np.column_stack([arm[:, 0], factor * arm[:, 1] + shift]) for arm in arms]
    one = cuped.difference(*map(pair, arms), before_exposure=True)
    two = cuped.difference(*map(pair, moved), before_exposure=True)
    if one:
        assert two.effect.low == pytest.approx(one.effect.low, abs=1e-6)
        assert two.gain == pytest.approx(one.gain, abs=1e-6)


def test_swapping_the_arms_flips_the_sign():
    """As for the plain difference."""
    arms = list(map(pair, drawn(5, 100)))
    there = cuped.difference(*arms, before_exposure=True)
    back = cuped.difference(*arms[::-1], before_exposure=True)

    assert (back.effect.low, back.effect.high) == pytest.approx(
        (-there.effect.high, -there.effect.low)
    )


def test_what_the_treatment_could_have_touched_is_refused():
    """Said to be measured after, or visibly different between the arms."""
    arms = drawn(6, 500)
    after = cuped.difference(*map(pair, arms), before_exposure=False)
    assert "after exposure" in after.reason
    arms[1][:, 1] += 0.4
    touched = cuped.difference(*map(pair, arms), before_exposure=True)
    assert "more than chance" in touched.reason
    assert isinstance(cuped.relative(*map(pair, arms), before_exposure=True), Undecided)


def test_a_constant_covariate_gains_nothing():
    """Then the answer is the plain one."""
    arms = drawn(7, 100)
    for arm in arms:
        arm[:, 1] = 3.3
    found = cuped.difference(*map(pair, arms), before_exposure=True)
    plain = mean.difference(*(Summary.of(arm[:, 0]) for arm in arms))

    assert (found.gain, found.weights) == (pytest.approx(0), (0.0,))
    assert found.effect.low == pytest.approx(plain.low)


def test_a_covariate_that_repeats_another_is_left_out():
    """Twice the same column is once the information, not a singular matrix."""
    arms = drawn(8, 100)
    twice = [np.column_stack([arm, 2 * arm[:, 1] + 1]) for arm in arms]
    one = cuped.difference(*map(Moments.of, arms), before_exposure=True)
    two = cuped.difference(*map(Moments.of, twice), before_exposure=True)

    assert two.effect.low == pytest.approx(one.effect.low)
    assert two.weights[1] == 0


def test_too_little_and_broken_input_are_told():
    """Few units, no spread, a sum that is none, different covariates."""
    few = PairSummary.of([1, 2, 3], [1, 2, 4])
    assert "only 3 units" in cuped.difference(few, few, before_exposure=True).reason
    flat = PairSummary.of([2.0] * 9, [1.0] * 9)
    assert "same value" in cuped.difference(flat, flat, before_exposure=True).reason
    broken = PairSummary(9, float("inf"), 1.0, float("inf"), 1.0, 1.0)
    assert "missing or infinite" in cuped.difference(broken, flat, before_exposure=True).reason
    with pytest.raises(ValueError, match="different numbers"):
        cuped.difference(flat, Moments.of(np.ones((9, 3))), before_exposure=True)
    with pytest.raises(ValueError, match="scale"):
        cuped.relative(flat, flat, before_exposure=True, scale="percent")


def test_balance_is_hotellings_test():
    """With one covariate it is Student's test with pooled variance."""
    arms = drawn(9, 80)
    from scipy.stats import ttest_ind

    assert cuped.balance_p_value(*map(pair, arms)) == pytest.approx(
        ttest_ind(arms[1][:, 1], arms[0][:, 1]).pvalue, rel=1e-8
    )


@pytest.mark.slow
@pytest.mark.parametrize(("n0", "n1"), [(60, 60), (400, 40)])
def test_adjusted_intervals_cover(n0, n1):
    """Level 0.95 holds in 0.935 of runs, with few units, uneven arms and unequal slopes."""
    draw = np.random.default_rng(13)
    runs = 600
    covered = decided = 0
    for _ in range(runs):
        arms = []
        for n, slope, lift in ((n0, 1.0, 0.0), (n1, 1.5, 0.3)):
            x = draw.normal(size=n)
            arms.append(PairSummary.of(5 + lift + slope * x + draw.normal(size=n), x))
        found = cuped.difference(*arms, before_exposure=True)
        if found:
            decided += 1
            covered += found.effect.low <= 0.3 <= found.effect.high

    assert decided > 0.99 * runs
    assert covered / decided >= 0.93
