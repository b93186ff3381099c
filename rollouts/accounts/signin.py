"""Who calls: an API key first, else the session behind the cookie.

`load_actor` runs before the check of roles. Requests that change something and are signed in by
cookie must come from our own pages, twice shown: by the browser's own headers, and by a token
that only our pages hold. `bp` brings the pages along, and what they need of the app.
"""

from __future__ import annotations

from urllib.parse import quote

import structlog
from flask import Response, current_app, g, redirect, request
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as BaseResponse

from rollouts.accounts import service
from rollouts.accounts.forgery import check_forgery, csrf_token, keep_form_cookie
from rollouts.accounts.model import Access, Actor
from rollouts.accounts.pages import bp
from rollouts.accounts.sessions import SEEN_EVERY
from rollouts.accounts.visit_cookie import cookie_name, find_visit, is_ours
from rollouts.errors import NotSignedIn
from rollouts.web.access import required_of
from rollouts.web.context import now, reading, runtime
from rollouts.web.problems import answer_refusal, wants_page

__all__ = ["bp", "load_actor"]

log = structlog.get_logger()
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@bp.record_once
def _install(state: BlueprintSetupState) -> None:
    app = state.app
    app.after_request(keep_form_cookie)
    app.after_request(_forbid_storing)
    app.context_processor(_about_visitor)
    app.jinja_env.globals["csrf_token"] = csrf_token
    app.register_error_handler(NotSignedIn, _send_to_sign_in)


def load_actor() -> None:
    """Set `g.actor` and `g.visit`, or leave them empty; refuse what only looks signed in."""
    g.actor, g.visit = None, None
    required = required_of(current_app, request.endpoint)
    if required in (Access.CLIENT_KEY, Access.WRITE_KEY) or _is_file(request.endpoint):
        return
    presented = _bearer()
    if presented is not None and required is not Access.ANYONE:
        g.actor = _key_actor(presented)
        return
    g.visit = _load_visit()
    if g.visit is not None:
        g.actor = g.visit.actor
        if request.method not in SAFE_METHODS:
            check_forgery()


def _is_file(endpoint: str | None) -> bool:
    return endpoint is not None and (endpoint == "static" or endpoint.endswith(".static"))


def _bearer() -> str | None:
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        return rest.strip().encode("latin-1").decode()  # WSGI hands out bytes as Latin-1
    except UnicodeError:
        return rest.strip()


def _key_actor(presented: str) -> Actor:
    key = runtime().keys.find_api_key(presented, now=now())
    if key is None:
        raise NotSignedIn("This API key is not known, has expired or was revoked.")
    origin = request.headers.get("Origin", "")
    if origin and not is_ours(origin):
        runtime().keys.note_leak(key, origin, now=now())
    return key.actor()


def _load_visit() -> service.Visit | None:
    token = request.cookies.get(cookie_name())
    if not token:
        return None
    with reading() as session:
        visit = find_visit(session, token)
    if visit is not None and now() - visit.seen_at >= SEEN_EVERY:
        db, at = runtime().db, now()
        runtime().keys.run(lambda: service.remember_seen(db, visit, now=at))
    return visit


def _forbid_storing(response: Response) -> Response:
    """What a signed-in person sees stays out of caches, the browser's included."""
    if g.get("actor") is not None and "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response


def _about_visitor() -> dict[str, object]:
    visit: service.Visit | None = g.get("visit")
    return {"current_user": visit.actor if visit else None}


def _send_to_sign_in(refusal: NotSignedIn) -> BaseResponse:
    """People are led to the sign-in page and back; programs get the refusal."""
    if request.method not in ("GET", "HEAD") or not wants_page():
        return answer_refusal(refusal)
    path = request.full_path.rstrip("?")
    return redirect("/sign-in" if path == "/" else f"/sign-in?next={quote(path)}", 303)
