"""Who gets what and why, the history, flags that could go, and the notes for their removal."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from rollouts.accounts.model import Role
from rollouts.db import Database
from rollouts.flags import service as flags
from rollouts.flags import staleness
from rollouts.flags.model import Flag, FlagKind, FlagState, ForceRule, PercentageRule
from tests.rollouts.flags.makers import rollout_rule
from tests.rollouts.reports import shop
from tests.rollouts.reports.editor.test_pages import fields_of
from tests.rollouts.reports.shop import NOW, PRIYA, text_of

LONG_AGO = NOW - timedelta(days=200)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def kept(db: Database) -> Database:
    """Thirty old flags that serve one value, and one that decides by country."""
    shop.make_catalogue(db)
    nz = ForceRule(id="nz", description="Kiwis", condition={"country": "NZ"}, value="same-day")
    some = PercentageRule(id="p", value="next-day", share=0.0)
    with db.transaction() as session:
        for n in range(30):
            flags.create_flag(
                session,
                Flag(f"old-{n:02}", FlagKind.BOOLEAN, default=True, owner="Web"),
                actor=PRIYA,
                now=LONG_AGO,
            )
        flags.create_flag(
            session,
            Flag(
                "promise",
                FlagKind.STRING,
                default="two-days",
                states={"production": FlagState(True, None, (nz, some))},
            ),
            actor=PRIYA,
            now=NOW,
        )
    return db


@pytest.fixture
def browser(kept: Database) -> FlaskClient:
    """A browser of someone who only reads."""
    return shop.make_app(kept, shop.with_role(Role.READER)).test_client()


def ask(browser: FlaskClient, path: str, attributes: str, **more: str) -> str:
    """The page for a user."""
    data = {"attributes": attributes, "environment": "production", **more}
    answer = browser.post(path, data=data)
    assert answer.status_code == 200
    return text_of(answer)


def test_a_user_is_told_rule_by_rule(browser: FlaskClient):
    """The value, the rule that decides, and why each of the others does not."""
    page = ask(browser, "/flags/promise/who", "id=u1\ncountry=NZ")
    assert "&#34;same-day&#34;" in page
    assert "Rule 1 decides: everything it asks holds" in page
    assert "If country is NZ: same-day" in page

    page = ask(browser, "/flags/promise/who", '{"id": "u1", "country": "GB"}')
    assert "No rule concerns this user: the default holds." in page
    assert "the condition does not hold" in page
    assert "outside its share of units" in page


def test_every_flag_is_asked_at_once(browser: FlaskClient):
    """Searched, a page at a time, and as a file; the attributes stay out of the address."""
    first = ask(browser, "/who-gets-what", "country=NZ")
    assert "25 of 32 flags, by key" in first
    assert "promise" not in first
    assert 'name="after" value="old-23"' in first
    rest = ask(browser, "/who-gets-what", "country=NZ", after="old-23")
    assert "&#34;same-day&#34;" in rest
    found = ask(browser, "/who-gets-what", "country=NZ", search="promise")
    assert "1 of 1 flag, by key" in found
    rows = ask(browser, "/who-gets-what", "country=NZ", search="promise", do="csv")
    (row,) = csv.DictReader(io.StringIO(rows))
    assert (row["value"], row["source"]) == ('"same-day"', "force")


def test_a_user_that_cannot_be_read_is_marked_where_it_goes_wrong(browser: FlaskClient):
    """With the line and the column, and what was typed is still there."""
    data = {"attributes": '{"id": "u1",\n "age": }', "environment": "production"}
    answer = browser.post("/who-gets-what", data=data)
    page = text_of(answer)

    assert answer.status_code == 422
    assert "Line 2, column 9" in page
    assert "<mark>}</mark>" in page
    assert fields_of(page)["attributes"] == data["attributes"]
    elsewhere = {"attributes": "id=1", "environment": "mars"}
    assert browser.post("/who-gets-what", data=elsewhere).status_code == 404


def test_the_history_has_every_revision_and_its_file(kept: Database):
    """A page at a time; each can be put back."""
    for n in range(30):
        with kept.transaction() as session:
            flags.edit_flag(
                session, "promise", {"owner": f"o{n}"}, actor=PRIYA, now=NOW, reason=f"why {n}"
            )
    browser = shop.make_app(kept).test_client()
    page = text_of(browser.get("/flags/promise/history"))

    assert "7 to 31 of 31" in page
    assert "why 29" in page
    assert '<div class="del">&#34;o28&#34;' in page
    assert 'href="/flags/promise/revisions/30"' in page
    assert "1 to 6 of 31" in text_of(browser.get("/flags/promise/history?before=7"))
    rows = list(csv.DictReader(io.StringIO(text_of(browser.get("/flags/promise/history.csv")))))
    assert len(rows) == 31
    assert (rows[0]["changed"], rows[0]["at"]) == ("owner", "2026-05-14T10:06:00+00:00")


def test_flags_that_could_go_are_listed_with_the_reason(browser: FlaskClient):
    """Searched, chosen by reason, a page at a time, and as a file."""
    page = text_of(browser.get("/stale-flags"))
    assert "25 of 30 flags, by key" in page
    assert "Everybody gets true in every environment." in page
    assert "promise" not in page
    assert "5 of 30 flags" in text_of(browser.get("/stale-flags?after=old-24"))
    assert "10 of 10 flags" in text_of(browser.get("/stale-flags?search=OLD-1&because=one_value"))
    assert "Nothing found" in text_of(browser.get("/stale-flags?because=rollout_decided"))
    assert "earns its place" in text_of(browser.get("/stale-flags?days=300"))
    rows = list(csv.DictReader(io.StringIO(text_of(browser.get("/stale-flags.csv?search=old-03")))))
    assert rows[0]["removal"] == "Put true in place of 'old-03' in the code, then archive it."
    assert text_of(browser.get("/stale-flags?days=99999&because=x&after=%00"))


def scan(db: Database, lines: int) -> None:
    """Tell of a scan of the shop's code."""
    with db.transaction() as session:
        staleness.put_code_references(
            session,
            "old-03",
            "shop",
            "main",
            [("src/`a`*.ts", n + 1) for n in range(lines)],
            commit=COMMIT,
            actor=PRIYA,
            now=NOW,
        )


def test_without_a_scan_the_command_is_told(browser: FlaskClient):
    """That nobody looked is not that nothing was found."""
    page = text_of(browser.get("/flags/old-03/code"))
    assert "No scan yet" in page
    assert "rollouts code-refs scan PATH" in page
    assert "run `rollouts code-refs scan PATH`" in text_of(browser.get("/flags/old-03/code.txt"))


def test_a_scan_that_found_nothing_says_so(browser: FlaskClient, kept: Database):
    """With when, where and at which commit."""
    scan(kept, 0)
    page = text_of(browser.get("/flags/old-03/code"))

    assert "No line mentions it there." in page
    assert COMMIT[:12] in page
    assert "No scan yet" not in page


def test_the_removal_note_can_be_taken_along(browser: FlaskClient, kept: Database):
    """File and line of each mention, as text and as Markdown that shows what it holds."""
    scan(kept, 130)
    page = text_of(browser.get("/flags/old-03/code"))
    assert "1 to 100 of 130 lines in 1 file" in page
    assert "101 to 130 of 130" in text_of(browser.get("/flags/old-03/code?from=100"))

    text = text_of(browser.get("/flags/old-03/code.txt"))
    assert "src/`a`*.ts:130\n" in text
    assert "Scanned shop, branch main, commit 0123456789ab, on 14 May 2026 10:06:00 UTC." in text
    markdown = text_of(browser.get("/flags/old-03/code.md"))
    assert "- [ ] `` src/`a`*.ts:7 ``\n" in markdown
    assert "Put true in place of 'old-03' on 130 lines of 1 file, then archive it." in markdown
    rows = list(csv.DictReader(io.StringIO(text_of(browser.get("/flags/old-03/code.csv")))))
    assert len(rows) == 130
    assert (rows[4]["file"], rows[4]["line"]) == ("src/`a`*.ts", "5")


def test_a_decided_rollout_opens_the_note(kept: Database):
    """On the flag's page, in the list with its reason, and in the note: the value to keep."""
    rule = rollout_rule(decided="guided")
    with kept.transaction() as session:
        flags.put_rollout_rule(
            session,
            flag="guided-returns",
            environment="production",
            rule=rule,
            actor=PRIYA,
            reason="",
            now=NOW,
        )
    browser = shop.make_app(kept).test_client()

    page = text_of(browser.get("/flags/guided-returns"))
    assert "The rollout guided-returns is decided in production: everybody gets true." in page
    assert '<a href="/flags/guided-returns/code">Removal note</a>' in page
    assert "1 of 1 flag" in text_of(browser.get("/stale-flags?because=rollout_decided"))
    note = text_of(browser.get("/flags/guided-returns/code"))
    assert "Put true in place of &#39;guided-returns&#39; in the code, then archive it." in note
    assert "rollouts code-refs scan PATH" in note
