"""Where flags are mentioned in source code, as scans last told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base, BigId


class CodeReferenceRow(Base):
    """One line of one file that mentions a flag's key."""

    __tablename__ = "code_references"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    flag_id: Mapped[int] = mapped_column(ForeignKey("flags.id"), index=True)
    repository: Mapped[str] = mapped_column(String(200))
    branch: Mapped[str] = mapped_column(String(200))
    file: Mapped[str] = mapped_column(Text)
    line: Mapped[int]
    scanned_at: Mapped[datetime]


def replace_references(
    session: Session,
    flag_id: int,
    repository: str,
    branch: str,
    found: Sequence[tuple[str, int]],
    now: datetime,
) -> None:
    """Keep what a scan found in place of what the one before found there."""
    session.execute(
        delete(CodeReferenceRow).where(
            CodeReferenceRow.flag_id == flag_id,
            CodeReferenceRow.repository == repository,
            CodeReferenceRow.branch == branch,
        )
    )
    session.add_all(
        CodeReferenceRow(
            flag_id=flag_id,
            repository=repository,
            branch=branch,
            file=file,
            line=line,
            scanned_at=now,
        )
        for file, line in found
    )
    session.flush()


def list_references(session: Session, flag_id: int) -> list[CodeReferenceRow]:
    """Where a flag is mentioned, by repository, branch, file and line."""
    row = CodeReferenceRow
    query = select(row).where(row.flag_id == flag_id)
    return list(session.scalars(query.order_by(row.repository, row.branch, row.file, row.line)))
