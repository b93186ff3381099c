"""Intervals that are the test inverted: they agree with it, with closed forms, and are ordered."""

from math import exp, inf, isfinite, log, sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analysis.effect import Undecided
from analysis.limits import ratio_limits, relative_effect
from analysis.share import share
from analysis.stoploss import Kind, Stratum, to_arms
from tests.analysis.test_stoploss import binary_strata, proportions, valued_strata

bounds = st.floats(1.3, 4.0)


@settings(max_examples=40)
@given(valued_strata(), bounds, bounds, st.floats(0.5, 2.0))
def test_a_ratio_is_inside_unless_the_test_rejects_it(strata, low_bound, high_bound, ratio):
    """Picture and verdict agree at the tolerance, on both sides, whatever the data."""
    arms = to_arms(strata, Kind.OTHER)
    found = ratio_limits(arms, Kind.OTHER, low_bound=low_bound, high_bound=high_bound, pinned=ratio)
    more = float(share(arms, kind=Kind.OTHER, sign=1, ratio=ratio, safe=False).r)
    less = float(share(arms, kind=Kind.OTHER, sign=-1, ratio=ratio, safe=False).r)
    assume(abs(more - low_bound) > 1e-6 and abs(less - high_bound) > 1e-6)

    assert (more > low_bound) == (ratio < found.low)
    assert (less > high_bound) == (ratio > found.high)


@settings(max_examples=40)
@given(binary_strata(), bounds)
def test_the_interval_holds_its_estimate(strata, bound):
    assume(sum(x.s0 + x.s1 for x in strata) > 0)
    arms = to_arms(strata, Kind.PROPORTION)

    found = ratio_limits(arms, Kind.PROPORTION, low_bound=bound, high_bound=bound)

    assert 0 <= found.low <= found.estimate <= found.high


@settings(max_examples=40)
@given(valued_strata(), bounds, bounds)
def test_a_higher_bound_widens_the_interval(strata, bound, other):
    narrow, wide = sorted((bound, other))
    arms = to_arms(strata, Kind.OTHER)

    inner = ratio_limits(arms, Kind.OTHER, low_bound=narrow, high_bound=narrow)
    outer = ratio_limits(arms, Kind.OTHER, low_bound=wide, high_bound=wide)

    assert outer.low <= inner.low * (1 + 1e-9)
    assert outer.high >= inner.high * (1 - 1e-9)


def test_many_rare_events_give_the_log_ratio_interval():
    """With much data and rare events all methods meet: ln ratio ± z √(1/s0 + 1/s1)."""
    arms = to_arms([proportions(10**8, 40_000, 10**8, 44_000)], Kind.PROPORTION)

    found = ratio_limits(arms, Kind.PROPORTION, low_bound=1.96, high_bound=1.96)

    reach = 1.96 * sqrt(1 / 40_000 + 1 / 44_000)
    assert found.estimate == pytest.approx(1.1, rel=1e-9)
    assert log(found.low) == pytest.approx(log(1.1) - reach, abs=1e-4)
    assert log(found.high) == pytest.approx(log(1.1) + reach, abs=1e-4)


@settings(max_examples=40)
@given(valued_strata(), st.floats(1e-3, 1e3))
def test_the_unit_of_money_does_not_move_the_limits(strata, rate):
    scaled = [
        Stratum(x.n0, x.s0 * rate, x.q0 * rate**2, x.n1, x.s1 * rate, x.q1 * rate**2)
        for x in strata
    ]

    one, other = (
        ratio_limits(to_arms(rows, Kind.OTHER), Kind.OTHER, low_bound=2, high_bound=2)
        for rows in (strata, scaled)
    )

    assert other.low == pytest.approx(one.low, rel=1e-7)
    assert other.high == pytest.approx(one.high, rel=1e-7)


def test_nothing_in_treatment_reaches_down_to_nothing():
    arms = to_arms([proportions(2000, 40, 2000, 0)], Kind.PROPORTION)

    found = ratio_limits(arms, Kind.PROPORTION, low_bound=2, high_bound=2)
    effect = relative_effect(found, level=0.9, n0=2000, n1=2000)

    assert (effect.estimate, effect.low) == (-1, -1)
    assert -1 < effect.high < -0.8


def test_nothing_in_control_has_no_percentage():
    """The ratio is infinite: no effect is made of it, but what is certain is said."""
    arms = to_arms([proportions(2000, 0, 2000, 40)], Kind.PROPORTION)

    found = ratio_limits(arms, Kind.PROPORTION, low_bound=2, high_bound=2)
    effect = relative_effect(found, level=0.9, n0=2000, n1=2000)

    assert found.estimate == inf
    assert isfinite(found.low)
    assert found.low > 5
    assert isinstance(effect, Undecided)
    assert "at least" in effect.reason


def test_the_limits_mirror_when_arms_are_swapped():
    """Treatment over control and control over treatment have inverse limits."""
    there = to_arms([Stratum(300, 200, 900, 400, 350, 1600)], Kind.OTHER)
    back = to_arms([Stratum(400, 350, 1600, 300, 200, 900)], Kind.OTHER)

    one = ratio_limits(there, Kind.OTHER, low_bound=2.0, high_bound=2.5)
    other = ratio_limits(back, Kind.OTHER, low_bound=2.5, high_bound=2.0)

    assert one.low == pytest.approx(1 / other.high, rel=1e-8)
    assert one.high == pytest.approx(1 / other.low, rel=1e-8)
    assert one.estimate == pytest.approx(exp(-log(other.estimate)), rel=1e-9)
