"""Pages of flags: the list, making, describing, archiving; groups; and before saving."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from rollouts.accounts.model import Role
from rollouts.db import Database
from rollouts.flags import groups
from rollouts.flags import service as flags
from rollouts.flags.model import Flag, FlagKind, FlagState, ForceRule, GroupTest, SavedGroup
from tests.rollouts.reports import shop
from tests.rollouts.reports.editor.test_pages import fields_of
from tests.rollouts.reports.shop import NOW, PRIYA, text_of

ANA = replace(PRIYA, id="u2", name="Ana Ruiz")
HOSTILE = '"><script>alert(1)</script>'
EMAILS = ("a@shop.example", "b@shop.example")


@pytest.fixture
def many(db: Database) -> Database:
    """Thirty flags of three owners, and a group that one of them uses."""
    shop.make_catalogue(db)
    with db.transaction() as session:
        group = SavedGroup("staff", "Staff", attribute="email", values=EMAILS)
        groups.create_group(session, group, actor=PRIYA, now=NOW)
        for n in range(30):
            staff = ForceRule(id="s", value=True, saved_groups=(GroupTest("any", ("staff",)),))
            flags.create_flag(
                session,
                Flag(
                    f"flag-{n:02}",
                    FlagKind.BOOLEAN,
                    default=False,
                    owner=("Web", "Shop", "")[n % 3],
                    tags=("beta",) if n % 2 else (),
                    states={"production": FlagState(n % 5 > 0, None, (staff,) if n == 7 else ())},
                ),
                actor=PRIYA,
                now=NOW,
            )
    return db


@pytest.fixture
def browser(many: Database) -> FlaskClient:
    """Priya's browser."""
    return shop.make_app(many).test_client()


def flag_of(db: Database, key: str) -> Flag:
    """The flag as it is."""
    with db.reading() as session:
        return flags.get_flag(session, key)


def table_of(browser: FlaskClient, path: str) -> list[dict[str, str]]:
    """A file's rows by their heads."""
    answer = browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(text_of(answer))))


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("", 31),
        ("?search=FLAG-1", 10),
        ("?owner=Web", 11),
        ("?owner=–", 10),
        ("?tag=beta&owner=Shop", 5),
        ("?on_in=production&tag=beta", 12),
        ("?off_in=production", 6),
        ("?on_in=mars", 0),
        ("?state=archived", 0),
        ("?search=%25", 0),
    ],
)
def test_flags_are_searched_and_chosen_together(browser: FlaskClient, query: str, n: int):
    """The page, its pager and its file agree on what fits."""
    page = text_of(browser.get(f"/flags{query}"))

    assert (f"{min(n, 25)} of {n} flags, by key" in page) == (n > 0)
    assert len(table_of(browser, f"/flags.csv{query}")) == n


def test_the_list_goes_on_where_it_ended(browser: FlaskClient):
    """Every flag once, with what was chosen kept."""
    page = text_of(browser.get("/flags?search=flag"))

    assert 'href="/flags?after=flag-24&amp;search=flag"' in page
    rest = text_of(browser.get("/flags?after=flag-24&search=flag"))
    assert "flag-25" in rest
    assert "flag-24" not in rest.replace("after=flag-24", "")


NEW = {
    "key": "promise",
    "kind": "json",
    "description": HOSTILE,
    "owner": "Web",
    "tags": 'checkout, "a, b", checkout',
    "default": '{"days": 2}',
    "schema": '{"type": "object", "required": ["days"]}',
    "reason": "LOG-771",
}


def test_a_flag_is_made_described_and_archived_from_its_pages(many: Database):
    """The whole life: each step has its revision, its reason, and is told to clients at once."""
    app = shop.make_app(many)
    browser, bell = app.test_client(), app.extensions["rollouts"].delivery
    answer = browser.post("/new-flag", data=NEW)
    assert (answer.status_code, answer.location) == (303, "/flags/promise")
    made = flag_of(many, "promise")
    assert (made.kind, made.default, made.tags) == (
        FlagKind.JSON,
        {"days": 2},
        ("checkout", "a, b"),
    )
    assert "<script>alert" not in text_of(browser.get("/flags/promise"))

    fields = fields_of(text_of(browser.get("/flags/promise/details"))) | {"owner": "Shop"}
    review = browser.post("/flags/promise/details", data={**fields, "do": "review"})
    assert '<code>"Shop"</code>' in text_of(review)
    assert flag_of(many, "promise").revision == 1
    fields = fields_of(text_of(review))
    assert browser.post("/flags/promise/details", data={**fields, "do": "save"}).status_code == 422
    saved = browser.post("/flags/promise/details", data={**fields, "do": "save", "reason": "moved"})
    assert saved.status_code == 303
    assert flag_of(many, "promise").owner == "Shop"

    sure = {"key": "promise", "reason": "gone"}
    assert browser.post("/flags/promise/archive", data={**sure, "key": "x"}).status_code == 422
    assert browser.post("/flags/promise/archive", data=sure).status_code == 303
    assert flag_of(many, "promise").is_archived
    assert "promise" in text_of(browser.get("/flags?state=archived"))
    assert browser.post("/flags/promise/restore", data=sure).status_code == 303
    assert not flag_of(many, "promise").is_archived
    assert bell.rung == 4


@pytest.mark.parametrize(
    ("over", "name"),
    [
        ({"key": "no way"}, "key"),
        ({"key": "flag-01"}, "key"),
        ({"kind": "colour"}, "kind"),
        ({"default": "{"}, "default"),
        ({"default": "{}"}, "default"),
        ({"schema": "[]"}, "schema"),
        ({"schema": '{"type": "nonsense"}'}, "schema"),
        ({"has_off": "on", "off": "{"}, "off"),
        ({"tags": "x" * 400}, "tags"),
    ],
)
def test_what_is_wrong_with_a_new_flag_stands_beside_its_field(
    browser: FlaskClient, over: dict[str, str], name: str
):
    """Nothing is made, and all that was typed is still there."""
    answer = browser.post("/new-flag", data=NEW | over)
    page = text_of(answer)

    assert answer.status_code in (409, 422)
    assert f'id="{name}-err"' in page
    assert 'value="LOG-771"' in page


def test_details_changed_by_two_people_are_shown_side_by_side(many: Database):
    """Neither is lost; saving again is deliberate and made for the newest revision."""
    browser = shop.make_app(many).test_client()
    fields = fields_of(text_of(browser.get("/flags/flag-01/details"))) | {"owner": "Mine"}
    with many.transaction() as session:
        flags.edit_flag(session, "flag-01", {"owner": "Theirs"}, actor=ANA, now=NOW, reason="IE")
    clash = browser.post("/flags/flag-01/details", data={**fields, "do": "save", "reason": "x"})
    page = text_of(clash)

    assert clash.status_code == 412
    assert "Ana Ruiz" in page
    assert "“<bdi>IE</bdi>”" in page
    assert ">Theirs</td>" in page
    assert ">Mine</td>" in page
    again = fields_of(page)
    assert (again["owner"], again["revision"], again["reason"]) == ("Mine", "2", "x")
    data = {**again, "do": "save"}
    assert browser.post("/flags/flag-01/details", data=data).status_code == 303
    assert flag_of(many, "flag-01").owner == "Mine"


def test_a_schema_that_rules_break_is_refused_with_the_rule(many: Database):
    """The fault names the place in the rules."""
    browser = shop.make_app(many).test_client()
    fields = fields_of(text_of(browser.get("/flags/flag-07/details")))
    data = {**fields, "schema": '{"const": false}', "do": "review"}
    answer = browser.post("/flags/flag-07/details", data=data)

    assert answer.status_code == 422
    assert "environments.production.rules.0.value" in text_of(answer)


def test_before_saving_it_says_whose_answer_changes(browser: FlaskClient):
    """Made-up ids by default, and it says so; a list of one's own if given, or where it is wrong."""
    here = "/flags/flag-01/rules"
    fields = fields_of(text_of(browser.get(here)))
    fields = fields_of(text_of(browser.post(here, data={**fields, "do": "add:percentage"})))
    page = text_of(browser.post(here, data={**fields, "do": "review"}))

    assert "Of ids 1 to 10,000" in page
    assert "Ids alone decide here, so of real ones it is between" in page
    asked = {**fields_of(page), "users": '{"id": "u1"}\nu2', "do": "review"}
    assert "Of the 2 users you gave" in text_of(browser.post(here, data=asked))
    wrong = browser.post(here, data={**asked, "users": 'u1\n{"id": '})
    assert wrong.status_code == 422
    assert "Line 2, column" in text_of(wrong)


def test_before_saving_a_live_rollout_is_named_with_what_it_loses(story: Database):
    """The split it would have, arm by arm; switching off ends it."""
    browser = shop.make_app(story).test_client()
    here = "/flags/guided-returns/rules"
    fields = fields_of(text_of(browser.get(here)))
    above = fields_of(text_of(browser.post(here, data={**fields, "do": "add:force"})))
    above = fields_of(text_of(browser.post(here, data={**above, "do": "up:1"})))
    page = text_of(browser.post(here, data={**above, "do": "review"}))

    assert "This harms the live rollout" in page
    assert ">Guided returns</a>" in page
    assert "Nobody would be left to compare." in page
    off = {name: text for name, text in fields.items() if name != "is_enabled"}
    page = text_of(browser.post(here, data={**off, "do": "review"}))
    assert "so its comparison ends." in page


def test_attributes_are_offered_with_their_types_and_a_strange_one_is_noticed(many: Database):
    """What other flags compare them with; before saving it is said that this one differs."""
    with many.transaction() as session:
        grown = ForceRule(id="g", value=True, condition={"age": {"$gte": 18}})
        flags.set_state(
            session, "flag-02", "production", FlagState(True, None, (grown,)), actor=ANA, now=NOW
        )
    browser, here = shop.make_app(many).test_client(), "/flags/flag-01/rules"
    page = text_of(browser.get(here))
    assert '<option value="age">number, 1 use</option>' in page
    assert '<option value="email">text, 1 use</option>' in page

    fields = fields_of(text_of(browser.post(here, data={**fields_of(page), "do": "add:force"})))
    fields = fields_of(text_of(browser.post(here, data={**fields, "do": "row:0:tests"})))
    row = "rules.0.tests.0."
    asks = {row + "attribute": "age", row + "operator": "$gte", row + "value": '"18"'}
    review = text_of(browser.post(here, data={**fields, **asks, "do": "review"}))
    assert "Rule 1 compares age with a text" in review
    assert "Elsewhere it is a number." in review
    asks[row + "value"] = "18"
    review = text_of(browser.post(here, data={**fields, **asks, "do": "review"}))
    assert "compares age" not in review


def test_every_page_of_a_flag_has_the_same_tabs(browser: FlaskClient, many: Database):
    """Readers do not see what they may not open."""
    parts = ("", "/rules", "/who", "/history", "/code", "/details")
    for part in parts:
        page = text_of(browser.get(f"/flags/flag-07{part}"))
        for name in parts[:-1]:
            assert f'href="/flags/flag-07{name}"' in page, (part, name)
    reader = shop.make_app(many, shop.with_role(Role.READER)).test_client()
    page = text_of(reader.get("/flags/flag-07"))
    assert 'href="/flags/flag-07/rules"' not in page
    assert "Archive" not in page
    for path in ("/new-flag", "/flags/flag-07/details", "/new-saved-group"):
        assert reader.get(path).status_code == 403


# Saved groups


def edit(browser: FlaskClient, do: str, **over: str) -> Any:
    """Send the group's form."""
    fields = fields_of(text_of(browser.get("/saved-groups/staff/edit")))
    return browser.post("/saved-groups/staff/edit", data={**fields, **over, "do": do})


def test_groups_name_the_flags_that_use_them(browser: FlaskClient):
    """In the list, in its file, on the group's page, which finds its values too."""
    assert 'href="/flags/flag-07"' in text_of(browser.get("/saved-groups"))
    assert table_of(browser, "/saved-groups.csv")[0]["flags"] == "flag-07"
    page = text_of(browser.get("/saved-groups/staff?search=B@"))
    assert "b@shop.example" in page
    assert "a@shop.example" not in page
    assert [row["email"] for row in table_of(browser, "/saved-groups/staff/values.csv")] == [
        *EMAILS
    ]


def test_a_group_is_changed_by_what_comes_and_goes(browser: FlaskClient, many: Database):
    """The difference and the flags it changes stand before the reason."""
    review = edit(browser, "review", add="c@shop.example, a@shop.example", take="b@shop.example")
    page = text_of(review)

    assert "values: 1 out, 1 in" in page
    assert '<div class="add">&#34;c@shop.example&#34;' in page
    assert "flag flag-07" in page
    fields = fields_of(page)
    here = "/saved-groups/staff/edit"
    assert browser.post(here, data={**fields, "do": "save"}).status_code == 422
    assert browser.post(here, data={**fields, "do": "save", "reason": "x"}).status_code == 303
    with many.reading() as session:
        found = groups.get_group(session, "staff").values
    assert found == ("a@shop.example", "c@shop.example")
    stale = browser.post(here, data={**fields, "do": "save", "reason": "y"})
    assert stale.status_code == 412
    assert "nothing is lost" in text_of(stale)


def test_groups_are_made_and_forgotten(browser: FlaskClient):
    """A list that knows numbers from texts, a condition, and what is wrong with either."""
    list_of_ids = {
        "key": "ids",
        "name": "Ids",
        "form": "list",
        "attribute": "id",
        "add": "1\n02\nx",
    }
    assert (
        browser.post("/new-saved-group", data={**list_of_ids, "numbers": "on"}).status_code == 303
    )
    page = text_of(browser.get("/saved-groups/ids"))
    assert "<code>1</code>" in page
    assert "<code>02</code>" in page
    held = {"key": "uk", "name": "UK", "form": "condition", "condition": '{"country": "GB"}'}
    for over, status in (({"condition": "{"}, 422), ({"condition": '{"$x": 1}'}, 422), ({}, 303)):
        assert browser.post("/new-saved-group", data=held | over).status_code == status
    assert browser.post("/new-saved-group", data=held).status_code == 409
    sure = {"reason": "unused", "revision": "1"}
    assert browser.post("/saved-groups/uk/delete", data={**sure, "key": "uk"}).status_code == 303
    used = browser.post("/saved-groups/staff/delete", data={**sure, "key": "staff"})
    assert used.status_code == 409
    assert browser.get("/saved-groups/uk").status_code == 404
