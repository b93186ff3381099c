"""Ratios of sums with the unit as cluster."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis import mean, ratio
from analysis.effect import Undecided
from analysis.summary import PairSummary, Summary

units = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 30)), min_size=3, max_size=40)


def pairs(rows):
    return PairSummary.of(*zip(*rows, strict=True))


def test_the_standard_error_is_that_of_clustered_regression():
    """Each event's value regressed on nothing, clustered by unit: statsmodels' robust error."""
    draw = np.random.default_rng(2)
    events = draw.poisson(3, 200) + 1
    unit = np.repeat(np.arange(200), events)
    value = draw.random(events.sum()) < draw.beta(2, 5, 200)[unit]
    fit = sm.OLS(value.astype(float), np.ones(value.size)).fit(
        cov_type="cluster", cov_kwds={"groups": unit, "use_correction": False}
    )
    arm = PairSummary.of(np.bincount(unit, weights=value), events)

    assert arm.x_total / arm.y_total == pytest.approx(fit.params[0], rel=1e-12)
    assert ratio.ratio_variance(arm) * 199 / 200 == pytest.approx(fit.bse[0] ** 2, rel=1e-9)


@given(st.lists(st.integers(0, 50), min_size=3), st.lists(st.integers(0, 50), min_size=3))
def test_with_one_event_per_unit_it_is_the_mean(control, treatment):
    """A denominator of one everywhere gives Welch's interval, on both scales."""
    assume(len(set(control)) > 1 and len(set(treatment)) > 1)
    arms = [PairSummary.of(arm, [1] * len(arm)) for arm in (control, treatment)]
    plain = [Summary.of(arm) for arm in (control, treatment)]
    for compare in ("difference", "relative"):
        one, two = getattr(ratio, compare)(*arms), getattr(mean, compare)(*plain)
        assert bool(one) == bool(two)
        if one:
            assert (one.estimate, one.low, one.high) == pytest.approx(
                (two.estimate, two.low, two.high), rel=1e-9, abs=1e-12
            )


@given(units, units)
def test_laws(control, treatment):
    """The interval encloses the estimate, turns round with the arms, and ignores the unit used."""
    one, two = pairs(control), pairs(treatment)
    effect = ratio.difference(one, two)
    assume(effect)
    assert effect.low <= effect.estimate <= effect.high
    back = ratio.difference(two, one)
    assert (back.low, back.high) == pytest.approx((-effect.high, -effect.low), abs=1e-12)
    scaled = [
        PairSummary.of([3 * x for x, _ in a], [2 * y for _, y in a]) for a in (control, treatment)
    ]
    moved = ratio.difference(*scaled)
    assert (moved.low, moved.high) == pytest.approx(
        (1.5 * effect.low, 1.5 * effect.high), rel=1e-6, abs=1e-9
    )


def test_fieller_takes_over_where_the_denominator_is_near_zero():
    """With few orders the delta method's symmetric interval would mislead."""
    draw = np.random.default_rng(3)
    orders = [draw.poisson(0.1, 300) for _ in range(2)]
    arms = [PairSummary.of(draw.gamma(2, 10, 300) * o, o) for o in orders]
    effect = ratio.difference(*arms)

    assert "Fieller" in effect.method
    assert "Fieller" in ratio.relative(*arms).method
    assert effect.low < effect.estimate < effect.high
    assert (effect.p_value < 0.05) == (effect.low > 0 or effect.high < 0)


def test_fiellers_interval_is_where_the_linear_contrast_is_not_rejected():
    """At each limit R, the mean of x - R y is t standard errors from zero."""
    x, y = [1, 0, 2, 1, 4, 2], [4, 5, 6, 5, 9, 3]
    limits = ratio.fieller(PairSummary.of(x, y))
    for limit in (limits.low, limits.high):
        contrast = Summary.of(a - limit * b for a, b in zip(x, y, strict=True))
        t = contrast.mean / (contrast.variance / contrast.n) ** 0.5
        assert abs(t) == pytest.approx(2.570582, abs=1e-5)


@pytest.mark.parametrize(
    "control",
    [
        PairSummary.of([1, 2, 3], [0, 0, 0]),
        PairSummary.of([1, 2, 3], [0, 0, 1]),
        PairSummary.of([1, 2, 3], [-5, 1, 1]),
    ],
)
def test_an_unclear_denominator_is_told(control):
    """Nothing, too little or less than nothing to divide by."""
    answer = ratio.difference(control, PairSummary.of([1, 2, 3], [4, 5, 6]))

    assert isinstance(answer, Undecided)
    assert "denominator" in answer.reason


def test_no_spread_few_units_and_broken_sums_are_told():
    """The same ratio everywhere says nothing of chance; nor does one unit."""
    same = PairSummary.of([0.1, 0.2, 0.3], [1, 2, 3])
    assert "same value" in ratio.difference(same, same).reason
    assert "control has no units" in ratio.difference(PairSummary(), same).reason
    assert "only 1 unit" in ratio.relative(same, PairSummary.of([1], [2])).reason
    broken = PairSummary(3, float("nan"), 6.0, 1.0, 14.0, 1.0)
    assert "missing or infinite" in ratio.difference(same, broken).reason


def test_no_complaint_at_all_in_treatment_has_a_difference_but_no_relative_change():
    """Nothing at all in treatment does not say how near to nothing it is."""
    control = pairs([(x % 3, 5) for x in range(60)])
    treatment = pairs([(0, 5 + x % 2) for x in range(60)])

    assert ratio.difference(control, treatment).high < 0
    assert "at zero" in ratio.relative(control, treatment).reason


def test_a_control_without_numerator_has_no_relative_change():
    """As for means."""
    answer = ratio.relative(pairs([(0, 5), (0, 4), (0, 6)]), pairs([(1, 5), (0, 4), (3, 6)]))

    assert isinstance(answer, Undecided)


def test_tea_tasting_says_the_same():
    """tea-tasting 1.14 of the same units: ratio of means, difference and log scale."""
    i = np.arange(60)
    arm = i % 3 // 2
    orders, visits = (i * 7) % 5 % 3, 1 + (i * 5) % 4
    arms = [PairSummary.of(orders[arm == k], visits[arm == k]) for k in (0, 1)]
    absolute, relative = ratio.difference(*arms), ratio.relative(*arms)

    assert (absolute.low, absolute.high) == pytest.approx(
        (-0.1879664321688466, 0.1879664321688466), abs=1e-8
    )
    assert (relative.low, relative.high) == pytest.approx(
        (-0.4442268660856611, 0.7992953220983323), abs=1e-8
    )


@pytest.mark.slow
@pytest.mark.parametrize("rate", [3.0, 0.05])
def test_intervals_cover_with_clustered_events(rate):
    """Events of one unit go together; level 0.95 holds in 0.935 of runs, near zero too."""
    draw = np.random.default_rng(9)
    covered = decided = 0
    for _ in range(800):
        arms = []
        for _ in range(2):
            y = draw.poisson(rate, 400)
            arms.append(PairSummary.of(draw.binomial(y, draw.beta(1, 4, 400)), y))
        effect = ratio.difference(*arms)
        if effect:
            decided += 1
            covered += effect.low <= 0 <= effect.high

    assert decided > 700
    assert covered / decided >= 0.935
