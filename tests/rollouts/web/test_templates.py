"""Templates keep to what the content policy lets pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rollouts
from rollouts.web.pages import bp, coded, fingerprint

ROOT = Path(rollouts.__file__).parent
TEMPLATES = sorted(ROOT.glob("**/templates/**/*.html"))
STATIC = ROOT / "web" / "static"
ONE_FILE = {"paper.html", "one_off.html"}  # carry their styles: they open without a server


def by_name(path: Path) -> str:
    """A template's place below the package."""
    return str(path.relative_to(ROOT))


def test_there_are_templates_to_check():
    """The search finds them where they are."""
    assert len(TEMPLATES) > 10


@pytest.mark.parametrize("path", TEMPLATES, ids=by_name)
def test_no_style_no_script_no_trust(path: Path):
    """No style attribute, no script in the page, no handler, and nothing marked as safe."""
    text = path.read_text("utf-8")

    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"\son\w+\s*=\s*[\"']", text)
    assert not re.search(r"\|\s*safe\b", text)
    assert "autoescape" not in text
    assert "javascript:" not in text
    if path.name not in ONE_FILE:
        assert "<style" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=by_name)
def test_nothing_is_loaded_from_elsewhere(path: Path):
    """No address of another host: no CDN, no font, no picture."""
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", path.read_text("utf-8"))


@pytest.mark.parametrize("path", TEMPLATES, ids=by_name)
def test_every_attribute_is_quoted(path: Path):
    """Escaping protects quoted attributes only."""
    assert not re.search(r"<[^>]*\s[\w-]+=\{\{", path.read_text("utf-8"))


@pytest.mark.parametrize("path", TEMPLATES, ids=by_name)
def test_columns_say_that_they_are(path: Path):
    """Heads of columns carry a scope for screen readers."""
    for head in re.findall(r"<thead>.*?</thead>", path.read_text("utf-8"), re.S):
        assert not re.search(r"<th(?![^>]*scope=)[\s>]", head)


def test_styles_load_nothing():
    """Our sheets bring no font and no picture, and import nothing."""
    for sheet in STATIC.glob("*.css"):
        text = sheet.read_text("utf-8")
        assert "url(" not in text
        assert "@import" not in text


def test_styles_are_whole():
    """As many braces open as close, so nothing after a slip is lost."""
    for sheet in STATIC.glob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text("utf-8"), flags=re.S)
        assert text.count("{") == text.count("}"), sheet.name


def test_every_token_that_is_used_exists():
    """A misspelt token would be black."""
    defined = set(
        re.findall(r"(--[\w-]+)\s*:", "".join(s.read_text() for s in STATIC.glob("*.css")))
    )
    for path in [*TEMPLATES, *STATIC.glob("*.css")]:
        used = set(re.findall(r"var\((--[\w-]+)", path.read_text("utf-8")))
        assert used <= defined, path.name


def test_addresses_of_files_change_with_them():
    """Browsers keep a file for a year, under an address that its content makes."""
    names = [fingerprint(path.name) for path in STATIC.iterdir()]

    assert len(set(names)) == len(names)
    assert bp.get_send_file_max_age("base.css") == 31_536_000


def test_backticks_become_code_and_nothing_else_does():
    """What is typed as it stands is set apart; markup in it stays text."""
    assert coded("Send `<key>` & <b>") == "Send <code>&lt;key&gt;</code> &amp; &lt;b&gt;"
