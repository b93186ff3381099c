"""The share statistic: independent computations, laws, limits of what it may say."""

from fractions import Fraction
from math import inf, isfinite, log, log1p, nan, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq

from analysis.share import Arms, signed_root
from analysis.stoploss import (
    Kind,
    Stratum,
    observed_ratio,
    share_statistic,
    to_arms,
    tolerated_ratio,
)


def proportions(n0, s0, n1, s1):
    return Stratum(n0, s0, s0, n1, s1, s1)


def shared(strata, kind=Kind.PROPORTION, sign=1, tolerance=0.1, side="harm"):
    return share_statistic(strata, kind=kind, sign=sign, tolerance=tolerance, side=side)


@st.composite
def binary_strata(draw):
    strata = []
    for _ in range(draw(st.integers(1, 4))):
        n0, n1 = draw(st.integers(50, 5000)), draw(st.integers(50, 5000))
        strata.append(proportions(n0, draw(st.integers(0, n0)), n1, draw(st.integers(0, n1))))
    return strata


@st.composite
def valued_strata(draw):
    strata = []
    for _ in range(draw(st.integers(1, 4))):
        sums = []
        for _ in range(2):
            n = draw(st.integers(50, 5000))
            mean = draw(st.floats(0.05, 20))
            deviation = draw(st.floats(0.1, 3)) * mean
            s = n * mean
            sums += [n, s, s * mean + (n - 1) * deviation**2]
        strata.append(Stratum(*sums))
    return strata


tolerances = st.floats(0.0, 0.6)
signs = st.sampled_from([1, -1])


def by_hand(strata, sign, tolerance, side):
    """The proportion statistic again, summed in plain Python, with a general root finder."""
    c = 1 + sign * tolerance
    rows = [(x.n0, x.n1, x.s0 + x.s1, c * x.n1 / (x.n0 + c * x.n1)) for x in strata]
    total = sum(t for _, _, t, _ in rows)
    seen = sum(x.s1 for x in strata) + (-sign if side == "harm" else sign) / 4
    seen = min(max(seen, 0), total)

    def miss(u):
        return sum(t * q * np.exp(u) / (1 + q * np.expm1(u)) for _, _, t, q in rows) - seen

    if seen == 0:
        root = -sqrt(-2 * sum(t * log1p(-q) for _, _, t, q in rows))
    elif seen == total:
        root = sqrt(-2 * sum(t * log(q) for _, _, t, q in rows))
    else:
        u = brentq(miss, -9.2, 9.2, xtol=1e-15)
        square = 2 * (seen * u - sum(t * log1p(q * np.expm1(u)) for _, _, t, q in rows))
        root = np.sign(u) * sqrt(max(square, 0))
    weight = sum(t * q * (1 - q) for _, _, t, q in rows)
    w = sum(t * q * (1 - q) ** 2 for _, _, t, q in rows) / weight
    rates = [(n0, n1, min(t / (n0 + c * n1), 0.999 / max(1, c))) for n0, n1, t, _ in rows]
    crowd0 = sum(n0 * x * x for n0, _, x in rates) / sum(n0 * x for n0, _, x in rates)
    crowd1 = sum(n1 * (c * x) ** 2 for _, n1, x in rates) / sum(n1 * c * x for _, n1, x in rates)
    phi = w * (1 - crowd1) + (1 - w) * (1 - crowd0)
    information = weight / phi
    r = sign * root / sqrt(phi)
    gamma = sum(t * q * (1 - q) * (1 - 2 * q) for _, _, t, q in rows) / weight / sqrt(information)
    crowding = crowd1 / (1 - crowd1)
    shift = sign * gamma / 6 + sign * crowding * gamma * (min(r * r, 9) - 1) / 6
    return r + shift, information


@given(binary_strata(), signs, tolerances, st.sampled_from(["harm", "safe"]))
def test_agrees_with_a_second_implementation(strata, sign, tolerance, side):
    """Scalars and a general root finder give the same evidence as the array code."""
    assume(sum(x.s0 + x.s1 for x in strata) > 0)
    c = tolerated_ratio(sign, tolerance)
    ratio = observed_ratio(to_arms(strata, Kind.PROPORTION))
    assume(0 < ratio < 5000 and ratio / c > 1 / 5000)

    found = shared(strata, sign=sign, tolerance=tolerance, side=side)
    r, information = by_hand(strata, sign, tolerance, side)

    assert found.r == pytest.approx(r, rel=1e-7, abs=1e-7)
    assert found.information == pytest.approx(information, rel=1e-10)


@given(binary_strata(), signs, tolerances)
def test_swapping_the_arms_flips_the_sign(strata, sign, tolerance):
    """Treatment worse than c is control better than 1/c: the root changes its sign only."""
    c = tolerated_ratio(sign, tolerance)
    arms = to_arms(strata, Kind.PROPORTION)
    swapped = Arms(arms.n1, arms.s1, arms.nv1, arms.n0, arms.s0, arms.nv0, arms.m1, arms.m0)

    there = signed_root(arms, c * arms.n1 / (arms.n0 + c * arms.n1))
    back = signed_root(swapped, arms.n0 / c / (arms.n1 + arms.n0 / c))

    assert float(there) == pytest.approx(-float(back), rel=1e-6, abs=1e-5)


@given(valued_strata(), tolerances)
def test_swapped_arms_carry_opposite_evidence(strata, tolerance):
    """Harm of a treatment that has more is the mirror of a treatment that has less."""
    mirrored = [Stratum(x.n1, x.s1, x.q1, x.n0, x.s0, x.q0) for x in strata]

    there = shared(strata, Kind.OTHER, 1, tolerance)
    back = shared(mirrored, Kind.OTHER, -1, 1 - 1 / (1 + tolerance))

    assert there.r == pytest.approx(back.r, rel=1e-6, abs=1e-6)
    assert there.information == pytest.approx(back.information, rel=1e-9)


@given(valued_strata(), signs, tolerances, st.randoms())
def test_the_order_of_strata_does_not_matter(strata, sign, tolerance, random):
    """Stretches of allocation may be listed in any order."""
    shuffled = random.sample(strata, len(strata))

    one = shared(strata, Kind.OTHER, sign, tolerance)
    other = shared(shuffled, Kind.OTHER, sign, tolerance)

    assert one.r == pytest.approx(other.r, rel=1e-9, abs=1e-7)
    assert one.information == pytest.approx(other.information, rel=1e-12)


@given(valued_strata(), signs, tolerances, st.floats(1e-3, 1e6))
def test_the_unit_of_money_does_not_matter(strata, sign, tolerance, rate):
    """Euros or cents: evidence, information and burn-in stay."""
    scaled = [
        Stratum(x.n0, x.s0 * rate, x.q0 * rate**2, x.n1, x.s1 * rate, x.q1 * rate**2)
        for x in strata
    ]

    one = shared(strata, Kind.OTHER, sign, tolerance)
    other = shared(scaled, Kind.OTHER, sign, tolerance)

    assert one.r == pytest.approx(other.r, rel=1e-6, abs=1e-6)
    assert one.information == pytest.approx(other.information, rel=1e-9)
    assert one.effective == pytest.approx(other.effective, rel=1e-9)


@given(st.integers(100, 5000), st.integers(100, 5000), st.data(), signs, tolerances)
def test_more_harm_is_more_evidence(n0, n1, data, sign, tolerance):
    """One more event moved to the worse arm never lowers the evidence, past the burn-in."""
    s0, s1 = data.draw(st.integers(20, n0 // 2)), data.draw(st.integers(20, n1 // 2))
    worse = shared([proportions(n0, s0 - sign, n1, s1 + sign)], sign=sign, tolerance=tolerance)
    before = shared([proportions(n0, s0, n1, s1)], sign=sign, tolerance=tolerance)
    assume(before.ready)

    assert worse.r > before.r


@given(binary_strata(), signs, tolerances)
def test_a_wider_tolerance_leaves_less_evidence(strata, sign, tolerance):
    """What is worse than a wide tolerance is worse than a narrow one."""
    narrow = shared(strata, sign=sign, tolerance=tolerance)
    wide = shared(strata, sign=sign, tolerance=tolerance + 0.1)
    assume(narrow.ready and wide.ready and abs(narrow.r) < 20)

    assert wide.r < narrow.r


def test_an_empty_arm_drops_out():
    """A stratum in which an arm has no units changes nothing."""
    strata = [proportions(1000, 50, 1000, 80)]

    assert shared([*strata, proportions(500, 400, 0, 0)]) == shared(strata)
    assert shared([*strata, proportions(0, 0, 500, 1)]) == shared(strata)


def test_equal_strata_are_as_good_as_one():
    """Cutting a stretch of one allocation and one rate in two keeps evidence and information."""
    whole = shared([proportions(2000, 100, 1000, 80)])
    cut = shared([proportions(1000, 50, 500, 40)] * 2)

    assert cut.r == pytest.approx(whole.r, rel=1e-9)
    assert cut.information == pytest.approx(whole.information, rel=1e-12)


def test_no_events_in_control_still_shows_harm():
    """Zeros are no obstacle: forty events against none are harm beyond any boundary."""
    found = shared([proportions(2000, 0, 2000, 40)])

    assert found.ready
    assert found.r > 5


def test_no_events_in_treatment_is_evidence_against_harm():
    found = shared([proportions(2000, 40, 2000, 0)])

    assert found.ready
    assert found.r < -5


def test_a_billion_units_lose_no_precision():
    """Evidence from sums of 10^9 units equals that from exact rational arithmetic."""
    n, s0, s1 = 10**9, 500_000_000, 500_030_000
    found = shared([proportions(n, s0, n, s1)], tolerance=0.0)

    # One stratum at an even split: the root is twice the divergence of the seen share from 1/2.
    total, seen = s0 + s1, Fraction(s1) - Fraction(1, 4)
    p = seen / total
    gap = float(2 * p - 1)  # exact until here, and small: ln(1 ± gap) has its own series
    square = total * ((1 + gap) * log1p(gap) + (1 - gap) * log1p(-gap))
    exact = sqrt(total * gap**2 * (1 + gap**2 / 6))
    x = Fraction(total, 2 * n)
    phi = float(1 - x)
    assert exact == pytest.approx(sqrt(square), rel=1e-4)
    assert found.phi == pytest.approx(phi, rel=1e-14)
    assert found.r == pytest.approx(exact / sqrt(phi), rel=1e-9)


def test_a_billion_amounts_keep_their_variance():
    """Values near 1,000 with a deviation of 1: the squares' difference keeps its digits."""
    n, mean = 10**9, 1000
    s, q = n * mean, n * mean**2 + (n - 1)
    found = shared([Stratum(n, s, q, n, s, q)], Kind.OTHER, tolerance=0.0)

    assert found.phi == pytest.approx(1 / mean, rel=1e-8)


def test_cluster_variances_come_ready():
    """A ratio with each unit as its own denominator equals the plain metric."""
    rng = np.random.default_rng(5)
    x0, x1 = rng.poisson(2, 300), rng.poisson(3, 400)
    plain = Stratum(300, x0.sum(), (x0**2).sum(), 400, x1.sum(), (x1**2).sum())
    ready = Stratum(
        300, x0.sum(), 0, 400, x1.sum(), 0,
        nv0=300 * x0.var(ddof=1), nv1=400 * x1.var(ddof=1), m0=300, m1=400,
    )  # fmt: skip

    assert shared([ready], Kind.OTHER).r == pytest.approx(shared([plain], Kind.OTHER).r, rel=1e-12)


@pytest.mark.parametrize(
    ("strata", "kind", "words"),
    [
        ([], "proportion", "nobody has been counted"),
        ([Stratum(0, 0, 0, 0, 0, 0)], "other", "nobody has been counted"),
        ([proportions(10, 1, 0, 0)], "proportion", "nobody is in the treatment"),
        ([proportions(0, 0, 10, 1)], "proportion", "nobody is in the control"),
        ([proportions(5, 1, 0, 0), proportions(0, 0, 5, 1)], "proportion", "at the same time"),
        ([proportions(1, 1, 1, 1)], "proportion", "only one customer"),
        ([proportions(500, 0, 500, 0)], "proportion", "no events"),
        ([proportions(500, 4, 500, 5)], "proportion", "9 of the 20 events"),
        ([proportions(5000, 30, 100, 2)], "proportion", "0 of the 5 events that the smaller arm"),
        ([proportions(500, 499, 500, 500)], "proportion", "of the 5 customers without"),
        ([Stratum(500, 500, 500, 500, 500, 500)], "other", "every customer has the same value"),
        ([Stratum(500, -5, 50, 500, 5, 50)], "other", "below zero"),
        ([Stratum(50, 20, 0, 50, 20, 0, 9, 9, 5, 5)], "other", "5 of the 10 randomised units"),
    ],
)
def test_too_little_data_is_an_answer(strata, kind, words):
    """Every way of not having enough says so in plain words, and names what would help."""
    found = shared(strata, kind)

    assert not found.ready
    assert words in found.reason
    assert found.needs
    assert all(isfinite(x) for x in (found.r, found.phi, found.information, found.effective))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"n0": -1}, "n0"),
        ({"s1": nan}, "s1"),
        ({"q0": inf}, "q0"),
        ({"s0": 101}, "s0"),
        ({"s1": -1}, "s1"),
        ({"n1": 1e200}, "n1"),
    ],
)
def test_impossible_sums_are_refused_by_name(change, name):
    sums = {"n0": 100, "s0": 10, "q0": 10, "n1": 100, "s1": 10, "q1": 10} | change

    with pytest.raises(ValueError, match=name):
        shared([Stratum(**sums)])


@pytest.mark.parametrize(
    ("given_", "name"),
    [
        ({"sign": 0}, "sign"),
        ({"tolerance": nan}, "tolerance"),
        ({"sign": -1, "tolerance": 1.0}, "tolerance"),
        ({"side": "both"}, "side"),
        ({"kind": "ratio"}, "ratio"),
    ],
)
def test_impossible_arguments_are_refused_by_name(given_, name):
    with pytest.raises(ValueError, match=name):
        shared([proportions(100, 10, 100, 10)], **given_)


def test_squares_below_the_mean_square_are_refused():
    """No values have such sums, so a mistake is not taken for a lack of spread."""
    with pytest.raises(ValueError, match="q1"):
        shared([Stratum(10, 10, 20, 10, 10, 5)], Kind.OTHER)


@given(
    st.lists(
        st.tuples(*(st.sampled_from([0, 1, 2, 3, 1e-9, 7, 1e3, 1e9]) for _ in range(6))),
        max_size=3,
    ),
    signs,
    st.sampled_from(["proportion", "other"]),
)
def test_no_sums_bring_nan_infinity_or_a_warning(rows, sign, kind):
    """Whatever the sums, the answer is numbers and words, or a refusal that names an argument."""
    try:
        found = shared([Stratum(*row) for row in rows], kind, sign, 0.2)
    except ValueError:
        return
    assert all(
        isfinite(value)
        for value in (found.r, found.phi, found.information, found.effective, found.min_arm)
    )
    assert found.ready == (found.reason == "")
