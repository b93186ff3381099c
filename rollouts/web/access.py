"""Every route declares who may call it; a route that does not is refused outright.

The check runs before the request is read: first 401, then 403, only then 404 or 422.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request

from rollouts.accounts.model import Access, Role
from rollouts.errors import NotAllowed
from rollouts.web.context import current_actor

View = TypeVar("View", bound=Callable[..., Any])


def requires(who: Role | Access) -> Callable[[View], View]:
    """Declare the least that a caller of this view must be."""

    def declare(view: View) -> View:
        view.required = who  # type: ignore[attr-defined]
        return view

    return declare


def required_of(app: Flask, endpoint: str | None) -> Role | Access | None:
    """What a route demands, or None if it never said."""
    if endpoint is None:
        return None
    if endpoint == "static" or endpoint.endswith(".static"):
        return Access.ANYONE
    return getattr(app.view_functions.get(endpoint), "required", None)


def check_caller() -> None:
    """Refuse callers that the route did not name. Runs before each request."""
    if request.endpoint is None:
        return  # Flask answers 404 or 405 by itself
    required = required_of(current_app, request.endpoint)
    if required is None:
        raise NotAllowed("This route does not say who may call it, so nobody may.")
    if required in (Access.ANYONE, Access.CLIENT_KEY, Access.WRITE_KEY):
        return
    actor = current_actor()
    if isinstance(required, Role) and not actor.role.includes(required):
        raise NotAllowed(f"This needs the role {required}; {actor.name} is {actor.role}.")
