"""Splits within stages, days and segments; dead feeds; segments against the limit; last days."""

import numpy as np
import pytest
from flask.testing import FlaskClient

from analysis.quality import State
from rollouts.ledger import service as ledger
from rollouts.results.feeding import feed_checks
from rollouts.results.groups import split_checks
from rollouts.runtime import Runtime
from tests.factories.story import contacts, plan, seen
from tests.rollouts.results.test_evidence import NOW, USUAL
from tests.rollouts.results.test_futility_comes_true import at_day_eight
from tests.rollouts.results.timeline import Timeline, every, found, named

RAIL = {"metric": "contacts", "margin": 0.5, "action": "observe"}
RAMP = [{"share": 0.2, "hold_seconds": 60}, {"share": 1}]


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    return Timeline(api, parts)


def line(body: dict, key: str) -> dict:
    return next(item for item in body["quality"] if item["key"] == key)


def meet(
    story: Timeline, units: list[str], arm: str, rollout: str = "guided", **attributes: str
) -> None:
    """Customers meet the change, with what was known of them then."""
    at = story.at.isoformat()
    events = [seen(unit, arm, rollout, timestamp=at) for unit in units]
    story.send([{**e, "properties": {**e["properties"], **attributes}} for e in events])


def test_a_stage_whose_split_broke_is_named_and_holds_the_ramp(story: Timeline):
    """The whole still looks even: one stage lost customers of one version, the other of the other."""
    story.launch(guardrails=[RAIL], ramp=[*RAMP[:1], {"share": 0.5}, {"share": 1}])
    story.move(minutes=5)
    story.expose(named("control", 700), "control")
    story.expose(named("new", 500), "new")
    story.move(minutes=8)
    story.post("/rollouts/guided/advance", {"reason": "go on"})
    story.move(minutes=10)
    story.expose(named("control", 500, 2000), "control")
    story.expose(named("new", 700, 2000), "new")

    body = story.look()

    assert body["srm"]["state"] == "ok"
    assert line(body, "split:stages")["state"] == "broken"
    assert "stretch 1 of the ramp at 20" in line(body, "split:stages")["text"]
    assert body["evidence"]["grade"] == "none"
    assert body["decision"]["action"] == "hold"
    assert "the split is not what was set" in body["decision"]["reasons"][0]
    assert body["verdict"]["kind"] == "held"


def test_a_day_whose_split_broke_is_named(story: Timeline):
    """A morning on which one version's exposures were lost."""
    story.launch(guardrails=[RAIL])
    for day, (n0, n1) in enumerate([(400, 400), (500, 180), (400, 400)]):
        story.move(days=day, minutes=5)
        story.expose(named("control", n0, 1000 * day), "control")
        story.expose(named("new", n1, 1000 * day), "new")

    body = story.look()

    assert line(body, "split:days")["state"] == "broken"
    assert line(body, "split:days")["text"].endswith(
        "on 5 May 2026 (74\u00a0% to 26\u00a0% of 680)"
    )


def test_a_segment_whose_split_broke_is_named(story: Timeline):
    """The app loses half the exposures of the new version; the others are as set."""
    story.launch(guardrails=[RAIL], segments=["channel"])
    story.move(minutes=5)
    for channel, (n0, n1) in {"app": (400, 200), "web": (600, 640)}.items():
        meet(story, [f"c{channel}{i}" for i in range(n0)], "control", channel=channel)
        meet(story, [f"n{channel}{i}" for i in range(n1)], "new", channel=channel)

    body = story.look()

    assert line(body, "split:segment:channel")["state"] == "broken"
    assert "in app (67\u00a0% to 33\u00a0% of 600)" in line(body, "split:segment:channel")["text"]


def test_sound_groups_are_fine_and_few_customers_are_unknown(story: Timeline):
    """Nothing is claimed of two customers."""
    story.launch(guardrails=[RAIL])
    for day in (0, 1):
        story.move(days=day, minutes=5)
        story.expose(named("control", 300, 1000 * day), "control")
        story.expose(named("new", 310, 1000 * day), "new")

    body = story.look()

    assert line(body, "split:days")["state"] == "ok"
    assert "split:stages" not in [item["key"] for item in body["quality"]]


def test_looking_at_many_days_for_long_raises_few_false_alarms():
    """Sound splits, twenty days, every one looked at again each day: hardly ever called broken."""
    work, rng, alarms = at_day_eight(), np.random.default_rng(8), 0
    for _ in range(60):
        days: dict[tuple[int, int], int] = {}
        for day in range(20):
            n0 = int(rng.binomial(300, 0.5))
            days |= {(0, day): n0, (1, day): 300 - n0}
            check = split_checks(work, {}, days, []).get("split:days")
            alarms += check is not None and check.state is State.BROKEN

    assert alarms == 0


def test_a_guardrails_dead_feed_breaks_the_evidence_and_a_goals_does_not():
    """Beyond doubt only; a silence that could be chance stays a warning."""
    late = {"contacts": NOW.replace(hour=NOW.hour - 2)}

    def judged(history: list[int], rails: set[str]) -> State:
        return feed_checks(late, USUAL, lambda *_: history, NOW, rails=rails)["contacts"].state

    sure, likely = [40, 52, 47, 55, 38, 49, 51], [9, 11, 8, 10, 12, 9, 11]
    assert judged(sure, {"contacts"}) is State.BROKEN
    assert judged(sure, set()) is State.WARNING
    assert judged(likely, {"contacts"}) is State.WARNING


def test_a_feed_that_died_holds_the_ramp_until_it_lives_again(story: Timeline):
    """What protects customers must not be read as all is well where it sees nothing."""
    story.launch(guardrails=[RAIL], ramp=[{"share": 0.5, "hold_seconds": 10**6}, {"share": 1}])
    for step in range(-70, 1):
        story.move(minutes=20 * step)
        story.happen(named("stranger", 20), "contact", step)
    story.move(minutes=1)
    for arm in ("control", "new"):
        story.expose(named(arm, 200), arm)
    for minute in range(1, 52):
        story.move(minutes=minute)
        story.happen([f"{arm}{minute}" for arm in ("control", "new")], "contact", minute)
        story.scheduled_look()
    story.move(minutes=91)

    body = story.scheduled_look()

    assert line(body, "feed:contacts")["state"] == "broken"
    assert "the feed looks dead" in line(body, "feed:contacts")["text"]
    assert body["evidence"]["grade"] == "none"
    assert body["decision"]["action"] == "hold"
    assert body["decision"]["reasons"][0].startswith("the feed of Contacts is silent")

    story.happen(["new150"], "contact", 9)
    after = story.scheduled_look()
    assert line(after, "feed:contacts")["state"] == "ok"
    assert after["decision"]["action"] == "none"


def test_the_worst_segment_is_held_against_the_limit(story: Timeline):
    """With its interval, corrected for looking at all of them; never a ranking alone."""
    story.launch(guardrails=[RAIL], segments=["channel"])
    story.move(minutes=5)
    for channel, rates in {"web": (0.2, 0.2), "phone": (0.2, 0.5), "chat": (0.2, 0.2)}.items():
        for arm, rate in zip(("control", "new"), rates, strict=True):
            units = [f"{arm}{channel}{i}" for i in range(400)]
            meet(story, units, arm, channel=channel)
            story.happen(every(units, rate), "contact")
    meet(story, ["one"], "new", channel="kiosk")

    body = story.look()

    worst = body["arms"][0]["segments"][0]["metrics"][0]["worst"]
    assert (worst["finding"], worst["segment"]) == ("harm", "phone")
    assert worst["harmed"] == ["phone"]
    assert worst["effect"]["low"] > 0.5
    assert worst["effect"]["level"] == pytest.approx(1 - 0.05 / 4)
    assert worst["text"].startswith("Shown worse than the limit of 50")
    assert "1 of 4 have too few customers to tell" in worst["text"]
    page = story.client.get(
        f"/rollouts/guided/report/{body['id']}", headers={"Accept": "text/html"}
    )
    assert worst["text"] in page.text.replace("&nbsp;", "\u00a0")


def test_the_last_days_stand_beside_the_average(story: Timeline):
    """Harm that began late is diluted in the whole; safe is not about today."""
    story.launch(guardrails=[{**RAIL, "margin": 0.6}])
    for day, rate in ((0, 0.2), (8, 0.5)):
        story.move(days=day, minutes=5)
        for arm in ("control", "new"):
            units = named(arm, 900 if not day else 200, 5000 * day)
            story.expose(units, arm)
            story.happen(every(units, rate if arm == "new" else 0.2), "contact")
        assert (found(story.look(), "contacts")["lately"] is None) == (day == 0)

    item = found(story.look(), "contacts")

    assert item["lately"]["days"] == 2
    assert (item["lately"]["n_control"], item["lately"]["n_treatment"]) == (200, 200)
    assert item["lately"]["relative"]["low"] > 0.6
    assert item["relative"]["estimate"] < 0.4
    assert item["lately"]["relative"]["validity"] == "fixed"


def test_one_customer_who_weighs_too_much_is_told(story: Timeline):
    """A cap, or far more customers: the report says so before anybody wonders."""
    story.set_up()
    spent = {**contacts(), "key": "spent", "name": "Spent", "aggregation": "sum"}
    story.post("/metrics", spent)
    rails = [{"metric": "spent", "margin": 0.5, "action": "observe"}]
    story.post("/rollouts", plan(key="rich", guardrails=rails, goals=[]))
    story.post("/rollouts/rich/start")
    story.move(minutes=5)
    for arm in ("control", "new"):
        units = named(arm, 300)
        story.expose(units, arm, "rich")
        for i, unit in enumerate(units):
            story.happen([unit], "contact", value=1 + i % 3) if i < 200 else None
    story.happen(["new299"], "contact", 7, value=60)

    notes = found(story.look("rich"), "spent")["notes"]

    assert any("One customer makes up" in note for note in notes)


def test_customers_are_counted_by_the_day_they_came(story: Timeline):
    """In UTC, without those seen in two versions."""
    story.launch(guardrails=[RAIL])
    for day in (0, 3):
        story.move(days=day)
        story.expose(named("control", 2 + day, 10 * day), "control")
    story.expose(["control0"], "new")
    story.look()

    with story.parts.db.reading() as session:
        held = ledger.units_by_day(session, 1)

    first = min(day for _, day in held)
    assert held == {(0, first): 1, (0, first + 3): 5}
