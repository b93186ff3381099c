"""The pages in a real browser, under the real content policy."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from werkzeug.serving import make_server

from rollouts.db import Database
from tests.browsing import chromium
from tests.factories.past import make_past
from tests.rollouts.reports import shop

PATHS = (
    "/",
    "/rollouts/guided-returns/report",
    "/rollouts/guided-returns/plan",
    "/rollouts/guided-returns/history",
    "/flags",
    "/flags/guided-returns",
    "/catalogue/contacts",
    "/catalogue/+new",
    "/catalogue/contacts/edit",
    "/audit",
    "/flags/guided-returns/rules",
    "/flags/guided-returns/revisions/1",
    "/setup/connections",
    "/setup/people",
    "/setup/alerts",
    "/method",
    "/catalogue/contacts/past-effects",
    "/impact",
    "/rollouts/guided-returns/plan?mean.contacts=0.075&mean.returned=0.3",
)

pytestmark = pytest.mark.browser


@pytest.fixture
def store_url(sqlite_template: Path, tmp_path: Path) -> str:
    """One kind of store is enough here: what it answers is proven without a browser."""
    shutil.copy(sqlite_template, tmp_path / "rollouts.db")
    return f"sqlite:///{tmp_path / 'rollouts.db'}"


@pytest.fixture
def address(story: Database) -> Iterator[str]:
    """The pages behind a port of their own."""
    make_past(story, shop.make_draft(), [0.9, 1.1, 0.8], shipped=[True, False, True])
    server = make_server("127.0.0.1", 0, shop.make_app(story), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser for one test."""
    with chromium() as opened:
        yield opened


def test_pages_keep_the_policy_and_fit_any_screen(browser: Browser, address: str):
    """No violation and no error is reported, and nothing reaches past the edge at 320 px."""
    complaints: list[str] = []
    for width, scheme in ((1440, "light"), (390, "dark"), (320, "light")):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda wrong: complaints.append(str(wrong)))
        for path in PATHS:
            page.goto(address + path)
            reach = page.evaluate("document.documentElement.scrollWidth")
            assert reach <= width, f"{path} at {width} reaches {reach}"
        page.close()

    assert complaints == []


def test_report_shows_the_chart_that_fits(browser: Browser, address: str):
    """One width of three is visible, its text is not shrunk, and its colours follow the theme."""
    seen = {}
    for width, scheme in ((1440, "light"), (390, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(f"{address}/rollouts/guided-returns/report")
        charts = page.locator("figure:first-of-type >> nth=0 >> .chart:visible")
        assert charts.count() == 1
        seen[width] = charts.first.get_attribute("class")
        svg = charts.first.locator("svg")
        natural = float(svg.get_attribute("width"))
        assert svg.bounding_box()["width"] >= natural * 0.97
        seen[scheme] = svg.locator("path[fill^='var(--harm,']").first.evaluate(
            "e => getComputedStyle(e).fill"
        )
        page.close()

    assert seen[1440] == "chart chart-wide"
    assert seen[390] == "chart chart-phone"
    assert seen["light"] == "rgb(150, 31, 10)"
    assert seen["dark"] == "rgb(255, 143, 109)"


def test_a_person_reads_verdict_and_budget_and_turns_the_flag_off(browser: Browser, address: str):
    """The whole way by hand: read, go to the flag, give key and reason, see it off."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(f"{address}/rollouts/guided-returns/report")
    assert "contacts rose 31" in page.locator(".verdict .say").inner_text()
    assert "212 of 200 contacts" in page.locator(".verdict .facts").inner_text()

    page.get_by_role("link", name="Flag", exact=True).click()
    page.get_by_text("Turn off in Production…").click()
    page.get_by_label("Type the key").first.fill("guided-returns")
    page.get_by_label("Why").first.fill("wrong prices")
    page.get_by_role("button", name="Turn off").first.click()

    assert "Killed: wrong prices" in page.locator(".feed").inner_text()
    assert page.get_by_text("Turn on in Production…").is_visible()


def test_slash_leads_to_the_search(browser: Browser, address: str):
    """A key for those who know it; off while they write."""
    page = browser.new_page()
    page.goto(f"{address}/flags")
    page.keyboard.press("/")
    page.keyboard.type("gui/ded")

    assert page.locator("input[type=search]").input_value() == "gui/ded"


def test_rules_are_edited_without_script_and_by_keyboard(browser: Browser, address: str):
    """Plain forms do it all: a rule is added, moved, mended where the page says so, and saved."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"{address}/flags/guided-returns/rules?environment=staging")
    page.get_by_role("button", name="Add a rule: a share").press("Enter")
    page.get_by_label("Name, for people").fill("Staff")
    page.get_by_label("To per cent").fill("a third")
    page.get_by_label("To per cent").press("Enter")
    assert page.locator("#wrong").evaluate("e => e === document.activeElement")
    page.get_by_role("link", name="Rule 1, share").click()
    assert page.get_by_label("Name, for people").input_value() == "Staff"
    page.get_by_label("To per cent").fill("33.3")
    page.get_by_label("To per cent").press("Enter")
    page.get_by_label("Why").fill("try it ourselves")
    page.get_by_role("button", name="Save revision").click()

    assert "try it ourselves" in page.locator(".feed").inner_text()
    assert "for 33" in page.locator("table").first.inner_text()
    context.close()
