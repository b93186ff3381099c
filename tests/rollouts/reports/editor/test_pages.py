"""The editor as a person without script meets it: forms, one after another."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from rollouts.accounts.model import Role
from rollouts.db import Database
from rollouts.flags import service as flags
from rollouts.flags.model import (
    Arm,
    ExperimentRule,
    Flag,
    FlagKind,
    FlagState,
    ForceRule,
    GateRule,
    Given,
    GroupTest,
    Namespace,
    PercentageRule,
    Prerequisite,
    Schedule,
)
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import NOW, PRIYA, text_of

HERE = "/flags/promise/rules"
ANA = replace(PRIYA, id="u2", name="Ana Ruiz")
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def editing(db: Database) -> Database:
    """A flag that serves texts, with one rule for staff."""
    shop.make_catalogue(db)
    with db.transaction() as session:
        staff = ForceRule(id="fr_staff", description="Staff", condition={"staff": True}, value="a")
        flags.create_flag(
            session,
            Flag(
                "promise",
                FlagKind.STRING,
                default="two-days",
                schema={"type": "string", "maxLength": 8},
                states={"production": FlagState(True, None, (staff,))},
            ),
            actor=PRIYA,
            now=NOW,
        )
    return db


@pytest.fixture
def browser(editing: Database) -> FlaskClient:
    """Priya's browser."""
    return shop.make_app(editing).test_client()


def flag_of(db: Database, key: str = "promise") -> Flag:
    """The flag as it is."""
    with db.reading() as session:
        return flags.get_flag(session, key)


def fields_of(page: str) -> dict[str, str]:
    """What a browser would send of the page's form, without the button."""
    main = page[page.index("<main") :]
    form = main[main.index("<form method=") :].split("</form>")[0]
    sent: dict[str, str] = {"csrf_token": "token"}
    for tag in re.findall(r"<input[^>]*>", form):
        held = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        is_off = held.get("type") in ("checkbox", "radio") and " checked" not in tag
        if "name" in held and not is_off:
            is_tick = held.get("type") == "checkbox"
            sent[held["name"]] = "on" if is_tick else html.unescape(held.get("value", ""))
    for name, text in re.findall(
        r'<textarea[^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>', form, re.S
    ):
        sent[name] = html.unescape(text)
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.S):
        [chosen] = re.findall(r"<option([^>]*) selected>([^<]*)", options)
        value = re.findall(r'value="([^"]*)"', chosen[0])
        sent[name] = html.unescape(value[0] if value else chosen[1])
    return sent


def opened(browser: FlaskClient, address: str = HERE) -> dict[str, str]:
    """The form's fields as they stand at first."""
    return fields_of(text_of(browser.get(address)))


def press(browser: FlaskClient, fields: dict[str, str], do: str, **over: str) -> Any:
    """Send the form with one of its buttons."""
    return browser.post(HERE, data={**fields, **over, "do": do})


def test_a_rule_is_added_reviewed_and_saved(browser: FlaskClient, editing: Database):
    """The whole way: add, fill in, see the difference, say why, and it is served."""
    fields = fields_of(text_of(press(browser, opened(browser), "add:percentage")))
    fields = fields_of(text_of(press(browser, fields, "row:1:tests")))
    fields |= {
        "rules.1.description": "Ireland",
        "rules.1.value": "next-day",
        "rules.1.share": "12.5",
        "rules.1.tests.0.attribute": "country",
        "rules.1.tests.0.operator": "$in",
        "rules.1.tests.0.value": "IE, XI",
    }
    review = press(browser, fields, "review")
    page = text_of(review)

    assert review.status_code == 200
    assert '<div class="add">Ireland: country is one of IE, XI → next-day for 12 %' in page
    assert len(flag_of(editing).state("production").rules) == 1
    saved = press(browser, fields_of(page), "save", reason="LOG-771")
    assert saved.status_code == 303
    staff, ireland = flag_of(editing).state("production").rules
    assert isinstance(ireland, PercentageRule)
    assert (ireland.share, ireland.condition) == (0.125, {"country": {"$in": ["IE", "XI"]}})
    assert staff.id == "fr_staff"
    assert "LOG-771" in text_of(browser.get("/flags/promise"))


def test_saving_tells_clients_and_wants_a_reason(editing: Database):
    """Without a reason nothing is saved and everything that was typed is still there."""
    app = shop.make_app(editing)
    browser = app.test_client()
    fields = opened(browser) | {"rules.0.value": "b"}
    refused = press(browser, fields, "save", reason=" ")

    assert refused.status_code == 422
    assert "Say why" in text_of(refused)
    assert fields_of(text_of(refused))["rules.0.value"] == "b"
    assert app.extensions["rollouts"].delivery.rung == 0
    press(browser, fields, "save", reason="x")
    assert app.extensions["rollouts"].delivery.rung == 1
    assert flag_of(editing).revision == 2


def test_schema_and_condition_errors_stand_beside_their_fields(browser: FlaskClient):
    """The summary leads to each field, which says what is wrong and keeps what was typed."""
    fields = opened(browser) | {
        "rules.0.value": "much-too-long",
        "rules.0.condition": '{"$or": 3}',
        "rules.0.schedule.starts_at": "2026-05-15T07:00",
        "rules.0.schedule.ends_at": "2026-05-14T07:00",
    }
    answer = press(browser, fields, "review")
    page = text_of(answer)

    assert answer.status_code == 422
    assert 'role="alert" tabindex="-1" id="wrong" autofocus' in page
    for name in ("rules.0.value", "rules.0.condition", "rules.0.schedule.ends_at"):
        assert f'href="#{name}"' in page
        assert f'id="{name}-err"' in page
        assert fields_of(page)[name].startswith(fields[name])
    row = opened(browser) | {"rules.0.tests.0.operator": "$regex", "rules.0.tests.0.value": "(a"}
    assert 'href="#rules.0.tests.0.value"' in text_of(press(browser, row, "review"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rules.0.rest", "{"),
        ("rules.0.rest", '{"value": 1}'),
        ("rules.0.rest", '{"nonsense": 1}'),
        ("rules.0.condition", "[]"),
        ("rules.0.type", "percentage"),
    ],
)
def test_what_cannot_be_read_is_said(browser: FlaskClient, name: str, text: str):
    """Never an error page: the form again."""
    answer = press(browser, opened(browser) | {name: text}, "review")

    assert answer.status_code == 422
    assert "to mend; nothing was saved" in text_of(answer)


def test_rules_move_and_go_by_buttons(browser: FlaskClient):
    """Focus follows the rule that moved, so a keyboard can go on."""
    fields = fields_of(text_of(press(browser, opened(browser), "add:force")))
    moved = text_of(press(browser, fields, "up:1"))

    assert fields_of(moved)["rules.1.id"] == "fr_staff"
    assert re.search(r'id="down.0"[^>]*autofocus', moved)
    gone = fields_of(text_of(press(browser, fields_of(moved), "remove:1")))
    assert [name for name in gone if name.endswith(".id")] == ["rules.0.id"]
    for nonsense in (
        "up:0",
        "down:99",
        "drop:0:tests:9",
        "row:0:x",
        "remove:-1",
        "add:rollout",
        "",
    ):
        assert press(browser, opened(browser), nonsense or "zz").status_code == 200


def test_what_the_form_does_not_show_is_kept(editing: Database):
    """Every kind of rule with all it can have: opening and saving changes nothing."""
    whole = {
        "condition": {"$or": [{"a": 1}, {"b": {"$elemMatch": {"$gt": 1}}}], "c": {"$lt": "9"}},
        "saved_groups": (),
        "schedule": Schedule(NOW, None),
        "namespaces": (Namespace("s", ((0.0, 0.5),)),),
    }
    arms = (Arm("0", "", "a", 1 / 3), Arm("1", "n", "b", 2 / 3, True))
    rules = (
        ForceRule(id="1", value='x"\n', is_enabled=False, **whole),
        PercentageRule(id="2", value="b", share=0.1, span=(0.1, 0.2), hash_version=1, **whole),
        ExperimentRule(
            id="3", variations=arms, coverage=0.7, ranges=((0.0, 0.1), (0.5, 0.6)), **whole
        ),
        GateRule(
            id="4",
            prerequisites=(
                Prerequisite("guided-returns", {"value": True}, is_gate=True),
                Prerequisite("guided-returns", {"value": {"$ne": "40"}}),
            ),
        ),
    )
    with editing.transaction() as session:
        flags.set_state(
            session,
            "promise",
            "production",
            FlagState(False, Given("q"), rules),
            actor=ANA,
            now=NOW,
        )
    browser = shop.make_app(editing).test_client()
    page = text_of(press(browser, opened(browser), "review"))

    assert "Nothing would change" in page


def test_stale_edit_shows_both_and_keeps_all(browser: FlaskClient, editing: Database):
    """Ana was faster: my changes wait, what fits is merged, the clash is mine to choose."""
    fields = opened(browser) | {"rules.0.value": "mine", "rules.0.description": HOSTILE}
    fields = fields_of(text_of(press(browser, fields, "add:force")))
    theirs = replace(flag_of(editing).state("production").rules[0], value="theirs")
    with editing.transaction() as session:
        state = FlagState(False, None, (theirs,))
        flags.set_state(session, "promise", "production", state, actor=ANA, now=NOW, reason="IE")
    clash = press(browser, fields, "save", reason="my reason")
    page = text_of(clash)

    assert clash.status_code == 412
    assert "<bdi>Ana Ruiz</bdi> changed this flag while you did" in page
    assert "“<bdi>IE</bdi>”" in page
    assert "<script>alert" not in page
    assert flag_of(editing).state("production").rules == (theirs,)
    sent = fields_of(page)
    assert sent["reason"] == "my reason"
    assert sent["choice.rule:fr_staff"]
    review = text_of(press(browser, sent, "merge", **{"choice.rule:fr_staff": "theirs"}))
    assert "Save revision 3" in review
    assert press(browser, fields_of(review), "save", reason="both").status_code == 303
    after = flag_of(editing).state("production")
    assert not after.is_enabled
    assert after.rules[0] == theirs
    assert len(after.rules) == 2


def test_merge_is_refused_once_it_is_stale_itself(browser: FlaskClient, editing: Database):
    """A third change in between is shown too."""
    fields = opened(browser) | {"rules.0.value": "mine"}
    for enabled in (False, True):
        with editing.transaction() as session:
            flags.set_enabled(
                session, "promise", "production", enabled, reason="", actor=ANA, now=NOW
            )
        page = text_of(press(browser, fields, "review"))
        assert "All your changes fit beside theirs" in page
    assert press(browser, fields_of(page) | {"newest": "2"}, "merge").status_code == 412
    assert press(browser, fields_of(page), "merge").status_code == 200


def test_rules_of_rollouts_are_locked(editing: Database):
    """They can be moved past, with a warning, and never edited."""
    shop.make_rollout(editing, shop.make_draft())
    browser = shop.make_app(editing).test_client()
    here = "/flags/guided-returns/rules"
    page = text_of(browser.get(here))
    fields = fields_of(page)

    assert "set by the rollout" in page
    assert 'href="/rollouts/guided-returns/plan"' in page
    assert "rules.0.value" not in fields
    fields = fields_of(text_of(browser.post(here, data={**fields, "do": "add:force"})))
    fields = fields_of(text_of(browser.post(here, data={**fields, "do": "up:1"})))
    review = text_of(browser.post(here, data={**fields, "do": "review"}))
    assert "Rule 1 stands above the live rollout guided-returns" in review
    forged = {**fields, "rules.1.type": "force", "rules.1.value": "true", "do": "review"}
    assert browser.post(here, data=forged).status_code == 422
    without = {name: text for name, text in fields.items() if not name.startswith("rules.1.")}
    assert browser.post(here, data={**without, "do": "review"}).status_code == 422


def test_an_earlier_revision_is_restored(browser: FlaskClient, editing: Database):
    """What it would undo is shown first; a reason is needed; it is a new revision."""
    press(browser, opened(browser) | {"rules.0.value": "b"}, "save", reason="try b")
    assert "Restore 1…" in text_of(browser.get("/flags/promise"))
    page = text_of(browser.get("/flags/promise/revisions/1"))
    assert '<div class="del">Staff: staff is true → b' in page
    fields = fields_of(page)
    assert (
        browser.post("/flags/promise/revisions/1", data={**fields, "reason": ""}).status_code == 422
    )
    stale = browser.post("/flags/promise/revisions/1", data={"revision": "1", "reason": "x"})
    assert stale.status_code == 412
    done = browser.post("/flags/promise/revisions/1", data={**fields, "reason": "b was wrong"})

    assert done.status_code == 303
    assert flag_of(editing).revision == 3
    assert flag_of(editing).state("production").rules[0].value == "a"  # type: ignore[union-attr]
    assert browser.get("/flags/promise/revisions/9").status_code == 404


def test_groups_and_prerequisites_have_fields(browser: FlaskClient, editing: Database):
    """What does not exist is named beside its field."""
    fields = opened(browser)
    for kind in ("saved_groups", "prerequisites"):
        fields = fields_of(text_of(press(browser, fields, f"row:0:{kind}")))
    fields |= {
        "rules.0.prerequisites.0.flag": "guided-returns",
        "rules.0.saved_groups.0.groups": "none-such",
    }
    page = text_of(press(browser, fields, "review"))
    assert "there is no saved group &#39;none-such&#39;" in page
    fields = fields_of(text_of(press(browser, fields, "drop:0:saved_groups:0")))
    press(browser, fields, "save", reason="x")
    [rule] = flag_of(editing).state("production").rules
    assert rule.prerequisites == (Prerequisite("guided-returns", {"value": True}),)
    assert rule.saved_groups == () != (GroupTest("any", ("x",)),)


def test_readers_may_not(editing: Database):
    """Neither the form nor sending it; the flag's page does not offer it."""
    reader = shop.make_app(editing, shop.with_role(Role.READER)).test_client()

    assert "Edit rules" not in text_of(reader.get("/flags/promise"))
    for address in (HERE, "/flags/promise/revisions/1"):
        assert reader.get(address).status_code == 403
        assert reader.post(address, data={"reason": "x"}).status_code == 403


def test_places_that_are_not_there(browser: FlaskClient):
    """An unknown flag or environment is said."""
    assert browser.get("/flags/none/rules").status_code == 404
    assert browser.get(f"{HERE}?environment=mars").status_code == 404
    assert browser.post(HERE, data={"environment": "mars"}).status_code == 404
