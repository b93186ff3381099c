"""Harm spent: by hand, its laws, and every way of having no honest number."""

import json
from math import exp, isfinite, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analysis.budget import harm_could_reach, harm_limits, harm_spent, totals
from analysis.gaussian import gaussian_statistic
from analysis.stoploss import Kind, Stratum, to_arms
from tests.analysis.test_stoploss import binary_strata, proportions, valued_strata


def spent(strata, kind="proportion", sign=1, alpha=0.05, **more):
    return harm_spent(strata, kind=kind, sign=sign, alpha=alpha, **more)


def test_by_hand():
    """Two strata of a count, every figure of the definition in plain arithmetic."""
    strata = [Stratum(100, 50, 150, 50, 40, 130), Stratum(200, 90, 260, 150, 100, 300)]
    arms = to_arms(strata, Kind.OTHER)

    x1, x0 = 140, 0.5 * 50 + 0.75 * 90
    nv0 = 100 / 99 * (150 - 2500 / 100) + 200 / 199 * (260 - 8100 / 200)
    nv1 = 50 / 49 * (130 - 1600 / 50) + 150 / 149 * (300 - 10000 / 150)
    pooled = (nv0 + nv1) / 280
    v1 = max(nv1 / 140, pooled)
    v0 = max(nv0 / 140, pooled) * (0.25 * 50 + 0.75**2 * 90) / x0
    found = totals(arms, proportion=False)

    assert float(found.estimate) == pytest.approx(x1 - x0)
    assert float(found.variance) == pytest.approx(v1 * x1 + v0 * x0)

    z = 2.5
    limits = []
    for x, v in ((x1, v1), (x0, v0)):
        h = z * z * v / 2
        reach = sqrt(h * h + 2 * h * x)
        limits.append((x + h - reach, max(x + h + reach, x * exp(min(2, z * sqrt(v / x))))))
    (low1, high1), (low0, high0) = limits
    low, high = harm_limits(found, np.array(z), heavy=True)

    assert float(low) == pytest.approx(x1 - x0 - sqrt((x1 - low1) ** 2 + (high0 - x0) ** 2))
    assert float(high) == pytest.approx(x1 - x0 + sqrt((high1 - x1) ** 2 + (x0 - low0) ** 2))


@settings(max_examples=40)
@given(binary_strata(), st.sampled_from([1, -1]))
def test_proportions_and_their_complement_agree(strata, sign):
    """Customers lost are customers not kept: harm counted either way is the same."""
    turned = [proportions(x.n0, x.n0 - x.s0, x.n1, x.n1 - x.s1) for x in strata]
    events, units = sum(x.s0 + x.s1 for x in strata), sum(x.n0 + x.n1 for x in strata)
    assume(2 * events != units)

    one, other = spent(strata, sign=sign), spent(turned, sign=-sign)
    assume(one.undecided is None and other.undecided is None)

    assert one.estimate == pytest.approx(other.estimate, rel=1e-9, abs=1e-6)
    assert one.low == pytest.approx(other.low, rel=1e-6, abs=1e-6)
    assert one.high == pytest.approx(other.high, rel=1e-6, abs=1e-6)


@settings(max_examples=40)
@given(valued_strata(), st.sampled_from([1, -1]))
def test_the_interval_holds_its_estimate(strata, sign):
    found = spent(strata, "other", sign)
    assume(found.undecided is None)

    assert found.low <= found.estimate <= found.high


@settings(max_examples=40)
@given(valued_strata(), st.floats(0.01, 100))
def test_the_unit_of_money_scales_the_harm(strata, rate):
    scaled = [
        Stratum(x.n0, x.s0 * rate, x.q0 * rate**2, x.n1, x.s1 * rate, x.q1 * rate**2)
        for x in strata
    ]

    one, other = spent(strata, "other"), spent(scaled, "other")
    assume(one.undecided is None and other.undecided is None)

    assert other.estimate == pytest.approx(one.estimate * rate, rel=1e-9, abs=1e-6 * rate)
    assert other.low == pytest.approx(one.low * rate, rel=1e-6, abs=1e-6 * rate)
    assert other.high == pytest.approx(one.high * rate, rel=1e-6, abs=1e-6 * rate)


@settings(max_examples=40)
@given(valued_strata())
def test_the_sign_mirrors(strata):
    """What is harm where more is worse is benefit where less is worse."""
    more, less = spent(strata, "other", 1), spent(strata, "other", -1)
    assume(more.undecided is None)

    assert less.estimate == pytest.approx(-more.estimate)
    assert (less.low, less.high) == pytest.approx((-more.high, -more.low))


def test_states_go_on_exactly_through_json():
    """Limits at the second look are those of a state that was stored in between."""
    first = [proportions(1000, 50, 1000, 60)]
    second = [proportions(2000, 100, 2000, 130)]

    kept = spent(first, planned_information=200)
    again = spent(second, state=kept.state)
    stored = spent(second, state=json.loads(json.dumps(kept.state)))

    assert stored == again


def test_a_look_without_news_is_harmless():
    sums = [proportions(1000, 50, 1000, 60)]
    once = spent(sums, planned_information=200)

    assert spent(sums, state=once.state) == once


def test_more_looks_cost_and_a_plan_gains():
    """The same sums are known less well without a plan, and best at the plan's deadline."""
    sums = [proportions(4000, 200, 4000, 260)]

    planless = spent(sums)
    paced = spent(sums, planned_information=120)
    last = spent(sums, planned_information=120, deadline=True)

    assert planless.bound > paced.bound > last.bound
    assert planless.low < paced.low < last.low


def test_gaussian_harm_by_hand():
    """Each stratum's difference times its treated units, with the form's own variances."""
    strata = [Stratum(100, -20, 300, 50, 40, 200), Stratum(200, 10, 500, 150, 60, 420)]
    found = spent(strata, "gaussian")
    base = gaussian_statistic(strata, sign=1, tolerance=0)

    assert found.estimate == pytest.approx(50 * (0.8 + 0.2) + 150 * (0.4 - 0.05))
    assert found.variance == pytest.approx(
        base.variance0 * (50**2 / 100 + 150**2 / 200) + base.variance1 * 200
    )
    assert found.low < found.estimate < found.high


def test_no_control_events_still_bound_the_harm():
    found = spent([proportions(2000, 0, 2000, 40)])

    assert found.estimate == 40
    assert 0 < found.low < 40 < found.high


@pytest.mark.parametrize(
    ("strata", "kind", "words"),
    [
        ([], "other", "nobody has been counted"),
        ([proportions(100, 0, 100, 0)], "proportion", "no events"),
        ([proportions(100, 1, 100, 2)], "proportion", "3 of the 20"),
        ([Stratum(100, 100, 100, 100, 100, 100)], "other", "same value"),
        ([Stratum(10, 1, 9, 10, 1, 9)], "gaussian", "10 of the 30"),
        (
            [proportions(99, 99, 99, 99), proportions(99, 0, 99, 0)],
            "proportion",
            "all customers are alike",
        ),
    ],
)
def test_too_little_data_is_an_answer(strata, kind, words):
    """There is no number, a reason in words, and the state of the look before is kept."""
    before = {"spending": spent([proportions(1000, 50, 1000, 60)]).state["spending"]}
    found = spent(strata, kind, state=before)

    assert (found.estimate, found.low, found.high) == (None, None, None)
    assert words in found.undecided.reason
    assert found.state == before


@pytest.mark.parametrize(
    ("given_", "name"), [({"alpha": 0}, "alpha"), ({"sign": 3}, "sign"), ({"kind": "x"}, "x")]
)
def test_impossible_arguments_are_refused(given_, name):
    with pytest.raises(ValueError, match=name):
        spent([proportions(1000, 50, 1000, 60)], **given_)


def test_a_state_of_another_alpha_is_refused():
    state = spent([proportions(1000, 50, 1000, 60)]).state

    with pytest.raises(ValueError, match="another alpha"):
        spent([proportions(1000, 50, 1000, 60)], alpha=0.01, state=state)


def test_a_billion_units_have_finite_limits():
    found = spent([proportions(10**9, 5 * 10**8, 10**9, 5 * 10**8 + 30_000)])

    assert found.estimate == 30_000
    assert all(isfinite(value) for value in (found.low, found.high))
    assert found.high - found.low < 300_000


def test_the_next_step_is_priced_at_the_worst_not_ruled_out():
    """Twice the customers could cost twice the upper limit; a shown benefit costs nothing more."""
    harmful = spent([proportions(1000, 50, 1000, 60)])
    helpful = spent([proportions(4000, 400, 4000, 200)])

    assert harm_could_reach(harmful, 1000) == pytest.approx(2 * harmful.high)
    assert helpful.high < 0
    assert harm_could_reach(helpful, 1000) == helpful.high
    assert not harm_could_reach(spent([]), 10)
    with pytest.raises(ValueError, match="more_units"):
        harm_could_reach(harmful, -1)
