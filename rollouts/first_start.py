"""What every start makes sure of: default environments, the settings' key, a first person."""

from __future__ import annotations

import structlog
from sqlalchemy.exc import DBAPIError

from rollouts.accounts import service as accounts
from rollouts.flags import service as flags
from rollouts.runtime import Runtime

log = structlog.get_logger()


def prepare(parts: Runtime) -> str | None:
    """Make the defaults exist. A one-time sign-in link while nobody has signed in yet."""
    now = parts.now()
    with parts.db.transaction() as session:
        flags.ensure_defaults(session, now)
    return accounts.bootstrap(parts.db, parts.settings, now=now).link


def prepare_unless_done(parts: Runtime) -> None:
    """For processes that may be started without `rollouts up`, as in a container."""
    with parts.db.reading() as session:
        is_new = not flags.list_environments(session)
    if is_new or parts.settings.bootstrap_admin_key:
        prepare(parts)


def prepare_if_possible(parts: Runtime) -> bool:
    """Make sure of it, unless the store does not answer."""
    try:
        prepare_unless_done(parts)
    except DBAPIError as wrong:
        log.error("first_start_put_off", error=type(wrong).__name__)
        return False
    return True
