"""Means: Welch's difference and the relative change."""

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis import mean
from analysis.effect import Scale, Undecided
from analysis.summary import Summary

values = st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=40)
positive = st.lists(st.integers(50, 150).map(float), min_size=5, max_size=60)


def spread(*arms):
    return any(len(set(arm)) > 1 for arm in arms)


@given(values, values)
def test_the_difference_is_scipys_welch_test(control, treatment):
    """Estimate, interval and p-value agree to 1e-8 with scipy from the raw values."""
    assume(spread(control) and spread(treatment))
    effect = mean.difference(Summary.of(control), Summary.of(treatment))
    other = stats.ttest_ind(treatment, control, equal_var=False)
    interval = other.confidence_interval()

    assert effect.p_value == pytest.approx(other.pvalue, rel=1e-8, abs=1e-12)
    assert (effect.low, effect.high) == pytest.approx(
        (interval.low, interval.high), rel=1e-8, abs=1e-8
    )


def test_students_sleep_data():
    """The textbook's sleep data: Welch's t is 1.8608 on 17.776 degrees, p = 0.07939."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    effect = mean.difference(Summary.of(first), Summary.of(second))

    assert round(effect.estimate, 2) == 1.58
    assert round(effect.p_value, 5) == 0.07939
    assert (round(effect.low, 4), round(effect.high, 4)) == (-0.2055, 3.3655)


def test_the_log_scale_is_the_delta_method_on_the_logarithm():
    """With many units the interval is r exp(+- z sqrt(sum of squared relative errors))."""
    control, treatment = Summary(10**6, 2e6, 9e6), Summary(10**6, 2.1e6, 9.8e6)
    effect = mean.relative(control, treatment)
    error = sqrt(sum(arm.variance / arm.n / arm.mean**2 for arm in (control, treatment)))

    assert effect.scale is Scale.RELATIVE
    assert effect.low == pytest.approx(1.05 * exp(-1.959966 * error) - 1, abs=1e-8)
    assert effect.high == pytest.approx(1.05 * exp(1.959966 * error) - 1, abs=1e-8)


def test_the_plain_delta_method_is_growthbooks():
    """GrowthBook: variance of m1/m0 - 1 is v1/m0^2 + v0 m1^2/m0^4, symmetric about the estimate."""
    control, treatment = Summary(10**6, 2e6, 9e6), Summary(10**6, 2.1e6, 9.8e6)
    effect = mean.relative(control, treatment, scale="delta")
    v0, v1 = (arm.variance / arm.n for arm in (control, treatment))
    half = 1.959966 * sqrt(v1 / 4 + v0 * 2.1**2 / 16)

    assert (effect.low, effect.high) == pytest.approx((0.05 - half, 0.05 + half), abs=1e-8)


@given(values, values, st.integers(-500, 500), st.sampled_from([0.25, 2.0, 1024.0]))
def test_shifting_and_scaling_move_the_difference_along(control, treatment, shift, factor):
    """A constant added to every unit changes nothing; a factor multiplies all."""
    assume(spread(control, treatment))
    effect = mean.difference(Summary.of(control), Summary.of(treatment))
    moved = mean.difference(
        Summary.of(factor * v + shift for v in control),
        Summary.of(factor * v + shift for v in treatment),
    )

    assert (moved.low, moved.high) == pytest.approx(
        (factor * effect.low, factor * effect.high), rel=1e-6, abs=1e-6
    )


@given(positive, positive, st.sampled_from([0.01, 3.0, 1e6]))
def test_the_relative_change_has_no_unit(control, treatment, factor):
    """Cents or euros, seconds or hours: the same per cent."""
    effect = mean.relative(Summary.of(control), Summary.of(treatment))
    assume(effect)
    scaled = mean.relative(
        Summary.of(factor * v for v in control), Summary.of(factor * v for v in treatment)
    )

    assert (scaled.low, scaled.high) == pytest.approx((effect.low, effect.high), rel=1e-6)


@given(positive, positive)
def test_swapping_the_arms_flips_signs(control, treatment):
    """The difference turns round, and so does the logarithm of the ratio."""
    assume(spread(control, treatment))
    one, two = Summary.of(control), Summary.of(treatment)
    there, back = mean.difference(one, two), mean.difference(two, one)
    assert (back.estimate, back.low, back.high) == pytest.approx(
        (-there.estimate, -there.high, -there.low)
    )
    there, back = mean.relative(one, two), mean.relative(two, one)
    if there and back and "log" in there.method:
        assert [log(1 + x) for x in (back.low, back.high)] == pytest.approx(
            [-log(1 + x) for x in (there.high, there.low)]
        )


@given(values, st.randoms())
def test_the_order_of_units_does_not_matter(control, random):
    """The same units in another order, the same answer to the last digit that is shown."""
    assume(spread(control))
    shuffled = sorted(control, key=lambda _: random.random())
    other = Summary.of([1.0, 2.0])

    assert mean.difference(Summary.of(shuffled), other) == mean.difference(
        Summary.of(control), other
    )


def test_a_treatment_that_may_be_zero_is_compared_by_fieller():
    """No logarithm of what is not clearly above zero: the interval may reach below minus one."""
    control, treatment = Summary(100, 500.0, 2900.0), Summary(100, 5.0, 400.0)
    effect = mean.relative(control, treatment)

    assert "Fieller" in effect.method
    assert effect.low < -1 < effect.estimate < effect.high
    assert effect.p_value == mean.difference(control, treatment).p_value


@pytest.mark.parametrize(
    "control", [Summary(100, 0.0, 0.0), Summary(100, 0.0, 300.0), Summary(100, -200.0, 900.0)]
)
def test_a_control_at_zero_or_below_has_no_relative_change(control):
    """A ratio to zero, or to a loss, is no number."""
    answer = mean.relative(control, Summary(100, 220.0, 584.0))

    assert isinstance(answer, Undecided)
    assert "cannot be told from zero" in answer.reason


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_units(n):
    """No spread is known from fewer than two units."""
    few = Summary.of([3.0] * n)
    for compare in (mean.difference, mean.relative):
        answer = compare(few, Summary.of([1.0, 2.0]))
        assert answer.reason.startswith("control has")
        assert answer.needs == "at least 2 in each variation"


def test_two_units_each_are_answered():
    """Two are enough, if barely."""
    effect = mean.difference(Summary.of([1, 2]), Summary.of([2, 4]))

    assert effect.low < effect.estimate < effect.high


def test_no_spread_and_broken_sums_are_told():
    """The same value everywhere, or a sum that is none."""
    same = Summary.of([0.1] * 50)
    assert "same value" in mean.difference(same, same).reason
    assert "same value" in mean.relative(same, same).reason
    for broken in (float("nan"), float("inf"), -float("inf")):
        answer = mean.difference(same, Summary(50, broken, abs(broken)))
        assert "missing or infinite" in answer.reason


def test_a_programmers_mistake_names_its_argument():
    """A level outside (0, 1), an unknown scale, fewer than no units."""
    arm = Summary.of([1, 2, 3])
    with pytest.raises(ValueError, match="level"):
        mean.difference(arm, arm, level=95)
    with pytest.raises(ValueError, match="scale"):
        mean.relative(arm, arm, scale="percent")
    with pytest.raises(ValueError, match="treatment: n"):
        mean.difference(arm, Summary(-5, 1.0, 1.0))


@pytest.mark.parametrize("factor", [1e-150, 1e-60, 1e60, 1e140])
def test_tiny_and_huge_values_neither_overflow_nor_warn(factor):
    """Whatever the unit, the relative change is the same, or the sums are told to be broken."""
    arms = [Summary.of(factor * v for v in arm) for arm in ([9, 10, 11, 10], [12, 11, 10, 13])]
    effect = mean.relative(*arms)

    assert effect.estimate == pytest.approx(0.15)
    assert mean.difference(*arms).low / factor == pytest.approx(
        mean.difference(Summary.of([9, 10, 11, 10]), Summary.of([12, 11, 10, 13])).low
    )


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["log", "delta"])
def test_relative_intervals_cover_skewed_money(scale):
    """Level 0.95 encloses the true ratio of log-normal means in 0.93 of runs or more."""
    draw = np.random.default_rng(5)
    runs, n = 1500, 400
    control = draw.lognormal(0, 1, (runs, n))
    treatment = draw.lognormal(0, 1, (runs, n)) * 1.1
    covered = 0
    for a, b in zip(control, treatment, strict=True):
        arms = [Summary(n, float(v.sum()), float(v @ v)) for v in (a, b)]
        effect = mean.relative(*arms, scale=scale)
        covered += effect.low <= 0.1 <= effect.high

    assert covered / runs >= 0.93


def test_tea_tasting_says_the_same():
    """tea-tasting 1.14 of the same units: difference and, on the log scale, ratio of means."""
    i = np.arange(60)
    arm = i % 3 // 2
    value = ((i * 37) % 23) * ((i % 4) > 0) * 1.5 + arm * 0.7
    arms = [Summary.of(value[arm == k]) for k in (0, 1)]
    absolute, relative = mean.difference(*arms), mean.relative(*arms)

    assert (absolute.low, absolute.high) == pytest.approx(
        (-6.540718876575789, 6.21571887657579), abs=1e-8
    )
    assert absolute.p_value == pytest.approx(0.9591266959441744, abs=1e-8)
    assert (relative.low, relative.high) == pytest.approx(
        (-0.4031524459070167, 0.63315747003309), abs=1e-8
    )
