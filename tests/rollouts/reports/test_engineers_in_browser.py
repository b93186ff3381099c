"""An engineer's way through the pages of flags, in a real browser, against the running service."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page

from rollouts.accounts import service as accounts
from rollouts.accounts.model import START
from rollouts.clock import utcnow
from rollouts.db import Database
from tests.browsing import chromium
from tests.live import KEY, LiveService

pytestmark = pytest.mark.browser

LONG = "x" * 200
PATHS = (
    "/flags",
    "/flags?search=nothing-like-it",
    "/new-flag",
    "/who-gets-what",
    "/stale-flags",
    "/saved-groups",
    "/saved-groups/staff",
    "/saved-groups/staff/edit",
    "/new-saved-group",
    *(f"/flags/promise{part}" for part in ("", "/rules", "/who", "/history", "/code", "/details")),
    *(f"/flags/{LONG}{part}" for part in ("", "/rules", "/who", "/history", "/code", "/details")),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """The web part with thirty flags, a group, and a client that listens."""
    live = LiveService(tmp_path_factory.mktemp("engineers"))
    live.start("serve")
    try:
        fill(live)
        yield live
    finally:
        live.stop()


def call(
    live: LiveService, method: str, path: str, body: object, **headers: str
) -> requests.Response:
    """Call the API as an administrator."""
    answer = requests.request(
        method,
        f"{live.url}/api/v1{path}",
        json=body,
        headers={"Authorization": f"Bearer {KEY}", **headers},
        timeout=30,
    )
    assert answer.ok, answer.text
    return answer


def fill(live: LiveService) -> None:
    """What an organisation has after a while, its longest names included."""
    values = [f"p{n}@shop.example" for n in range(120)]
    group = {"key": "staff", "name": "Staff", "attribute": "email", "values": values}
    call(live, "POST", "/saved-groups", group)
    staff = {"type": "force", "saved_groups": [{"match": "any", "groups": ["staff"]}], "value": "b"}
    share = {"type": "percentage", "value": "b", "share": 0.1}
    rules = {"production": {"rules": [staff, share]}}
    promise = {"key": "promise", "kind": "string", "default": "a", "environments": rules}
    call(live, "POST", "/flags", promise | {"owner": "خدمة العملاء", "tags": ["basket"]})
    call(live, "POST", "/flags", {"key": LONG, "owner": LONG, "description": LONG, "tags": [LONG]})
    for n in range(30):
        call(live, "POST", "/flags", {"key": f"flag-{n:02}"})
    lines = [{"file": f"src/{LONG}/a.ts", "line": n + 1} for n in range(120)]
    scan = {"repository": "shop", "commit": "a" * 40, "references": lines}
    call(live, "POST", "/flags/promise/code-references", scan)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser for one test."""
    with chromium() as opened:
        yield opened


def signed_in(browser: Browser, live: LiveService, **options: object) -> BrowserContext:
    """A context in which the administrator has spent a sign-in link."""
    db = Database(live.settings.store_url)
    with db.transaction() as session:
        user = accounts.get_user(session, "admin")
        token = accounts.create_link(session, user, actor=START, now=utcnow())
    db.engine.dispose()
    context = browser.new_context(**options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{live.url}/link/{token}")
    page.get_by_role("button").first.click()
    page.wait_for_url(lambda url: "/link/" not in url)
    return context


def test_every_page_fits_keeps_the_policy_and_has_both_themes(
    browser: Browser, service: LiveService
):
    """At 1440 px light and 390 px dark nothing reaches past the edge and nothing complains."""
    complaints: list[str] = []
    for width, scheme in ((1440, "light"), (390, "dark")):
        size = {"width": width, "height": 900}
        context = signed_in(browser, service, viewport=size, color_scheme=scheme)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda wrong: complaints.append(str(wrong)))
        for path in PATHS:
            answer = page.goto(service.url + path)
            assert answer is not None
            assert answer.status == 200, path
            reach = page.evaluate("document.documentElement.scrollWidth")
            assert reach <= width, f"{path[:60]} at {width} reaches {reach}"
            assert page.get_by_text("Times in UTC").filter(visible=True).count() == 1, path
        context.close()

    assert complaints == []


def test_an_engineer_finds_everything_from_the_first_page(browser: Browser, service: LiveService):
    """Two clicks from the first page to each place; a third to any part of a flag."""
    page = signed_in(browser, service).new_page()
    for place in ("Who gets what", "Could go", "Saved groups", "New flag", "promise"):
        page.goto(service.url)
        page.get_by_role("link", name="Flags", exact=True).click()
        if place == "promise":
            page.get_by_label("Find a flag").fill("promise")
            page.get_by_label("Find a flag").press("Enter")
        page.get_by_role("link", name=place, exact=True).click()
        assert page.locator("h1").is_visible()
    for tab in ("Rules", "Who gets what", "History", "Code", "Overview"):
        page.get_by_label("Flag", exact=True).get_by_role("link", name=tab).click()
        assert page.locator(".tabs [aria-current]").inner_text() == tab


def test_a_user_is_asked_without_script(browser: Browser, service: LiveService):
    """A mistake takes the focus and names its place; then each flag and each rule is told."""
    page = signed_in(browser, service, java_script_enabled=False).new_page()
    page.goto(f"{service.url}/who-gets-what")
    page.get_by_label("The user").fill('{"id": "u1",\n "email": }')
    page.get_by_role("button", name="Show who gets what").click()
    assert page.locator("#wrong").evaluate("e => e === document.activeElement")
    assert "Line 2, column 11" in page.locator("#wrong").inner_text()

    page.get_by_label("The user").fill("id=u1\nemail=p7@shop.example")
    page.get_by_role("button", name="Show who gets what").click()
    assert "25 of 32 flags" in page.locator("#told").inner_text()
    page.get_by_role("button", name="Next").click()
    row = page.get_by_role("row").filter(has_text="promise")
    assert '"b"' in row.inner_text()
    row.get_by_text("2 rules, one by one").click()
    assert "yes, and it decides" in row.locator(".path li").first.inner_text()
    assert "?" not in page.url


def test_a_change_is_reviewed_saved_counted_and_put_back(browser: Browser, service: LiveService):
    """The answers it changes before; the clients that have it after; and back by its history."""
    client_key = call(service, "POST", "/connections", {"name": "till"}).json()["client_key"]
    listener = threading.Thread(target=listen, args=(service, client_key), daemon=True)
    listener.start()
    page = signed_in(browser, service).new_page()
    page.goto(f"{service.url}/flags/promise/rules")
    page.get_by_label("To per cent").fill("60")
    page.get_by_role("button", name="Review and save").first.click()
    lead = page.locator(".impact .lead").inner_text()
    assert "Of ids 1 to 10,000" in lead
    assert "Rules that ask for more concern none of them" in lead
    page.get_by_label("Why").fill("more of it")
    page.get_by_role("button", name="Save revision 2").click()

    for _ in range(60):
        page.goto(f"{service.url}/flags/promise")
        told = page.get_by_role("row").filter(has_text="till").inner_text()
        if "reached 1 of 1 client " in told:
            break
        page.wait_for_timeout(500)
    assert "reached 1 of 1 client " in told

    page.get_by_role("link", name="History", exact=True).click()
    page.get_by_role("link", name="Restore 1…").click()
    assert "Whose answer changes" in page.locator("main").inner_text()
    page.get_by_label("Why").fill("too many")
    page.get_by_role("button", name="Restore").click()
    assert "Reverted: too many" in page.locator(".feed").inner_text()


def listen(live: LiveService, client_key: str) -> None:
    """An SDK's stream, until the service ends it."""
    try:
        with requests.get(f"{live.url}/sub/{client_key}", stream=True, timeout=120) as answer:
            for _ in answer.iter_lines():
                pass
    except requests.RequestException:
        return


def test_two_people_on_the_details_of_one_flag(browser: Browser, service: LiveService):
    """The slower one sees both versions and keeps what was typed."""
    context = signed_in(browser, service)
    mine, theirs = context.new_page(), context.new_page()
    for page in (mine, theirs):
        page.goto(f"{service.url}/flags/flag-03/details")
    change_owner(theirs, "Theirs")
    change_owner(mine, "Mine")

    assert "Nothing of yours was saved, and nothing is lost" in mine.locator("#wrong").inner_text()
    row = mine.get_by_role("row").filter(has_text="Owner").inner_text()
    assert "Theirs" in row
    assert "Mine" in row
    assert mine.get_by_label("Owner").input_value() == "Mine"


def change_owner(page: Page, owner: str) -> None:
    """Type, review and save."""
    page.get_by_label("Owner").fill(owner)
    page.get_by_role("button", name="Review and save").click()
    if page.get_by_role("button", name="Save revision").count():
        page.get_by_label("Why").fill("moved")
        page.get_by_role("button", name="Save revision").click()


def test_the_removal_note_is_copied(browser: Browser, service: LiveService):
    """One button where there is script; the text can be marked by hand in any case."""
    context = signed_in(browser, service)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{service.url}/flags/promise/code")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.get_by_label("The note as Markdown").input_value()
    assert f"src/{LONG}/a.ts:1" in copied
