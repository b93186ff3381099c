"""Set-up pages in the whole service: keys are shown once, refusals keep what was typed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rollouts.accounts import service as accounts
from rollouts.accounts.model import Role
from rollouts.ledger.store import RecentExposureRow
from rollouts.notify import service as notify
from rollouts.runtime import Runtime
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import NOW, PRIYA, text_of

PAGES = ("connections", "people", "alerts", "events")
HOSTILE = '"><script>alert(1)</script>'


def send(api: FlaskClient, page: str, do: str, **fields: Any) -> Any:
    """Press one of the page's buttons."""
    return api.post(f"/setup/{page}", data={"do": do, **fields})


def secrets_of(page: str) -> list[str]:
    """What is shown this once."""
    return re.findall(r'class="secret"><span>[^<]*</span><code>([^<]+)</code>', page)


def with_key(app: Flask, parts: Runtime, role: Role) -> FlaskClient:
    """A client with a key of that role."""
    with parts.db.transaction() as session:
        issued = accounts.create_api_key(session, name="k", role=role, actor=PRIYA, now=parts.now())
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {issued.text}"
    return client


def test_a_connection_is_made_used_and_ended(api: FlaskClient):
    """Its key works at once, is shown with its encryption key, and ends."""
    page = text_of(
        send(
            api,
            "connections",
            "connection",
            name=HOSTILE,
            environment="production",
            mode="encrypted",
        )
    )
    key, secret = secrets_of(page)

    assert "<script>alert" not in page
    assert secret in page
    assert api.get(f"/api/features/{key}").status_code == 200
    listed = text_of(api.get("/setup/connections"))
    assert key in listed
    assert secret not in listed
    assert "ended" in text_of(send(api, "connections", "revoke", key=key))
    assert key not in text_of(api.get("/setup/connections"))


def test_write_keys_and_environments(api: FlaskClient):
    """A key's text is on one page only; a new environment can be chosen at once."""
    made = send(api, "connections", "environment", environment_key="dev", environment_name="Dev")
    assert made.status_code == 200
    page = send(
        api, "connections", "write-key", key_name="help desk", environment="dev", kind="browser"
    )
    [key] = secrets_of(text_of(page))

    assert page.headers["Cache-Control"] == "no-store"
    listed = text_of(api.get("/setup/connections"))
    assert key not in listed
    assert "browser: decides nothing alone" in listed
    [key_id] = re.findall(r'name="key" value="([^"]+)"', listed)
    assert send(api, "connections", "end-write-key", key=key_id).status_code == 200
    assert "help desk" not in text_of(api.get("/setup/connections"))


@pytest.mark.parametrize(
    ("page", "do", "fields", "field"),
    [
        ("connections", "connection", {"name": ""}, "name"),
        ("connections", "connection", {"name": "x", "environment": "production"}, "mode"),
        ("connections", "environment", {"environment_key": "no way"}, "key"),
        ("connections", "write-key", {"key_name": "x\x07"}, "environment"),
        ("people", "invite", {"name": "a/b", "role": "reader"}, "name"),
        ("people", "invite", {"name": "x", "role": "king"}, "role"),
        ("people", "api-key", {"key_name": "x", "role": "reader", "days": "9999"}, "days"),
        ("alerts", "destination", {"name": "x", "kind": "webhook", "url": "ftp://x"}, "url"),
        ("alerts", "destination", {"name": "x", "kind": "pigeon", "url": "x"}, "kind"),
    ],
)
def test_refusals_come_back_on_the_page(
    api: FlaskClient, page: str, do: str, fields: dict[str, str], field: str
):
    """The summary takes focus, and what was typed is still there."""
    answer = send(api, page, do, **fields)
    text = text_of(answer)

    assert answer.status_code in (400, 422)
    assert 'role="alert" tabindex="-1" autofocus' in text
    assert "Nothing was changed" in text
    assert field


@pytest.mark.parametrize("page", ["connections", "people", "alerts"])
def test_unknown_buttons_and_things_do_nothing(api: FlaskClient, page: str):
    """Neither an error page nor a change."""
    assert send(api, page, "dance").status_code == 422
    for do, name in (("revoke", "key"), ("end-api-key", "key"), ("link", "person"), ("test", "id")):
        assert send(api, page, do, **{name: "none-such"}).status_code in (404, 422)


def test_people_are_invited_changed_and_shut_out(api: FlaskClient, app: Flask):
    """The link signs them in once."""
    page = send(api, "people", "invite", name="sam@shop.example", full_name=HOSTILE, role="editor")
    [link] = secrets_of(text_of(page))

    assert "<script>alert" not in text_of(page)
    assert app.test_client().get("/" + link.split("/", 3)[3]).status_code == 200
    changed = send(
        api, "people", "change", person="sam@shop.example", role="reader", is_disabled="on"
    )
    assert "sam@shop.example is reader and shut out" in text_of(changed)
    assert "Nobody is called this" in text_of(api.get("/setup/people?search=nobody"))


def test_api_keys_are_made_and_ended(api: FlaskClient, app: Flask):
    """The key works until it is ended."""
    fields = {"key_name": "CI", "role": "reader", "environments": ["staging"], "days": "30"}
    [key] = secrets_of(text_of(send(api, "people", "api-key", **fields)))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"

    assert client.get("/api/v1/me").get_json()["environments"] == ["staging"]
    listed = text_of(api.get("/setup/people?search=CI"))
    assert key not in listed
    [key_id] = re.findall(r'name="key" value="([^"]+)"', listed)
    send(api, "people", "end-api-key", key=key_id)
    assert client.get("/api/v1/me").status_code == 401


def test_destinations_are_added_and_removed(api: FlaskClient, parts: Runtime):
    """A webhook's secret is shown once; the address only as far as it may be."""
    fields = {"name": HOSTILE, "kind": "webhook", "url": "https://hooks.example/T0/secret-path"}
    page = text_of(send(api, "alerts", "destination", **fields, kinds="rollout.withdrawn, test"))
    [secret] = secrets_of(page)

    listed = text_of(api.get("/setup/alerts"))
    assert secret.startswith("whsec_")
    assert secret not in listed
    assert "secret-path" not in listed
    assert "<script>alert" not in listed
    assert "rollout.withdrawn, test" in listed
    with parts.db.transaction() as session:
        notify.enqueue(
            session,
            kind="rollout.withdrawn",
            subject="Withdrawn: " + HOSTILE,
            happened="It hurt.",
            done="It is gone.",
            links={},
            data={},
            now=parts.now(),
        )
    listed = text_of(api.get("/setup/alerts"))
    assert "on its way" in listed
    assert "Nothing like this" in text_of(api.get("/setup/alerts?state=delivered"))
    [held] = re.findall(r'name="id" value="(dst_[^"]+)"', listed)[:1]
    assert "Removed" in text_of(send(api, "alerts", "remove", id=held))
    gone = text_of(api.get("/setup/alerts"))
    assert "given up" in gone
    assert "Try again" not in gone


def test_events_show_what_was_understood_and_what_was_refused(api: FlaskClient, parts: Runtime):
    """The reason stands there, names are escaped, and a search narrows."""
    shop.make_catalogue(parts.db)
    with parts.db.transaction() as session:
        for number, (rollout, reason) in enumerate(
            [("guided-returns", ""), (HOSTILE, "no rollout has this key"), ("other", "")]
        ):
            us = int(NOW.timestamp() * 1e6) + number
            session.add(
                RecentExposureRow(
                    environment_id=1,
                    rollout=rollout,
                    unit=number + 5,
                    variation="new",
                    at_us=us,
                    received_us=us,
                    source="growthbook",
                    is_trusted=False,
                    reason=reason,
                )
            )
    page = text_of(api.get("/setup/events"))

    assert "no rollout has this key" in page
    assert page.count("exposure, counted") == 2
    assert "<script>alert" not in page
    only = text_of(api.get("/setup/events?rollout=guided-returns"))
    assert only.count("exposure, counted") == 1
    assert "None of the last exposures fits" in text_of(api.get("/setup/events?unit=u1&rollout=x"))


def test_each_role_sees_what_it_may(api: FlaskClient, app: Flask, parts: Runtime):
    """Readers none of it; editors see and make keys; only administrators the rest."""
    reader, editor = (with_key(app, parts, role) for role in (Role.READER, Role.EDITOR))
    for page in PAGES:
        assert reader.get(f"/setup/{page}").status_code == 403
        assert editor.get(f"/setup/{page}").status_code == 200
    assert "Set up" not in text_of(reader.get("/flags"))
    assert "Set up" in text_of(editor.get("/flags"))
    for page, do in (
        ("connections", "connection"),
        ("people", "invite"),
        ("alerts", "destination"),
    ):
        assert send(editor, page, do, name="x", role="reader").status_code == 403
    assert "New connection" not in text_of(editor.get("/setup/connections"))
    raised = send(editor, "people", "api-key", key_name="x", role="admin")
    assert raised.status_code == 403
    write = send(
        editor, "connections", "write-key", key_name="x", environment="production", kind="server"
    )
    assert write.status_code == 200
