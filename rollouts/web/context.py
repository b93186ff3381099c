"""What a view may reach: the running parts of the service, the caller, and the store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import cast

from flask import current_app, g
from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.errors import NotSignedIn
from rollouts.runtime import Runtime

__all__ = ["Runtime", "current_actor", "find_actor", "now", "reading", "runtime", "transaction"]


def runtime() -> Runtime:
    """The parts behind the current request."""
    return cast("Runtime", current_app.extensions["rollouts"])


def now() -> datetime:
    """The time this request acts at."""
    return runtime().now()


def transaction() -> AbstractContextManager[Session]:
    """A write transaction on the service's store."""
    return runtime().db.transaction()


def reading() -> AbstractContextManager[Session]:
    """A read-only session on the service's store."""
    return runtime().db.reading()


def find_actor() -> Actor | None:
    """Who calls, if that is known."""
    return cast("Actor | None", g.get("actor"))


def current_actor() -> Actor:
    """Who calls. Routes that declare a role always have one."""
    actor = find_actor()
    if actor is None:
        raise NotSignedIn("Sign in, or send an API key as 'Authorization: Bearer ...'.")
    return actor
