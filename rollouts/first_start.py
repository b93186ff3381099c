"""What every start makes sure of: default environments, the settings' key, a first person."""

from __future__ import annotations

from rollouts.accounts import service as accounts
from rollouts.flags import service as flags
from rollouts.runtime import Runtime


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
