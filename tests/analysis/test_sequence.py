"""Intervals that hold at every look."""

from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import mean, proportion, sequence
from analysis.effect import Scale, Undecided, Validity
from analysis.summary import Summary


def test_the_width_is_that_of_the_paper():
    """Theorem 2.2: s sqrt(2 (t rho^2 + 1) / (t rho)^2 log(sqrt(t rho^2 + 1) / alpha))."""
    t, planned, alpha = 5000, 8000, 0.05
    rho2 = sequence.tightest(alpha) / planned
    paper = sqrt(2 * (t * rho2 + 1) / (t**2 * rho2) * log(sqrt(t * rho2 + 1) / alpha))

    assert sequence.half_width(alpha, t * rho2) / sqrt(t) == pytest.approx(paper)


@given(st.floats(0.001, 0.3))
def test_it_is_tightest_about_where_it_was_planned(alpha):
    """Beside the fixed interval, the sequence is near its narrowest at the planned units."""
    at = sequence.tightest(alpha)
    narrowest = min(sequence.half_width(alpha, at * 1.1**k) for k in range(-20, 21))

    assert sequence.half_width(alpha, at) <= 1.01 * narrowest


def test_both_scales_are_widened_about_the_same_estimate():
    """Relative effects on the logarithm, so that they stay above minus one."""
    arms = Summary(500, 1000.0, 12_000.0), Summary(500, 1100.0, 13_000.0)
    for compare in (mean.difference, mean.relative):
        once = compare(*arms)
        always = sequence.always_valid(once, planned=1000)
        assert always.validity is Validity.ANYTIME
        assert always.estimate == once.estimate
        assert always.low < once.low < once.high < always.high
        assert always.p_value > once.p_value
    assert always.scale is Scale.RELATIVE
    assert log(1 + always.high) - log(1 + always.estimate) == pytest.approx(
        log(1 + always.estimate) - log(1 + always.low)
    )


@given(st.integers(100, 10**6), st.floats(0, 0.02), st.integers(100, 10**6))
def test_interval_and_p_value_agree(n, shift, planned):
    """The p-value is at most alpha exactly when the sequence excludes zero."""
    once = mean.difference(Summary(n, 0.0, float(n)), Summary(n, shift * n, n * (1 + shift**2)))
    always = sequence.always_valid(once, planned=planned)
    # the fixed interval used Student's quantile where the sequence uses the normal one
    assert always.low <= always.estimate <= always.high
    if always.p_value <= 0.0499:
        assert always.low > 0
    if always.p_value > 0.0501:
        assert always.low <= 0


def test_an_empty_treatment_keeps_its_full_reduction():
    """No event at all: the lower limit of the ratio is zero at every look."""
    once = proportion.relative(Summary(1000, 40.0, 40.0), Summary(1000, 0.0, 0.0))
    always = sequence.always_valid(once, planned=1000)

    assert (always.low, always.estimate) == (-1, -1)


def test_what_cannot_be_widened():
    """Undecided stays so; few units are told; mistakes name their argument."""
    assert sequence.always_valid(Undecided("nothing yet"), planned=10).reason == "nothing yet"
    small = mean.difference(Summary(99, 9.0, 30.0), Summary(200, 20.0, 80.0))
    assert "only 99 units" in sequence.always_valid(small, planned=10).reason
    once = mean.difference(Summary(100, 9.0, 30.0), Summary(200, 20.0, 80.0))
    with pytest.raises(ValueError, match="planned"):
        sequence.always_valid(once, planned=0)
    with pytest.raises(ValueError, match="effect"):
        sequence.always_valid(sequence.always_valid(once, planned=10), planned=10)


@pytest.mark.slow
def test_it_holds_its_level_over_a_hundred_looks():
    """Zero is ever outside in at most 0.05 of A/A runs; the fixed interval errs in a third."""
    draw = np.random.default_rng(4)
    runs, looks, step = 300, 100, 100
    wrong = np.zeros(2)
    for _ in range(runs):
        sums = draw.exponential(size=(2, looks, step))
        totals, squares = sums.sum(axis=2).cumsum(axis=1), (sums**2).sum(axis=2).cumsum(axis=1)
        seen = [False, False]
        for k in range(looks):
            arms = [
                Summary((k + 1) * step, *pair)
                for pair in zip(totals[:, k], squares[:, k], strict=True)
            ]
            once = mean.difference(*arms)
            always = sequence.always_valid(once, planned=10_000)
            seen[0] |= not always.low <= 0 <= always.high
            seen[1] |= not once.low <= 0 <= once.high
        wrong += seen

    assert wrong[0] / runs <= 0.05
    assert wrong[1] / runs > 0.2


def test_the_error_of_one_look_is_found_again():
    """Widened and taken back, on both scales; where that cannot be, the argument is named."""
    control, treatment = Summary(2000, 900.0, 2100.0), Summary(2100, 1000.0, 2400.0)
    for compare in (mean.difference, mean.relative):
        once = compare(control, treatment)
        wide = sequence.always_valid(once, planned=5000)
        ends = (once.low, once.high)
        if once.scale is Scale.RELATIVE:
            ends = tuple(np.log1p(end) for end in ends)
        reach = (ends[1] - ends[0]) / 2
        assert sequence.error_behind(wide, planned=5000) * stats.norm.ppf(0.975) == pytest.approx(
            reach
        )
        with pytest.raises(ValueError, match="one look"):
            sequence.error_behind(once, planned=5000)
        with pytest.raises(ValueError, match="planned"):
            sequence.error_behind(wide, planned=0)
        with pytest.raises(ValueError, match="-100"):
            sequence.error_behind(replace(wide, low=-1.0, scale=Scale.RELATIVE), planned=5000)
