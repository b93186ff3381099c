"""A plan's operating characteristics: against exact boundaries, in time, in plain refusals."""

import time

import numpy as np
import pytest

from analysis.effect import Undecided
from analysis.operating import (
    Plan,
    Stage,
    bounds,
    expected_share,
    never_ready,
    operating_characteristics,
    planned_information,
    simulate,
    stopping_look,
)
from analysis.populations import counts, money, pool, proportion
from analysis.spending import Pace, Spending
from analysis.stoploss import Stratum, share_statistic

SMALL = Plan(proportion(0.05), 1, 0.25, (Stage(15, 100, 0.2), Stage(15, 300, 0.5)))


def test_simulated_looks_are_the_statistic():
    """One replication's last look equals the statistic of one look at its sums."""
    plan = Plan(counts(0.4, 2.0), 1, 0.2, (Stage(3, 200, 0.25), Stage(2, 300, 0.5)))
    paths = simulate(plan, plan.population.scaled(1.3), 3, np.random.default_rng(7))

    rng = np.random.default_rng(7)
    sums = np.zeros((2, 6))
    for stage, (looks, units) in enumerate(((3, (150, 50)), (2, (150, 150)))):
        for _ in range(looks):
            for arm, population in enumerate((plan.population, plan.population.scaled(1.3))):
                s, q = population.draw(rng, np.full(3, units[arm]))
                sums[stage, 3 * arm : 3 * arm + 3] += units[arm], s[1], q[1]
    found = share_statistic([Stratum(*row) for row in sums], kind="other", sign=1, tolerance=0.2)

    assert paths.r[-1, 1] == pytest.approx(found.r, rel=1e-12)
    assert paths.information[-1, 1] == pytest.approx(found.information, rel=1e-12)
    assert paths.exposed[-1] == 450


def test_shared_boundaries_are_near_each_ones_own():
    """Replications share a few boundaries; nearly all stop where their own would stop them."""
    paths = simulate(SMALL, proportion(0.09), 150, np.random.default_rng(1))
    planned = planned_information(SMALL)
    shared = stopping_look(paths, alpha=0.05, planned=planned)
    own = np.array([_own_stop(paths, i, planned) for i in range(150)])

    assert (np.abs(shared - own) <= 1).mean() > 0.93
    assert shared.mean() == pytest.approx(own.mean(), abs=0.5)


def _own_stop(paths, i, planned):
    spending = Spending(0.05, planned, pace=Pace.SOONER)
    for look in range(len(paths.r)):
        if paths.ready[look, i]:
            last = look + 1 == len(paths.r)
            spending = spending.advance(float(paths.information[look, i]), deadline=last)
            if paths.r[look, i] > spending.bound:
                return look
    return len(paths.r)


def test_nothing_stops_before_a_verdict_may_be_taken():
    ready = np.zeros((3, 2), dtype=bool)
    ready[2, 1] = True

    found = bounds(np.full((3, 2), 10.0), ready, alpha=0.05, planned=20)

    assert np.isinf(found[:, 0]).all()
    assert np.isfinite(found[2, 1])


def test_more_harm_is_caught_more_and_sooner():
    """Caught rises and exposure falls with the harm; the false-stop rate stays below alpha."""
    rows = operating_characteristics(SMALL, replications=600, seed=3)
    rates = [row.stopped.value for row in rows]
    exposed = [row.exposed.value for row in rows]

    assert rates[0] <= 0.05 + 3 * 0.009
    assert rates == sorted(rates)
    assert exposed == sorted(exposed, reverse=True)
    for row in rows:
        assert row.stopped.low <= row.stopped.value <= row.stopped.high
        assert row.spent.value == pytest.approx(row.exposed.value * 0.05 * row.harm, rel=1e-6)


def test_harm_may_be_a_shortfall():
    plan = Plan(money(10, 0.3, 0.8), -1, 0.2, (Stage(20, 1000),))
    rows = operating_characteristics(plan, harms=[0.0, 0.5], replications=200)

    assert rows[0].spent.value == pytest.approx(0, abs=1e-6)
    assert rows[1].stopped.value > 0.9
    assert rows[1].spent.value > 0


def test_two_thousand_rollouts_of_a_hundred_looks_take_seconds():
    """The plan page can show it: under five seconds of processor time for all four harms."""
    plan = Plan(proportion(0.05), 1, 0.25, (Stage(25, 200, 0.1), Stage(75, 300, 0.5)))
    began = time.process_time()

    rows = operating_characteristics(plan, replications=2000)

    assert len(rows) == 4
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(proportion(0.001), 1, 0.2, (Stage(10, 100),)), "of the 20 independent events"),
        (Plan(proportion(0.02), 1, 0.2, (Stage(20, 500, 0.01),)), "smaller arm must expect"),
        (Plan(proportion(0.999), -1, 0.02, (Stage(20, 100),)), "customers without the event"),
    ],
)
def test_a_plan_that_can_never_decide_says_so(plan, words):
    """A control too rare for any verdict is told at planning, not after weeks."""
    assert words in never_ready(plan).reason
    assert isinstance(operating_characteristics(plan), Undecided)


def test_expected_information_is_what_arrives():
    """The plan's information is the mean of simulated rollouts without harm."""
    paths = simulate(SMALL, SMALL.population, 300, np.random.default_rng(5))

    assert float(expected_share(SMALL).information) == pytest.approx(
        paths.information[-1].mean(), rel=0.03
    )


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Stage(0, 10), "looks"),
        (lambda: Stage(1, 10, 1.0), "share"),
        (lambda: Plan(proportion(0.1), 1, 0.1, ()), "stages"),
        (lambda: Plan(pool([-1, 1]), 1, 0.1, (Stage(1, 10),)), "population"),
        (lambda: operating_characteristics(SMALL, replications=1), "replications"),
        (
            lambda: operating_characteristics(Plan(proportion(0.1), 1, 0.0, (Stage(9, 999),))),
            "harms",
        ),
    ],
)
def test_impossible_plans_are_refused(call, name):
    with pytest.raises(ValueError, match=name):
        call()
