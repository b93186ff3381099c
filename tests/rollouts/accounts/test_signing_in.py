"""Signing in and out, driven as a browser does it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import text

from rollouts.accounts import passwords
from rollouts.accounts.model import OPERATOR, Role
from rollouts.accounts.people import change_user
from rollouts.db import Database

from .doors import (
    PASSWORD,
    SAME_SITE,
    Browser,
    Clock,
    make_app,
    make_link,
    make_settings,
    make_user,
)
from .dump import dump

pytestmark = pytest.mark.usefixtures("cheap_hashes")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(db: Database, clock: Clock) -> Iterator[OpenAPI]:
    make_user(db)
    return make_app(db, clock, make_settings())


@pytest.fixture
def browser(app: OpenAPI) -> Browser:
    return Browser(app)


def is_in(browser: Browser) -> bool:
    return browser.client.get("/api/v1/me").status_code == 200


def test_a_person_signs_in_and_out(browser: Browser) -> None:
    """In by password, known by name, and out again at the server, not only in the browser."""
    assert not is_in(browser)

    answer = browser.sign_in(next="/probe/editor")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/probe/editor")
    assert browser.client.get("/api/v1/me").json == {
        "kind": "person",
        "id": "1",
        "name": "ana",
        "role": "editor",
        "environments": [],
    }
    kept = browser.client.get_cookie("rollouts")
    assert browser.send("/sign-out", page="/account").status_code == 303
    assert not is_in(browser)
    assert kept is not None
    browser.client.set_cookie("rollouts", kept.value)
    assert not is_in(browser)


def test_what_was_wrong_is_not_told(browser: Browser) -> None:
    """An unknown name, a wrong password and nonsense get the same answer."""
    for name, password in (("ana", "wrong"), ("nobody", PASSWORD), ("", ""), ("\x00", "x")):
        answer = browser.sign_in(name, password)
        assert answer.status_code == 401, name
        assert "That name and password do not fit." in answer.text

    assert not is_in(browser)


def test_names_are_taken_in_any_case(browser: Browser) -> None:
    """Whoever writes Ana is ana."""
    assert browser.sign_in(" ANA ").status_code == 303


def test_a_person_without_password_cannot_sign_in_by_one(db: Database, browser: Browser) -> None:
    """An empty stored password fits no password, the empty one least of all."""
    make_user(db, "new", password="")

    assert browser.sign_in("new", "").status_code == 401
    assert browser.sign_in("new", "nobody has this password").status_code == 401


def test_a_disabled_person_is_out_at_once(db: Database, clock: Clock, browser: Browser) -> None:
    """Disabling ends open sessions and closes both ways in."""
    make_user(db, "boss", Role.ADMIN)
    browser.sign_in()
    link = make_link(db)

    with db.transaction() as session:
        change_user(session, "ana", is_disabled=True, actor=OPERATOR, now=clock())

    assert not is_in(browser)
    assert browser.sign_in().status_code == 401
    assert browser.get(link).status_code == 410


def test_a_session_falls_silent_and_grows_old(browser: Browser, clock: Clock) -> None:
    """8 hours without a request end it, and 7 days do in any case."""
    browser.sign_in()
    clock.pass_(hours=8, seconds=-1)
    assert is_in(browser)
    clock.pass_(hours=8)
    assert not is_in(browser)

    browser.sign_in()
    for _ in range(7 * 4 - 1):
        clock.pass_(hours=6)
        assert is_in(browser)
    clock.pass_(hours=6)
    assert not is_in(browser)


def test_each_sign_in_has_a_new_id_and_ends_the_one_before(browser: Browser) -> None:
    """Whoever planted a session in this browser does not get ours."""
    browser.sign_in()
    planted = browser.client.get_cookie("rollouts")
    form = browser.token("/account")
    again = browser.client.post(
        "/sign-in",
        data={"name": "ana", "password": PASSWORD, "csrf_token": form},
        headers=SAME_SITE,
    )
    fresh = browser.client.get_cookie("rollouts")

    assert again.status_code == 303
    assert planted is not None
    assert fresh is not None
    assert planted.value != fresh.value
    assert is_in(browser)
    browser.client.set_cookie("rollouts", planted.value)
    assert not is_in(browser)


def test_the_cookie_is_out_of_reach_for_scripts(browser: Browser) -> None:
    """HttpOnly, Lax, for the whole host; the id itself is nowhere in the store."""
    cookies = list(browser.sign_in().headers.getlist("Set-Cookie"))

    held = next(item for item in cookies if item.startswith("rollouts="))
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(held.split("; "))
    assert "Domain" not in held


def test_behind_https_the_cookie_is_bound_to_the_host(db: Database, clock: Clock) -> None:
    """The prefix makes browsers insist on Secure and on this very host."""
    make_user(db)
    browser = Browser(make_app(db, clock, make_settings(public_url="https://localhost")))
    token = browser.token("/sign-in")
    answer = browser.client.post(
        "/sign-in",
        base_url="https://localhost",
        data={"name": "ana", "password": PASSWORD, "csrf_token": token},
        headers={
            "Origin": "https://localhost",
            "Cookie": f"__Host-rollouts-form={_form_cookie(browser)}",
        },
    )

    held = next(c for c in answer.headers.getlist("Set-Cookie") if "rollouts=" in c)
    assert held.startswith("__Host-rollouts=")
    assert "Secure" in held.split("; ")


def _form_cookie(browser: Browser) -> str:
    held = browser.client.get_cookie("__Host-rollouts-form")
    assert held is not None
    return held.value


def test_no_password_travels_over_plain_http_to_another_machine(db: Database, clock: Clock) -> None:
    """Sign-in over http is for this machine only; elsewhere the answer says what to do."""
    make_user(db)
    away = "http://10.1.2.3:8765"
    browser = Browser(make_app(db, clock, make_settings(public_url=away)))
    page = browser.client.get("/sign-in", base_url=away)
    answer = browser.client.post(
        "/sign-in",
        base_url=away,
        data={
            "name": "ana",
            "password": PASSWORD,
            "csrf_token": re.findall(r'csrf_token" value="(\w+)', page.text)[0],
        },
        headers={"Origin": away},
    )

    assert answer.status_code == 403
    assert "ROLLOUTS_PUBLIC_URL" in answer.text


def test_ten_failures_close_an_account_for_ten_minutes(
    db: Database, browser: Browser, clock: Clock
) -> None:
    """Then even the right password waits, but a one-time link still works."""
    for _ in range(10):
        assert browser.sign_in(password="wrong").status_code == 401
        clock.pass_(seconds=1)

    answer = browser.sign_in()

    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 600
    clock.pass_(seconds=int(answer.headers["Retry-After"]) - 2)
    assert browser.sign_in().status_code == 429
    assert browser.send(make_link(db, now=clock())).status_code == 303
    assert is_in(browser)


def test_the_wait_that_is_told_is_enough(browser: Browser, clock: Clock) -> None:
    """After Retry-After one try is free again, and the right password needs no second."""
    for _ in range(10):
        browser.sign_in(password="wrong")
        clock.pass_(seconds=1)

    clock.pass_(seconds=int(browser.sign_in().headers["Retry-After"]))

    assert browser.sign_in().status_code == 303


def test_thirty_failures_close_an_address_whatever_the_names(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spraying one password over many accounts is stopped too."""
    monkeypatch.setattr(passwords, "is_right", lambda *_: False)  # spares 30 costly hashes
    for number in range(30):
        assert browser.sign_in(f"user-{number}", "wrong").status_code == 401

    assert browser.sign_in("user-31", "wrong").status_code == 429


def test_success_starts_the_count_anew(browser: Browser) -> None:
    """Nine slips and a success leave room for slips again."""
    for _ in range(9):
        browser.sign_in(password="wrong")
    assert browser.sign_in().status_code == 303
    browser.send("/sign-out", page="/account")

    assert browser.sign_in(password="wrong").status_code == 401


def test_names_of_failed_sign_ins_are_not_kept(db: Database, browser: Browser) -> None:
    """People type passwords into the wrong field."""
    browser.sign_in(name="hunter2-hunter2", password="x")

    with db.reading() as session:
        rows = session.execute(text("SELECT account, address FROM sign_in_attempts")).all()
    assert len(rows) == 1
    assert "hunter2" not in str(rows)


def test_a_link_is_spent_by_pressing_not_by_looking(db: Database, browser: Browser) -> None:
    """Mail scanners open links; the person may still use it, once."""
    link = make_link(db)
    for _ in range(3):
        assert "Sign in as" in browser.get(link).text
    assert not is_in(browser)

    answer = browser.send(f"{link}?next=/probe/editor")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/probe/editor")
    assert is_in(browser)
    assert browser.get(link).status_code == 410
    assert Browser(browser.app).get(link).status_code == 410


def test_a_spent_link_opens_nothing_even_from_a_kept_form(db: Database, browser: Browser) -> None:
    """Two open tabs with the same link make one session."""
    link = make_link(db)
    other = Browser(browser.app)
    kept = other.token(link)

    assert browser.send(link).status_code == 303
    answer = other.client.post(link, data={"csrf_token": kept}, headers=SAME_SITE)

    assert answer.status_code == 410
    assert not is_in(other)


def test_a_link_grows_old_in_ten_minutes(db: Database, browser: Browser, clock: Clock) -> None:
    """Too late is told, and nothing is opened."""
    link = make_link(db)
    kept = browser.token(link)
    clock.pass_(minutes=10)

    assert browser.get(link).status_code == 410
    assert (
        browser.client.post(link, data={"csrf_token": kept}, headers=SAME_SITE).status_code == 410
    )
    assert not is_in(browser)


def test_no_secret_is_readable_in_the_store(db: Database, browser: Browser) -> None:
    """Session ids, links and passwords are kept as hashes only."""
    link = make_link(db)
    browser.sign_in()
    cookie = browser.client.get_cookie("rollouts")
    assert cookie is not None

    kept = dump(db)

    assert "table sessions" in kept
    for secret in (cookie.value, link.rsplit("/")[-1], PASSWORD):
        assert secret not in kept


def test_next_leads_nowhere_else(app: OpenAPI) -> None:
    """Only a local path is followed after signing in."""
    for wanted in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/ok\r\nSet-Cookie: x=y",
        "javascript:alert(1)",
        "evil",
        "",
    ):
        assert Browser(app).sign_in(next=wanted).headers["Location"] == "/", wanted


def test_people_without_session_are_led_to_sign_in_and_back(browser: Browser) -> None:
    """A page leads there with the way back; the API answers 401 as problem+json."""
    led = browser.get("/account?tab=1")
    refused = browser.client.get("/api/v1/users")

    assert (led.status_code, led.headers["Location"]) == (303, "/sign-in?next=/account%3Ftab%3D1")
    assert refused.status_code == 401
    assert refused.json is not None
    assert refused.json["code"] == "not_signed_in"


def test_pages_of_a_signed_in_person_are_not_stored(browser: Browser) -> None:
    """The next person at this machine finds nothing with the back button."""
    browser.sign_in()

    for path in ("/account", "/api/v1/me", "/probe/editor"):
        assert browser.get(path).headers["Cache-Control"] == "no-store"
