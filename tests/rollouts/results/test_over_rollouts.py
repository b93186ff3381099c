"""All ended rollouts on a metric together, from their last snapshots."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from math import log
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from analysis.effect import Scale, Undecided
from analysis.impact import Impact
from analysis.mean import relative
from analysis.meta import Combined
from analysis.sequence import always_valid
from analysis.summary import Summary
from rollouts.db import Database
from rollouts.errors import NotFound
from rollouts.lifecycle.store import RolloutRow
from rollouts.metrics import service as metrics
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector, Statistic
from rollouts.results import moved, past_words
from rollouts.results.moved import bar_of, estimate_of
from rollouts.results.over_rollouts import PastEffects, Wanted, list_moved, past_effects
from rollouts.results.shown import effect_shown
from tests.factories.past import UNITS, counted, make_past
from tests.rollouts.reports import shop

HISTORY = [1.0, 0.9, 1.15, 0.97, 1.3, 0.85, 1.02, 0.93]
STAYED = [False, True, False, True, False, True, False, True]


@pytest.fixture
def shopful(db: Database) -> Database:
    """The story's metrics, without a rollout."""
    shop.make_catalogue(db)
    return db


def asked(db: Database, key: str = "contacts", **wanted: Any) -> PastEffects:
    with db.reading() as session:
        return past_effects(session, key, Wanted(**wanted))


def test_nothing_has_ended_says_so(shopful: Database):
    """No rollout: no figure, and what would give one."""
    past = asked(shopful)

    assert past.lines == () == past.left_out
    for found in (past.combined, past.spread, past.impact, past.units):
        assert isinstance(found, Undecided)
        assert found.reason
    with pytest.raises(NotFound):
        asked(shopful, "none")


@pytest.mark.parametrize("n", [1, 2])
def test_one_and_two_rollouts_show_what_they_saw_and_no_sum(shopful: Database, n: int):
    """What was seen stands there; shrinking takes two, a corrected sum three."""
    make_past(shopful, shop.make_draft(), HISTORY[:n], shipped=[True] * n)
    past = asked(shopful)

    assert len(past.lines) == n
    assert all((line.shrunken is None) == (n == 1) for line in past.lines)
    assert isinstance(past.impact, Undecided)
    assert "three" in past.impact.reason
    assert isinstance(past.combined, Undecided) == (n == 1)


def test_shipped_effects_lose_their_luck(shopful: Database):
    """The sum of what stayed is drawn in, and withdrawn rollouts are learnt from too."""
    make_past(shopful, shop.make_draft(), HISTORY, shipped=STAYED)
    past = asked(shopful)

    assert past.n_learnt == len(past.lines) == 8
    assert isinstance(past.impact, Impact)
    assert past.impact.n_shipped == 4
    assert past.impact.low < past.impact.total < past.impact.high < 0
    assert past.impact.claimed < past.impact.total
    assert past.impact.claimed_low < past.impact.claimed < past.impact.claimed_high
    assert isinstance(past.combined, Combined)
    assert past.combined.next_low is not None
    assert past.combined.next_low < past.combined.low
    ended = [line.moved.ended_at for line in past.lines]
    assert ended == sorted(ended, reverse=True)


def test_units_follow_level_and_traffic(shopful: Database):
    """Per 1,000 customers at the level before the first change; a day at the last one's traffic."""
    make_past(shopful, shop.make_draft(), HISTORY, shipped=STAYED)
    past = asked(shopful)
    assert not isinstance(past.units, Undecided)
    assert isinstance(past.impact, Impact)
    first = past.shipped[-1]

    assert past.units.level_from == "Past change 1"
    assert past.units.traffic_from == "Past change 7"
    assert past.units.total == pytest.approx(past.impact.total * 1000 * (first.level or 0))
    assert past.units.per_day == pytest.approx(2 * UNITS / 5)
    assert past.units.a_day(past.units.total) == pytest.approx(past.units.total * 8)


def test_what_cannot_be_believed_is_left_out_with_its_reason(shopful: Database):
    """Broken splits, evidence not to be used, other definitions: named, never learnt from."""
    make_past(shopful, shop.make_draft(), HISTORY[:4], shipped=STAYED[:4])
    with shopful.reading() as session:
        held = list_moved(session)
    assert {item.why_not for item in held if item.metric == "contacts"} == {""}
    with shopful.transaction() as session:
        definition = replace(
            metrics.get_version(session, metrics.get_metric(session, "contacts")).to_domain(),
            cap=3.0,
        )
        metrics.redefine(
            session, "contacts", name="Contacts", description="", owner="x",
            definition=definition, reason="cap", actor=shop.PRIYA, now=shop.NOW,
        )  # fmt: skip
    past = asked(shopful)

    assert past.lines == ()
    assert {item.why_not for item in past.left_out} == {
        "it counted this metric by another definition"
    }


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"srm": {"state": "broken"}}, "split was broken"),
        ({"evidence": {"grade": "none", "reasons": ["half was lost"]}}, "half was lost"),
    ],
)
def test_a_body_that_cannot_be_believed_gives_no_estimate(over: dict[str, Any], said: str):
    """The reason is in plain words."""
    from tests.factories.snapshots import make_snapshot

    body = {**make_snapshot(arms=[{"key": "new", "name": "", "metrics": [counted(9, 9)]}]), **over}
    found = list(moved.moved_of(body, {"contacts": plain()}))

    assert found[0].estimate is None
    assert said in found[0].why_not


def test_a_rollout_without_a_look_is_named(shopful: Database):
    """It ended before anyone looked."""
    make_past(shopful, shop.make_draft(), HISTORY[:2])
    with shopful.transaction() as session:
        row = session.scalar(select(RolloutRow).where(RolloutRow.key == "past-001"))
        assert row is not None
        copy = RolloutRow(**{
            name: getattr(row, name)
            for name in row.__table__.columns.keys()  # noqa: SIM118  # columns, not names
            if name not in ("id", "key")
        }, key="unseen")  # fmt: skip
        session.add(copy)
        session.flush()
        from rollouts.lifecycle.store import PlanRow

        plan = session.scalar(select(PlanRow).where(PlanRow.rollout_id == row.id))
        assert plan is not None
        session.add(PlanRow(rollout_id=copy.id, version=1, body=plan.body, hash="1" * 64,
                            locked_at=shop.NOW, locked_by="x"))  # fmt: skip
    past = asked(shopful)

    assert [(item.rollout, item.why_not) for item in past.left_out] == [
        ("unseen", "no look was taken")
    ]


def test_a_period_chooses_what_is_summed_not_what_is_learnt_from(shopful: Database):
    """All of the environment's rollouts teach; those of the period are listed."""
    make_past(shopful, shop.make_draft(), HISTORY, shipped=STAYED)
    whole = asked(shopful)
    late = asked(shopful, since=date(2026, 2, 1))
    elsewhere = asked(shopful, environment="staging")

    assert late.n_learnt == 8
    assert 0 < len(late.lines) < 8
    assert isinstance(late.impact, Impact)
    assert isinstance(whole.impact, Impact)
    assert late.impact.n_shipped < whole.impact.n_shipped
    assert late.combined == whole.combined
    assert elsewhere.n_learnt == 0


def plain(**over: Any) -> Definition:
    return replace(Definition(Selector("contacts"), Aggregation.COUNT, Direction.DOWN), **over)


def test_a_widened_interval_gives_its_error_back():
    """Kinds that sums cannot judge: the error of one look behind the interval of all."""
    once = relative(Summary(4000, 8000.0, 40000.0), Summary(4200, 9000.0, 46000.0))
    assert not isinstance(once, Undecided)
    wide = effect_shown(always_valid(once, planned=9000))
    metric = {**counted(9, 9), "relative": wide, "undecided": None}
    body = {"rollout": {"key": "a"}, "plan": {"planned_units": 9000}}
    found = estimate_of(body, metric, plain(statistic=Statistic.QUANTILE))

    assert not isinstance(found, Undecided)
    assert found.value == pytest.approx(log(1 + once.estimate))
    reach = (np.log1p(once.high) - np.log1p(once.low)) / 2 / 1.959964
    assert found.error == pytest.approx(reach, rel=1e-6)


def test_ratios_need_the_scatter_between_customers():
    """Older snapshots kept none: they are left out, not guessed at."""
    body = {"rollout": {"key": "a"}, "plan": {}}
    ratio = plain(aggregation=Aggregation.RATIO, denominator=Selector("visit"))
    old = counted(2000, 2100)
    new = {**old, "strata": [{**old["strata"][0], "nv0": 2500.0, "nv1": 2600.0}]}

    assert isinstance(estimate_of(body, old, ratio), Undecided)
    found = estimate_of(body, new, ratio)
    assert not isinstance(found, Undecided)
    assert found.error == pytest.approx(
        (2500 / UNITS**2 / 0.1**2 + 2600 / UNITS**2 / 0.105**2) ** 0.5, rel=1e-9
    )


def test_bars_follow_the_plans_own_rule():
    """A goal had to be shown better; a guardrail with room had to be shown safe."""
    metric = {**counted(2000, 1700), "role": "goal", "limit": None}
    metric["relative"] = {"estimate": -0.15, "low": -0.2, "high": -0.1}
    found = estimate_of({"rollout": {"key": "a"}, "plan": {}}, metric, plain())
    assert not isinstance(found, Undecided)
    goal = bar_of(metric, found)
    rail = bar_of({**metric, "role": "guardrail", "limit": 0.1}, found)

    assert goal == pytest.approx((log(0.9) - log(0.85)) / found.error)
    assert rail == pytest.approx(goal - log(1.1) / found.error)
    assert bar_of({**metric, "relative": None}, found) == pytest.approx(1.96)


def test_five_hundred_rollouts_answer(shopful: Database):
    """Read once, kept, and summed."""
    ratios = list(np.exp(np.random.default_rng(3).normal(0, 0.05, 500)))
    make_past(shopful, shop.make_draft(), ratios, ships_below=0.97)
    past = asked(shopful)

    assert past.n_learnt == 500
    assert not isinstance(past.spread, Undecided)
    assert past.spread.low < 0.05 < past.spread.high
    assert isinstance(past.impact, Impact)
    stayed = [ratios[int(item.rollout.removeprefix("past-"))] for item in past.shipped]
    truth = np.expm1(np.sum(np.log(stayed)))
    assert past.impact.low < truth < past.impact.high
    assert past.impact.claimed_high < truth  # what was seen claims far too much


def test_sentences_say_what_is_known_and_what_is_not(shopful: Database):
    """History in a line; a change beyond it is called unlikely, one within is not."""
    assert "Not known" in past_words.typical(asked(shopful))
    assert "Not known" in past_words.together(asked(shopful))
    make_past(shopful, shop.make_draft(), HISTORY, shipped=STAYED)
    past = asked(shopful)

    assert "8 past effects" in past_words.typical(past)
    assert "4 changes shipped, together" in past_words.together(past)
    assert past_words.unlike_any(past, -0.6)
    assert not past_words.unlike_any(past, -0.02)
    assert past.scale is Scale.RELATIVE


def test_the_api_pages_and_names_what_is_wrong(api: FlaskClient, parts: Any):
    """Two pages hold what one would; bad periods and cursors are refused with their place."""
    shop.make_catalogue(parts.db, flag="guided")
    make_past(parts.db, shop.make_draft(flag="guided"), HISTORY, shipped=STAYED)
    path = "/api/v1/metrics/contacts/past-effects"
    first = api.get(f"{path}?limit=5").get_json()
    second = api.get(f"{path}?limit=5&cursor={first['next_cursor']}").get_json()

    keys = [item["rollout"] for item in first["items"] + second["items"]]
    assert keys == [f"past-{i:03}" for i in range(7, -1, -1)]
    assert second["next_cursor"] is None
    assert first["typical"]["next"]["low"] < first["typical"]["mean"]["estimate"]
    assert api.get(f"{path}?search=change%203").get_json()["items"][0]["rollout"] == "past-003"
    for wrong, where in (
        ("from=2026-02-01&to=2026-01-01", "to"),
        ("from=yesterday", "from"),
        ("cursor=bm9uZQ==", "cursor"),
        ("colour=red", "colour"),
    ):
        answer = api.get(f"{path}?{wrong}")
        assert answer.status_code in (400, 422), wrong
        assert where in str(answer.get_json()["errors"]), answer.get_json()
    assert api.get("/api/v1/metrics/none/impact").status_code == 404


def test_the_api_tells_impact_of_one_metric_and_of_all(api: FlaskClient, parts: Any):
    """Claimed and corrected side by side, and the reason where there is neither."""
    shop.make_catalogue(parts.db, flag="guided")
    make_past(parts.db, shop.make_draft(flag="guided"), HISTORY, shipped=STAYED)
    one = api.get("/api/v1/metrics/contacts/impact").get_json()
    listed = api.get("/api/v1/impact?limit=1").get_json()
    rest = api.get(f"/api/v1/impact?cursor={listed['next_cursor']}").get_json()

    assert one["total"]["low"] < one["total"]["estimate"] < one["total"]["high"]
    assert one["claimed"]["estimate"] < one["total"]["estimate"]
    assert one["in_units"]["a_day"]["low"] < 0
    assert listed["items"][0] == one
    assert rest["items"][0]["undecided"]["reason"]
