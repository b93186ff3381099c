"""Who gets what and why: a pasted user, every flag's value, and the whole path of reasons.

A user's attributes are personal, so they travel in the form and never in an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from rollouts.accounts.model import Role
from rollouts.flags import service as flags
from rollouts.flags.model import Flag
from rollouts.flags.simulating import Simulated, simulate_many
from rollouts.reports.blueprint import bp
from rollouts.reports.flagging import users
from rollouts.reports.flagging.files import csv_file
from rollouts.reports.rule_words import RuleWords, rule_words
from rollouts.web import json_bytes
from rollouts.web.access import requires
from rollouts.web.context import now, reading

if TYPE_CHECKING:
    from rollouts.flags.environment_store import EnvironmentRow
    from rollouts.flags.simulating import RuleTold

PAGE = 25


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks."""

    attributes: str
    environment: str
    search: str
    after: str


@dataclass(frozen=True, slots=True)
class Told:
    """One flag's answer, each rule in words beside what became of it."""

    flag: Flag
    answer: Simulated
    rules: tuple[tuple[RuleTold, RuleWords], ...]

    @property
    def value(self) -> str:
        """What the user gets, as JSON."""
        return json_bytes.dumps(self.answer.value).decode()


@bp.get("/who-gets-what", endpoint="who")
@requires(Role.READER)
def ask_all() -> str:
    """A form for a user; every flag is asked."""
    return _page(None)


@bp.post("/who-gets-what", endpoint="who_sent")
@requires(Role.READER)
def tell_all() -> ResponseReturnValue:
    """What the user gets from every flag that fits the search."""
    return _answer(None)


@bp.get("/flags/<key>/who", endpoint="flag_who")
@requires(Role.READER)
def ask_one(key: str) -> str:
    """A form for a user; one flag is asked."""
    return _page(key)


@bp.post("/flags/<key>/who", endpoint="flag_who_sent")
@requires(Role.READER)
def tell_one(key: str) -> ResponseReturnValue:
    """What the user gets from the flag, rule by rule."""
    return _answer(key)


def _asked() -> Asked:
    def text(name: str, longest: int = 200) -> str:
        return request.form.get(name, "").replace("\0", "").strip()[:longest]

    attributes = request.form.get("attributes", "").replace("\r\n", "\n").replace("\0", "")
    return Asked(attributes[: users.LONGEST], text("environment"), text("search"), text("after"))


def _page(key: str | None) -> str:
    with reading() as session:
        flag = None if key is None else flags.get_flag(session, key)
        first = flags.list_environments(session)[0].key
        wanted = request.args.get("environment", "") or first
        return _render(session, flag, Asked("", wanted, "", ""))


def _answer(key: str | None) -> ResponseReturnValue:
    asked = _asked()
    with reading() as session:
        flag = None if key is None else flags.get_flag(session, key)
        try:
            user = users.user_of(asked.attributes)
        except users.Misread as wrong:
            return make_response(_render(session, flag, asked, misread=wrong), 422)
        flags.get_environment(session, asked.environment)
        found = [flag] if flag else flags.list_flags(session, search=asked.search)
        if request.form.get("do") == "csv":
            return _file(session, found, asked, user)
        rest = [item for item in found if flag or item.key > asked.after]
        shown = rest[:PAGE]
        return _render(
            session,
            flag,
            asked,
            told=_told(session, shown, asked, user),
            n_found=len(found),
            next_after=shown[-1].key if len(rest) > PAGE else "",
        )


def _told(
    session: Session, shown: Sequence[Flag], asked: Asked, user: dict[str, Any]
) -> list[Told]:
    answers = simulate_many(session, shown, asked.environment, user, now=now())
    return [
        Told(flag, answer, tuple(zip(answer.rules, _words(flag, asked.environment), strict=False)))
        for flag, answer in zip(shown, answers, strict=True)
    ]


def _words(flag: Flag, environment: str) -> Iterable[RuleWords]:
    return [rule_words(rule) for rule in flag.state(environment).rules]


def _file(session: Session, found: Sequence[Flag], asked: Asked, user: dict[str, Any]) -> Response:
    heads = ["key", "environment", "value", "source", "variation", "why"]
    rows = [
        [
            *(told.flag.key, asked.environment, told.value),
            *(told.answer.source, told.answer.variation, told.answer.why),
        ]
        for told in _told(session, found, asked, user)
    ]
    return csv_file([heads, *rows], "who-gets-what")


def _render(session: Session, flag: Flag | None, asked: Asked, **held: Any) -> str:
    environments: Sequence[EnvironmentRow] = flags.list_environments(session)
    return render_template(
        "reports/flag_who.html" if flag else "reports/who.html",
        flag=flag,
        asked=asked,
        environments=environments,
        **held,
    )
