"""Set up: connections and their keys, people and theirs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, request

from rollouts.accounts import service as accounts
from rollouts.accounts.model import KeyKind, Role
from rollouts.flags import service as flags
from rollouts.flags.bodies import NewConnectionBody, NewEnvironmentBody
from rollouts.flags.model import Mode
from rollouts.reports import asked
from rollouts.reports import setup_alert_pages as setup_alert_pages
from rollouts.reports.blueprint import bp
from rollouts.reports.setup_parts import (
    MOST,
    PAGE,
    Answer,
    body,
    choice,
    doing,
    needed,
    page,
    refuse,
    text,
)
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction


def _need_admin() -> None:
    current_actor().check_grants(Role.ADMIN)


@bp.get("/setup/connections", endpoint="setup_connections")
@requires(Role.EDITOR)
def show_connections() -> Response:
    """Who asks for flags, who sends events, and with which keys."""
    return _connections()


@bp.post("/setup/connections", endpoint="setup_connections_sent")
@requires(Role.EDITOR)
def change_connections() -> Response:
    """Make or end a connection, an environment or a write key."""
    deeds = {
        "connection": _new_connection,
        "revoke": _revoke_connection,
        "environment": _new_environment,
        "write-key": _new_write_key,
        "end-write-key": lambda: _end_key(accounts.WRITE_KINDS),
    }
    return doing(deeds, _connections)


def _connections(**held: Any) -> Response:
    search = asked.text("search")
    with reading() as session:
        rows = flags.list_connections(session, after=None, limit=MOST, search=search)
        return page(
            "connections",
            connections=[
                (row, place, next(iter(flags.list_reaches(session, row.client_key)), None))
                for row, place in rows
            ],
            environments=flags.list_environments(session),
            keys=accounts.list_keys(
                session, accounts.WRITE_KINDS, limit=MOST, after=None, search=search
            ),
            modes=list(Mode),
            search=search,
            **held,
        )


def _new_connection() -> Answer:
    _need_admin()
    asked_for = body(
        NewConnectionBody,
        name=needed("name"),
        environment=needed("environment"),
        mode=request.form.get("mode", ""),
    )
    with transaction() as session:
        row = flags.create_connection(
            session,
            name=asked_for.name,
            environment=asked_for.environment,
            mode=asked_for.mode,
            options=asked_for.options.to_domain(),
            actor=current_actor(),
            now=now(),
        )
        secrets = [("Client key", row.client_key)]
        secrets += [("Encryption key", row.encryption_key)] if row.encryption_key else []
    runtime().delivery.refresh()
    return {"done": f"Connection “{asked_for.name}” made", "secrets": secrets}


def _revoke_connection() -> Answer:
    _need_admin()
    with transaction() as session:
        flags.revoke_connection(session, needed("key"), actor=current_actor(), now=now())
    runtime().delivery.refresh()
    return {"done": "Connection ended: its clients get no flags any more"}


def _new_environment() -> Answer:
    _need_admin()
    asked_for = body(
        NewEnvironmentBody, key=needed("environment_key"), name=text("environment_name")
    )
    with transaction() as session:
        flags.create_environment(
            session, key=asked_for.key, name=asked_for.name, actor=current_actor(), now=now()
        )
    runtime().delivery.refresh()
    return {"done": f"Environment {asked_for.key} made: every flag is switched off there"}


def _new_write_key() -> Answer:
    kind = KeyKind.BROWSER_WRITE if request.form.get("kind") == "browser" else KeyKind.SERVER_WRITE
    with transaction() as session:
        issued = accounts.create_write_key(
            session,
            name=needed("key_name"),
            environment=needed("environment"),
            kind=kind,
            actor=current_actor(),
            now=now(),
        )
    return {"done": f"Write key “{issued.row.name}” made", "secrets": [("Write key", issued.text)]}


def _end_key(kinds: tuple[KeyKind, ...]) -> Answer:
    with transaction() as session:
        accounts.revoke_key(session, needed("key"), kinds, actor=current_actor(), now=now())
    runtime().keys.forget()
    return {"done": "Key ended: it is refused everywhere within seconds"}


@bp.get("/setup/people", endpoint="setup_people")
@requires(Role.EDITOR)
def show_people() -> Response:
    """Who may do what, and the keys of scripts."""
    return _people()


@bp.post("/setup/people", endpoint="setup_people_sent")
@requires(Role.EDITOR)
def change_people() -> Response:
    """Invite or change a person, make or end an API key."""
    deeds = {
        "invite": _invite,
        "link": _new_link,
        "change": _change_person,
        "api-key": _new_api_key,
        "end-api-key": lambda: _end_key((KeyKind.API,)),
    }
    return doing(deeds, _people)


def _people(**held: Any) -> Response:
    search, after = asked.text("search"), asked.text("after") or None
    with reading() as session:
        rows = accounts.list_users(session, limit=PAGE + 1, after=after, search=search)
        return page(
            "people",
            people=rows[:PAGE],
            next_after=rows[PAGE - 1].name if len(rows) > PAGE else None,
            keys=accounts.list_keys(session, (KeyKind.API,), limit=MOST, after=None, search=search),
            environments=flags.list_environments(session),
            search=search,
            after=after,
            **held,
        )


def _invite() -> Answer:
    _need_admin()
    with transaction() as session:
        user = accounts.create_user(
            session,
            name=needed("name"),
            full_name=text("full_name"),
            role=choice(Role, "role"),
            actor=current_actor(),
            now=now(),
        )
        session.flush()
        token = accounts.create_link(session, user, actor=current_actor(), now=now())
    return _linked(f"{user.name} invited", token)


def _new_link() -> Answer:
    _need_admin()
    with transaction() as session:
        user = accounts.get_user(session, needed("person"))
        token = accounts.create_link(session, user, actor=current_actor(), now=now())
    return _linked(f"Link for {user.name} made", token)


def _linked(done: str, token: str) -> Answer:
    minutes = int(accounts.LINK_VALID.total_seconds() // 60)
    address = accounts.link_address(runtime().settings, token, "")
    return {
        "done": f"{done}; the link works once, for {minutes} minutes",
        "secrets": [("Link", address)],
    }


def _change_person() -> Answer:
    _need_admin()
    with transaction() as session:
        user = accounts.change_user(
            session,
            needed("person"),
            role=choice(Role, "role"),
            is_disabled="is_disabled" in request.form,
            actor=current_actor(),
            now=now(),
        )
        shut = " and shut out" if user.disabled_at else ""
        return {"done": f"{user.name} is {user.role}{shut}"}


def _new_api_key() -> Answer:
    days = text("days") or str(accounts.API_KEY_DAYS)
    if not (days.isascii() and days.isdigit() and 1 <= int(days[:5]) <= accounts.API_KEY_DAYS):
        refuse("days", f"between 1 and {accounts.API_KEY_DAYS}")
    with transaction() as session:
        issued = accounts.create_api_key(
            session,
            name=needed("key_name"),
            role=choice(Role, "role"),
            environments=tuple(request.form.getlist("environments"))[:50],
            valid=timedelta(days=int(days)),
            actor=current_actor(),
            now=now(),
        )
    return {"done": f"API key “{issued.row.name}” made", "secrets": [("API key", issued.text)]}
