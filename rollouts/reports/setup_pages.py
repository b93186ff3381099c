"""Set up: connections and keys, people, alerts, and what became of the last exposures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Response, make_response, render_template, request, url_for
from pydantic import BaseModel, ValidationError

from rollouts.accounts import service as accounts
from rollouts.accounts.model import KeyKind, Role
from rollouts.errors import Fault, Invalid, RolloutsError
from rollouts.flags import service as flags
from rollouts.flags.bodies import NewConnectionBody, NewEnvironmentBody
from rollouts.flags.model import Mode
from rollouts.ingest.model import from_us
from rollouts.ledger import service as ledger
from rollouts.notify import service as notify
from rollouts.notify.model import DestinationKind
from rollouts.reports import asked
from rollouts.reports.blueprint import bp
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction

PAGE = 25
MOST = 200  # of what is shown whole; a search finds the rest
LONGEST = 200
TABS = (
    ("reports.setup_connections", "Connections"),
    ("reports.setup_people", "People"),
    ("reports.setup_alerts", "Alerts"),
    ("reports.setup_events", "Events"),
)
Answer = dict[str, Any]


def _text(name: str, longest: int = LONGEST) -> str:
    """A field of the form; control characters and overlong text are refused by name."""
    text = request.form.get(name, "").strip()
    if len(text) > longest or not text.isprintable():
        _refuse(name, f"at most {longest} printable characters")
    return text


def _needed(name: str, longest: int = LONGEST) -> str:
    text = _text(name, longest)
    if not text:
        _refuse(name, "this is needed")
    return text


def _refuse(name: str, problem: str) -> None:
    raise Invalid(f"{name}: {problem}", faults=(Fault(name, problem),))


def _choice(kind: Callable[[str], Any], name: str) -> Any:
    try:
        return kind(request.form.get(name, ""))
    except ValueError:
        raise Invalid(f"{name}: choose one", faults=(Fault(name, "choose one"),)) from None


def _body(kind: type[BaseModel], **given: Any) -> Any:
    try:
        return kind.model_validate(given)
    except ValidationError as wrong:
        faults = tuple(
            Fault(str(item["loc"][0]) if item["loc"] else "form", item["msg"])
            for item in wrong.errors(include_url=False, include_context=False, include_input=False)
        )
        raise Invalid(f"{faults[0].where}: {faults[0].problem}", faults=faults) from None


def _doing(deeds: dict[str, Callable[[], Answer]], show: Callable[..., Response]) -> Response:
    """Do what a button asks. A refusal comes back on the page, with all that was typed."""
    do = request.form.get("do", "")
    if do not in deeds:
        return show(refusal=Invalid("This button is none of ours. Nothing was changed."))
    try:
        done = deeds[do]()
    except RolloutsError as refusal:
        return show(refusal=refusal)
    return show(**done)


def _page(name: str, *, refusal: RolloutsError | None = None, **held: Any) -> Response:
    errors = {fault.where: fault.problem for fault in refusal.faults} if refusal else {}
    page = render_template(
        f"reports/setup_{name}.html",
        tabs=[(url_for(endpoint), word) for endpoint, word in TABS],
        refusal=refusal,
        errors=errors,
        sent=request.form if refusal else {},
        is_admin=current_actor().role.includes(Role.ADMIN),
        roles=[role for role in Role if current_actor().role.includes(role)],
        **held,
    )
    answer = make_response(page, refusal.status if refusal else 200)
    answer.headers["Cache-Control"] = "no-store"  # a key is shown once, not kept by browsers
    return answer


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
    return _doing(deeds, _connections)


def _connections(**held: Any) -> Response:
    search = asked.text("search")
    with reading() as session:
        rows = flags.list_connections(session, after=None, limit=MOST, search=search)
        return _page(
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
    body = _body(
        NewConnectionBody,
        name=_needed("name"),
        environment=_needed("environment"),
        mode=request.form.get("mode", ""),
    )
    with transaction() as session:
        row = flags.create_connection(
            session,
            name=body.name,
            environment=body.environment,
            mode=body.mode,
            options=body.options.to_domain(),
            actor=current_actor(),
            now=now(),
        )
        secrets = [("Client key", row.client_key)]
        secrets += [("Encryption key", row.encryption_key)] if row.encryption_key else []
    runtime().delivery.refresh()
    return {"done": f"Connection “{body.name}” made", "secrets": secrets}


def _revoke_connection() -> Answer:
    _need_admin()
    with transaction() as session:
        flags.revoke_connection(session, _needed("key"), actor=current_actor(), now=now())
    runtime().delivery.refresh()
    return {"done": "Connection ended: its clients get no flags any more"}


def _new_environment() -> Answer:
    _need_admin()
    body = _body(NewEnvironmentBody, key=_needed("environment_key"), name=_text("environment_name"))
    with transaction() as session:
        flags.create_environment(
            session, key=body.key, name=body.name, actor=current_actor(), now=now()
        )
    runtime().delivery.refresh()
    return {"done": f"Environment {body.key} made: every flag is switched off there"}


def _new_write_key() -> Answer:
    kind = KeyKind.BROWSER_WRITE if request.form.get("kind") == "browser" else KeyKind.SERVER_WRITE
    with transaction() as session:
        issued = accounts.create_write_key(
            session,
            name=_needed("key_name"),
            environment=_needed("environment"),
            kind=kind,
            actor=current_actor(),
            now=now(),
        )
    return {"done": f"Write key “{issued.row.name}” made", "secrets": [("Write key", issued.text)]}


def _end_key(kinds: tuple[KeyKind, ...]) -> Answer:
    with transaction() as session:
        accounts.revoke_key(session, _needed("key"), kinds, actor=current_actor(), now=now())
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
    return _doing(deeds, _people)


def _people(**held: Any) -> Response:
    search, after = asked.text("search"), asked.text("after") or None
    with reading() as session:
        rows = accounts.list_users(session, limit=PAGE + 1, after=after, search=search)
        return _page(
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
            name=_needed("name"),
            full_name=_text("full_name"),
            role=_choice(Role, "role"),
            actor=current_actor(),
            now=now(),
        )
        session.flush()
        token = accounts.create_link(session, user, actor=current_actor(), now=now())
    return _linked(f"{user.name} invited", token)


def _new_link() -> Answer:
    _need_admin()
    with transaction() as session:
        user = accounts.get_user(session, _needed("person"))
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
            _needed("person"),
            role=_choice(Role, "role"),
            is_disabled="is_disabled" in request.form,
            actor=current_actor(),
            now=now(),
        )
        shut = " and shut out" if user.disabled_at else ""
        return {"done": f"{user.name} is {user.role}{shut}"}


def _new_api_key() -> Answer:
    days = _text("days") or str(accounts.API_KEY_DAYS)
    if not (days.isascii() and days.isdigit() and 1 <= int(days[:5]) <= accounts.API_KEY_DAYS):
        _refuse("days", f"between 1 and {accounts.API_KEY_DAYS}")
    with transaction() as session:
        issued = accounts.create_api_key(
            session,
            name=_needed("key_name"),
            role=_choice(Role, "role"),
            environments=tuple(request.form.getlist("environments"))[:50],
            valid=timedelta(days=int(days)),
            actor=current_actor(),
            now=now(),
        )
    return {"done": f"API key “{issued.row.name}” made", "secrets": [("API key", issued.text)]}


@bp.get("/setup/alerts", endpoint="setup_alerts")
@requires(Role.EDITOR)
def show_alerts() -> Response:
    """Who is told, and whether it arrived."""
    return _alerts()


@bp.post("/setup/alerts", endpoint="setup_alerts_sent")
@requires(Role.ADMIN)
def change_alerts() -> Response:
    """Add, test or remove a place that is told; try a delivery again."""
    deeds = {
        "destination": _new_destination,
        "test": _test_destination,
        "remove": _remove_destination,
        "retry": _retry,
    }
    return _doing(deeds, _alerts)


def _alerts(**held: Any) -> Response:
    state, before = asked.text("state"), asked.number("before")
    with reading() as session:
        rows = notify.list_deliveries(session, limit=PAGE + 1, before_id=before, state=state)
        return _page(
            "alerts",
            destinations=notify.list_destinations(session, limit=MOST),
            names={row.id: row.name for row in notify.list_destinations(session)},
            deliveries=rows[:PAGE],
            next_before=rows[PAGE - 1][0].id if len(rows) > PAGE else None,
            state=state,
            before=before,
            **held,
        )


def _new_destination() -> Answer:
    kinds = tuple(part.strip() for part in _text("kinds").split(",") if part.strip())
    with transaction() as session:
        row, secret = notify.create_destination(
            session,
            runtime().seal,
            runtime().settings,
            name=_needed("name"),
            kind=_choice(DestinationKind, "kind"),
            url=_needed("url", 2000),
            secret=_text("secret"),
            kinds=kinds,
            actor=current_actor(),
            now=now(),
        )
    shown = [("Secret that signs each message", secret)] if secret else []
    return {"done": f"“{row.name}” is told from now on", "secrets": shown}


def _test_destination() -> Answer:
    held = runtime()
    ended = notify.send_test(
        held.db, held.seal, held.settings, _needed("id"), actor=current_actor(), now=now()
    )
    return {"done": f"Test {ended.outcome}" + (f": {ended.problem}" if ended.problem else "")}


def _remove_destination() -> Answer:
    with transaction() as session:
        notify.remove_destination(session, _needed("id"), actor=current_actor(), now=now())
    return {"done": "Removed: it is told nothing more, and its address is forgotten"}


def _retry() -> Answer:
    text = _needed("id")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    with transaction() as session:
        notify.retry_delivery(session, number, actor=current_actor(), now=now())
    return {"done": "It is tried again from the beginning"}


@bp.get("/setup/events", endpoint="setup_events")
@requires(Role.EDITOR)
def show_events() -> Response:
    """The last exposures as understood and as refused, with the reason."""
    unit, rollout = asked.text("unit"), asked.text("rollout")
    before = asked.number("before")
    with reading() as session:
        rows = ledger.list_recent(
            session,
            unit_key=runtime().seal.unit_key,
            unit=unit,
            rollout=rollout,
            limit=PAGE + 1,
            before_id=before,
        )
        return _page(
            "events",
            events=[(row, from_us(row.at_us), from_us(row.received_us)) for row in rows[:PAGE]],
            next_before=rows[PAGE - 1].id if len(rows) > PAGE else None,
            unit=unit,
            rollout=rollout,
            before=before,
        )
