"""People: invited, changed, shut out; their passwords, and the first start."""

from __future__ import annotations

from typing import Any

import pytest
from flask_openapi3 import OpenAPI

from rollouts.accounts import commands, store
from rollouts.accounts.model import KeyKind, Role
from rollouts.accounts.service import bootstrap
from rollouts.db import Database
from rollouts.errors import NotFound

from .doors import (
    PASSWORD,
    START,
    Browser,
    Clock,
    make_app,
    make_environments,
    make_key,
    make_link,
    make_settings,
    make_user,
)

pytestmark = pytest.mark.usefixtures("cheap_hashes")
NEW = "seven rooms and a garden"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(db: Database, clock: Clock) -> OpenAPI:
    return make_app(db, clock, make_settings())


@pytest.fixture
def browser(app: OpenAPI) -> Browser:
    return Browser(app)


def local(link: str) -> str:
    return link.removeprefix("http://localhost")


def test_somebody_is_invited_and_comes_in(db: Database, app: OpenAPI, browser: Browser) -> None:
    """An administrator's call gives a link; pressing it signs in, and a password can be set."""
    made = app.test_client().post(
        "/api/v1/users",
        json={"name": "Priya@Shop.example", "full_name": "Priya Nair", "role": "editor"},
        headers=make_key(db),
    )

    assert made.status_code == 201
    assert made.json is not None
    assert made.json["name"] == "priya@shop.example"
    assert browser.send(local(made.json["link"])).status_code == 303
    page = browser.get("/account").text
    assert "Priya Nair" in page
    assert 'name="old"' not in page
    answer = browser.send("/account/password", page="/account", new=NEW, again=NEW)
    assert answer.headers["Location"] == "/account?saved=password"
    assert Browser(app).sign_in("priya@shop.example", NEW).status_code == 303


def test_bad_invitations_are_refused(db: Database, app: OpenAPI) -> None:
    """Names are taken once, whatever their case; unknown fields are named."""
    make_user(db)
    key = make_key(db)
    bad: list[tuple[dict[str, Any], int]] = [
        ({"name": "ana", "role": "reader"}, 409),
        ({"name": " ANA ", "role": "reader"}, 409),
        ({"name": "", "role": "reader"}, 422),
        ({"name": "  ", "role": "reader"}, 422),
        ({"name": "a/b", "role": "reader"}, 422),
        ({"name": "a\x00b", "role": "reader"}, 422),
        ({"name": "b", "role": "owner"}, 422),
        ({"name": "b", "role": "reader", "password": "x"}, 422),
    ]
    for body, status in bad:
        answer = app.test_client().post("/api/v1/users", json=body, headers=key)
        assert answer.status_code == status, body


def test_people_are_an_administrators_business(db: Database, app: OpenAPI) -> None:
    """Nobody else invites, changes, shuts out, or makes links for others."""
    make_user(db)
    client = app.test_client()
    for role in (Role.READER, Role.EDITOR):
        key = make_key(db, role)
        assert client.post("/api/v1/users", json={"name": "x"}, headers=key).status_code == 403
        assert client.patch("/api/v1/users/ana", json={}, headers=key).status_code == 403
        assert client.delete("/api/v1/users/ana", headers=key).status_code == 403
        assert client.post("/api/v1/users/ana/links", json={}, headers=key).status_code == 403


def test_nobody_raises_themselves_and_one_administrator_stays(
    db: Database, app: OpenAPI, browser: Browser
) -> None:
    """One's own role and access are for others to change; the last administrator stays one."""
    make_user(db, "boss", Role.ADMIN)
    make_user(db, "deputy", Role.ADMIN)
    browser.sign_in("boss")
    headers = {"X-CSRF-Token": browser.token("/account"), "Origin": "http://localhost"}

    def change(name: str, **body: Any) -> int:
        answer = browser.client.patch(f"/api/v1/users/{name}", json=body, headers=headers)
        return int(answer.status_code)

    assert change("boss", role="reader") == 403
    assert change("boss", is_disabled=True) == 403
    assert change("nobody", role="reader") == 404
    assert change("deputy", role="reader") == 200
    key = make_key(db)
    assert app.test_client().delete("/api/v1/users/boss", headers=key).status_code == 409
    assert (
        app.test_client()
        .patch("/api/v1/users/boss", json={"role": "editor"}, headers=key)
        .status_code
        == 409
    )


def test_a_changed_role_counts_at_once(db: Database, app: OpenAPI, browser: Browser) -> None:
    """An open session has the new role with its next request."""
    make_user(db, role=Role.EDITOR)
    browser.sign_in()
    assert browser.get("/probe/editor").status_code == 200

    app.test_client().patch("/api/v1/users/ana", json={"role": "reader"}, headers=make_key(db))

    assert browser.get("/probe/editor").status_code == 403
    assert browser.get("/probe/reader").status_code == 200


def test_people_are_listed_in_pages(db: Database, app: OpenAPI) -> None:
    """By name, without anything of their passwords."""
    for name in ("cem", "ana", "bob"):
        make_user(db, name)
    client, key = app.test_client(), make_key(db, Role.EDITOR)

    first = client.get("/api/v1/users?limit=2", headers=key)
    assert first.json is not None
    second = client.get(
        f"/api/v1/users?limit=2&cursor={first.json['next_cursor']}", headers=key
    ).json

    assert second is not None
    assert [item["name"] for item in first.json["items"] + second["items"]] == ["ana", "bob", "cem"]
    assert second["next_cursor"] is None
    assert "argon2" not in first.text


def test_a_link_leads_on_to_where_it_should(db: Database, app: OpenAPI, browser: Browser) -> None:
    """As the demo needs: signed in once, then on the report; never on another site."""
    make_user(db)
    client, key = app.test_client(), make_key(db)

    def link(onward: str) -> str:
        answer = client.post("/api/v1/users/ana/links", json={"next": onward}, headers=key)
        assert answer.json is not None
        return local(answer.json["link"])

    answer = browser.send(link("/rollouts/guided-returns/report"))
    assert answer.headers["Location"] == "/rollouts/guided-returns/report"
    assert browser.send(link("https://evil.example/")).headers["Location"] == "/"


def test_changing_a_password_ends_all_other_sessions(
    db: Database, app: OpenAPI, browser: Browser
) -> None:
    """Whoever had the old one is out; the browser that changed it stays in."""
    make_user(db)
    other = Browser(app)
    other.sign_in()
    browser.sign_in()

    answer = browser.send("/account/password", page="/account", old=PASSWORD, new=NEW, again=NEW)

    assert answer.status_code == 303
    assert browser.client.get("/api/v1/me").status_code == 200
    assert other.client.get("/api/v1/me").status_code == 401
    assert Browser(app).sign_in().status_code == 401
    assert Browser(app).sign_in(password=NEW).status_code == 303


def test_a_password_is_not_changed_for_nothing(db: Database, browser: Browser) -> None:
    """The old one is asked for, the new one twice, and it must be worth something."""
    make_user(db)
    browser.sign_in()
    for old, new, again, said in (
        ("wrong", NEW, NEW, "not your present password"),
        ("", NEW, NEW, "not your present password"),
        (PASSWORD, NEW, "other", "do not agree"),
        (PASSWORD, "short", "short", "12 to 128"),
        (PASSWORD, "x" * 129, "x" * 129, "12 to 128"),
        (PASSWORD, "rollouts-2026!", "rollouts-2026!", "anybody would"),
        (PASSWORD, "anaanaanaana1", "anaanaanaana1", "anybody would"),
    ):
        answer = browser.send("/account/password", page="/account", old=old, new=new, again=again)
        assert answer.status_code == 422
        assert said in answer.text

    assert Browser(browser.app).sign_in().status_code == 303


def test_a_stolen_session_does_not_guess_the_password(db: Database, browser: Browser) -> None:
    """Tries at the old password count like sign-ins."""
    make_user(db)
    browser.sign_in()

    statuses = [
        browser.send(
            "/account/password", page="/account", old=f"guess {n}", new=NEW, again=NEW
        ).status_code
        for n in range(12)
    ]

    assert statuses == [422] * 10 + [429] * 2


def test_after_a_link_the_old_password_is_asked_for_again_later(
    db: Database, browser: Browser, clock: Clock
) -> None:
    """A forgotten password can be set within ten minutes of the link, not a day later."""
    make_user(db)
    browser.send(make_link(db))
    assert 'name="old"' not in browser.get("/account").text
    clock.pass_(minutes=11)

    assert 'name="old"' in browser.get("/account").text
    answer = browser.send("/account/password", page="/account", new=NEW, again=NEW)
    assert answer.status_code == 422


def test_ones_sessions_are_listed_and_ended(
    db: Database, app: OpenAPI, browser: Browser, clock: Clock
) -> None:
    """One's own, one by one; nobody else's."""
    make_user(db)
    make_user(db, "bob")
    lost, other = Browser(app), Browser(app)
    lost.sign_in()
    other.sign_in("bob")
    clock.pass_(minutes=1)
    browser.sign_in()
    with db.reading() as session:
        held = {
            row.user_id: row.public_id
            for user_id in (1, 2)
            for row in store.list_sessions(session, user_id, now=START)[-1:]
        }

    assert browser.get("/account").text.count("/end") == 2
    assert browser.send(f"/account/sessions/{held[1]}/end", page="/account").status_code == 303
    assert lost.client.get("/api/v1/me").status_code == 401
    assert browser.send(f"/account/sessions/{held[2]}/end", page="/account").status_code == 404
    assert other.client.get("/api/v1/me").status_code == 200


def test_keys_have_no_account_page(db: Database, app: OpenAPI) -> None:
    """The page is for people; a key is told so."""
    answer = app.test_client().get("/account", headers=make_key(db))

    assert answer.status_code == 401


def test_the_first_start_gives_a_way_in(db: Database, browser: Browser, clock: Clock) -> None:
    """An administrator and a link of an hour; once used, no further start prints one."""
    settings = make_settings()
    first = bootstrap(db, settings, now=clock()).link
    again = bootstrap(db, settings, now=clock()).link
    assert first is not None
    assert again is not None
    clock.pass_(minutes=59)

    assert browser.send(local(again)).status_code == 303

    assert bootstrap(db, settings, now=clock()).link is None
    assert browser.client.get("/api/v1/users").status_code == 200
    with db.reading() as session:
        assert store.count_users(session) == 1


def test_the_first_link_dies_after_an_hour(db: Database, browser: Browser, clock: Clock) -> None:
    """A link in an old terminal is worth nothing."""
    link = bootstrap(db, make_settings(), now=clock()).link
    assert link is not None
    clock.pass_(minutes=60)

    assert browser.get(local(link)).status_code == 410


def test_with_people_there_no_link_is_printed(db: Database) -> None:
    """A restart is no way in for who reads the log."""
    make_user(db, "boss", Role.ADMIN)

    assert bootstrap(db, make_settings(), now=START).link is None
    with db.reading() as session:
        assert store.count_users(session) == 1


def test_the_operator_manages_access_on_the_machine(
    db: Database, app: OpenAPI, browser: Browser
) -> None:
    """Add, list, change, link; keys likewise; an unknown name is named."""
    settings = make_settings()
    make_environments(db, "production")

    invited = commands.add_user(db, settings, "ana", Role.ADMIN, now=START)
    assert browser.send(local(invited)).status_code == 303
    commands.add_user(db, settings, "bob", Role.READER, now=START, full_name="Bob")
    commands.change_user(db, "bob", role=Role.EDITOR, now=START)
    link = commands.print_link(db, settings, "bob", now=START, next_path="/flags")
    assert Browser(app).send(local(link)).headers["Location"] == "/flags"
    commands.change_user(db, "bob", is_disabled=True, now=START)
    assert [row[:3] for row in commands.list_users(db)] == [
        ("ana", "admin", ""),
        ("bob", "editor", "disabled"),
    ]

    key = commands.add_api_key(db, "ci", Role.READER, now=START, days=1)
    commands.add_write_key(db, "shop", "production", KeyKind.SERVER_WRITE, now=START)
    listed = {row[2]: row for row in commands.list_keys(db)}
    assert listed["ci"][1:] == ("api", "ci", "reader", "never")
    assert listed["shop"][1:] == ("wk", "shop", "production", "never")
    headers = {"Authorization": f"Bearer {key}"}
    assert app.test_client().get("/api/v1/me", headers=headers).status_code == 200
    commands.revoke_key(db, listed["ci"][0], now=START)
    with pytest.raises(NotFound):
        commands.revoke_key(db, listed["ci"][0], now=START)
    with pytest.raises(NotFound):
        commands.print_link(db, settings, "nobody", now=START)


def test_every_change_of_access_is_on_record(db: Database, app: OpenAPI, browser: Browser) -> None:
    """Who, what, whom; and the chain over it is whole."""
    client, key = app.test_client(), make_key(db)
    client.post("/api/v1/users", json={"name": "ana"}, headers=key)
    browser.send(make_link(db))
    browser.send("/account/password", page="/account", new=NEW, again=NEW)
    client.patch("/api/v1/users/ana", json={"role": "editor"}, headers=key)
    make_user(db, "boss", Role.ADMIN)
    client.delete("/api/v1/users/ana", headers=key)

    answer = client.get("/api/v1/audit?subject_kind=user", headers=key).json
    assert answer is not None
    assert [(item["action"], item["actor"]["name"]) for item in answer["items"]] == [
        ("user.changed", "admin key"),
        ("user.created", "command line"),
        ("user.changed", "admin key"),
        ("user.password_set", "ana"),
        ("link.created", "command line"),
        ("link.created", "admin key"),
        ("user.created", "admin key"),
    ]
    assert answer["items"][0]["before"] == {"role": "editor", "is_disabled": False}
    assert answer["items"][0]["after"] == {"role": "editor", "is_disabled": True}
