"""Revisions: every state a flag was in, and the lock that keeps edits from crossing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.errors import Fault, NotFound, StaleEdit
from rollouts.flags import store
from rollouts.flags.differences import Difference, differences
from rollouts.flags.model import Flag
from rollouts.flags.rule_json import dump_flag
from rollouts.flags.store import FlagRow, RevisionRow


def check_revision(kind: str, key: str, current: int, expected: int | None) -> None:
    """Refuse an edit made against another revision. None: the edit is meant for whatever is."""
    if expected is not None and current != expected:
        raise StaleEdit(
            f"The {kind} {key!r} is at revision {current}; your edit was made for revision"
            f" {expected}. Read it again and decide anew."
        )


def check_flag_revision(session: Session, row: FlagRow, now_is: Flag, expected: int | None) -> None:
    """Refuse a stale edit of a flag, and say what changed since and by whom."""
    if expected is None or row.revision == expected:
        return
    newest = get_revision(session, row, row.revision)
    read = store.find_revision(session, row.id, expected)
    since = [] if read is None else differences(read.snapshot, dump_flag(now_is))
    raise StaleEdit(
        f"The flag {row.key!r} is at revision {row.revision}, changed by {newest.actor_name};"
        f" your edit was made for revision {expected}. Read it again and decide anew.",
        faults=tuple(Fault(item.path, _told(item)) for item in since[:50]),
    )


def _told(item: Difference) -> str:
    read, is_now = (item.sides.get(side, "nothing") for side in ("before", "after"))
    return f"you read {read!r:.200}, now it is {is_now!r:.200}"


def add_revision(
    session: Session,
    row: FlagRow,
    snapshot: dict[str, Any],
    *,
    action: str,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    """Keep a flag as it now is, in the form of `dump_flag`; the caller flushes."""
    session.add(
        RevisionRow(
            flag_id=row.id,
            number=row.revision,
            action=action,
            actor_kind=str(actor.kind),
            actor_id=actor.id[:200],
            actor_name=actor.name[:200],
            reason=reason,
            at=now,
            snapshot=snapshot,
        )
    )


def get_revision(session: Session, row: FlagRow, number: int) -> RevisionRow:
    """One revision of a flag. Raises NotFound."""
    found = store.find_revision(session, row.id, number)
    if found is None:
        raise NotFound("revision", f"{row.key}/{number}")
    return found


def changes_of(session: Session, row: RevisionRow) -> list[Difference]:
    """What a revision changed against the one before it."""
    before = store.find_revision(session, row.flag_id, row.number - 1)
    return differences({} if before is None else before.snapshot, row.snapshot)


def show_difference(item: Difference) -> dict[str, Any]:
    """A difference as JSON."""
    return {"path": item.path, **item.sides}
