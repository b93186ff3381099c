"""Whatever a form is sent: the page again with what is wrong, or a refusal; never a failure."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from rollouts.db import Database
from tests.rollouts.reports import shop
from tests.rollouts.reports.editor.test_pages import fields_of
from tests.rollouts.reports.shop import text_of
from tests.rollouts.reports.test_flag_pages import many as many

TEXTS = (
    "",
    "\0",
    "\u202e\u200fاسم",
    "x" * 20_000,
    '{"id": "\\ud800"}',
    '"\\ud800"',
    "{" * 3_000,
    "[" * 3_000 + "]" * 3_000,
    '{"a": 1e999}',
    '{"a": ' + "9" * 400 + "}",
    "-0",
    '{"$or": [{"a": {"$regex": "(a+)+$"}}]}',
    "<script>alert(1)</script>\"'",
    "%00=\r\n=\r\n::",
)
FORMS = (
    "/who-gets-what",
    "/flags/flag-07/who",
    "/new-flag",
    "/flags/flag-07/details",
    "/new-saved-group",
    "/saved-groups/staff/edit",
    "/flags/flag-07/rules",
)
NEVER_TYPED = {"csrf_token", "revision", "environment"}


@pytest.fixture
def browser(many: Database) -> FlaskClient:
    """A browser that shows every failure."""
    return shop.make_app(many).test_client()


@pytest.mark.parametrize("path", FORMS)
def test_no_text_in_any_field_makes_a_page_fail(browser: FlaskClient, path: str):
    """In one field after another, and in all at once."""
    fields = fields_of(text_of(browser.get(path)))
    names = [name for name in fields if name not in NEVER_TYPED and not name.endswith(".id")]
    for place, text in enumerate(TEXTS):
        alone = names[place % len(names)]  # every field meets some of them alone
        for over in ({alone: text}, dict.fromkeys([*names, "users"], text)):
            answer = browser.post(path, data={**fields, **over, "do": "review"})
            assert answer.status_code < 500, (path, over.keys(), text[:40])
            assert "<script>alert" not in text_of(answer)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("data", [{}, {"do": "save"}, {"do": "edit"}, {"revision": "9" * 30}])
def test_forms_with_nothing_in_them_are_answered(
    browser: FlaskClient, path: str, data: dict[str, str]
):
    """As a script would send them that knows no fields."""
    assert browser.post(path, data=data).status_code < 500


@pytest.mark.parametrize("name", ["search", "after", "owner", "tag", "state", "because", "days"])
@pytest.mark.parametrize("text", ["%00", "%F0%9F%98%80" * 60, "-1", "1" * 40, "%ED%A0%80"])
def test_addresses_ask_for_anything(browser: FlaskClient, name: str, text: str):
    """What cannot be asked is left out or refused."""
    for path in ("/flags", "/flags.csv", "/stale-flags", "/stale-flags.csv", "/saved-groups"):
        assert browser.get(f"{path}?{name}={text}").status_code < 500
