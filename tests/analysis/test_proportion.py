"""Proportions: which interval when, and what it says."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import proportion
from analysis.effect import Scale, Undecided, Validity
from analysis.summary import Summary


def share(events: int, n: int) -> Summary:
    return Summary(n, float(events), float(events))


arms = st.tuples(st.integers(1, 5000), st.floats(0, 1)).map(
    lambda drawn: share(round(drawn[0] * drawn[1]), drawn[0])
)


def test_miettinen_and_nurminens_own_example():
    """56 of 70 against 48 of 80, published in 1985."""
    effect = proportion.difference(share(48, 80), share(56, 70))

    assert (round(effect.low, 4), round(effect.high, 4)) == (0.0528, 0.3382)
    assert effect.estimate == pytest.approx(0.2)
    assert (effect.scale, effect.validity) == (Scale.ABSOLUTE, Validity.FIXED)
    assert (effect.n_control, effect.n_treatment) == (80, 70)


@pytest.mark.parametrize(
    ("treatment", "control", "limits"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
    ],
)
def test_newcombes_table_of_his_method_10(treatment, control, limits):
    """Newcombe (1998), table II: the hybrid of two Wilson intervals."""
    effect = proportion.newcombe(share(*control), share(*treatment))

    assert [round(limit, 4) for limit in (effect.low, effect.high)] == pytest.approx(limits)


def test_wilsons_interval_is_that_of_scipy():
    """Agreement where scipy does the same thing."""
    found = proportion.wilson(56, 70)
    other = stats.binomtest(56, 70).proportion_ci(method="wilson")

    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-12)


@pytest.mark.parametrize(
    ("control", "treatment", "exact"),
    [
        ((0, 1000), (4, 1000), True),
        ((5, 10_000), (12, 10_000), True),
        ((9998, 10_000), (9990, 10_000), True),  # few events the other way round
        ((3000, 990_000), (12, 10_000), True),  # a canary's few events beside many
        ((60, 100), (70, 100), False),
        ((400, 10_000), (420, 10_000), False),
    ],
)
def test_few_events_are_compared_exactly(control, treatment, exact):
    """Below 20 events, or as skewed, the normal curve misleads: Fisher's test and its interval."""
    effect = proportion.difference(share(*control), share(*treatment))

    assert (effect.method == proportion.EXACT) is exact
    assert (proportion.relative(share(*control), share(*treatment)) or effect).method == (
        effect.method
    )


def test_errors_against_an_all_zero_control_are_noticed():
    """Eight errors in a canary of a thousand against none are significant."""
    effect = proportion.difference(share(0, 1000), share(8, 1000))

    assert effect.low > 0
    assert effect.p_value < 0.01


def test_relative_change_needs_an_event_in_control():
    """A ratio to nothing is no number."""
    answer = proportion.relative(share(0, 1000), share(8, 1000))

    assert isinstance(answer, Undecided)
    assert "no unit in control" in answer.reason


def test_no_event_in_treatment_is_a_full_reduction():
    """The estimate is minus one, the interval still says how sure that is."""
    effect = proportion.relative(share(30, 1000), share(0, 1000))

    assert (effect.estimate, effect.low) == (-1, -1)
    assert -1 < effect.high < -0.8


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_broken_sums_are_no_number(broken):
    """A missing or infinite sum is told, not computed with."""
    answer = proportion.difference(share(1, 10), Summary(10, broken, broken))

    assert isinstance(answer, Undecided)
    assert "missing or infinite" in answer.reason


@pytest.mark.parametrize(
    "arm",
    [Summary(10, 12.0, 12.0), Summary(10, -1.0, 1.0), Summary(10, 5.0, 7.0), Summary(4, 1.5, 1.5)],
)
def test_values_other_than_0_and_1_are_no_proportion(arm):
    """More events than units, negative or broken ones: the kind of metric is wrong."""
    assert isinstance(proportion.difference(share(1, 10), arm), Undecided)


def test_no_units_and_wrong_arguments():
    """Too little data is an answer; a programmer's mistake names its argument."""
    assert "treatment has no units" in proportion.difference(share(1, 10), Summary()).reason
    with pytest.raises(ValueError, match="level"):
        proportion.difference(share(1, 10), share(2, 10), level=1)
    with pytest.raises(ValueError, match="control: n"):
        proportion.difference(Summary(-1, 0.0, 0.0), share(2, 10))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_one_unit_each_is_answered_without_a_warning(first, second):
    """With one unit each almost nothing is known, and that is what the interval says."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        effect = proportion.difference(share(first, 1), share(second, 1))

    assert effect.high - effect.low > 0.9


@given(arms, arms, st.sampled_from([0.8, 0.95, 0.99]))
def test_laws_of_the_difference(control, treatment, level):
    """The interval encloses the estimate, stays in [-1, 1] and turns round with the arms."""
    effect = proportion.difference(control, treatment, level=level)
    mirrored = proportion.difference(treatment, control, level=level)

    assert -1 <= effect.low <= effect.estimate <= effect.high <= 1
    assert (mirrored.estimate, mirrored.low, mirrored.high) == pytest.approx(
        (-effect.estimate, -effect.high, -effect.low), abs=1e-8
    )
    assert mirrored.p_value == pytest.approx(effect.p_value, rel=1e-6)


@given(arms, arms)
def test_counting_failures_instead_turns_the_difference_round(control, treatment):
    """Nothing depends on which outcome is called the event."""
    effect = proportion.difference(control, treatment)
    failures = [share(int(arm.n - arm.total), arm.n) for arm in (control, treatment)]
    mirrored = proportion.difference(*failures)

    assert (mirrored.low, mirrored.high) == pytest.approx((-effect.high, -effect.low), abs=1e-7)


@given(arms, arms)
def test_verdicts_of_both_scales_and_of_the_p_value_agree(control, treatment):
    """Zero lies outside both intervals exactly when p is below 0.05."""
    absolute, relative = (
        compare(control, treatment) for compare in (proportion.difference, proportion.relative)
    )
    if abs(absolute.p_value - 0.05) < 1e-6:
        return
    rejected = absolute.p_value < 0.05
    assert (absolute.low > 0 or absolute.high < 0) == rejected
    if relative:
        assert -1 <= relative.low <= relative.estimate <= relative.high
        assert (relative.low > 0 or relative.high < 0) == rejected


@given(arms, arms)
def test_more_of_the_same_narrows_the_interval(control, treatment):
    """Ten times the data with the same shares say more."""
    ten = [Summary(10 * arm.n, 10 * arm.total, 10 * arm.squares) for arm in (control, treatment)]
    few, many = proportion.difference(control, treatment), proportion.difference(*ten)

    assert many.high - many.low < few.high - few.low


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n0", "n1", "p0", "p1"),
    [
        (2000, 2000, 0.05, 0.05),
        (9000, 1000, 0.02, 0.03),
        (300, 300, 0.9, 0.8),
        (20_000, 500, 0.01, 0.02),
    ],
)
def test_intervals_cover(n0, n1, p0, p1):
    """Absolute and relative intervals of level 0.95 enclose the truth in 0.94 of runs or more."""
    draw = np.random.default_rng(11)
    runs = 1500
    found = [
        (
            proportion.difference(share(x0, n0), share(x1, n1)),
            proportion.relative(share(x0, n0), share(x1, n1)),
        )
        for x0, x1 in zip(
            draw.binomial(n0, p0, runs).tolist(), draw.binomial(n1, p1, runs).tolist(), strict=True
        )
    ]

    assert np.mean([a.low <= p1 - p0 <= a.high for a, _ in found]) >= 0.938
    assert np.mean([r.low <= p1 / p0 - 1 <= r.high for _, r in found]) >= 0.938
