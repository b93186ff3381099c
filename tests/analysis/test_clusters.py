import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from analysis.clusters import (
    Inference,
    Period,
    carryover,
    cluster_randomised,
    intracluster_correlation,
    switchback,
)
from analysis.effect import Scale, Undecided
from analysis.quality import State
from analysis.summary import Summary

RNG = np.random.default_rng(59)


def groups(k, n, shift=0.0, rng=RNG):
    return [Summary.of(rng.normal(5 + shift + rng.normal(0, 0.5), 1, n)) for _ in range(k)]


def test_groups_of_one_size_are_tested_by_their_means():
    """CR2 is then the unequal-variance error of the group means, as Cameron and Miller say."""
    control, treatment = groups(7, 20), groups(5, 20, 0.4)
    effect = cluster_randomised(control, treatment)
    means = [[group.mean for group in arm] for arm in (control, treatment)]
    error = sum(np.var(arm, ddof=1) / len(arm) for arm in means) ** 0.5
    # Satterthwaite's degrees under one variance for all: depends on the counts alone.
    df = (1 / 7 + 1 / 5) ** 2 / (1 / (49 * 6) + 1 / (25 * 4))

    assert effect.estimate == pytest.approx(np.mean(means[1]) - np.mean(means[0]))
    assert effect.high - effect.estimate == pytest.approx(stats.t.isf(0.025, df) * error)
    assert (effect.n_control, effect.n_treatment) == (7, 5)


def test_relative_effects_use_the_logarithm():
    """Delta method by hand on the two arms' errors."""
    control, treatment = groups(6, 20), groups(6, 20, 1)
    effect = cluster_randomised(control, treatment, scale=Scale.RELATIVE)
    means = [np.array([group.mean for group in arm]) for arm in (control, treatment)]
    error = sum(np.var(arm, ddof=1) / 6 / arm.mean() ** 2 for arm in means) ** 0.5
    z = np.log(means[1].mean() / means[0].mean()) / error

    assert effect.estimate == pytest.approx(means[1].mean() / means[0].mean() - 1)
    width = np.log1p(effect.high) - np.log1p(effect.estimate)
    df = brentq(lambda df: stats.t.isf(0.025, df) - width / error, 0.5, 500)
    assert effect.p_value == pytest.approx(2 * stats.t.sf(z, df), rel=1e-6)


@given(
    st.lists(st.integers(1, 9), min_size=3, max_size=8),
    st.lists(st.integers(1, 9), min_size=3, max_size=8),
    st.sampled_from(Scale),
)
def test_swapping_the_arms_turns_the_effect(left, right, scale):
    """Differences change sign, ratios invert."""
    rng = np.random.default_rng(len(left) + 17 * len(right))
    control = [Summary.of(rng.exponential(1, n) + 1) for n in left]
    treatment = [Summary.of(rng.exponential(2, n) + 1) for n in right]
    ahead = cluster_randomised(control, treatment, scale=scale)
    behind = cluster_randomised(treatment, control, scale=scale)

    if scale is Scale.ABSOLUTE:
        assert ahead.low == pytest.approx(-behind.high)
    else:
        assert (1 + ahead.low) * (1 + behind.high) == pytest.approx(1)
    assert ahead.p_value == pytest.approx(behind.p_value)


def test_the_wild_bootstrap_is_at_hand():
    """It names itself, and agrees in the main."""
    control, treatment = groups(5, 30), groups(5, 30, 2)
    plain = cluster_randomised(control, treatment)
    wild = cluster_randomised(control, treatment, inference=Inference.WILD)
    ratio = cluster_randomised(control, treatment, inference=Inference.WILD, scale=Scale.RELATIVE)

    assert "wild cluster bootstrap" in wild.method
    assert wild.estimate == plain.estimate
    assert wild.low > 0
    assert ratio.p_value == pytest.approx(wild.p_value, abs=0.01)


def test_too_few_groups():
    """Thousands of customers in one region are one observation."""
    assert isinstance(cluster_randomised(groups(1, 1000), groups(1, 1000)), Undecided)
    assert isinstance(cluster_randomised([*groups(1, 9), Summary()], groups(3, 9)), Undecided)
    alike = [Summary.of([1, 1])] * 4
    assert isinstance(cluster_randomised(alike, alike), Undecided)
    negative = [Summary.of([-1, -2]), Summary.of([-3])]
    assert isinstance(cluster_randomised(negative, groups(3, 9), scale=Scale.RELATIVE), Undecided)
    broken = [Summary(3, float("nan"), 1.0), *groups(3, 9)]
    assert "missing" in cluster_randomised(broken, groups(3, 9)).reason
    few = cluster_randomised(groups(2, 9), groups(2, 9), inference=Inference.WILD)
    assert isinstance(few, Undecided)


@pytest.mark.slow
@pytest.mark.parametrize("inference", Inference)
def test_uneven_few_groups_cover(inference):
    """Groups of 5 to 100 customers, four against eight, alike within: about 0.95."""
    rng, hits, rounds = np.random.default_rng(61), 0, 300
    for _ in range(rounds):
        arms = [
            [Summary.of(rng.normal(rng.normal(0, 0.5), 1, n)) for n in rng.integers(5, 100, size)]
            for size in (8, 4)
        ]
        effect = cluster_randomised(*arms, inference=inference)
        hits += effect.low <= 0 <= effect.high

    assert hits / rounds >= 0.915


def plan(n, effect=0.0, carry=0.0, rng=RNG):
    """Half-days in two cities with a daily swing, each randomised on its own."""
    periods, last = [], {}
    for i in range(n):
        city = "ab"[i % 2]
        treated = bool(rng.integers(2))
        level = 10 + 3 * (city == "b") + effect * treated + carry * last.get(city, 0)
        periods.append(Period(treated, Summary.of(rng.normal(level + rng.normal(), 1, 30)), city))
        last[city] = treated
    return periods


def test_strata_are_compared_within():
    """With treatment mostly in the costly city the plain difference is off; ours is exact."""
    cheap = [Period(i < 2, Summary.of([1.0 + i % 2 + (i < 2)]), "cheap") for i in range(8)]
    dear = [Period(i < 6, Summary.of([9.0 + i % 2 + (i < 6)]), "dear") for i in range(8)]
    effect = switchback([*cheap, *dear])

    assert effect.estimate == pytest.approx(1.0)
    assert (effect.n_control, effect.n_treatment) == (8, 8)


def test_one_stratum_is_cluster_randomised():
    """Without strata a switchback is a comparison of groups."""
    control, treatment = groups(6, 10), groups(6, 14, 0.5)
    periods = [Period(False, g) for g in control] + [Period(True, g) for g in treatment]
    ours, other = switchback(periods), cluster_randomised(control, treatment)

    assert (ours.estimate, ours.low, ours.high) == pytest.approx(
        (other.estimate, other.low, other.high)
    )


def test_periods_that_cannot_be_compared():
    """A city that only ever saw one variation says nothing; nor do empty periods."""
    lone = [Period(True, Summary.of([5.0]), "c")] * 4 + [Period(False, Summary(), "c")]

    assert isinstance(switchback(lone), Undecided)
    assert isinstance(switchback([]), Undecided)
    assert switchback([*plan(20), *lone]).n_treatment < 20


def test_what_lasts_beyond_its_period_is_seen():
    """A former variation that still works warns; a clean plan does not."""
    rng = np.random.default_rng(67)

    assert carryover(plan(120, 1.0, 3.0, rng)).state is State.WARNING
    assert carryover(plan(120, 1.0, 0.0, rng)).state is State.FINE
    assert carryover(plan(4)).state is State.UNKNOWN


@pytest.mark.slow
def test_a_switchback_covers():
    """Forty half-days of two cities with shocks common to a period."""
    rng, hits, rounds = np.random.default_rng(71), 0, 300
    for _ in range(rounds):
        effect = switchback(plan(40, 1.0, 0.0, rng))
        hits += effect.low <= 1 <= effect.high

    assert hits / rounds == pytest.approx(0.95, abs=0.03)


def test_likeness_within_groups():
    """A thousand groups of five with a third of the variance between them."""
    rng = np.random.default_rng(73)
    held = [Summary.of(rng.normal(rng.normal(0, 0.5**0.5), 1, 5)) for _ in range(1000)]

    assert intracluster_correlation(held) == pytest.approx(1 / 3, abs=0.03)
    assert intracluster_correlation([Summary.of([1, 2]), Summary.of([1, 2])]) == 0
    for past in ([], [Summary.of([1, 2])], [Summary.of([1]), Summary.of([2])]):
        assert isinstance(intracluster_correlation(past), Undecided)
    alike = [Summary.of([1, 1]), Summary.of([1, 1])]
    assert isinstance(intracluster_correlation(alike), Undecided)
