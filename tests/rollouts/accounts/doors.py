"""A small service around the rooms of access, for tests: an app, browsers and a given clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flask import Response
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from rollouts.accounts import api, service, signin
from rollouts.accounts.keyring import KeyRing
from rollouts.accounts.model import OPERATOR, Access, Role
from rollouts.accounts.passwords import hash_password
from rollouts.accounts.store import UserRow
from rollouts.audit import api as audit_api
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.flags.environments import create_environment
from rollouts.notify import api as notify_api
from rollouts.notify.sealing import Seal
from rollouts.web import pages as web_pages
from rollouts.web import problems
from rollouts.web.access import check_caller, requires
from rollouts.web.context import Runtime

START = datetime(2026, 5, 14, 9, 0, tzinfo=UTC)
PASSWORD = "a lamp beside the stairs"
ADDRESS = "http://localhost"
SAME_SITE = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}


@dataclass
class Clock:
    """The time, as the test says."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **time: float) -> None:
        """Let some time go by."""
        self.at += timedelta(**time)


def make_settings(**given: Any) -> Settings:
    """Settings as of a service at http://localhost."""
    return Settings(**{"secret_key": "s" * 40, "public_url": ADDRESS, **given})


def make_environments(db: Database, *keys: str) -> None:
    """Places that keys may be bound to."""
    with db.transaction() as session:
        for key in keys:
            create_environment(session, key=key, name=key, actor=OPERATOR, now=START)


def make_app(db: Database, clock: Callable[[], datetime], settings: Settings) -> OpenAPI:
    """An app of the rooms under test, wired as the real one is."""
    app = OpenAPI(__name__, doc_ui=False, static_folder=None)
    app.extensions["rollouts"] = Runtime(
        settings=settings,
        db=db,
        journal=cast("Any", None),
        delivery=cast("Any", None),
        seal=Seal(settings.secret_key),
        keys=KeyRing(db, run=lambda job: job()),
        now=clock,
    )
    app.validation_error_callback = lambda wrong: problems.answer_refusal(
        problems.from_pydantic(wrong)
    )
    problems.register(app)
    app.before_request(signin.load_actor)
    app.before_request(check_caller)
    for room in (api, audit_api, notify_api):
        app.register_api(room.bp)
    for blueprint in (signin.bp, web_pages.bp):
        app.register_blueprint(blueprint)
    _add_probes(app)
    return app


def _add_probes(app: OpenAPI) -> None:
    """Routes that do nothing but demand something of their caller."""

    def answer() -> str:
        return "done"

    for who in (*Role, Access.ANYONE, Access.SIGNED_IN):
        view = requires(who)(lambda: answer())
        app.add_url_rule(f"/probe/{who}", f"probe_{who}", view, methods=["GET", "POST"])


@dataclass
class Browser:
    """A person at a browser: keeps cookies, fills in forms as the page gave them."""

    app: OpenAPI
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def get(self, path: str, **more: Any) -> Response:
        """Open a page."""
        headers = {"Accept": "text/html", **more.pop("headers", {})}
        return cast("Response", self.client.get(path, headers=headers, **more))

    def token(self, page: str) -> str:
        """The token in the page's first form."""
        found = re.search(r'name="csrf_token" value="([0-9a-f]+)"', self.get(page).text)
        assert found, f"no form on {page}"
        return found[1]

    def send(self, path: str, page: str = "", **fields: str) -> Response:
        """Fill in the form on a page and send it."""
        fields.setdefault("csrf_token", self.token(page or path))
        headers = {"Accept": "text/html", **SAME_SITE}
        return cast("Response", self.client.post(path, data=fields, headers=headers))

    def sign_in(self, name: str = "ana", password: str = PASSWORD, **fields: str) -> Response:
        """Sign in by password."""
        return self.send("/sign-in", name=name, password=password, **fields)


def make_user(
    db: Database, name: str = "ana", role: Role = Role.EDITOR, *, password: str = PASSWORD
) -> None:
    """A person, with a password if one is given."""
    with db.transaction() as session:
        user = service.create_user(session, name=name, role=role, actor=OPERATOR, now=START)
        session.flush()
        row = session.get_one(UserRow, user.id)
        row.password_hash = hash_password(password) if password else None


def make_link(db: Database, name: str = "ana", *, now: datetime = START) -> str:
    """The path of a one-time link."""
    with db.transaction() as session:
        user = service.get_user(session, name)
        return "/link/" + service.create_link(session, user, actor=OPERATOR, now=now)


def make_key(db: Database, role: Role = Role.ADMIN, **more: Any) -> dict[str, str]:
    """The headers of a call with a fresh API key."""
    with db.transaction() as session:
        issued = service.create_api_key(
            session, name=f"{role} key", role=role, actor=OPERATOR, now=START, **more
        )
    return {"Authorization": f"Bearer {issued.text}"}
