"""What a view may reach: the running parts of the service, the caller, and the store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, cast

from flask import current_app, g
from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.clock import utcnow
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.errors import NotSignedIn

if TYPE_CHECKING:
    from rollouts.accounts.keyring import KeyRing
    from rollouts.flags.delivery import Delivery
    from rollouts.ingest.journal import Journal
    from rollouts.notify.sealing import Seal


@dataclass(slots=True)
class Runtime:
    """The parts of one running process, made once by `create_app` or the worker."""

    settings: Settings
    db: Database
    journal: Journal
    delivery: Delivery
    seal: Seal
    keys: KeyRing
    now: Callable[[], datetime] = field(default=utcnow)


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
