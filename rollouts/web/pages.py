"""The base page: its templates, its files, and the filters that every page may use."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Blueprint, current_app, url_for
from flask.blueprints import BlueprintSetupState
from markupsafe import Markup

from rollouts.accounts.model import Role
from rollouts.web import formatting
from rollouts.web.access import required_of
from rollouts.web.context import find_actor, now

STATIC = Path(__file__).parent / "static"
SHEETS = ("tokens.css", "base.css", "parts.css", "forms.css", "narrow.css")

# Shown only where the endpoint exists, so a page that is not there is never offered.
NAVIGATION = (
    ("reports.home", "Rollouts"),
    ("reports.flags", "Flags"),
    ("reports.metrics", "Metrics"),
    ("reports.audit", "Audit"),
    ("reports.method", "Method"),
    ("documentation.page", "API"),
    ("reports.setup_connections", "Set up"),
)

FILTERS = (
    "number",
    "count",
    "signed",
    "percent",
    "change",
    "points",
    "exact_share",
    "p_value",
    "plural",
    "together",
    "duration",
    "day",
    "clock",
    "exactly",
)

A_YEAR = 31_536_000


class _Kept(Blueprint):
    """Our files never change under their address, so browsers may keep them."""

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        return A_YEAR


bp = _Kept(
    "web",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/assets",
)


@bp.record_once
def _install(state: BlueprintSetupState) -> None:
    env = state.app.jinja_env
    env.trim_blocks = env.lstrip_blocks = True
    for name in FILTERS:
        env.filters[name] = getattr(formatting, name)
    env.filters["when"] = when
    env.filters["ago"] = since
    env.filters["coded"] = coded
    env.globals["is_brief"] = formatting.is_brief
    env.globals.update(asset=asset, sheets=SHEETS, navigation=navigation, span=formatting.span)
    env.globals.update(between=formatting.between, days_between=formatting.days_between)


@cache
def fingerprint(name: str) -> str:
    """A short hash of a file's content, so that browsers may keep it for ever."""
    return sha256((STATIC / name).read_bytes()).hexdigest()[:10]


def asset(name: str) -> str:
    """Address of one of our files; it changes when the file does."""
    return url_for("web.static", filename=name, v=fingerprint(name))


def navigation() -> list[tuple[str, str]]:
    """The main places that exist and that the reader may see, as (address, word)."""
    return [(url_for(name), word) for name, word in NAVIGATION if _is_open(name)]


def _is_open(endpoint: str) -> bool:
    required, actor = required_of(current_app, endpoint), find_actor()
    if endpoint not in current_app.view_functions:
        return False
    return actor is None or not isinstance(required, Role) or actor.role.includes(required)


def when(value: Any, words: str = "", *, seconds: bool = False) -> Markup:
    """A moment as `<time>`: "14 May 09:42", with the exact time on hover."""
    return formatting.time_tag(value, words or formatting.clock(value, seconds=seconds))


def coded(text: str) -> Markup:
    """Plain text in which `backticks` mark what is typed as it stands."""
    parts = text.split("`")
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(part) if i % 2 else part for i, part in enumerate(parts))


def since(value: Any) -> Markup:
    """A moment as `<time>`, relative while it is less than a day ago."""
    return formatting.time_tag(value, formatting.ago(value, now()))
