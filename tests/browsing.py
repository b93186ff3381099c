"""A headless Chromium for tests: Debian's, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import must_run

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """Where Chromium is on this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def must_have_chromium() -> str:
    """Its path; skips where there is none, unless this run must not skip."""
    path = find_chromium()
    if path is None:
        if must_run("browser"):
            raise AssertionError("Chromium is missing, and this run may not skip browser tests")
        pytest.skip("Chromium is not installed here")
    return path


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, closed afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=must_have_chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
