"""Signing in with a real browser: its own headers and cookies meet our checks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from rollouts.accounts.model import Role
from rollouts.clock import utcnow
from rollouts.db import Database
from tests.browsing import chromium, must_have_chromium

from .doors import PASSWORD, make_app, make_link, make_settings, make_user

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("cheap_hashes")]
NEW = "seven rooms and a garden"


@pytest.fixture
def service_url(db: Database) -> Iterator[str]:
    """The pages behind a real server on this machine."""
    make_user(db, role=Role.ADMIN)
    server = make_server("127.0.0.1", 0, lambda *given: app(*given), threaded=True)
    url = f"http://127.0.0.1:{server.port}"
    app = make_app(db, utcnow, make_settings(public_url=url))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(service_url: str) -> Iterator[Page]:
    must_have_chromium()
    with chromium() as browser:
        context = browser.new_context(base_url=service_url)
        yield context.new_page()


def test_a_person_comes_in_sets_a_password_and_leaves(db: Database, page: Page) -> None:
    """Link, account, password, out, and in again by password, as people click it."""
    page.goto(make_link(db, now=utcnow()) + "?next=/account")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()

    page.get_by_label("New password", exact=True).fill(NEW)
    page.get_by_label("New password again").fill(NEW)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("status")).to_contain_text("Your password is set")

    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url("/sign-in")
    page.goto("/account")
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not fit")
    page.get_by_label("Password").fill(NEW)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()

    cookies = {item["name"]: item for item in page.context.cookies()}
    assert cookies["rollouts"]["httpOnly"] is True
    assert cookies["rollouts"]["sameSite"] == "Lax"


def test_a_form_on_another_site_changes_nothing(db: Database, page: Page, service_url: str) -> None:
    """A page of this host at another port has our cookies sent along: refused all the same."""
    page.goto(make_link(db, now=utcnow()))
    page.get_by_role("button", name="Sign in").click()
    elsewhere = "http://127.0.0.1:9099"
    page.route(
        f"{elsewhere}/trap",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f"<form method=post action={service_url}/sign-out><button>Win</button></form>",
        ),
    )

    page.goto(f"{elsewhere}/trap")
    with page.expect_navigation():
        page.get_by_role("button", name="Win").click()

    expect(page.get_by_role("heading")).to_contain_text("not allowed")
    page.goto("/account")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
