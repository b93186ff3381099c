"""New payload versions: made in the transaction of the change, only when something changed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy.orm import Session

from rollouts.flags import environment_store, payload, store
from rollouts.flags.environment_store import EnvironmentRow, PayloadRow
from rollouts.flags.model import Flag, SavedGroup

KEEP_BODIES = 20  # versions whose text is kept beside the current one


def publish(
    session: Session,
    now: datetime,
    *,
    forced: str | None = None,
    live: Sequence[Flag] | None = None,
    places: Collection[str] | None = None,
) -> dict[str, int]:
    """Render every environment anew; returns the current version of each by key.

    An environment whose payload stays the same keeps its version, unless it is the `forced` one.
    live: all flags that are not archived, where the caller has them at hand.
    places: keys of the environments in which the change can be seen, where the caller knows.
    Call it after the change, and `lock_environments` before it.
    """
    session.flush()
    flags = store.list_live_flags(session) if live is None else live
    groups = [row.to_domain() for row in store.list_group_rows(session)]
    rows = environment_store.lock_environments(session)
    is_new = [
        _publish_one(session, row, flags, groups, now, row.key == forced)
        for row in rows
        if places is None or row.key in places
    ]
    if any(is_new):
        environment_store.bump_serial(session)
    return {row.key: row.version for row in rows}


def _publish_one(
    session: Session,
    row: EnvironmentRow,
    flags: Sequence[Flag],
    groups: list[SavedGroup],
    now: datetime,
    is_forced: bool,
) -> bool:
    body = msgspec.json.encode(payload.build(flags, row.key, groups, now, row.carried))
    digest = hashlib.sha256(body).hexdigest()
    row.next_change_at = payload.next_change(flags, row.key, now)
    if digest == row.digest and not is_forced:
        return False
    row.version += 1
    row.digest = digest
    row.updated_at = later_moment(row.updated_at, now)
    _add_version(session, row, body.decode())
    return True


def _add_version(session: Session, row: EnvironmentRow, body: str) -> None:
    session.add(
        PayloadRow(
            environment_id=row.id,
            version=row.version,
            updated_at=row.updated_at,
            digest=row.digest,
            body=body,
        )
    )
    session.flush()
    environment_store.drop_old_bodies(session, row.id, row.version - KEEP_BODIES - 1)


def later_moment(before: datetime, now: datetime) -> datetime:
    """Now in whole milliseconds, or one after `before` if the clock has not moved past it.

    SDKs take this moment for the version, and ignore a payload that does not change it.
    """
    return max(_whole(now), _whole(before) + timedelta(milliseconds=1))


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def publish_due(session: Session, now: datetime) -> bool:
    """Publish what schedules have changed by now; whether there was anything to do."""
    if environment_store.find_due_change(session, now) is None:
        return False
    environment_store.lock_environments(session)
    publish(session, now)
    return True
