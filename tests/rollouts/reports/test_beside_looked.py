"""What a real look stores is what the report reads: no made-up snapshot stands in between."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from rollouts.reports.tables import to_csv
from rollouts.runtime import Runtime
from tests.factories.story import contacts, plan
from tests.rollouts.reports.shop import text_of
from tests.rollouts.results.timeline import Timeline, every, named

N = 300
DAY = 86_400


@pytest.fixture
def store_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The embedded store: what is read is the same text in both."""
    shutil.copy(sqlite_template, tmp_path / "rollouts.db")
    return f"sqlite:///{tmp_path / 'rollouts.db'}"


@pytest.fixture
def story(api: FlaskClient, parts: Runtime) -> Timeline:
    """A rollout judged on matured customers, with a goal that must be worth having."""
    story = Timeline(api, parts)
    story.set_up()
    again = {**contacts(), "key": "again", "name": "Contacts again", "window_seconds": 7 * DAY}
    calls = {**contacts(), "key": "calls", "name": "Calls", "pre_period_seconds": 14 * DAY}
    bought = {**contacts(), "key": "bought", "name": "Bought", "good": "up"}
    for metric in (again, calls, bought):
        story.post("/metrics", metric)
    rails = [
        {"metric": "again", "margin": 0.25, "matured_only": True, "action": "observe"},
        {"metric": "calls", "margin": 0.3, "action": "observe"},
    ]
    goals = [{"metric": "bought", "smallest_worthwhile": 0.2}]
    body = plan(key="whole", guardrails=rails, goals=goals, planned_units=8 * N, futility_floor=0.1)
    story.post("/rollouts", body)
    story.post("/rollouts/whole/start")
    return story


def test_report_of_a_real_look_shows_what_it_stored(story: Timeline, api: FlaskClient):
    """Matured, adjusted, chances, grade and advice reach the page and the file of rows."""
    arms = {arm: named(arm, N) for arm in ("control", "new")}
    story.move(minutes=5)
    for arm, units in arms.items():
        story.expose(units, arm, "whole")
    story.move(days=2)
    for arm, share in (("control", 0.25), ("new", 0.5)):
        story.happen(every(arms[arm], share), "contact", channel="phone")
    story.move(days=12)
    story.happen(["somebody-else"], "contact", channel="phone")
    body = story.look("whole")

    page = text_of(api.get("/rollouts/whole/report"))
    rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(to_csv(body)))}

    for said in (
        'id="matured"',
        body["arms"][0]["metrics"][0]["matured"]["text"].replace("\u00a0", " "),
        "djusted for the 14 days before: ",
        'id="chances"',
        "Better already.",
        'id="advice"',
        f"Evidence <b>{body['evidence']['grade']}: ",
    ):
        assert said in page
    assert rows["again"]["judged_on"] == "matured"
    assert rows["again"]["matured_new_n"] == str(N)
    assert rows["bought"]["futility_floor"] == "0.1"
    assert rows["calls"]["recommendation"] == body["recommendation"]["outcome"]
