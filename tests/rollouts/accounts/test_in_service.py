"""Access as the whole service is wired: order of refusals, pages, and what logs may say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from io import StringIO

from flask import Flask
from flask.testing import FlaskClient

from rollouts import telemetry
from rollouts.config import Settings

from .doors import SAME_SITE

PAGE = {"Accept": "text/html"}


def come_in(app: Flask, api: FlaskClient, role: str = "reader") -> FlaskClient:
    """A browser signed in by an invitation."""
    made = api.post("/api/v1/users", json={"name": "ana", "role": role})
    assert made.json is not None
    path = made.json["link"].partition("8765")[2]
    browser = app.test_client()
    form = browser.get(path, headers=PAGE).text
    token = re.findall(r'name="csrf_token" value="(\w+)"', form)[0]
    answer = browser.post(path, data={"csrf_token": token}, headers={**SAME_SITE, **PAGE})
    assert answer.status_code == 303
    return browser


def test_an_invited_reader_reads_and_changes_nothing(app: Flask, api: FlaskClient) -> None:
    """Pages show who is signed in; what needs more is refused by role, forms or not."""
    browser = come_in(app, api)

    home = browser.get("/", headers=PAGE)
    assert home.status_code == 200
    assert "ana" in home.text
    assert 'action="/sign-out"' in home.text
    token = re.findall(r'name="csrf_token" value="(\w+)"', home.text)[0]
    headers = {**SAME_SITE, "X-CSRF-Token": token}
    for path in ("/api/v1/flags", "/api/v1/api-keys", "/api/v1/users"):
        assert browser.post(path, json={}, headers=headers).status_code == 403, path


def test_refusals_come_in_their_order(app: Flask, api: FlaskClient) -> None:
    """First who, then whether, only then what: a stranger learns nothing of our things."""
    stranger, reader = app.test_client(), app.test_client()
    made = api.post("/api/v1/api-keys", json={"name": "r", "role": "reader"}).json
    assert made is not None
    reader.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made['api_key']}"

    for path, body in (("/api/v1/users/nobody", None), ("/api/v1/api-keys/none", "not json")):
        assert stranger.delete(path, data=body).status_code == 401
        assert reader.delete(path, data=body).status_code == 403
        assert api.delete(path).status_code in (404, 409)
    assert api.post("/api/v1/users", data="not json").status_code == 400
    assert api.post("/api/v1/users", json={}).status_code == 422


@contextmanager
def logging_to(stream: StringIO, settings: Settings) -> Iterator[None]:
    """Have the service log, at its most talkative, where the test can read it."""
    with redirect_stderr(stream):
        telemetry.configure(replace(settings, log_level="debug"))
        yield
    telemetry.configure(settings)


def test_no_secret_is_logged(app: Flask, api: FlaskClient, settings: Settings) -> None:
    """Keys, links, passwords and cookies stay out, also when things fail."""
    stream = StringIO()
    with logging_to(stream, settings):
        browser = come_in(app, api)
        made = api.post("/api/v1/api-keys", json={"name": "ci"}).json
        assert made is not None
        leaked = {"Authorization": f"Bearer {made['api_key']}", "Origin": "https://shop.example"}
        app.test_client().get("/api/v1/me", headers=leaked)
        page = app.test_client()
        form = page.get("/sign-in", headers=PAGE).text
        token = re.findall(r'name="csrf_token" value="(\w+)"', form)[0]
        fields = {"name": "ana", "password": "a wrong password", "csrf_token": token}
        page.post("/sign-in", data=fields, headers={**SAME_SITE, **PAGE})
    cookie = browser.get_cookie("rollouts")
    assert cookie is not None

    written = stream.getvalue()

    assert {"key_seen_in_a_page", "sign_in_failed"} <= set(written.split())
    for secret in (made["api_key"], cookie.value, "a wrong password"):
        assert secret not in written
