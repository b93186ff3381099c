"""What would settle it: the forecast comes true when what was seen so far goes on."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from analysis.guardrail import Rule, look
from analysis.mean import difference
from analysis.sequence import always_valid
from analysis.spending import Spending
from analysis.stoploss import Stratum
from analysis.summary import Summary
from rollouts.results.settles import growth_needed, rail_settles, rounded, sequence_growth
from rollouts.results.work import Pace
from rollouts.runtime import Runtime
from tests.rollouts.results.timeline import Timeline, every, found, named

RULE = Rule("proportion", 1, 0.1, planned_information=120)


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    return Timeline(api, parts)


def come(story: Timeline, n: int, start: int, rates: tuple[float, float]) -> None:
    for arm, rate in zip(("control", "new"), rates, strict=True):
        units = named(arm, n, start)
        story.expose(units, arm)
        story.happen(every(units, rate), "contact")


@pytest.mark.parametrize(
    ("rates", "margin", "finding"),
    [((0.3, 0.26), 0.3, "safe"), ((0.2, 0.32), 0.2, "harm")],
)
def test_as_many_more_customers_do_settle_it(
    story: Timeline, rates: tuple[float, float], margin: float, finding: str
):
    """The number is kept: with a fifth more than it says at hand, the finding is there."""
    story.launch(
        guardrails=[{"metric": "contacts", "margin": margin, "action": "warn"}], planned_units=3000
    )
    story.move(minutes=5)
    come(story, 160, 0, rates)
    story.move(hours=4)
    body = story.look()

    item = found(body, "contacts")
    assert item["finding"] == "unknown", item
    held = item["settles"]
    assert held["towards"] == finding
    assert item["needs"] == f"about {held['customers']:,} more customers"
    assert held["days"] == pytest.approx(held["customers"] / (320 * 6), rel=0.01)
    sentence = body["verdict"]["sentence"]
    assert f"About {held['customers']:,} more customers would settle it" in sentence
    assert "at 100\u00a0%." in sentence

    story.move(hours=5)
    come(story, int(held["customers"] * 1.2 / 2), 160, rates)
    after = found(story.look(), "contacts")
    assert after["finding"] == finding
    assert after["settles"] is None


def test_what_lies_at_the_limit_cannot_be_foreseen(story: Timeline):
    """An honest answer names no number."""
    story.launch(guardrails=[{"metric": "contacts", "margin": 0.25, "action": "warn"}])
    story.move(minutes=5)
    come(story, 200, 0, (0.2, 0.25))

    body = story.look()

    item = found(body, "contacts")
    assert item["settles"]["customers"] is None
    assert "too close to the limit" in item["needs"]
    assert (
        "What would settle it: more customers than can be foreseen" in body["verdict"]["sentence"]
    )


def test_before_a_first_verdict_the_events_that_it_needs_are_foreseen(story: Timeline):
    """At half the events, as many customers again."""
    story.launch()
    story.move(minutes=5)
    come(story, 40, 0, (0.1, 0.1))

    item = found(story.look(), "contacts")

    assert item["relative"] is None
    assert item["settles"]["customers"] == pytest.approx(100, abs=60)
    assert item["needs"].endswith("more customers for a first verdict")


def test_nobody_yet_needs_somebody(story: Timeline):
    """Nothing can be scaled from nothing."""
    story.launch()

    item = found(story.look(), "orders")

    assert item["finding"] == "nodata"
    assert item["settles"] is None
    assert item["needs"]


def test_growth_is_the_first_at_which_the_boundary_is_crossed():
    """Against the guardrail itself, on sums grown by that much."""
    sums = (700, 66, 66, 700, 97, 97)
    first = look([Stratum(*sums)], RULE)
    assert first.finding.value == "unknown"
    growth = growth_needed(first.evidence, Spending.from_dict(first.state["harm"]))

    assert growth is not None

    def later(times: float) -> str:
        grown = Stratum(*(value * times for value in sums))
        return look([grown], RULE, first.state).finding.value

    assert later(growth * 1.1) == "harm"
    assert later(1 + (growth - 1) * 0.6) == "unknown"


def test_a_sequence_is_foreseen_to_where_its_interval_leaves_the_limit():
    """Against the sequence itself, at the size foreseen."""

    def at(times: float):
        n = round(500 * times)
        control, treatment = Summary(n, n * 2.0, n * 5.0), Summary(n, n * 2.12, n * 5.5)
        return always_valid(difference(control, treatment), planned=4000)

    now = at(1)
    assert now.low < 0
    growth = sequence_growth(now, 0.0, 4000)

    assert growth is not None
    assert at(growth).low > -0.001
    assert at(growth * 0.8).low < 0


def test_no_evidence_has_no_end():
    """Evidence of nothing never arrives, and an impossible look spends nothing."""
    assert growth_needed(0.0, Spending(0.05, 60).advance(30)) is None
    assert growth_needed(2.0, Spending(0.05, 60)) is None
    pace = Pace(10, 100, 10, timedelta(0), None)
    assert rail_settles(None, {}, 10, pace)["customers"] is None
    assert rounded(3.0) == 10


def test_the_pace_is_that_of_the_present_allocation():
    """A ramp's early days say nothing of how fast customers come now."""
    pace = Pace(1000, 5000, 600, timedelta(days=2), timedelta(days=5), growth=2.0)

    assert pace.per_day == 300
    assert pace.end_units == 1000 + 300 * 2 * 5
    assert pace.days_left == 5
    open_ended = Pace(1000, 5000, 600, timedelta(days=2), None)
    assert open_ended.fraction == 0.2
    assert open_ended.days_left == pytest.approx(4000 / 300)
    assert Pace(0, 100, 0, timedelta(0), None).fraction == 0.0
