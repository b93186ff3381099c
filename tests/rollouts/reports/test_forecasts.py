"""The section "Will it stop in time?" of a plan's page."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from rollouts.db import Database
from rollouts.lifecycle import deeds
from rollouts.lifecycle.model import Variation
from rollouts.reports import chances
from rollouts.reports.forecasts import asked_of
from rollouts.reports.svg import PX, SIZES, WIDEST, render, width_of
from rollouts.tolerances.model import Budget, Guardrail
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import text_of

PLAN = "/rollouts/later/plan"
GIVEN = "?mean.contacts=0.075&dispersion.contacts=1.3&mean.returned=0.3&per_day=22000"


@pytest.fixture
def draft(story: Database) -> FlaskClient:
    """A second rollout that is still a draft."""
    shop.make_rollout(story, shop.make_draft("later", planned_units=40_000), started=False)
    return shop.make_app(story).test_client()


def truth(multiple: float, value: float, sign: int = 1) -> dict:
    """One true harm with its chance."""
    held = {"value": value, "low": max(value - 0.01, 0), "high": min(value + 0.01, 1)}
    return {"multiple": multiple, "harm": 0.1 * multiple, "stopped": held}


def rail(*values: float, name: str = "Contacts", sign: int = 1) -> dict:
    """One guardrail's chances at 0, 1, 1.5, 2 and 4 times the limit."""
    pairs = zip((0, 1, 1.5, 2, 4), values, strict=False)
    return {"name": name, "sign": sign, "truths": [truth(m, v) for m, v in pairs]}


def test_without_a_level_the_page_asks_for_it(draft: FlaskClient):
    """Nothing is simulated and nothing made up; the form stands open."""
    page = text_of(draft.get(PLAN))

    assert "Will it stop in time?" in page
    assert "no earlier rollout has measured any of these guardrails" in page
    assert "<details open><summary>Give the levels as they are today" in page
    assert 'name="mean.contacts"' in page
    assert "Chance that the stop-loss withdraws it" not in page


def test_with_a_level_the_page_shows_chances_and_costs(draft: FlaskClient):
    """Chart, table, goals and what the figures rest on."""
    page = text_of(draft.get(PLAN + GIVEN))

    assert "Simulated 1,000 times for each true change" in page
    assert "as this ramp takes them in, and the levels you gave" in page
    assert "at the limit: a false withdrawal, at most 5 %" in page
    for size in SIZES:
        assert page.count(f'class="chart chart-{size}"') == 1
    for change in ("none", "+10 %", "+15 %", "+20 %", "+40 %"):
        assert f'class="full name">{change}<small>' in page
    assert "What it can show of its goals" in page
    assert "What these figures rest on" in page
    assert 'value="0.075"' in page
    assert not re.search(r"<[^>]+ style=", page)


def test_a_budget_that_runs_out_is_told_before_locking(story: Database):
    """In the note on top, and in the row where it happens."""
    rails = (Guardrail("contacts", 0.10, budget=Budget(20)),)
    plan = shop.make_draft("later", planned_units=40_000, guardrails=rails)
    shop.make_rollout(story, plan, started=False)
    page = text_of(shop.make_app(story).test_client().get(PLAN + GIVEN))

    assert "to settle before locking" in page
    assert "more than the budget of 20" in page
    assert page.index("to settle before locking") < page.index("What we believe")
    assert "past the budget of 20: the budget would hold or withdraw it first" in page


def test_an_ended_rollout_has_no_forecast(story: Database):
    """What happened stands on its report; a guess made afterwards would mislead."""
    with story.transaction() as session:
        deeds.withdraw(session, "guided-returns", reason="harm", actor=shop.PRIYA, now=shop.NOW)
    page = text_of(shop.make_app(story).test_client().get("/rollouts/guided-returns/plan"))

    assert "Will it stop in time?" not in page


def test_a_locked_plan_is_not_told_what_to_settle(story: Database):
    """It cannot be settled any more; the chances still stand there."""
    page = text_of(shop.make_app(story).test_client().get("/rollouts/guided-returns/plan" + GIVEN))

    assert "to settle before locking" not in page
    assert "Will it stop in time?" in page


def test_what_is_no_level_is_left_out():
    """Words, zero, negative and endless numbers leave the page as it is."""
    plan = shop.make_draft()
    for text in ("", "many", "0", "-1", "inf", "nan", "1e400", "1e99", "0x10"):
        assert asked_of({"mean.contacts": text, "per_day": text}, plan).baselines == {}
    held = asked_of({"mean.contacts": " 1,000.5 ", "mean.other": "1"}, plan).baselines
    assert {key: item.mean for key, item in held.items()} == {"contacts": 1000.5}


def test_several_versions_are_told_apart(story: Database):
    """Two new versions of different shares have a table each, by name."""
    plan = shop.make_draft(
        "later",
        variations=(
            Variation("old", "Old page", False, 0.5),
            Variation("new", "New page", True, 0.3),
            Variation("bold", "Bold page", True, 0.2),
        ),
    )
    shop.make_rollout(story, plan, started=False)
    page = text_of(shop.make_app(story).test_client().get(PLAN + GIVEN))

    assert "Contacts per customer: New page" in page
    assert "Contacts per customer: Bold page" in page


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "values",
    [
        (0.0, 0.04, 0.3, 0.7, 1.0),
        (0.0, 0.0, 0.0, 0.0, 0.0),
        (0.01, 0.05, 0.99, 1.0, 1.0),
        (0.0, 0.04, 0.3),
    ],
)
def test_the_chart_fits_its_width_whatever_the_chances(size: str, values: tuple[float, ...]):
    """No text is shrunk and nothing is drawn that is no number."""
    drawn = chances.oc(rail(*values, name="A rather long name " * 5), size)
    svg = render(drawn)

    assert width_of(svg) <= WIDEST[size]
    assert width_of(svg) >= PX[size] * 0.9
    assert "NaN" not in svg


def test_nothing_beyond_the_limit_is_no_curve():
    """Where nothing worse than the limit can happen there is no chart."""
    assert chances.oc(rail(0.01), "wide") is None
    assert chances.oc(rail(0.01, 0.04), "wide") is None


def test_falls_are_drawn_to_the_right_too():
    """Right is worse, whichever way the measure runs."""
    svg = render(chances.oc(rail(0.0, 0.04, 0.3, sign=-1), "wide"))

    assert "True fall in contacts" in svg
    assert "−10" in svg


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"value": 0.62, "low": 0.6, "high": 0.64}, "62 %"),
        ({"value": 1.0, "low": 0.9962, "high": 1.0}, "over 99.6 %"),
        ({"value": 0.0, "low": 0.0, "high": 0.0038}, "under 0.38 %"),
    ],
)
def test_a_chance_is_never_surer_than_the_simulation(held: dict, said: str):
    """A thousand of a thousand is not certainty."""
    assert chances.chance(held).replace("\u00a0", " ") == said


def test_charts_are_kept_for_equal_questions(draft: FlaskClient, monkeypatch: pytest.MonkeyPatch):
    """The second reader waits for nothing."""
    first = text_of(draft.get(PLAN + GIVEN))
    monkeypatch.setattr(chances, "oc", lambda *_: pytest.fail("drawn again"))

    assert text_of(draft.get(PLAN + GIVEN)) == first


def test_a_stale_question_is_asked_anew(story: Database):
    """A plan that ends by a deadline has fewer customers the later it starts."""
    plan = shop.make_draft("later", deadline=shop.NOW + timedelta(days=4))
    shop.make_rollout(story, plan, started=False)
    app = shop.make_app(story)
    first = text_of(app.test_client().get(PLAN + "?mean.contacts=0.075&per_day=2000"))
    app.extensions["rollouts"].at = shop.NOW + timedelta(days=1)
    later = text_of(app.test_client().get(PLAN + "?mean.contacts=0.075&per_day=2000"))

    assert "over 4 days" in first
    assert "over 3 days" in later
