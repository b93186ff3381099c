"""What must be there at the first start: a way in for people, and one for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from rollouts.accounts import keys, people, sessions, store
from rollouts.accounts.model import START, Role
from rollouts.accounts.sessions import FIRST_LINK_VALID
from rollouts.config import Settings
from rollouts.db import Database

FIRST_ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """What the start has to tell whoever started it."""

    link: str | None  # signs the first administrator in, once


def bootstrap(db: Database, settings: Settings, *, now: datetime) -> Bootstrapped:
    """Make the administrator's key of the settings exist, and an administrator if nobody is.

    Until that administrator has signed in, every start gives a new link: the first may be lost.
    """
    with db.transaction() as session:
        store.lock(session, store.BOOTSTRAP_LOCK)
        if settings.bootstrap_admin_key:
            keys.put_bootstrap_key(session, settings.bootstrap_admin_key, actor=START, now=now)
        if store.count_users(session) == 0:
            people.create_user(session, name=FIRST_ADMIN, role=Role.ADMIN, actor=START, now=now)
        user = store.find_user(session, FIRST_ADMIN)
        if user is None or user.signed_in_at is not None or store.count_users(session) > 1:
            return Bootstrapped(link=None)
        token = sessions.create_link(session, user, actor=START, now=now, valid=FIRST_LINK_VALID)
    return Bootstrapped(link=link_address(settings, token))


def link_address(settings: Settings, token: str, next_path: str = "") -> str:
    """Where a one-time link points, and where it leads on to."""
    onward = f"?{urlencode({'next': next_path})}" if next_path else ""
    return f"{settings.base_url}/link/{token}{onward}"
