"""The Gaussian form: Welch's test with a pooled floor, exact arithmetic, laws."""

from fractions import Fraction
from math import inf, isfinite, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.gaussian import difference_effect, gaussian_statistic, normal_as_t
from analysis.share import as_normal
from analysis.stoploss import Kind, Stratum


def of(control, treatment):
    control, treatment = np.asarray(control, float), np.asarray(treatment, float)
    return Stratum(
        len(control), control.sum(), (control**2).sum(),
        len(treatment), treatment.sum(), (treatment**2).sum(),
    )  # fmt: skip


values = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).normal(0.3, 2.0, 120).round(3)
)


def test_with_equal_spread_it_is_welch():
    """Where the pooled variance is no larger, difference, variance and freedom are Welch's."""
    rng = np.random.default_rng(1)
    control = rng.normal(0, 1, 80)
    treatment = rng.permutation(control)[:60] + 0.3
    treatment = 0.3 + (treatment - treatment.mean()) * control.std(ddof=1) / treatment.std(ddof=1)
    welch = stats.ttest_ind(treatment, control, equal_var=False)

    found = gaussian_statistic([of(control, treatment)], sign=1, tolerance=0.0)

    assert found.difference / sqrt(found.variance) == pytest.approx(welch.statistic, rel=1e-9)
    assert found.degrees == pytest.approx(welch.df, rel=1e-9)
    assert found.r == pytest.approx(stats.norm.isf(stats.t.sf(welch.statistic, welch.df)), rel=2e-4)


def test_strata_by_hand():
    """Two strata, summed in exact fractions."""
    strata = [Stratum(40, 10, 90, 60, 30, 170), Stratum(100, -20, 300, 50, 5, 160)]
    h = [Fraction(40 * 60, 100), Fraction(100 * 50, 150)]
    differences = [
        Fraction(30, 60) - Fraction(10, 40),
        Fraction(5, 50) - Fraction(-20, 100),
    ]
    whole = sum(h)
    difference = sum(a * b for a, b in zip(h, differences, strict=True)) / whole
    centred0 = (90 - Fraction(100, 40)) + (300 - Fraction(400, 100))
    centred1 = (170 - Fraction(900, 60)) + (160 - Fraction(25, 50))
    pooled = (centred0 + centred1) / (138 + 108)
    v0, v1 = max(centred0 / 138, pooled), max(centred1 / 108, pooled)
    part0 = v0 * (h[0] ** 2 / 40 + h[1] ** 2 / 100) / whole**2
    part1 = v1 * (h[0] ** 2 / 60 + h[1] ** 2 / 50) / whole**2

    found = gaussian_statistic(strata, sign=-1, tolerance=0.25)

    assert found.difference == pytest.approx(float(difference), rel=1e-14)
    assert found.variance == pytest.approx(float(part0 + part1), rel=1e-14)
    assert found.information == pytest.approx(float(whole), rel=1e-14)
    assert found.degrees == pytest.approx(
        float((part0 + part1) ** 2 / (part0**2 / 138 + part1**2 / 108)), rel=1e-12
    )
    t = (-float(difference) - 0.25) / sqrt(part0 + part1)
    assert found.r == pytest.approx(float(as_normal(np.array(t), np.array(found.degrees))))


@given(values, values, st.floats(-1, 1))
def test_swapping_arms_and_sign_keeps_the_evidence(control, treatment, tolerance):
    """A treatment that has less is as harmful as a control that has more."""
    there = gaussian_statistic([of(control, treatment)], sign=1, tolerance=tolerance)
    back = gaussian_statistic([of(treatment, control)], sign=-1, tolerance=tolerance)

    assert there.r == pytest.approx(back.r, rel=1e-9, abs=1e-9)
    assert there.difference == pytest.approx(-back.difference, abs=1e-12)


@given(values, values, st.floats(0.01, 100), st.floats(-50, 50))
def test_scale_and_shift_change_nothing(control, treatment, scale, shift):
    """Other units and another zero: the same evidence against a tolerance told likewise."""
    one = gaussian_statistic([of(control, treatment)], sign=1, tolerance=0.2)
    other = gaussian_statistic(
        [of(control * scale + shift, treatment * scale + shift)], sign=1, tolerance=0.2 * scale
    )

    assert other.r == pytest.approx(one.r, rel=1e-5, abs=1e-5)


@given(values, values, st.floats(1.3, 4), st.floats(-1, 1))
def test_the_interval_is_the_test_inverted(control, treatment, bound, tolerance):
    """A tolerance lies below the lower limit exactly when the test has passed its bound."""
    found = gaussian_statistic([of(control, treatment)], sign=1, tolerance=tolerance)
    effect = difference_effect(found, low_bound=bound, high_bound=bound, level=0.9)

    assert effect.low <= effect.estimate <= effect.high
    if abs(found.r - bound) > 1e-9:
        assert (found.r > bound) == (tolerance < effect.low)


@given(st.floats(0, 8), st.floats(29, 1e6))
def test_t_and_its_normal_undo_each_other(z, degrees):
    t = normal_as_t(z, degrees)

    assert float(as_normal(np.array(t), np.array(degrees))) == pytest.approx(z, rel=1e-9, abs=1e-9)


def test_a_billion_units_lose_no_precision():
    """Profits near a million with a deviation of 1 keep their spread and their difference."""
    n, mean = 10**9, 10**6
    control = (n, n * mean, n * mean**2 + n - 1)
    treatment = (n, n * mean + 10**5, n * mean**2 + 2 * mean * 10**5 + n + 9)

    found = gaussian_statistic([Stratum(*control, *treatment)], sign=1, tolerance=0.0)

    exact = [Fraction(q) - Fraction(s) ** 2 / n for n, s, q in (control, treatment)]
    assert found.variance0 == pytest.approx(float(max(exact) / (n - 1)), rel=1e-9)
    assert found.difference == pytest.approx(1e-4, rel=1e-6)


def test_ready_variances_equal_plain_ones():
    """A ratio whose denominators are all 1 is the plain mean."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(1, 1, 50), rng.normal(1.5, 2, 70)
    ready = Stratum(
        50, x.sum(), 0, 70, y.sum(), 0,
        nv0=50 * x.var(ddof=1), nv1=70 * y.var(ddof=1), m0=50, m1=70,
    )  # fmt: skip

    one = gaussian_statistic([ready], sign=1, tolerance=0.1)
    other = gaussian_statistic([of(x, y)], sign=1, tolerance=0.1)

    assert one.r == pytest.approx(other.r, rel=1e-12)


@pytest.mark.parametrize(
    ("strata", "words"),
    [
        ([], "nobody has been counted"),
        ([Stratum(100, 5, 50, 0, 0, 0)], "nobody is in the treatment"),
        ([Stratum(1, 5, 25, 1, 4, 16)], "1 of the 30"),
        ([Stratum(100, 5, 50, 29, 4, 16)], "29 of the 30"),
        ([Stratum(100, 200, 400, 100, 200, 400)], "same value"),
        ([Stratum(1, 1, 1, 1, 2, 4)] * 40, "two customers in each arm"),
    ],
)
def test_too_little_data_is_an_answer(strata, words):
    found = gaussian_statistic(strata, sign=1, tolerance=0.1)

    assert not found.ready
    assert words in found.reason
    assert isfinite(found.r)


@pytest.mark.parametrize(
    ("given_", "name"), [({"sign": 2}, "sign"), ({"tolerance": inf}, "tolerance")]
)
def test_impossible_arguments_are_refused(given_, name):
    with pytest.raises(ValueError, match=name):
        gaussian_statistic([Stratum(50, 1, 9, 50, 1, 9)], **{"sign": 1, "tolerance": 0.0} | given_)


def test_a_proportion_is_checked_as_one():
    with pytest.raises(ValueError, match="s1"):
        gaussian_statistic(
            [Stratum(50, 1, 1, 50, 51, 51)], sign=1, tolerance=0.0, kind=Kind.PROPORTION
        )
