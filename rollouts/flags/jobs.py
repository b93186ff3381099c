"""What the worker does for flags: publish what schedules have changed."""

from __future__ import annotations

from datetime import datetime

from rollouts.db import Database
from rollouts.flags import environment_store, service


def publish_due(db: Database, *, now: datetime) -> bool:
    """Publish what schedules have changed by now; whether there was anything to do.

    It looks first without writing: on SQLite a writer keeps all others out.
    """
    with db.reading() as session:
        if environment_store.find_due_change(session, now) is None:
            return False
    with db.transaction() as session:
        return service.publish_due(session, now)
