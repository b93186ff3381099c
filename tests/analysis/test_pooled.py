import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.meta_analysis import combine_effects

from analysis.effect import Scale, Undecided
from analysis.estimate import Estimate
from analysis.pooled import inverse_variance, mantel_haenszel_difference, mantel_haenszel_ratio
from analysis.summary import Summary


def arm(events, n):
    return Summary(n, events, events)


# University Group Diabetes Program (1970): deaths with tolbutamide and with placebo, by age,
# the example of Rothman, "Epidemiology: An Introduction", ch. 8.
TOLBUTAMIDE = [(arm(5, 120), arm(8, 106)), (arm(16, 85), arm(22, 98))]

cells = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 30), st.integers(0, 30))
strata = st.lists(cells, min_size=1, max_size=6)


def as_strata(tables):
    """(control events, treatment events, control without, treatment without) per stratum."""
    return [(arm(b, b + d), arm(a, a + c)) for b, a, d, c in tables]


def test_tolbutamide_as_rothman_pools_it():
    """Risk difference 0.034 or 0.035 and risk ratio 1.33, CI 0.80 to 2.20."""
    difference = mantel_haenszel_difference(TOLBUTAMIDE)
    ratio = mantel_haenszel_ratio(TOLBUTAMIDE)

    assert difference.estimate == pytest.approx(0.035, abs=0.001)
    assert 1 + ratio.estimate == pytest.approx(1.33, abs=0.005)
    assert (1 + ratio.low, 1 + ratio.high) == pytest.approx((0.80, 2.20), abs=0.005)


def test_satos_variance_meets_the_large_stratum_one():
    """In a few large strata it agrees with Greenland and Robins' binomial variance."""
    big = [(arm(500, 12_000), arm(800, 10_600)), (arm(1600, 8500), arm(2200, 9800))]
    effect = mantel_haenszel_difference(big)
    weight = variance = 0.0
    for control, treatment in big:
        n = control.n + treatment.n
        w = control.n * treatment.n / n
        rates = control.mean, treatment.mean
        weight += w
        variance += w**2 * sum(
            p * (1 - p) / m for p, m in zip(rates, (control.n, treatment.n), strict=True)
        )

    width = (effect.high - effect.low) / 2 / stats.norm.isf(0.025)
    assert width == pytest.approx(variance**0.5 / weight, rel=0.01)


def test_one_stratum_is_the_plain_difference_and_ratio():
    """With nothing to pool, the estimates are those of the 2x2 table."""
    effect = mantel_haenszel_ratio([(arm(10, 100), arm(20, 100))])
    error = (1 / 20 - 1 / 100 + 1 / 10 - 1 / 100) ** 0.5

    assert effect.estimate == pytest.approx(1.0)
    assert np.log1p(effect.high) - np.log(2) == pytest.approx(stats.norm.isf(0.025) * error)


@given(strata)
def test_the_test_is_cochran_mantel_and_haenszels(tables):
    """Agrees with statsmodels without continuity correction; the ratio does too."""
    held = [t for t in tables if t[0] + t[2] and t[1] + t[3]]
    assume(any(a + b for a, b, _, _ in held) and any(c + d for _, _, c, d in held))
    effect = mantel_haenszel_difference(as_strata(tables))
    theirs = StratifiedTable([np.array([[a, c], [b, d]], float) for b, a, d, c in held])
    with np.errstate(all="ignore"):
        p_value = theirs.test_null_odds(correction=False).pvalue

    if np.isfinite(p_value):
        assert effect.p_value == pytest.approx(p_value, abs=1e-8)
    ratio = mantel_haenszel_ratio(as_strata(tables))
    if not isinstance(ratio, Undecided):
        assert 1 + ratio.estimate == pytest.approx(theirs.riskratio_pooled)


@given(strata)
def test_swapping_the_arms_flips_the_sign(tables):
    """Differences change sign, ratios invert."""
    ahead = mantel_haenszel_difference(as_strata(tables))
    behind = mantel_haenszel_difference([(t, c) for c, t in as_strata(tables)])
    assume(not isinstance(ahead, Undecided))

    assert ahead.estimate == pytest.approx(-behind.estimate, abs=1e-12)
    assert ahead.low == pytest.approx(-behind.high, abs=1e-9)
    up = mantel_haenszel_ratio(as_strata(tables))
    if not isinstance(up, Undecided):
        down = mantel_haenszel_ratio([(t, c) for c, t in as_strata(tables)])
        assert (1 + up.estimate) * (1 + down.estimate) == pytest.approx(1)


def test_simpsons_paradox_is_avoided():
    """Better on each day, though the ramp makes the totals say worse."""
    days = [(arm(90, 900), arm(9, 100)), (arm(50, 100), arm(405, 900))]
    total = sum(t.total for _, t in days) / 1000 - sum(c.total for c, _ in days) / 1000

    assert total > 0
    assert mantel_haenszel_difference(days).estimate < 0
    assert mantel_haenszel_ratio(days).estimate == pytest.approx(-0.1)


def test_strata_that_say_nothing():
    """No arm to compare with, no events, only events, events in one arm."""
    none = Summary()

    assert isinstance(mantel_haenszel_difference([]), Undecided)
    assert isinstance(mantel_haenszel_difference([(arm(1, 9), none)]), Undecided)
    assert isinstance(mantel_haenszel_difference([(arm(0, 9), arm(0, 9))]), Undecided)
    assert isinstance(mantel_haenszel_difference([(arm(9, 9), arm(9, 9))]), Undecided)
    assert isinstance(mantel_haenszel_ratio([(arm(0, 9), arm(3, 9))]), Undecided)
    assert mantel_haenszel_difference([(arm(0, 9), arm(3, 9))]).estimate == pytest.approx(1 / 3)
    for broken in (arm(10, 9), Summary(9, 1.5, 1.5), Summary(9, -1, 1)):
        with pytest.raises(ValueError, match="strata"):
            mantel_haenszel_difference([(arm(1, 9), broken)])


def test_a_billion_units_are_pooled():
    """Within float precision of the plain difference."""
    n = 10**9
    effect = mantel_haenszel_difference([(arm(500_000, n), arm(501_000, n))])

    assert effect.estimate == pytest.approx(1e-6)
    assert effect.p_value == pytest.approx(2 * stats.norm.sf(1000 / 1_001_000**0.5), rel=0.01)


def test_the_eight_schools_pooled():
    """Gelman et al., "Bayesian Data Analysis", section 5.5: 7.7 with variance 16.6."""
    schools = zip([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18], strict=True)
    effect = inverse_variance([Estimate("", v, e) for v, e in schools])

    assert effect.estimate == pytest.approx(7.7, abs=0.05)
    assert effect.high - effect.estimate == pytest.approx(1.96 * 16.6**0.5, abs=0.05)


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 30)), min_size=2, max_size=9),
    st.sampled_from([1e-9, 1.0, 1e9]),
)
def test_inverse_variance_agrees_with_statsmodels(pairs, times):
    """The fixed-effect mean and its error, at any scale."""
    assume(len({v for v, _ in pairs}) > 1)  # theirs divides by Q
    held = [Estimate(str(i), v * times, e * times) for i, (v, e) in enumerate(pairs)]
    effect = inverse_variance(held)
    theirs = combine_effects(
        np.array([v for v, _ in pairs], float), np.array([e**2 for _, e in pairs], float)
    )

    assert effect.estimate == pytest.approx(theirs.mean_effect_fe * times, abs=1e-9 * times)
    reach = theirs.sd_eff_w_fe * stats.norm.isf(0.025) * times
    assert effect.high - effect.estimate == pytest.approx(reach, rel=1e-8)


def test_relative_strata_pool_as_logarithms():
    """A doubling and a halving of equal weight make nothing."""
    held = [
        Estimate("a", np.log(2), 0.1, Scale.RELATIVE),
        Estimate("b", -np.log(2), 0.1, Scale.RELATIVE),
    ]

    assert inverse_variance(held).estimate == pytest.approx(0)
    with pytest.raises(ValueError, match="at least 1"):
        inverse_variance([])


@pytest.mark.slow
def test_sparse_strata_cover():
    """Two hundred days of few customers, a drifting base and an uneven ramp."""
    rng, hits, rounds = np.random.default_rng(43), 0, 800
    base = np.linspace(0.1, 0.4, 200)
    n1, n0 = rng.integers(2, 6, 200), rng.integers(2, 12, 200)
    for _ in range(rounds):
        treated, control = rng.binomial(n1, base + 0.05), rng.binomial(n0, base)
        held = [
            (arm(int(c), int(m)), arm(int(t), int(n)))
            for c, m, t, n in zip(control, n0, treated, n1, strict=True)
        ]
        effect = mantel_haenszel_difference(held)
        hits += effect.low <= 0.05 <= effect.high

    assert hits / rounds == pytest.approx(0.95, abs=0.025)
