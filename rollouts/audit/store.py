"""The table of audit entries, and the queries it answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.audit.append_only import attach_append_only
from rollouts.audit.model import GENESIS
from rollouts.db import Base, BigId

# Any number that no other advisory lock of ours uses: "audit" in ASCII.
CHAIN_LOCK = 0x6175646974


class AuditEntryRow(Base):
    """One thing that was done. Rows are numbered without gaps and never change."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_subject", "subject_kind", "subject"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(index=True)
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[str] = mapped_column(String(200))
    actor_name: Mapped[str] = mapped_column(String(200))
    actor_role: Mapped[str] = mapped_column(String(20))
    action: Mapped[str] = mapped_column(String(100), index=True)
    subject_kind: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(400))
    before: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    after: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    reason: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))

    def content(self) -> dict[str, Any]:
        """What the hash covers besides the hash before."""
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "actor": [self.actor_kind, self.actor_id, self.actor_name, self.actor_role],
            "action": self.action,
            "subject": [self.subject_kind, self.subject],
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
        }


attach_append_only(AuditEntryRow.__table__)


def lock_chain(session: Session) -> None:
    """Let one transaction at a time extend the chain. SQLite's write lock does it already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHAIN_LOCK})


def get_head(session: Session) -> tuple[int, str]:
    """Number and hash of the newest entry; zero and the genesis hash before the first."""
    head = session.execute(
        select(AuditEntryRow.id, AuditEntryRow.hash).order_by(AuditEntryRow.id.desc()).limit(1)
    ).first()
    return (head.id, head.hash) if head else (0, GENESIS)


def iterate(session: Session) -> Iterator[AuditEntryRow]:
    """All entries, oldest first, without holding them all in memory."""
    rows = session.scalars(select(AuditEntryRow).order_by(AuditEntryRow.id))
    for row in rows.yield_per(1000):
        session.expunge(row)
        yield row


def list_entries(
    session: Session,
    *,
    limit: int,
    before_id: int | None = None,
    search: str = "",
    action: str = "",
    subject_kind: str = "",
    subject: str = "",
) -> list[AuditEntryRow]:
    """The newest entries, those before an id if one is given."""
    query = select(AuditEntryRow).order_by(AuditEntryRow.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(AuditEntryRow.id < before_id)
    if search:
        found = (AuditEntryRow.action, AuditEntryRow.subject, AuditEntryRow.actor_name)
        query = query.where(or_(*(item.icontains(search, autoescape=True) for item in found)))
    for column, wanted in (
        (AuditEntryRow.action, action),
        (AuditEntryRow.subject_kind, subject_kind),
        (AuditEntryRow.subject, subject),
    ):
        if wanted:
            query = query.where(column == wanted)
    return list(session.scalars(query))
