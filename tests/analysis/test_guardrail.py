"""One guardrail at a look: the three findings, the picture that agrees, and the state."""

import json
from math import exp, isfinite, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.effect import Finding, Scale, Undecided
from analysis.guardrail import Rule, look
from analysis.stoploss import Kind, Stratum
from tests.analysis.test_stoploss import binary_strata, proportions, valued_strata

CONTACTS = Rule(Kind.PROPORTION, 1, 0.1, planned_information=100)
SALES = Rule(Kind.PROPORTION, -1, 0.1, planned_information=100)
PROFIT = Rule("gaussian", -1, 0.5, Scale.ABSOLUTE, planned_information=500)


def test_clear_harm_is_shown():
    found = look([proportions(1000, 50, 1000, 100)], CONTACTS)

    assert found.finding is Finding.HARM
    assert found.share_of_boundary > 1
    assert found.relative.low > 0.1


def test_clear_benefit_is_safe():
    found = look([proportions(2000, 200, 2000, 130)], CONTACTS)

    assert found.finding is Finding.SAFE
    assert found.relative.high < 0.1
    assert any("not about today" in note for note in found.notes)


def test_in_between_is_not_yet_known():
    found = look([proportions(1000, 50, 1000, 52)], CONTACTS)

    assert found.finding is Finding.UNKNOWN
    assert 0 <= found.share_of_boundary < 1
    assert "%" in found.reason


def test_fewer_sales_are_harm_where_less_is_worse():
    found = look([proportions(2000, 400, 2000, 250)], SALES)

    assert found.finding is Finding.HARM
    assert found.relative.high < -0.1


def test_lost_profit_is_harm_in_its_own_unit():
    rng = np.random.default_rng(6)
    x, y = rng.normal(1, 3, 400), rng.normal(-0.5, 3, 400)
    sums = Stratum(400, x.sum(), (x**2).sum(), 400, y.sum(), (y**2).sum())

    found = look([sums], PROFIT)

    assert found.finding is Finding.HARM
    assert found.absolute.high < -0.5
    assert isinstance(found.relative, Undecided)
    assert "negative" in found.relative.reason


rules = st.builds(
    Rule,
    kind=st.just(Kind.OTHER),
    sign=st.sampled_from([1, -1]),
    tolerance=st.floats(0, 0.5),
    tolerance_scale=st.sampled_from([Scale.RELATIVE, Scale.ABSOLUTE]),
    alpha=st.sampled_from([0.01, 0.05, 0.1]),
    beta=st.sampled_from([None, 0.02]),
    planned_information=st.one_of(st.none(), st.floats(20, 2000)),
)


@settings(max_examples=40)
@given(valued_strata(), rules, st.booleans())
def test_picture_and_verdict_agree(strata, rule, deadline):
    """The tolerance lies outside the interval, on the side of the verdict, or inside it."""
    found = look(strata, rule, deadline=deadline)
    if found.evidence is None:
        return
    effect = found.relative if rule.tolerance_scale is Scale.RELATIVE else found.absolute
    if isinstance(effect, Undecided):
        return
    near = effect.low if rule.sign > 0 else -effect.high  # in the direction of harm
    far = effect.high if rule.sign > 0 else -effect.low

    if found.finding is Finding.HARM:
        assert near >= rule.tolerance - 1e-9
    elif found.finding is Finding.SAFE:
        assert far <= rule.tolerance + 1e-9
    else:
        assert near - 1e-9 <= rule.tolerance <= far + 1e-9


@settings(max_examples=25)
@given(st.one_of(binary_strata(), valued_strata()), st.sampled_from([1, -1]))
def test_nothing_is_nan_or_infinite(strata, sign):
    """Every figure of a look is finite or absent, and its state is plain JSON."""
    found = look(strata, Rule(Kind.OTHER, sign, 0.2))

    figures = (found.evidence, found.boundary, found.reserve, found.shrunken, found.information)
    assert all(value is None or isfinite(value) for value in figures)
    assert json.loads(json.dumps(found.state, allow_nan=False)) == found.state


def test_looks_go_on_through_json():
    """The state may be stored between looks without changing a digit."""
    grown = [[proportions(500 * k, 25 * k, 500 * k, 33 * k)] for k in range(1, 6)]
    kept = stored = None
    for sums in grown:
        kept = look(sums, CONTACTS, kept and kept.state)
        stored = look(sums, CONTACTS, stored and json.loads(json.dumps(stored.state)))

        assert stored == kept


def test_the_same_sums_again_change_nothing():
    first = look([proportions(500, 25, 500, 33)], CONTACTS)
    second = look([proportions(1000, 50, 1000, 66)], CONTACTS, first.state)

    assert look([proportions(1000, 50, 1000, 66)], CONTACTS, second.state) == second


def test_the_deadline_may_be_looked_at_twice():
    """The last look's verdict stays when it is taken again on the same sums."""
    sums = [proportions(1000, 50, 1000, 80)]
    last = look(sums, CONTACTS, deadline=True)

    assert look(sums, CONTACTS, last.state, deadline=True) == last
    assert look(sums, CONTACTS, last.state) == last


def test_past_the_deadline_only_the_reserve_decides():
    last = look([proportions(1000, 50, 1000, 60)], CONTACTS, deadline=True)
    after = look([proportions(2000, 100, 2000, 120)], CONTACTS, last.state)

    assert after.boundary is None
    assert after.reserve is not None
    assert any("deadline" in note for note in after.notes)


def test_removed_customers_are_said():
    before = look([proportions(1000, 50, 1000, 60)], CONTACTS)
    after = look([proportions(800, 40, 800, 48)], CONTACTS, before.state)

    assert after.boundary is None
    assert any("less to go by" in note for note in after.notes)


def test_before_the_burn_in_nothing_is_spent():
    """Nine events are not enough: no figures, a reason, and a state that is still empty."""
    found = look([proportions(500, 4, 500, 5)], CONTACTS)

    assert found.finding is Finding.UNKNOWN
    assert found.reason == "9 of the 20 events a verdict needs"
    assert found.evidence is None
    assert isinstance(found.relative, Undecided)
    assert isinstance(found.absolute, Undecided)
    assert found.state == {}


def test_harm_against_an_eventless_control():
    """Forty against none: harm is shown though no percentage of nothing exists."""
    found = look([proportions(2000, 0, 2000, 40)], CONTACTS)

    assert found.finding is Finding.HARM
    assert isinstance(found.relative, Undecided)
    assert "control has had no events" in found.relative.reason
    assert found.absolute.low > 0
    assert found.shrunken is None


def test_the_shrunken_estimate_lies_between_tolerance_and_estimate():
    found = look([proportions(1000, 50, 1000, 100)], CONTACTS)

    kept = found.information / (found.information + 3)
    expected = exp(log(1.1) + (log(1 + found.relative.estimate) - log(1.1)) * kept) - 1
    assert found.shrunken == pytest.approx(expected)
    assert 0.1 < found.shrunken < found.relative.estimate


def test_one_heavy_customer_is_said():
    sums = Stratum(500, 500, 700, 500, 600, 12_000, peak0=3, peak1=100)

    found = look([sums], Rule(Kind.OTHER, 1, 0.1))

    assert any("One customer makes up" in note for note in found.notes)


@pytest.mark.parametrize(
    ("given_", "name"),
    [
        ({"sign": 0}, "sign"),
        ({"alpha": 0.7}, "alpha"),
        ({"beta": 0.0}, "beta"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"kind": "gaussian"}, "tolerance_scale"),
        ({"sign": -1, "tolerance": 1.2}, "tolerance"),
        ({"kind": "rate"}, "rate"),
    ],
)
def test_impossible_rules_are_refused(given_, name):
    with pytest.raises(ValueError, match=name):
        Rule(**{"kind": Kind.OTHER, "sign": 1, "tolerance": 0.1} | given_)


def test_a_state_of_another_rule_is_refused():
    """Spending cannot change hands: another alpha or plan starts another test."""
    state = look([proportions(1000, 50, 1000, 60)], CONTACTS).state

    with pytest.raises(ValueError, match="state"):
        look([proportions(1000, 50, 1000, 60)], Rule(Kind.PROPORTION, 1, 0.1, alpha=0.01), state)
