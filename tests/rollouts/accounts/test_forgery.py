"""What another site makes a signed-in browser send is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask_openapi3 import OpenAPI

from rollouts.db import Database

from .doors import PASSWORD, SAME_SITE, Browser, Clock, make_app, make_key, make_settings, make_user

REFUSED_HEADERS: list[dict[str, str]] = [
    {},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "http://localhost.evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
]


pytestmark = pytest.mark.usefixtures("cheap_hashes")


@pytest.fixture
def app(db: Database) -> Iterator[OpenAPI]:
    make_user(db)
    return make_app(db, Clock(), make_settings())


@pytest.fixture
def browser(app: OpenAPI) -> Browser:
    browser = Browser(app)
    browser.sign_in()
    return browser


def test_our_own_form_passes(browser: Browser) -> None:
    """Same origin and the page's token: allowed, by field or by header."""
    token = browser.token("/account")

    by_field = browser.client.post("/probe/editor", data={"csrf_token": token}, headers=SAME_SITE)
    by_header = browser.client.post(
        "/probe/editor", headers={**SAME_SITE, "X-CSRF-Token": token}, json={}
    )

    assert (by_field.status_code, by_header.status_code) == (200, 200)
    for headers in (
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    ):
        answer = browser.client.post("/probe/editor", data={"csrf_token": token}, headers=headers)
        assert answer.status_code == 200, headers


def test_a_good_token_from_elsewhere_is_refused(browser: Browser) -> None:
    """The browser's own word about where it comes from is needed besides the token."""
    token = browser.token("/account")

    for headers in REFUSED_HEADERS:
        answer = browser.client.post("/probe/editor", data={"csrf_token": token}, headers=headers)
        assert answer.status_code == 403, headers


def test_our_own_site_without_the_token_is_refused(browser: Browser) -> None:
    """An injected link on our own pages does not suffice."""
    for token in ("", "0" * 80, "x", "é" * 80):
        answer = browser.client.post("/probe/editor", data={"csrf_token": token}, headers=SAME_SITE)
        assert answer.status_code == 403, token


def test_a_token_of_another_session_is_refused(db: Database, app: OpenAPI) -> None:
    """An attacker's own token does not fit a victim's session."""
    make_user(db, "mallory")
    victim, attacker = Browser(app), Browser(app)
    victim.sign_in()
    attacker.sign_in("mallory")
    token = attacker.token("/account")

    answer = victim.client.post("/probe/editor", data={"csrf_token": token}, headers=SAME_SITE)

    assert answer.status_code == 403


def test_real_changes_by_cookie_need_the_token(browser: Browser) -> None:
    """The API by cookie is held to the same as forms."""
    for path in ("/sign-out", "/account/password", "/api/v1/api-keys"):
        answer = browser.client.post(path, json={"name": "x"}, headers=SAME_SITE)
        assert answer.status_code == 403, path

    assert browser.client.get("/api/v1/me").status_code == 200


def test_signing_somebody_in_from_elsewhere_is_refused(app: OpenAPI) -> None:
    """Nobody is signed in under a stranger's name: the form's cookie must fit its token."""
    attacker, victim = Browser(app), Browser(app)
    fields = {"name": "ana", "password": PASSWORD, "csrf_token": attacker.token("/sign-in")}

    without_cookie = victim.client.post("/sign-in", data=fields, headers=SAME_SITE)
    victim.get("/sign-in")
    with_own_cookie = victim.client.post("/sign-in", data=fields, headers=SAME_SITE)

    assert (without_cookie.status_code, with_own_cookie.status_code) == (403, 403)


def test_keys_need_no_token(db: Database, app: OpenAPI) -> None:
    """Browsers do not add keys by themselves, so programs are spared the forms."""
    answer = app.test_client().post("/probe/editor", headers=make_key(db))

    assert answer.status_code == 200


def test_a_bad_key_is_not_saved_by_a_good_cookie(browser: Browser) -> None:
    """Whoever presents a key is judged by it alone."""
    answer = browser.client.get("/probe/reader", headers={"Authorization": "Bearer wrong"})

    assert answer.status_code == 401


def test_tokens_differ_on_every_page(browser: Browser) -> None:
    """Compressed lengths tell nothing about a token that changes."""
    assert browser.token("/account") != browser.token("/account")


def test_reading_needs_no_token(browser: Browser) -> None:
    """GET changes nothing and works from any link."""
    answer = browser.client.get("/probe/editor", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 200
