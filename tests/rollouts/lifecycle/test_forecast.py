"""The forecast of a plan: translation into the statistics' terms, and what comes out of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.effect import Scale, Undecided
from analysis.operating import Plan, Stage, operating_characteristics
from analysis.populations import proportion
from rollouts.accounts.model import Role
from rollouts.errors import Invalid
from rollouts.lifecycle import model
from rollouts.lifecycle.course import LOOKS, Course, Stretch, course
from rollouts.lifecycle.forecast import (
    Baseline,
    forecast_rail,
    population_of,
    stages_of,
    stop_loss_plan,
)
from rollouts.lifecycle.goals import forecast_goal, inflation
from rollouts.lifecycle.model import Variation
from rollouts.lifecycle.plan import Draft
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector, Statistic
from rollouts.tolerances.model import Goal, Guardrail

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def make_draft(**over) -> Draft:
    """A plan with one guardrail and an even split."""
    held = {
        "key": "r",
        "name": "R",
        "hypothesis": "",
        "owner": "o",
        "flag": "f",
        "environment": "production",
        "unit": "id",
        "variations": (Variation("old", "Old", False, 0.5), Variation("new", "New", True, 0.5)),
        "control": "old",
        "ramp": (model.Stage(0.1, DAY), model.Stage(0.5, DAY), model.Stage(1.0, timedelta(0))),
        "goals": (Goal("orders", 0.05),),
        "guardrails": (Guardrail("contacts", 0.2),),
        "planned_units": 20_000,
        "may_override": Role.ADMIN,
    }
    return Draft(**(held | over))


def make_definition(aggregation=Aggregation.ANY, direction=Direction.DOWN, **over) -> Definition:
    """What a metric counts, more of it being worse."""
    return Definition(Selector("event"), aggregation, direction, **over)


def make_course(units: float = 20_000, looks: int = 20) -> Course:
    """All customers in one stage."""
    return Course((Stretch(1.0, units, looks, None),), "planned_units")


def test_stages_take_their_share_of_the_traffic_until_all_have_come():
    """1,000 a day: 100 on the first, 500 on the second, the rest at full share."""
    held = course(make_draft(), customers_per_day=1000, look_seconds=3600, start=START)

    assert [round(item.units) for item in held.stretches] == [100, 500, 19_400]
    assert [item.days for item in held.stretches] == pytest.approx([1, 1, 19.4])
    assert held.ends_by == "planned_units"
    assert held.units == pytest.approx(20_000)
    assert sum(item.looks for item in held.stretches) <= LOOKS + 2 * len(held.stretches)


def test_a_deadline_ends_the_plan_before_all_have_come():
    """What the traffic does not bring by then is not counted on."""
    draft = make_draft(deadline=START + 3 * DAY)

    held = course(draft, customers_per_day=1000, look_seconds=3600, start=START)

    assert held.ends_by == "deadline"
    assert held.days == pytest.approx(3)
    assert held.units == pytest.approx(1600)


def test_a_passed_deadline_leaves_nothing_and_says_so():
    """No stage is reached, and the forecast gives the reason instead of a number."""
    draft = make_draft(deadline=START - DAY)
    held = course(draft, customers_per_day=1000, look_seconds=3600, start=START)

    found = forecast_rail(
        draft, draft.guardrails[0], make_definition(), Baseline(0.1), held, replications=10
    )

    assert held.stretches == ()
    assert found[0].undecided == Undecided("the plan's deadline has passed", "a later deadline")
    goal = forecast_goal(
        draft, draft.goals[0], make_definition(), Baseline(0.1), held, customers_per_day=1000
    )
    assert isinstance(goal.detectable, Undecided)


def test_without_traffic_all_customers_come_in_one_stage():
    """Nobody knows how long a stage is in customers, so no day is told either."""
    held = course(make_draft(), customers_per_day=None, look_seconds=3600, start=START)

    assert held.days is None
    assert [item.units for item in held.stretches] == [20_000]


@given(
    per_day=st.floats(1e-3, 1e10),
    shares=st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=6, unique=True).map(sorted),
    planned=st.integers(100, 10**12),
    hold=st.floats(0, 366),
)
@settings(max_examples=60, deadline=None)
def test_every_course_ends_with_the_planned_customers(per_day, shares, planned, hold):
    """Without a deadline no customer is lost or doubled over the stages; every stage has looks."""
    ramp = tuple(model.Stage(share, hold * DAY) for share in shares)
    draft = make_draft(ramp=ramp, planned_units=planned)

    held = course(draft, customers_per_day=per_day, look_seconds=300, start=START)

    assert held.units == pytest.approx(planned, rel=1e-6)
    assert all(item.looks >= 1 for item in held.stretches)
    for stage in stages_of(draft, held, 0.5, 1.0):
        assert stage.share == 0.5


def test_the_forecast_is_that_of_the_statistics_own_simulation():
    """Same plan by hand, same seed: the same chances to the last digit."""
    draft = make_draft()
    found = forecast_rail(
        draft,
        draft.guardrails[0],
        make_definition(),
        Baseline(0.1),
        make_course(),
        replications=100,
        seed=5,
    )[0]
    by_hand = operating_characteristics(
        Plan(proportion(0.1), 1, 0.2, (Stage(20, 1000),)),
        harms=[0.0, 0.2, 0.2 * 1.5, 0.4, 0.8],
        replications=100,
        seed=5,
    )

    assert not isinstance(by_hand, Undecided)
    assert [item.stopped for item in found.truths] == [row.stopped for row in by_hand]
    assert [item.spent for item in found.truths] == [row.spent for row in by_hand]
    assert found.at(4.0) is found.truths[-1]


def test_more_harm_is_caught_more_often_and_sooner():
    """At the limit at most alpha is withdrawn; four times the limit is caught, early."""
    draft = make_draft()
    found = forecast_rail(
        draft,
        draft.guardrails[0],
        make_definition(Aggregation.COUNT),
        Baseline(0.3, 1.5),
        make_course(),
        replications=300,
    )[0]
    stopped = [item.stopped.value for item in found.truths]

    assert stopped == sorted(stopped)
    assert found.truths[1].stopped.low <= 0.05
    assert stopped[-1] > 0.99
    assert found.truths[-1].exposed.value < found.truths[1].exposed.value / 4
    for item in found.truths:
        assert item.stopped.low <= item.stopped.value <= item.stopped.high


def test_alpha_is_divided_over_guardrails_and_versions():
    """Each simulated test has the very part that the plan will lock."""
    draft = make_draft(
        variations=(
            Variation("old", "Old", 0, 0.4),
            Variation("a", "A", 1, 0.3),
            Variation("b", "B", 2, 0.3),
        ),
        guardrails=(Guardrail("contacts", 0.2), Guardrail("refunds", 0.2, weight=4.0)),
    )
    found = forecast_rail(
        draft,
        draft.guardrails[1],
        make_definition(),
        Baseline(0.1),
        make_course(),
        replications=50,
    )

    assert [item.arms for item in found] == [("a", "b")]
    assert found[0].alpha == pytest.approx(0.05 * 0.8 / 2)


def test_versions_of_different_shares_are_forecast_apart():
    """A smaller share needs longer: one answer for both would be wrong for one."""
    draft = make_draft(
        variations=(
            Variation("old", "Old", 0, 0.5),
            Variation("a", "A", 1, 0.4),
            Variation("b", "B", 2, 0.1),
        )
    )
    a, b = forecast_rail(
        draft,
        draft.guardrails[0],
        make_definition(),
        Baseline(0.1),
        make_course(),
        replications=300,
    )

    assert (a.arms, b.arms) == (("a",), ("b",))
    assert a.at(2.0).stopped.value > b.at(2.0).stopped.value


def test_a_control_that_never_reaches_burn_in_is_told_at_planning():
    """A verdict needs events in the smaller arm too: with 20 customers there it never comes."""
    draft = make_draft(
        variations=(Variation("old", "Old", 0, 0.001), Variation("new", "New", 1, 0.999))
    )
    found = forecast_rail(
        draft,
        draft.guardrails[0],
        make_definition(),
        Baseline(0.1),
        make_course(),
        replications=50,
    )[0]

    assert found.truths == ()
    assert "the smaller arm must expect" in found.undecided.reason
    assert "longer plan" in found.undecided.needs


@pytest.mark.parametrize(
    ("definition", "baseline", "reason"),
    [
        (make_definition(), None, "nobody knows its level today"),
        (make_definition(Aggregation.SUM), Baseline(10.0), "how much it scatters"),
        (make_definition(Aggregation.SUM, allow_negative=True), Baseline(1, 1), "can be negative"),
        (
            make_definition(Aggregation.AVERAGE, statistic=Statistic.QUANTILE),
            Baseline(1, 1),
            "quantile is judged by a widened interval",
        ),
        (make_definition(), Baseline(2.0), "share of customers lies below 1"),
        (make_definition(), Baseline(0.9), "cannot rise by as much"),
    ],
)
def test_what_cannot_be_simulated_gives_a_reason_and_what_would_help(definition, baseline, reason):
    """An honest gap instead of a number."""
    draft = make_draft()
    found = forecast_rail(
        draft, draft.guardrails[0], definition, baseline, make_course(), replications=10
    )[0]

    assert reason in found.undecided.reason
    assert found.undecided.needs


def test_a_limit_that_nothing_passes_is_told():
    """A limit in units of its own may be a million times today's level."""
    rail = Guardrail("contacts", 1e6, scale=Scale.ABSOLUTE)
    plan = stop_loss_plan(
        make_draft(), rail, make_definition(), Baseline(0.1), make_course(), 0.05, 0.5
    )

    assert plan == Undecided("the limit is so wide that no harm passes it", "a smaller limit")


def test_many_stages_share_the_looks():
    """Fifty stages are no excuse to simulate for minutes."""
    ramp = tuple(model.Stage((i + 1) / 50, DAY) for i in range(50))
    held = course(make_draft(ramp=ramp), customers_per_day=500, look_seconds=300, start=START)

    assert len(held.stretches) > 40
    assert held.looks <= 2 * LOOKS


def test_an_absolute_limit_is_taken_at_todays_level():
    """0.02 on a level of 0.1 is a fifth."""
    rail = Guardrail("contacts", 0.02, scale=Scale.ABSOLUTE)
    plan = stop_loss_plan(
        make_draft(), rail, make_definition(), Baseline(0.1), make_course(), 0.05, 0.5
    )

    assert plan.tolerance == pytest.approx(0.2)


def test_harm_that_cannot_happen_is_left_out():
    """What falls cannot fall below nothing; a share cannot pass all."""
    draft = make_draft(guardrails=(Guardrail("contacts", 0.3),))
    falling = forecast_rail(
        draft,
        draft.guardrails[0],
        make_definition(direction=Direction.UP),
        Baseline(0.5),
        make_course(),
        replications=20,
    )[0]
    rising = forecast_rail(
        draft,
        draft.guardrails[0],
        make_definition(),
        Baseline(0.6),
        make_course(),
        replications=20,
    )[0]

    assert [item.multiple for item in falling.truths] == [0.0, 1.0, 1.5, 2.0]
    assert [item.multiple for item in rising.truths] == [0.0, 1.0, 1.5, 2.0]


def test_a_ratio_counts_customers_and_not_its_denominator():
    """Four contacts a customer: four times the information, the same number of customers."""
    draft = make_draft()
    definition = make_definition(Aggregation.RATIO, denominator=Selector("contact"))
    one, four = (
        forecast_rail(
            draft,
            draft.guardrails[0],
            definition,
            Baseline(0.3, 1.0, per_unit=per_unit),
            make_course(8000),
            replications=200,
        )[0]
        for per_unit in (1.0, 4.0)
    )

    assert four.at(0.0).exposed.value <= 4000
    assert four.at(0.0).exposed.value == pytest.approx(4000, rel=0.02)
    assert four.at(2.0).stopped.value > one.at(2.0).stopped.value


@given(mean=st.floats(1e-9, 1e12), dispersion=st.floats(1e-9, 1e12))
@settings(max_examples=150, deadline=None)
def test_simulated_customers_have_the_given_level(mean, dispersion):
    """Whatever the level and scatter, without a flood of values: a simulation must stay cheap."""
    for aggregation in (Aggregation.COUNT, Aggregation.SUM):
        held = population_of(make_definition(aggregation), Baseline(mean, dispersion))
        assert held.mean == pytest.approx(mean, rel=1e-4)
        assert len(held.values) <= 200


@pytest.mark.parametrize("name", ["mean", "dispersion", "per_unit"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_level_that_is_none_is_refused(name, value):
    """Zero, negative and endless levels are named."""
    with pytest.raises(Invalid, match=name):
        replace(Baseline(0.5, 1.0), **{name: value})


def test_goals_are_planned_for_looking_as_often_as_one_likes():
    """The customers that find the change are those of one look, times what looking costs."""
    draft = make_draft()
    found = forecast_goal(
        draft,
        draft.goals[0],
        make_definition(direction=Direction.UP),
        Baseline(0.3),
        make_course(looks=30),
        customers_per_day=1000,
    )
    from statsmodels.stats.power import NormalIndPower

    effect = (0.315 - 0.3) / np.sqrt(0.3075 * (1 - 0.3075))
    fixed = NormalIndPower().solve_power(effect, alpha=0.05, power=0.8)

    assert found.size.n_control == pytest.approx(fixed * found.dearer, rel=0.01)
    assert 1.05 < found.dearer < 1.5
    assert found.lasts.total > timedelta(days=20)
    assert found.detectable > 0.05


def test_looking_once_costs_only_the_reserve():
    """One look at the end spends nine tenths of alpha: a few per cent more customers."""
    assert 1.0 < inflation(0.025, 1) < 1.05
    assert inflation(0.025, 1) < inflation(0.025, 10) < inflation(0.025, 100)


@pytest.mark.parametrize("mean", [1e-9, 1e-4, 0.999, 1.0, 50.0, 1e12])
@pytest.mark.parametrize("dispersion", [None, 1e-9, 1.0, 1e12])
@pytest.mark.parametrize("aggregation", [Aggregation.ANY, Aggregation.COUNT, Aggregation.SUM])
def test_absurd_levels_get_an_answer_or_a_reason(mean, dispersion, aggregation):
    """No level makes the simulation fail, be it with a thousand million customers."""
    draft = make_draft()
    found = forecast_rail(
        draft,
        draft.guardrails[0],
        make_definition(aggregation),
        Baseline(mean, dispersion),
        make_course(10**9, looks=5),
        replications=5,
    )[0]
    goal = forecast_goal(
        draft,
        draft.goals[0],
        make_definition(aggregation, Direction.UP),
        Baseline(mean, dispersion),
        make_course(10**9, looks=5),
        customers_per_day=1e-3,
    )

    assert bool(found.truths) != (found.undecided is not None)
    assert isinstance(goal.detectable, Undecided) or goal.detectable > 0
