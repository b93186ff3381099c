"""Quantiles per unit, per event, and at every look."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis import quantile
from analysis.effect import Undecided, Validity
from analysis.histogram import Histogram
from analysis.rows import Events

units = st.lists(st.integers(1, 40).map(float), min_size=20, max_size=80)


@given(units, st.sampled_from([0.25, 0.5, 0.75]))
def test_order_limits_are_scipys_quantile_test(values, q):
    """The interval of scipy's exact binomial `quantile_test`, on untied values."""
    values = np.argsort(np.argsort(values, kind="stable")).astype(float)
    found = quantile.order_limits(Histogram.of(values), q)
    interval = stats.quantile_test(values, p=q).confidence_interval(0.95)

    if found is None:
        assert not np.isfinite([interval.low, interval.high]).all()
    else:
        assert (found.low, found.high) == (interval.low, interval.high)


@pytest.mark.parametrize(
    ("n", "ranks"), [(10, (2, 9)), (20, (6, 15)), (50, (18, 33)), (100, (40, 61))]
)
def test_published_ranks_of_the_medians_limits(n, ranks):
    """Conover's and many other tables: ranks of the 95 per cent limits of a median."""
    found = quantile.order_limits(Histogram.of(range(1, n + 1)), 0.5)

    assert (found.low, found.high) == ranks


@given(units, units, st.sampled_from([0.3, 0.5, 0.8]))
def test_laws(control, treatment, q):
    """The interval encloses the estimate, turns round with the arms, shifts and scales along."""
    arms = Histogram.of(control), Histogram.of(treatment)
    effect = quantile.difference(*arms, q)
    assume(effect)
    assert effect.low <= effect.estimate <= effect.high
    back = quantile.difference(*arms[::-1], q)
    assert (back.low, back.high) == pytest.approx((-effect.high, -effect.low))
    moved = quantile.difference(
        *(Histogram.of(2 * v + 7 for v in a) for a in (control, treatment)), q
    )
    assert (moved.low, moved.high) == pytest.approx((2 * effect.low, 2 * effect.high))
    relative, scaled = (
        quantile.relative(*(Histogram.of(k * v for v in a) for a in (control, treatment)), q)
        for k in (1, 8)
    )
    assert bool(relative) == bool(scaled)
    if relative:
        assert (relative.low, relative.high) == pytest.approx((scaled.low, scaled.high))


@given(units, units)
def test_the_p_value_goes_with_the_interval(control, treatment):
    """Below 0.05 exactly where zero lies outside."""
    effect = quantile.difference(Histogram.of(control), Histogram.of(treatment), 0.5)
    if effect and effect.p_value is not None and abs(effect.p_value - 0.05) > 1e-9:
        assert (effect.p_value < 0.05) == (effect.low > 0 or effect.high < 0)


def test_too_few_units_beyond_the_quantile_are_told():
    """A hundred units say nothing of an upper limit for P99."""
    arm = Histogram.of(range(100))
    answer = quantile.difference(arm, arm, 0.99)

    assert isinstance(answer, Undecided)
    assert "beyond its P99" in answer.reason
    assert "treatment has only 1 unit" in quantile.difference(arm, Histogram.of([1]), 0.5).reason


def test_the_same_value_everywhere_is_a_difference_of_zero():
    """Order statistics of ties are that value; there is no p-value to give, and no warning."""
    arm = Histogram.counted([(5, 1000)])
    effect = quantile.difference(arm, arm, 0.5)

    assert (effect.low, effect.estimate, effect.high, effect.p_value) == (0, 0, 0, None)


def test_a_control_at_zero_has_no_relative_change():
    """A median that may be zero is no baseline."""
    arm = Histogram.counted([(0, 90), (1, 10)])
    assert isinstance(quantile.relative(arm, arm, 0.5), Undecided)


def test_programmers_mistakes_name_their_argument():
    """A quantile or a plan that cannot be."""
    arm = Histogram.of(range(100))
    with pytest.raises(ValueError, match="q must"):
        quantile.difference(arm, arm, 1)
    with pytest.raises(ValueError, match="planned"):
        quantile.difference(arm, arm, 0.5, validity=Validity.ANYTIME, planned=0)


def test_with_one_event_per_unit_clustering_changes_little():
    """A cluster of one is an independent unit; the normal shares stand in for the binomial ones."""
    values = np.sort(np.random.default_rng(1).exponential(size=2000))
    found = quantile.clustered_limits(Events(values, np.arange(2000)), 0.9)
    other = quantile.order_limits(Histogram.of(values), 0.9)

    assert (found.low, found.high) == pytest.approx((other.low, other.high), rel=0.02)


def test_units_with_like_events_widen_the_interval():
    """Twenty copies of each value are no more information than one."""
    values = np.sort(np.random.default_rng(1).exponential(size=200))
    one = quantile.clustered_limits(Events(values, np.arange(200)), 0.5)
    many = quantile.clustered_limits(Events(values.repeat(20), np.arange(200).repeat(20)), 0.5)

    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.1)


def test_events_too_few_to_bound_are_told():
    """One unit, or a quantile at the edge of the events."""
    events = Events(np.arange(20.0), np.arange(20) // 2)
    alone = Events(np.arange(20.0), np.zeros(20, dtype=int))
    assert "only 1 unit" in quantile.event_difference(events, alone, 0.5).reason
    assert "beyond its P95" in quantile.event_difference(events, events, 0.95).reason
    assert quantile.event_relative(events, events, 0.5) is not None


@pytest.mark.slow
def test_clustered_intervals_cover():
    """Events that share their unit's level: 0.95 holds in 0.93 of runs or more, both kinds."""
    draw = np.random.default_rng(4)
    truth = np.exp(stats.norm.ppf(0.9) * np.sqrt(2))
    covered = 0
    runs = 300
    for _ in range(runs):
        sizes = draw.poisson(4, 300) + 1
        unit = np.arange(300).repeat(sizes)
        values = np.exp(draw.normal(size=300)[unit] + draw.normal(size=unit.size))
        order = values.argsort()
        found = quantile.clustered_limits(Events(values[order], unit[order]), 0.9)
        covered += found.low <= truth <= found.high

    assert covered / runs >= 0.925


@pytest.mark.slow
@pytest.mark.parametrize("q", [0.5, 0.9])
def test_per_unit_intervals_cover(q):
    """The joined interval holds its level for skewed values, absolute and relative."""
    draw = np.random.default_rng(6)
    truth = stats.lognorm.ppf(q, 1)
    runs = 400
    found = []
    for _ in range(runs):
        arms = [Histogram.of(draw.lognormal(size=n) * k) for n, k in ((300, 1), (500, 1.2))]
        absolute, relative = quantile.difference(*arms, q), quantile.relative(*arms, q)
        found.append(
            (absolute.low <= 0.2 * truth <= absolute.high, relative.low <= 0.2 <= relative.high)
        )

    assert np.mean(found, axis=0).min() >= 0.935


@pytest.mark.slow
@pytest.mark.parametrize("q", [0.5, 0.95])
def test_anytime_limits_hold_at_every_look_at_once(q):
    """Looking 25 times, the true quantile is ever outside in at most 0.05 of runs."""
    draw = np.random.default_rng(8)
    missed = 0
    runs = 200
    for _ in range(runs):
        values = draw.random(2500)
        for n in range(100, 2501, 100):
            found = quantile.anytime_limits(Histogram.of(values[:n]), q, planned=1000)
            if found is not None and not found.low <= q <= found.high:
                missed += 1
                break

    assert missed / runs <= 0.05


def test_looking_always_costs_width():
    """The interval for every look is wider, but not without end."""
    draw = np.random.default_rng(3)
    arms = [Histogram.of(draw.random(5000)) for _ in range(2)]
    once = quantile.difference(*arms, 0.5)
    always = quantile.difference(*arms, 0.5, validity=Validity.ANYTIME, planned=5000)

    assert always.validity is Validity.ANYTIME
    assert 1.2 < (always.high - always.low) / (once.high - once.low) < 3.5
