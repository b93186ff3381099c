"""Alpha spending: the state between looks, the deadline, the reserve, and the level in all."""

import json
from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.spending import PRIMARY, Pace, Spending, reserve_bound

growing = st.lists(st.floats(1.001, 2.0), min_size=1, max_size=6).map(
    lambda steps: list(8 * np.cumprod(steps))
)


paces = pytest.mark.parametrize("pace", list(Pace))


def run(alpha, planned, information, pace):
    spending = Spending(alpha, planned, pace=pace)
    for k, reached in enumerate(information):
        spending = spending.advance(reached, deadline=k + 1 == len(information))
    return spending


@settings(max_examples=30)
@given(growing, st.sampled_from([0.01, 0.05, 0.1]), st.floats(5, 200), st.sampled_from(Pace))
def test_the_deadline_has_spent_nine_tenths(information, alpha, planned, pace):
    """Whatever the looks, all that was planned is spent at the deadline and no more."""
    assert run(alpha, planned, information, pace).spent == pytest.approx(PRIMARY * alpha)


@given(growing, st.floats(5, 200), st.sampled_from(Pace))
def test_alpha_is_spent_steadily_and_never_all_before_the_deadline(information, planned, pace):
    """More information, more spent; and beside the deadline something is always left to spend."""
    spending, before = Spending(0.05, planned, pace=pace), 0.0
    for reached in information:
        spending = spending.advance(reached)

        assert before <= spending.spent < PRIMARY * 0.05
        before = spending.spent


def test_sooner_spends_more_than_the_recipe_before_the_deadline():
    """Of one plan's alpha, at every look on the way after the first."""
    recipe, sooner = Spending(0.05, 300), Spending(0.05, 300, pace=Pace.SOONER)
    for information in (5, 10, 30, 100, 300):
        recipe, sooner = recipe.advance(information), sooner.advance(information)
        if information > 5:
            assert sooner.spent > recipe.spent


def test_states_of_before_there_were_paces_go_on_by_the_recipe():
    """A rollout under way keeps the spending it was locked with."""
    held = Spending(0.05, 60).advance(10).to_dict()
    del held["pace"]

    assert Spending.from_dict(held) == Spending(0.05, 60).advance(10)


@settings(max_examples=30)
@given(growing, st.floats(5, 200), st.sampled_from(Pace))
def test_stored_states_go_on_exactly(information, planned, pace):
    """A state written as JSON and read again gives the same boundaries to the last digit."""
    kept = stored = Spending(0.05, planned, pace=pace)
    for reached in information:
        kept = kept.advance(reached)
        stored = Spending.from_dict(json.loads(json.dumps(stored.to_dict()))).advance(reached)

        assert stored == kept


def test_before_the_first_look_nothing_stops():
    assert Spending(0.05, 60).bound == inf


def test_a_look_without_news_is_harmless():
    """Asking again at the same information changes neither boundary nor what was spent."""
    once = Spending(0.05, 60).advance(10).advance(14)
    again = once.advance(14).advance(14.0005)

    assert (again.boundary, again.spent, again.looks) == (once.boundary, once.spent, 2)
    assert again.advance(20) == once.advance(20)


def test_lost_information_leaves_the_reserve():
    """Where units were removed, the plan's boundary waits until they are regained."""
    shrunk = Spending(0.05, 60).advance(10).advance(14).advance(12)

    assert shrunk.boundary == inf
    assert shrunk.bound == shrunk.reserve < inf


def test_the_deadline_counts_without_news():
    """What is left is spent at the deadline even if nothing happened since the last look."""
    before = Spending(0.05, 60).advance(10).advance(30)
    after = before.advance(30, deadline=True)

    assert after.spent == pytest.approx(0.045)
    assert after.boundary < before.boundary


def test_after_the_deadline_only_the_reserve_is_left():
    over = Spending(0.05, 60).advance(10).advance(60, deadline=True).advance(90)

    assert over.boundary == inf
    assert over.spent == pytest.approx(0.045)
    assert over.bound == over.reserve


def test_the_deadline_may_be_asked_about_twice():
    """A second look at the deadline's sums gives the deadline's verdict again."""
    once = Spending(0.05, 60).advance(10).advance(60, deadline=True)

    assert once.advance(60, deadline=True) == once


def test_without_a_plan_the_reserve_has_all_of_alpha():
    spending = Spending(0.05).advance(10).advance(25)

    assert spending.boundary == inf
    assert spending.reserve == pytest.approx(reserve_bound(0.05, 25, 10))


@paces
@pytest.mark.parametrize("wrong", [0.3, 3.0])
def test_a_wrong_plan_only_paces(wrong, pace):
    """Planned information off by three keeps the sum, and moves boundaries by a few tenths."""
    information = [10, 20, 40, 60]
    right, off = (Spending(0.05, planned, pace=pace) for planned in (60, 60 * wrong))
    for reached in information:
        right, off = right.advance(reached), off.advance(reached)
        if reached < 60:
            assert off.boundary == pytest.approx(right.boundary, abs=0.45)

    assert off.spent <= 0.045


@paces
def test_the_whole_keeps_its_level(pace):
    """Simulated: with no effect, boundary and reserve together stop at most alpha of paths."""
    information = np.array([10.0, 12, 13, 18, 26, 27, 40, 60, 61, 90])
    spending, bounds = Spending(0.05, 50, pace=pace), []
    for k, reached in enumerate(information):
        spending = spending.advance(float(reached), deadline=k == 8)
        bounds.append(spending.bound)
    rng, crossed = np.random.default_rng(3), 0
    for _ in range(10):
        steps = rng.standard_normal((20_000, len(information)))
        paths = np.cumsum(steps * np.sqrt(np.diff(information, prepend=0)), axis=1)
        crossed += int((paths > np.array(bounds) * np.sqrt(information)).any(1).sum())

    assert 0.045 - 3 * sqrt(0.045 / 200_000) < crossed / 200_000 < 0.05


def test_the_reserve_never_ends():
    """Over a thousandfold growth of information the reserve alone stops at most its share."""
    information = np.geomspace(1, 1000, 300)
    bounds = np.array([reserve_bound(0.05, float(t), 10.0) for t in information])
    steps = np.random.default_rng(4).standard_normal((20_000, 300))
    paths = np.cumsum(steps * np.sqrt(np.diff(information, prepend=0)), axis=1)

    assert (paths > bounds * np.sqrt(information)).any(1).mean() < 0.05


@pytest.mark.parametrize("information", [0, -1, nan, inf])
def test_impossible_information_is_refused(information):
    with pytest.raises(ValueError, match="information"):
        Spending(0.05, 60).advance(information)


@pytest.mark.parametrize(
    ("given_", "name"), [((0.0, 60), "alpha"), ((0.6, 60), "alpha"), ((0.05, -1), "planned")]
)
def test_impossible_plans_are_refused(given_, name):
    with pytest.raises(ValueError, match=name):
        Spending(*given_)
