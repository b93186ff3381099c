"""The pages of rollouts, asked for like a browser does."""

from __future__ import annotations

import csv
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor

from flask.testing import FlaskClient

from rollouts.accounts.model import Role
from rollouts.db import Database
from tests.factories.snapshots import make_snapshot
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import text_of

REPORT = "/rollouts/guided-returns/report"


def test_report_opens_on_the_verdict(client: FlaskClient):
    """The sentence stands before any table, with its interval, limit and budget."""
    page = text_of(client.get(REPORT))

    said = page.index("Withdrawn on 14 May at 09:42 UTC: contacts rose 31 %")
    assert "between 18 % and 46 %" in page
    assert "212 of 200 contacts" in page
    assert "1 harm, 2 safe, 4 not yet known" in page
    assert said < page.index("<table")
    assert "S-20260514-0942-c81f" in page
    assert "7f3a9c1e" in page


def test_report_draws_each_chart_in_three_widths_once(client: FlaskClient, story: Database):
    """The second request pastes in what the first one stored."""
    first = text_of(client.get(REPORT))
    with story.transaction() as session:
        from rollouts.reports.store import ChartRow

        row = session.get(ChartRow, ("S-20260514-0942-c81f", "new/effects/wide"))
        assert row is not None
        row.content = row.content.replace("<svg ", '<svg data-stored="yes" ', 1)
    second = text_of(client.get(REPORT))

    for size in ("wide", "half", "phone"):
        assert first.count(f'class="chart chart-{size}"') == 3
    assert "data-stored" in second


def test_many_readers_at_once_get_the_same_charts(story: Database):
    """Whoever is first stores them; nobody waits for ever and nobody fails."""
    app = shop.make_app(story)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: app.test_client().get(REPORT), range(4)))

    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({re.sub(r"\d+ (?:second|minute)", "", text_of(answer)) for answer in answers}) == 1


def test_frozen_report_says_that_it_is_not_the_newest(story: Database):
    """A kept link shows what was known then, and that more is known now."""
    shop.keep(story, "guided-returns", make_snapshot(id="S-later"), look=13)
    client = shop.make_app(story).test_client()

    page = text_of(client.get(f"{REPORT}/S-20260514-0942-c81f"))

    assert "This is look 12, kept as it was. Look 13 is the newest." in page
    assert "kept as it was" not in text_of(client.get(REPORT))


def test_snapshot_of_another_rollout_is_not_found(story: Database):
    """An id under the wrong key leads nowhere."""
    shop.make_rollout(story, shop.make_draft("other"), started=False)
    client = shop.make_app(story).test_client()

    assert client.get("/rollouts/other/report/S-20260514-0942-c81f").status_code == 404


def test_before_the_first_look_the_report_says_when_it_comes(started: Database):
    """A started rollout without a look has a page, and so has a draft."""
    shop.make_rollout(started, shop.make_draft("later"), started=False)
    client = shop.make_app(started).test_client()

    assert "No look has been taken yet" in text_of(client.get(REPORT))
    assert "The rollout is a draft" in text_of(client.get("/rollouts/later/report"))


def test_links_lead_drafts_to_their_plan_and_others_to_the_report(story: Database):
    """What stands in mail and chat works in every state."""
    shop.make_rollout(story, shop.make_draft("later"), started=False)
    client = shop.make_app(story).test_client()

    assert client.get("/rollouts/later").location == "/rollouts/later/plan"
    assert client.get("/rollouts/guided-returns").location == REPORT
    assert client.get("/rollouts/nothing").status_code == 404


def test_plan_shows_what_was_locked(client: FlaskClient):
    """Limits, budget, ramp, hash and who may overrule stand on the plan's page."""
    page = text_of(client.get("/rollouts/guided-returns/plan"))

    for text in ("10 % worse", "hold at 120", "the queue passes 3 minutes", "version 1", "admins"):
        assert text in page
    assert re.search(r"Hash <code>[0-9a-f]{64}</code>", page)


def test_draft_says_that_it_can_still_change(story: Database):
    """Nobody takes a draft for a promise."""
    shop.make_rollout(story, shop.make_draft("later"), started=False)

    page = text_of(shop.make_app(story).test_client().get("/rollouts/later/plan"))

    assert "Draft, revision 1" in page
    assert "Limits to be locked" in page


def test_history_lists_deeds_and_looks(client: FlaskClient):
    """The timeline and every look, each with a link to its report."""
    page = text_of(client.get("/rollouts/guided-returns/history"))

    assert "Plan locked" in page
    assert f'href="{REPORT}/S-20260514-0942-c81f"' in page


def test_json_is_the_snapshot(client: FlaskClient):
    """The file holds the very body that the page was drawn from."""
    answer = client.get(f"{REPORT}/S-20260514-0942-c81f.json")

    assert json.loads(answer.data) == make_snapshot()
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="S-20260514-0942-c81f.json"'
    )


def test_csv_holds_a_row_for_each_metric(client: FlaskClient):
    """Numbers stay numbers, with snapshot and plan beside them."""
    answer = client.get(f"{REPORT}/S-20260514-0942-c81f.csv")
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))

    assert len(rows) == 8
    assert rows[0]["metric"] == "contacts"
    assert float(rows[0]["relative_low"]) == 0.18
    assert rows[0]["snapshot"] == "S-20260514-0942-c81f"
    assert {row["plan_hash"] for row in rows} == {make_snapshot()["plan"]["hash"]}


def test_file_to_send_on_loads_nothing(client: FlaskClient):
    """The HTML file has its styles and charts inside, no script and no address."""
    answer = client.get(f"{REPORT}/S-20260514-0942-c81f.html")
    page = answer.get_data(as_text=True)

    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "chart-phone" in page
    assert "--harm:" in page
    assert "default-src 'none'" in page


def test_home_says_what_needs_somebody(story: Database):
    """A held rollout is named first, with the reason and a way to its report."""
    from rollouts.lifecycle import deeds
    from rollouts.lifecycle import service as lifecycle

    with story.transaction() as session:
        row = lifecycle.get_rollout(session, "guided-returns")
        deeds.hold(
            session, row, reason="the next step is not affordable", actor=shop.PRIYA, now=shop.NOW
        )

    page = text_of(shop.make_app(story).test_client().get("/"))

    assert "1 needs you" in page
    assert page.index("the next step is not affordable") < page.index("<h2>Live</h2>")
    assert "212 of 200 contacts" in page
    assert "2 of 7 safe" in page


def test_withdrawn_rollout_needs_somebody_and_is_listed_as_ended(story: Database):
    """For a day it stands at the top, and its verdict stands below as a sentence."""
    from rollouts.lifecycle import deeds

    with story.transaction() as session:
        deeds.withdraw(session, "guided-returns", reason="harm", actor=shop.PRIYA, now=shop.NOW)

    page = text_of(shop.make_app(story).test_client().get("/"))

    assert "was withdrawn" in page
    assert page.index("Needs you") < page.index("Ended last") < page.rindex("contacts rose 31 %")


def test_empty_home_says_what_the_place_is_for(db: Database):
    """The first day has one sentence and one thing to do."""
    page = text_of(shop.make_app(db).test_client().get("/"))

    assert "No rollout yet" in page
    assert "rollouts demo" in page


def test_huge_lists_come_in_pages(story: Database):
    """Five hundred rollouts are 25 a page, each met exactly once, also when searched."""
    shop.make_many(story, 500)
    client = shop.make_app(story).test_client()
    seen: list[str] = []
    path = "/?state=draft"
    while path:
        page = client.get(path).get_data(as_text=True)
        seen += re.findall(r"<code>(many-\d+)</code>", page)
        found = re.search(r'href="([^"]+)" rel="next"', page)
        path = found[1].replace("&amp;", "&") if found else ""

    assert seen == [f"many-{i:03}" for i in range(500)]
    assert "many-123" in text_of(client.get("/?search=many-123"))
    assert "Nothing found" in text_of(client.get("/?search=%00nobody%25"))


def test_reader_may_read_and_a_stranger_may_not(story: Database):
    """Roles are declared; the audit names people and wants more than a reader."""
    reader = shop.make_app(story, shop.with_role(Role.READER)).test_client()

    assert reader.get(REPORT).status_code == 200
    assert reader.get("/audit").status_code == 403
    assert 'href="/audit"' not in reader.get("/").get_data(as_text=True)


def test_missed_looks_top_the_page(story: Database):
    """If the guard is silent, the report says so before the verdict."""
    app = shop.make_app(story)
    parts = app.extensions["rollouts"]
    parts.at = shop.NOW.replace(hour=12)

    page = text_of(app.test_client().get(REPORT))

    assert page.index("The stop-loss has missed its looks") < page.index("Withdrawn on")
