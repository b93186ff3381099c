"""Pages for signing in and out, for one-time links, and for one's own account."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, g, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as BaseResponse

from rollouts.accounts import service
from rollouts.accounts.forgery import check_forgery
from rollouts.accounts.model import Access
from rollouts.accounts.visit_cookie import (
    check_way_is_safe,
    drop_cookie,
    local_path,
    set_cookie,
    visitor,
)
from rollouts.errors import Invalid, NotSignedIn, RolloutsError, TooMany
from rollouts.web.access import requires
from rollouts.web.context import now, reading, runtime, transaction

bp = Blueprint("accounts", __name__, template_folder="templates")


@bp.get("/sign-in")
@requires(Access.ANYONE)
def sign_in_page() -> ResponseReturnValue:
    """Ask for a name and a password."""
    if g.visit is not None:
        return redirect(_next(), 303)
    return _private(render_template("accounts/sign_in.html", next=_next(), name="", wrong=""))


@bp.post("/sign-in")
@requires(Access.ANYONE)
def sign_in() -> ResponseReturnValue:
    """Open a session by password; a session that was open ends."""
    check_forgery()
    check_way_is_safe()
    name, password = request.form.get("name", ""), request.form.get("password", "")
    try:
        opened = service.sign_in(
            runtime().db, name[:400], password, visitor(), runtime().settings, now=now()
        )
    except (NotSignedIn, TooMany) as refusal:
        return _sign_in_again(name, refusal)
    return _enter(opened)


def _sign_in_again(name: str, refusal: RolloutsError) -> Response:
    page = render_template(
        "accounts/sign_in.html", next=_next(), name=name[:400], wrong=refusal.detail
    )
    response = _private(page, refusal.status)
    if isinstance(refusal, TooMany):
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


@bp.get("/link/<token>")
@requires(Access.ANYONE)
def link_page(token: str) -> ResponseReturnValue:
    """Ask before spending: mail scanners open links, and press nothing."""
    try:
        with reading() as session:
            user = service.get_link(session, token, now=now())
    except NotSignedIn as refusal:
        return _private(render_template("accounts/link.html", user=None, why=refusal.detail), 410)
    return _private(render_template("accounts/link.html", user=user, next=_next()))


@bp.post("/link/<token>")
@requires(Access.ANYONE)
def spend_link(token: str) -> ResponseReturnValue:
    """Open a session by a one-time link, which is spent with it."""
    check_forgery()
    check_way_is_safe()
    try:
        with transaction() as session:
            opened = service.spend_link(session, token, visitor(), runtime().settings, now=now())
    except NotSignedIn as refusal:
        return _private(render_template("accounts/link.html", user=None, why=refusal.detail), 410)
    return _enter(opened)


@bp.post("/sign-out")
@requires(Access.SIGNED_IN)
def sign_out() -> ResponseReturnValue:
    """End this session at the server and in the browser."""
    visit = _visit()
    with transaction() as session:
        service.sign_out(session, visit, now=now())
    response = redirect("/sign-in", 303)
    drop_cookie(response)
    return response


@bp.get("/account")
@requires(Access.SIGNED_IN)
def account() -> ResponseReturnValue:
    """One's own password and sessions."""
    return _account_page()


@bp.post("/account/password")
@requires(Access.SIGNED_IN)
def set_password() -> ResponseReturnValue:
    """Set or change one's own password; all other sessions end."""
    visit, form = _visit(), request.form
    if form.get("new", "") != form.get("again", ""):
        return _account_page({"again": "The two do not agree. Write the new one twice."}, 422)
    try:
        service.set_password(
            runtime().db,
            visit,
            old=form.get("old", ""),
            new=form.get("new", ""),
            address=visitor().address,
            names=_place_names(),
            now=now(),
        )
    except Invalid as refusal:
        return _account_page({fault.where: fault.problem for fault in refusal.faults}, 422)
    return redirect("/account?saved=password", 303)


@bp.post("/account/sessions/<public_id>/end")
@requires(Access.SIGNED_IN)
def end_session(public_id: str) -> ResponseReturnValue:
    """End one of one's own sessions, perhaps on a machine that was lost."""
    visit = _visit()
    with transaction() as session:
        service.end_session(session, visit, public_id, now=now())
    if public_id == visit.public_id:
        return redirect("/sign-in", 303)
    return redirect("/account", 303)


def _account_page(wrong: dict[str, str] | None = None, status: int = 200) -> Response:
    visit = _visit()
    with reading() as session:
        sessions = service.list_sessions(session, visit, now=now())
        has_password = service.has_password(session, visit)
    page = render_template(
        "accounts/account.html",
        visit=visit,
        sessions=sessions,
        asks_old=has_password and not visit.is_fresh(now()),
        wrong=wrong or {},
        saved=request.args.get("saved") == "password",
    )
    return _private(page, status)


def _enter(opened: service.SignedIn) -> BaseResponse:
    if g.visit is not None:
        with transaction() as session:
            service.sign_out(session, g.visit, now=now())
    response = redirect(_next(), 303)
    set_cookie(response, "rollouts", opened.token, lasts=opened.ends_at - now())
    return response


def _visit() -> service.Visit:
    visit: service.Visit | None = g.visit
    if visit is None:
        raise NotSignedIn("This page is for people. Sign in with a name and password, or a link.")
    return visit


def _next() -> str:
    return local_path(request.form.get("next") or request.args.get("next"))


def _place_names() -> tuple[str, ...]:
    host = urlsplit(runtime().settings.base_url).hostname or ""
    return ("rollouts", *(part for part in host.split(".") if not part.isdigit()))


def _private(page: str, status: int = 200) -> Response:
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    # Not "no-referrer": browsers would then hide the Origin of our own forms from us.
    response.headers["Referrer-Policy"] = "same-origin"
    return response
