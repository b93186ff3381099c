"""Forms and calls that another site made the browser send are refused.

First by what the browser says (Sec-Fetch-Site, Origin), then by a token: an HMAC over the session,
or, before there is one, over a cookie that goes with the form. Each token carries its own random
salt, so that no two pages show the same bytes to whoever measures compressed lengths.
"""

from __future__ import annotations

import hmac
import secrets

from flask import Response, g, request

from rollouts.accounts.visit_cookie import cookie_name, is_ours, set_cookie
from rollouts.errors import NotAllowed
from rollouts.web.context import runtime

FORM_COOKIE = "rollouts-form"
FIELD, HEADER = "csrf_token", "X-CSRF-Token"
SALT_LENGTH = 16

STALE = "This form is too old or was sent from elsewhere. Load the page again, then send it."


def csrf_token() -> str:
    """A token for one form; a Jinja global."""
    salt = secrets.token_hex(SALT_LENGTH // 2)
    return salt + _sign(salt, _binding(may_start=True))


def check_forgery() -> None:
    """Refuse a request that our own pages did not send. Raises NotAllowed."""
    check_origin()
    sent = request.headers.get(HEADER) or request.form.get(FIELD, "")
    salt, given = sent[:SALT_LENGTH], sent[SALT_LENGTH:]
    expected = _sign(salt, _binding(may_start=False))
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise NotAllowed(STALE)


def check_origin() -> None:
    """Refuse what the browser itself says comes from another site, or does not place at all."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None and origin is None:
        raise NotAllowed("Requests by cookie must say where they come from. " + STALE)
    if site not in (None, "same-origin"):
        raise NotAllowed(STALE)
    # A strict referrer policy hides the origin, but not that it is the same.
    is_hidden = origin == "null" and site == "same-origin"
    if origin is not None and not is_hidden and not is_ours(origin):
        raise NotAllowed(STALE)


def keep_form_cookie(response: Response) -> Response:
    """Send the cookie that a form without a session was bound to."""
    fresh = g.get("new_form_cookie")
    if fresh is not None:
        set_cookie(response, FORM_COOKIE, fresh)
    return response


def _binding(*, may_start: bool) -> str:
    visit = g.get("visit")
    if visit is not None:
        return f"session:{visit.public_id}"
    held = request.cookies.get(cookie_name(FORM_COOKIE)) or g.get("new_form_cookie")
    if held is None:
        if not may_start:
            raise NotAllowed(STALE)
        held = g.new_form_cookie = secrets.token_urlsafe(16)
    return f"form:{held}"


def _sign(salt: str, binding: str) -> str:
    key = runtime().seal.derive("forms")
    return hmac.new(key, f"{salt}:{binding}".encode(), "sha256").hexdigest()
