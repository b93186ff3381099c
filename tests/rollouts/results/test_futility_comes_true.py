"""The chance that a look tells is the chance that comes true, by playing the rest out."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analysis.anytime import anytime_effect
from analysis.stoploss import Kind, Stratum
from rollouts.lifecycle.model import Stage, Variation
from rollouts.lifecycle.plan import Draft
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector
from rollouts.results.futility import futility_shown
from rollouts.results.shown import effects_shown
from rollouts.results.work import Measuring, MetricInPlan, Pace
from rollouts.tolerances.model import Goal

N, DAYS, DAY_NOW = 900, 20, 8
PLAYED = 300
PLANNED = 200.0  # information; it only paces the spending
ORDERS = MetricInPlan(
    "orders", "Orders", 1, Definition(Selector("order"), Aggregation.ANY, Direction.UP)
)


def draft() -> Draft:
    return Draft(
        key="guided",
        name="Guided returns",
        hypothesis="",
        owner="ana",
        flag="guided",
        environment="production",
        unit="id",
        variations=(Variation("control", "", False, 0.5), Variation("new", "", True, 0.5)),
        control="control",
        ramp=(Stage(1.0, timedelta(0)),),
        goals=(Goal("orders", 0.2),),
        guardrails=(),
        deadline=datetime(2026, 5, 29, tzinfo=UTC),
        futility_floor=0.1,
    )


def at_day_eight() -> Measuring:
    pace = Pace(2 * N, 4000, 2 * N, timedelta(days=DAY_NOW), timedelta(days=DAYS - DAY_NOW))
    return Measuring(
        draft=draft(),
        metrics={"orders": ORDERS},
        counted={},
        last_event_at={},
        shares_by_stratum={},
        is_deadline=False,
        pace=pace,
        units=lambda _: {},
        asked=lambda metric: {},
        matured=lambda _: pytest.fail("not asked"),
        before=lambda _: {},
        crossed=dict,
        by_day=dict,
        by_strata=lambda _: {},
        lately=lambda _: pytest.fail("not asked"),
        extremes=lambda _: {},
    )


@pytest.mark.parametrize("new_events", [262, 276])
def test_the_chance_told_comes_true(new_events: int):
    """Control at 30 %; if the truth is +20 %, so many of the plays end in a goal that is shown."""
    held = (N, 270, 270, N, new_events, new_events)
    relative, absolute, state = anytime_effect(
        [Stratum(*held)], kind=Kind.PROPORTION, alpha=0.05, planned_information=PLANNED
    )
    shown = {
        **effects_shown(relative, absolute),
        "control": {"mean": 0.3, "n": N},
        "treatment": {"n": N},
    }

    told = futility_shown(at_day_eight(), Goal("orders", 0.2), ORDERS, shown, state)

    assert told is not None
    rng = np.random.default_rng(4)
    more = round(N / DAY_NOW * (DAYS - DAY_NOW))
    won = 0
    for _ in range(PLAYED):
        x0, x1 = 270 + rng.binomial(more, 0.3), new_events + rng.binomial(more, 0.36)
        last = Stratum(N + more, x0, x0, N + more, x1, x1)
        effect, _, _ = anytime_effect(
            [last],
            kind=Kind.PROPORTION,
            alpha=0.05,
            state=state,
            deadline=True,
            planned_information=PLANNED,
        )
        won += getattr(effect, "low", -1.0) > 0
    error = 3 * np.sqrt(0.25 / PLAYED)
    assert told["at_worthwhile"] == pytest.approx(won / PLAYED, abs=error)
