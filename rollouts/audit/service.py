"""Write what was done, in the transaction that does it; read it; prove it whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.audit import store
from rollouts.audit.model import GENESIS, chained_hash, plain
from rollouts.audit.store import AuditEntryRow

list_entries = store.list_entries
lock = store.lock_chain  # also for what must be numbered in the order of commits


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link: whoever keeps a copy elsewhere can tell if the chain was rewritten."""

    id: int
    hash: str


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that was done, by whom and when apart."""

    action: str
    subject_kind: str
    subject: str
    before: Any = None
    after: Any = None
    reason: str = ""


def record(
    session: Session,
    *,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject: str,
    before: Any = None,
    after: Any = None,
    reason: str = "",
    now: datetime,
) -> None:
    """Append one entry. It stands or falls with the caller's transaction.

    Call it after the change itself: on PostgreSQL the chain is locked from here to the commit.
    """
    deed = Deed(action, subject_kind, subject, before, after, reason)
    record_all(session, [deed], actor=actor, now=now)


def record_all(session: Session, deeds: Iterable[Deed], *, actor: Actor, now: datetime) -> None:
    """Append one entry for each deed, in their order, as `record` does for one."""
    session.flush()
    store.lock_chain(session)
    last_id, last_hash = store.get_head(session)
    for deed in deeds:
        last_id += 1
        entry = _entry(last_id, last_hash, deed, actor, now)
        last_hash = entry.hash
        session.add(entry)
    session.flush()


def _entry(
    number: int, previous_hash: str, deed: Deed, actor: Actor, now: datetime
) -> AuditEntryRow:
    entry = AuditEntryRow(
        id=number,
        at=now.astimezone(UTC),
        actor_kind=str(actor.kind),
        actor_id=_short(actor.id, 200),
        actor_name=_short(actor.name, 200),
        actor_role=str(actor.role),
        action=deed.action,
        subject_kind=deed.subject_kind,
        subject=_short(deed.subject, 400),
        before=plain(deed.before),
        after=plain(deed.after),
        reason=plain(deed.reason),
        previous_hash=previous_hash,
    )
    entry.hash = chained_hash(previous_hash, entry.content(), is_plain=True)
    return entry


def _short(text: str, most: int) -> str:
    return str(plain(text))[:most]


def verify(session: Session) -> int | None:
    """The id of the first entry that does not follow from those before it, or None.

    An entry that was changed breaks at itself; one that was taken out breaks at the next. Entries
    cut off the end cannot be missed from within: compare `head` with a copy kept elsewhere.
    """
    expected_id, previous_hash = 1, GENESIS
    for entry in store.iterate(session):
        follows = entry.id == expected_id and entry.previous_hash == previous_hash
        if not follows or entry.hash != chained_hash(previous_hash, entry.content()):
            return entry.id
        expected_id, previous_hash = entry.id + 1, entry.hash
    return None


def get_head(session: Session) -> Head:
    """The newest link of the chain, to be kept where the database's owner cannot reach."""
    return Head(*store.get_head(session))
