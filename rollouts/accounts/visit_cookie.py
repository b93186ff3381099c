"""The cookie that holds a session, and which addresses are our own."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from rollouts.accounts import service
from rollouts.errors import NotAllowed
from rollouts.web.context import now, runtime


def is_secure() -> bool:
    """Whether this browser reaches us by https."""
    return request.is_secure or runtime().settings.is_https


def cookie_name(purpose: str = "rollouts") -> str:
    """With https the name itself makes browsers insist: this host, this path, secure."""
    return f"__Host-{purpose}" if is_secure() else purpose


def check_way_is_safe() -> None:
    """Refuse to sign anybody in over plain http, except on this very machine."""
    if not is_secure() and not _is_loopback(request.host):
        raise NotAllowed(
            "Signing in over plain http works only on this machine, at 127.0.0.1 or localhost. "
            "Put https in front and set ROLLOUTS_PUBLIC_URL."
        )


def set_cookie(
    response: Response, name: str, value: str, *, lasts: timedelta | None = None
) -> None:
    """A cookie that scripts cannot read and other sites cannot send along with a form."""
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=lasts,
        secure=is_secure(),
        httponly=True,
        samesite="Lax",
        path="/",
    )


def drop_cookie(response: Response, name: str = "rollouts") -> None:
    """Have the browser forget it."""
    response.delete_cookie(
        cookie_name(name), secure=is_secure(), httponly=True, samesite="Lax", path="/"
    )


def find_visit(session: Session, token: str) -> service.Visit | None:
    """The session behind a cookie's value."""
    return service.find_visit(session, token, runtime().settings, now=now())


def visitor() -> service.Visitor:
    """Where this request comes from."""
    return service.Visitor(request.remote_addr or "", request.headers.get("User-Agent", ""))


def is_ours(origin: str) -> bool:
    """Whether an Origin header names this service."""
    return origin in {_origin(runtime().settings.base_url), _origin(request.host_url)}


def local_path(wanted: str | None) -> str:
    """Where to go on to: a path of ours, or the first page.

    Browsers read "//host", "/\\host" and a path with control characters as other sites.
    """
    path = wanted or ""
    if not path.startswith("/") or path.startswith("//") or "\\" in path:
        return "/"
    if any(ord(letter) < 33 or ord(letter) == 127 for letter in path):
        return "/"
    return path


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
