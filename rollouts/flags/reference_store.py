"""Where flags are mentioned in source code, as scans last told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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


class CodeScanRow(Base):
    """The newest scan of one branch for a flag, whether or not it found anything."""

    __tablename__ = "code_scans"

    flag_id: Mapped[int] = mapped_column(
        ForeignKey("flags.id"), primary_key=True, autoincrement=False
    )
    repository: Mapped[str] = mapped_column(String(200), primary_key=True)
    branch: Mapped[str] = mapped_column(String(200), primary_key=True)
    commit: Mapped[str] = mapped_column(String(64))  # "" if the scan did not say
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


def save_scan(
    session: Session, flag_id: int, repository: str, branch: str, commit: str, now: datetime
) -> None:
    """Remember that a branch was looked through, and at which commit."""
    place = (flag_id, repository, branch)
    row = session.get(CodeScanRow, place)
    row = row or CodeScanRow(flag_id=flag_id, repository=repository, branch=branch)
    row.commit, row.scanned_at = commit, now
    session.add(row)
    session.flush()


def list_scans(session: Session, flag_id: int) -> list[CodeScanRow]:
    """What was looked through for a flag, by repository and branch."""
    row = CodeScanRow
    query = select(row).where(row.flag_id == flag_id).order_by(row.repository, row.branch)
    return list(session.scalars(query))


def list_references(session: Session, flag_ids: Collection[int]) -> list[CodeReferenceRow]:
    """Where flags are mentioned, by repository, branch, file and line."""
    row = CodeReferenceRow
    query = select(row).order_by(row.repository, row.branch, row.file, row.line)
    if len(flag_ids) < 500:  # few enough to name; beyond, nearly all are wanted anyway
        query = query.where(row.flag_id.in_(flag_ids))
    return list(session.scalars(query))
