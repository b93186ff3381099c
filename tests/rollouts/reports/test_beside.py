"""What stands beside an effect is shown where a snapshot has it, and nowhere else."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path

import pytest

from rollouts.db import Database
from rollouts.reports.advice import advice_of, chances_of, grade_of, odds
from rollouts.reports.beside import adjusted_text, beside_of, settles_text
from rollouts.reports.model import report_of
from rollouts.reports.tables import to_csv
from tests.factories.beside import (
    make_adjusted,
    make_evidence,
    make_futility,
    make_part,
    make_recommendation,
    make_settles,
)
from tests.factories.snapshots import Body, make_goal, make_metric, make_snapshot, make_verdict
from tests.factories.states import HOSTILE, make_futile, make_three, make_unjudged, make_whole
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import text_of

HERE = "/rollouts/guided-returns/report"
HEADINGS = (
    "So far, beside matured",
    "Can it still work?",
    "What the evidence says about shipping",
    "Evidence <b>",
    "Adjusted for",
    "would settle it",
)


@pytest.fixture
def store_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The embedded store: the pages do not differ."""
    shutil.copy(sqlite_template, tmp_path / "rollouts.db")
    return f"sqlite:///{tmp_path / 'rollouts.db'}"


def page_of(db: Database, body: Body, path: str = HERE) -> str:
    """A page of that snapshot."""
    shop.keep(db, "guided-returns", body)
    return text_of(shop.make_app(db).test_client().get(path))


def plain(text: str) -> str:
    """With spaces that tests can be written in."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def unknown(**over: object) -> Body:
    """A guardrail that is not yet known."""
    return make_metric(finding="unknown", interval=(-0.1, 0.4), **over)  # type: ignore[arg-type]


def test_older_snapshots_show_none_of_it(started: Database):
    """What was stored before there was any of this reads as it did."""
    page = page_of(started, make_snapshot())

    assert not [heading for heading in HEADINGS if heading in page]


def test_page_shows_all_of_it_where_it_is(started: Database):
    """Every section, on the page and in the file to send on, within the content policy."""
    body = make_whole()
    page = page_of(started, body)
    paper = text_of(shop.make_app(started).test_client().get(f"{HERE}/{body['id']}.html"))

    for text in (page, paper):
        assert not [heading for heading in HEADINGS if heading not in text]
        assert not re.search(r"<[^>]+\sstyle=|<script(?! src)", text)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (
            unknown(settles=make_settles()),
            (
                "About 6,000 more customers would settle it, in about 2 days; "
                "so far it leans towards harm"
            ),
        ),
        (
            make_goal(settles=make_settles(14000, "safe", None)),
            "About 14,000 more customers would settle it; so far it leans towards better",
        ),
        (
            unknown(
                settles=make_settles(
                    300, "", 0.4, text="about 300 more customers for a first verdict"
                )
            ),
            "About 300 more customers for a first verdict, in under a day",
        ),
        (unknown(settles=make_settles(None, "", None)), "Needs more than can be foreseen"),
        (make_metric(finding="safe", settles=make_settles()), ""),
        (unknown(settles=None), ""),
        (unknown(), ""),
    ],
)
def test_what_would_settle_it_is_said_of_the_unknown_alone(metric: Body, said: str):
    """Customers and days as stored, the way it leans in the metric's own words."""
    assert plain(settles_text(metric)) == said


def test_adjusted_effect_tells_what_it_gained():
    """Three tenths of the variance gone is worth 43 % more customers."""
    told = plain(adjusted_text(make_metric(adjusted=make_adjusted(0.024, -0.02, 0.07))))

    assert told == (
        "Adjusted for the 14 days before: +2.4 % (−2 to +7), as sharp as with 43 % more customers"
    )


def test_adjusted_without_gain_claims_none():
    """An adjustment that removes nothing is not sold as one that does."""
    held = {**make_adjusted(0.024, -0.02, 0.07), "gain": 0.0}

    assert plain(adjusted_text(make_metric(adjusted=held))).endswith("no sharper than the raw one")


def test_refused_adjustment_says_why():
    """There is no number, and its reason stands in its place even beside a raw effect."""
    held = make_adjusted(None, reason="too few events for an adjusted interval")

    assert plain(adjusted_text(make_metric(adjusted=held))) == (
        "Not adjusted for the 14 days before: too few events for an adjusted interval; "
        "needs more customers or more days"
    )


def test_matured_decides_only_where_the_plan_said_so(started: Database):
    """Both stand there; the one that decides is bold, and its bar is drawn."""
    held = beside_of(make_whole(), "new")
    early, late = held["contacts"].matured, held["repeats"].matured
    assert early is not None
    assert late is not None
    assert not early.is_decided_by_matured
    assert early.deciding.effect == early.so_far.effect
    assert late.is_decided_by_matured
    assert (plain(late.so_far.effect), plain(late.matured.effect)) == ("−14 %", "−5 %")
    assert late.plot == late.matured.plot
    assert plain(late.complete) == "26 %"

    section = page_of(started, make_whole()).split('id="matured"')[1].split("</section>")[0]
    assert "<b>−5 %</b>" in section
    assert "<b>−14 %</b>" not in section
    assert "<b>−2 %</b>" not in section
    assert "of those whose 28 days are complete, 5 % less" in section


def test_matured_without_an_effect_says_why():
    """No window complete is no zero."""
    part = make_part((0, 0), None, "So far 3 % more; nothing can be said yet: too few events.")
    held = beside_of(
        make_snapshot(arms=[{"key": "new", "name": "New", "metrics": [make_metric(matured=part)]}]),
        "new",
    )["contacts"].matured

    assert held is not None
    assert (held.matured.effect, held.matured.why) == ("", "too few events")
    assert held.matured.plot is None


def test_futile_verdict_has_no_hue(started: Database):
    """It is no finding: ink, its own words, and the chance against the floor."""
    page = page_of(started, make_futile())

    assert 'class="verdict plain"' in page
    assert "Not working" in page
    assert "Below the floor of 10 % that the plan locked." in page
    assert "worth having from +2 %, to be shown by 2 Jun" in page
    assert "Stopping now saves 19 days and 41,300 customers." in page
    assert page.count('class="gauge chance"') == 3
    assert page.count('class="floor" x1="10.00%"') == 3
    assert "under 1 %" in page


def test_stopped_as_futile_is_told_so():
    """Whoever stops it on that advice reads why; whoever stops another does not."""
    verdict = make_verdict("stopped", "unknown", "Stopped on 14 May, not working:")

    futile = report_of(make_futile(verdict=verdict))
    other = report_of(make_whole(verdict=verdict))

    assert (futile.tone, futile.headline) == ("plain", "Stopped, not working")
    assert (other.tone, other.headline) == ("unknown", "Not yet known: stopped")


def test_chances_without_a_number_say_why():
    """A chance that cannot be told has no bar, not one at zero."""
    gone = dict.fromkeys(("at_worthwhile", "at_trend", "predictive"))
    held = make_futility(**gone, reason="the plan's end is reached")
    body = make_snapshot(
        arms=[{"key": "new", "name": "New", "metrics": [make_goal(futility=held)]}]
    )
    [chances] = chances_of(body)

    assert chances.bars == ()
    assert chances.reason == "the plan's end is reached"


def test_worthwhile_goal_points_the_way_the_measure_should_go():
    """Of a measure that should fall, the goal is a fall."""
    falling = make_goal(sign=1, futility=make_futility())
    body = make_snapshot(arms=[{"key": "new", "name": "New", "metrics": [falling]}])

    [chances] = chances_of(body)

    assert plain(chances.goal) == "−2 %"
    assert plain(chances.bars[0][0]) == "just worth having, −2 %"


def test_goal_that_is_better_already_is_not_called_open(started: Database):
    """The chances stay in sight, under words that fit the finding."""
    metrics = [make_metric(), make_goal(finding="safe", futility=make_futility(at_trend=0.999))]
    body = make_snapshot(arms=[{"key": "new", "name": "New page", "metrics": metrics}])
    section = page_of(started, body).split('id="chances"')[1].split("</section>")[0]

    assert "Better already." in section
    assert "Still open" not in section
    assert "over 99 %" in section


@pytest.mark.parametrize(
    ("share", "said"), [(0.004, "under 1 %"), (0.04, "4 %"), (0.999, "over 99 %")]
)
def test_odds_never_read_as_certain(share: float, said: str):
    """Neither never nor always is known."""
    assert plain(odds(share)) == said


def test_grade_names_first_what_lowered_it():
    """What was looked at and found well waits behind a fold."""
    grade = grade_of(make_whole())

    assert grade is not None
    assert grade.words.startswith("fair")
    assert grade.reasons == ("Randomised design", "Crossings: 14 customers saw both versions")
    assert grade.fine == ("SRM: customers arrived as the plan set it",)
    assert grade_of(make_snapshot()) is None


def test_advice_names_the_favoured_version_first():
    """Each version has its outcome and reasons; the one that the rule favours leads."""
    said = make_recommendation(
        "ship", "contacts is better", short="undecided", steps="undecided", video="harm"
    )
    body = make_three(recommendation={**said, "arm": "short"})

    advice = advice_of(body)

    assert [one.arm for one in advice[:1]] == ["Short answers"]
    assert {one.words for one in advice} >= {"Do not ship it", "Ship it", "Too early to say"}
    assert advice_of(make_three()) == ()


def test_advice_is_said_to_be_advice(started: Database):
    """Nobody may take it for a deed."""
    section = page_of(started, make_whole()).split('id="advice"')[1].split("</section>")[0]

    assert "Advice, by one rule over all measures" in section
    assert "Nothing ships by itself" in section
    assert "Too early to say" in section
    assert "Contacts per customer was not shown to stay within its tolerance" in section


def test_csv_has_all_of_it_in_columns():
    """Where it is absent the cells are empty."""
    rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(to_csv(make_whole())))}
    contacts, repeats, goal = rows["contacts"], rows["repeats"], rows["returned"]

    assert (contacts["settles_customers"], contacts["settles_towards"]) == ("6000", "harm")
    assert (contacts["judged_on"], repeats["judged_on"], goal["judged_on"]) == (
        "so far",
        "matured",
        "",
    )
    assert (repeats["matured_new_n"], repeats["so_far_relative_estimate"]) == ("2000", "-0.14")
    assert (contacts["adjusted_relative_high"], contacts["adjusted_gain"]) == ("0.07", "0.3")
    assert repeats["adjusted_relative_high"] == ""
    assert (goal["futility_predictive"], goal["futility_is_futile"]) == ("0.58", "False")
    assert (goal["evidence_grade"], goal["recommendation"]) == ("fair", "undecided")
    older = next(csv.DictReader(io.StringIO(to_csv(make_snapshot()))))
    assert older["judged_on"] == older["recommendation"] == older["matured_new_n"] == ""


def test_broken_split_hides_all_that_tells_an_effect(started: Database):
    """Matured, adjusted, chances and advice are effects too."""
    body = make_unjudged(
        evidence=make_evidence("none"), recommendation=make_recommendation("harm", "0.4321 worse")
    )
    body["arms"][0]["metrics"][0] |= {
        "settles": make_settles(4321),
        "matured": make_part((9, 9), (0.4321, 0.1, 0.5), "So far 43.21 % more."),
        "adjusted": make_adjusted(0.4321, 0.1, 0.5),
        "futility": make_futility(at_worthwhile=0.4321),
    }
    page = page_of(started, body)
    client = shop.make_app(started).test_client()
    files = [
        client.get(f"{HERE}/{body['id']}.{kind}").get_data(as_text=True)
        for kind in ("json", "csv", "html")
    ]

    for text in (page, *files):
        assert not re.search(r"4,?321|43\.2", text)
    assert "none: not to be used" in page


def test_hostile_reasons_stay_text(started: Database):
    """Names and reasons are people's words, never our elements."""
    evidence = {**make_evidence(), "reasons": [HOSTILE]}
    metric = unknown(
        name=HOSTILE,
        settles=make_settles(text=HOSTILE),
        matured=make_part((9, 9), None, HOSTILE),
        adjusted=make_adjusted(None, reason=HOSTILE),
    )
    goal = make_goal(futility=make_futility(at_worthwhile=None, at_trend=None, predictive=None))
    goal["futility"]["reason"] = HOSTILE
    arms = [{"key": "new", "name": HOSTILE, "metrics": [metric, goal]}]
    body = make_snapshot(
        arms=arms, evidence=evidence, recommendation=make_recommendation("harm", HOSTILE)
    )

    page = page_of(started, body)

    assert "<script>alert" not in page
    assert "<img" not in page


def test_history_marks_a_futile_look_without_a_finding(started: Database):
    """In the list of looks it has its own sign, not that of what is not yet known."""
    page = page_of(started, make_futile(), "/rollouts/guided-returns/history")

    assert re.search(r'<span class="c-off"><svg.*?</span> not working', page, re.S)


def test_effect_of_matured_customers_is_said_to_be_theirs(started: Database):
    """In the table of effects it may not pass for everybody's."""
    page = page_of(started, make_whole())

    assert page.count("<small>of those matured</small>") == 1


def test_goal_without_a_percentage_is_told_on_its_own_scale():
    """Where values may be negative there is no relative effect, and the absolute one is shown."""
    held = {"estimate": 0.4, "low": -0.1, "high": 0.9, "level": 0.95}
    goal = make_goal(interval=None, absolute=held, aggregation="sum", matured=None)
    row = (
        report_of(make_snapshot(arms=[{"key": "new", "name": "New", "metrics": [goal]}]))
        .arms[0]
        .goals[0]
    )

    assert (plain(row.effect), plain(row.interval)) == ("+0.4", "(−0.1 to +0.9)")
    assert row.plot is not None
