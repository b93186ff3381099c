"""What every request is checked for, and what every answer carries."""

from __future__ import annotations

from flask import Response, current_app, g, request

from rollouts.errors import Malformed, NotAllowed, TooLarge, UnsupportedEncoding
from rollouts.web import json_bytes
from rollouts.web.context import find_actor, runtime

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
API = "/api/v1/"


def check_host() -> None:
    """Answer only to the names the service was given, if it was given any."""
    allowed = {part.strip() for part in runtime().settings.trusted_hosts.split(",") if part.strip()}
    name = request.host.rsplit(":", 1)[0] if request.host else ""
    if allowed and name not in allowed:
        raise NotAllowed("This host name is not one the service answers to.")


def check_query() -> None:
    """Refuse an address whose query is no UTF-8: nothing behind could read it."""
    try:
        request.query_string.decode()
    except UnicodeDecodeError:
        raise Malformed("The address holds bytes that are not UTF-8; escape them.") from None


def read_body() -> None:
    """Read an API request's JSON strictly, once the caller is known to be allowed.

    Views find the parsed value through `request.get_json`, which only hands out what was
    checked here: depth, size, and that it is JSON at all.
    """
    if request.endpoint is None or not request.path.startswith(API):
        return
    if request.method not in UNSAFE:
        return
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedEncoding("Send the body as it is, without Content-Encoding.")
    data = request.get_data(cache=True)
    if len(data) > current_app.config["MAX_CONTENT_LENGTH"]:
        raise TooLarge(
            f"The body has {len(data):,} bytes; send at most "
            f"{current_app.config['MAX_CONTENT_LENGTH']:,}."
        )
    if not data:
        value: object = {}
    elif not request.is_json:
        raise Malformed("Send JSON, with the header Content-Type: application/json.")
    else:
        value = json_bytes.loads(data)
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object.")
    # flask-openapi3 asks for it silently, which would turn a bad body into an empty one.
    request._cached_json = (value, value)
    g.json = value


def harden(answer: Response) -> Response:
    """Headers that a browser needs in order to protect the person in front of it."""
    given = answer.headers
    given.setdefault("X-Content-Type-Options", "nosniff")
    given.setdefault("Referrer-Policy", "same-origin")
    given.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    given.setdefault("Content-Security-Policy", CSP)
    if runtime().settings.is_https:
        given.setdefault("Strict-Transport-Security", "max-age=31536000")
    if find_actor() is not None:
        given.setdefault("Cache-Control", "no-store")
    return answer
