"""The demo, from its command to its report in a browser."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browsing import chromium, must_have_chromium

PATIENCE_SECONDS = 240


class Demo:
    """A running demo, its lines read as they come."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "rollouts", "demo", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches; the match."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no line matched {pattern!r}:\n{''.join(self.lines[-40:])}")

    def stop(self) -> int:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    held = Demo(tmp_path)
    yield held
    if held.process.poll() is None:
        held.process.kill()
        held.process.wait()
    assert held.process.stdout is not None
    held.process.stdout.close()


@pytest.mark.browser
def test_the_change_is_withdrawn_and_its_report_explains_it(demo: Demo):
    """A product manager opens the link and reads what happened and why."""
    must_have_chromium()
    demo.read_until(r"SDK client +sees the old page again, \d")
    demo.read_until(r"Alert +arrived, its signature verified")
    link = demo.read_until(r"(http://127\.0\.0\.1:\d+/link/\S+)")[1]

    with chromium() as browser:
        page = browser.new_page()
        problems: list[str] = []
        page.on(
            "console", lambda said: problems.append(said.text) if said.type == "error" else None
        )
        page.goto(link)
        page.get_by_role("button").last.click()
        page.wait_for_url("**/rollouts/guided-returns/report**")
        verdict = page.locator(".verdict").inner_text()
        assert "Withdrawn on" in verdict
        assert re.search(r"ontacts to support rose \d+", verdict)
        assert re.search(r"\d+ extra contacts, of a budget of 100", verdict)
        assert page.locator(".verdict svg.gauge").count() == 1
        assert page.locator("figure svg").count() >= 2
        assert re.search(r"S-\d{8}-\d{4}-[0-9a-f]{8}", page.content())
        assert problems == []

    assert demo.stop() == 0


def test_the_same_story_with_a_harmless_change_is_not_withdrawn(tmp_path: Path):
    """The stop-loss must leave alone what does no harm."""
    held = Demo(tmp_path, "--harm", "none", "--exit")
    said, _ = held.process.communicate(timeout=PATIENCE_SECONDS)

    assert held.process.returncode == 0, said
    assert "Withdrawn" not in said
