"""Whether a look can be believed: one grade, its reasons, and the lines behind it."""

from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from analysis.quality import State
from rollouts.ingest.model import to_us
from rollouts.ledger import service as ledger
from rollouts.ledger.store import OutcomeRow
from rollouts.results.feeding import MOST_LAGS, feed_checks, remember
from rollouts.results.store import load_states
from rollouts.runtime import Runtime
from tests.rollouts.results.timeline import Timeline, every, found, named

NOW = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
USUAL = {"contacts": [float(seconds) for seconds in range(30, 90)]}


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    return Timeline(api, parts)


def told(story: Timeline, n: int = 200, m: int = 200, **rates: float) -> dict:
    story.launch(guardrails=[{"metric": "contacts", "margin": 0.5, "action": "observe"}])
    story.move(minutes=5)
    for arm, size in (("control", n), ("new", m)):
        units = named(arm, size)
        story.expose(units, arm)
        story.happen(every(units, rates.get(arm, 0.2)), "contact")
        story.happen(every(units, 0.3), "order")
    story.move(minutes=6)
    return story.look()


def line(body: dict, key: str) -> dict:
    return next((item for item in body["quality"] if item["key"] == key), {})


def test_a_sound_rollout_is_strong_evidence(story: Timeline):
    """Randomised, split as planned, nobody lost: every reason is written down."""
    evidence = told(story)["evidence"]

    assert evidence["grade"] == "strong"
    assert evidence["reasons"][0] == "randomised design"
    assert "SRM: customers arrived as the plan set it" in evidence["reasons"]
    assert {item["key"] for item in evidence["checks"]} >= {
        "split",
        "crossed",
        "exposures",
        "untrusted",
        "silent:contacts",
        "silent:orders",
    }
    assert {item["state"] for item in evidence["checks"]} == {"ok"}


def test_a_broken_split_leaves_no_evidence(story: Timeline):
    """Whatever else is fine."""
    body = told(story, 600, 250)

    assert body["evidence"]["grade"] == "none"
    assert body["recommendation"]["outcome"] == "invalid"
    assert "the split" in body["recommendation"]["reasons"][0]


def test_few_customers_are_weak_evidence(story: Timeline):
    """What cannot be looked at yet is unknown, and unknown never counts as fine."""
    evidence = told(story, 4, 4)["evidence"]

    assert evidence["grade"] in ("fair", "weak")
    assert any(item["state"] == "unknown" for item in evidence["checks"])


def test_leaving_one_version_for_the_other_is_seen_by_where_they_came_from(story: Timeline):
    """Sixty left the new page and none the old one: the change itself may drive them."""
    told(story)
    story.expose(named("new", 60), "control")

    body = story.look()

    assert body["units"]["crossed"] == 60
    assert line(body, "crossed")["state"] == "broken"
    assert "unevenly (0 and 60)" in line(body, "crossed")["text"]
    assert body["evidence"]["grade"] == "none"


def test_a_version_without_events_is_asked_about(story: Timeline):
    """A striking effect, or a feed that failed: somebody must look."""
    body = told(story, new=0.0)

    assert line(body, "silent:contacts")["state"] == "warn"
    assert "a feed may have failed" in line(body, "silent:contacts")["text"]
    assert body["evidence"]["grade"] == "fair"


def test_exposures_that_browsers_alone_vouch_for_are_weaker(story: Timeline):
    """Anyone could have sent them."""
    story.launch(guardrails=[{"metric": "contacts", "margin": 0.5, "action": "observe"}])
    story.write_key = story.post("/write-keys", {"name": "shop", "kind": "browser"})["write_key"]
    story.move(minutes=5)
    for arm in ("control", "new"):
        story.expose(named(arm, 50), arm)

    body = story.look()

    assert line(body, "untrusted")["state"] == "warn"
    assert "100\u00a0% of customers" in line(body, "untrusted")["text"]


def test_a_plan_changed_under_way_is_weaker_evidence(story: Timeline):
    """The new plan may have been made to fit what was seen."""
    from tests.factories.story import plan

    told(story)
    body = {key: value for key, value in plan(alpha=0.05).items() if key != "key"}
    body["guardrails"] = [{"metric": "contacts", "margin": 0.6, "action": "observe"}]
    story.post("/rollouts/guided/plan-versions", {**body, "reason": "We can bear more."})

    evidence = story.look()["evidence"]

    assert evidence["grade"] == "fair"
    assert "plan: the plan was changed once after the start" in evidence["reasons"]


def test_scheduled_looks_remember_how_late_feeds_are(story: Timeline):
    """Looks asked for come in bunches, and are no history."""
    told(story)
    story.move(minutes=10)
    story.scheduled_look()
    story.move(minutes=12)
    story.look()

    with story.parts.db.reading() as session:
        lags = load_states(session, 1)[":feeds"]

    assert lags == {"contacts": [300.0], "orders": [300.0]}


def test_a_late_feed_is_told_from_a_usual_one():
    """By its rank among earlier looks; with too little history nothing is said."""
    late = {"contacts": NOW - timedelta(hours=2)}
    usual = {"contacts": NOW - timedelta(seconds=40)}

    def quiet(*_: object) -> None:
        return None

    found_late = feed_checks(late, USUAL, quiet, NOW)["contacts"]
    assert found_late.state is State.WARNING
    assert "2 hours ago, where it was at most 89 seconds at 60 earlier looks" in found_late.reason
    assert feed_checks(usual, USUAL, quiet, NOW)["contacts"].state is State.FINE
    assert feed_checks(late, {"contacts": [30.0] * 10}, quiet, NOW) == {}


def test_a_dead_feed_is_told_from_a_late_one():
    """Where earlier stretches as long had events, silence is no chance."""
    late = {"contacts": NOW - timedelta(hours=2)}

    dead = feed_checks(late, USUAL, lambda *_: [40, 52, 47, 55, 38, 49, 51], NOW)["contacts"]
    rare = feed_checks(late, USUAL, lambda *_: [0, 1, 0, 0, 2, 0, 1], NOW)["contacts"]

    assert "no events at all where about 47 were to be expected" in dead.reason
    assert "looks late" in rare.reason


def test_no_more_history_is_kept_than_is_used():
    """The state of a rollout does not grow with its looks."""
    state: dict = {}
    for minute in range(MOST_LAGS + 20):
        state = remember({"contacts": NOW}, state, NOW + timedelta(minutes=minute))

    assert len(state["contacts"]) == MOST_LAGS
    assert state["contacts"][-1] == (MOST_LAGS + 19) * 60


def test_earlier_stretches_are_counted_as_a_loop_would(db):
    """The same time of earlier days, and just before, on both databases."""
    step = timedelta(minutes=37)
    moments = [NOW - 9 * timedelta(days=1) + step * i for i in range(360)]
    with db.transaction() as session:
        for i, at in enumerate(moments):
            session.add(
                OutcomeRow(
                    unit=i,
                    at_us=to_us(at),
                    environment_id=(0, 1, 2)[i % 3],
                    name="contact" if i % 5 else "order",
                    value=None,
                    channel="",
                    properties="",
                    is_trusted=True,
                )
            )
    mine = [at for i, at in enumerate(moments) if i % 5 and i % 3 != 2]
    length, until = timedelta(hours=3), NOW - timedelta(hours=1)

    def loop(stretches: int, every: timedelta) -> list[int]:
        ends = [until + length - every * (k + 1) for k in range(stretches)]
        return [sum(end - length <= at < end for at in mine) for end in ends]

    with db.reading() as session:
        for stretches, apart in ((7, timedelta(days=1)), (28, length)):
            counts = ledger.volume_before(
                session,
                1,
                {"contact"},
                until=until,
                length=length,
                stretches=stretches,
                every=apart,
            )
            assert counts == loop(stretches, apart)
        beyond = ledger.volume_before(
            session,
            1,
            {"contact"},
            until=until,
            length=length,
            stretches=40,
            every=timedelta(days=1),
        )
    assert beyond is None


def test_a_look_says_what_its_numbers_speak_for(story: Timeline):
    """Shown, and never acted upon."""
    body = told(story)

    assert body["recommendation"]["outcome"] == "undecided"
    assert body["recommendation"]["complete"] is False
    assert story.get("/rollouts/guided")["state"] == "running"
    assert found(body, "contacts")["finding"] == "unknown"
