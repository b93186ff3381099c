"""Drawn charts, kept beside the snapshot they show, so that a page only pastes them in."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ForeignKey, String, Text, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base


class ChartRow(Base):
    """One picture of one snapshot, or the table that stands beside it.

    `edition` tells by which release it was drawn; another edition is drawn again.
    """

    __tablename__ = "charts"

    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(500), primary_key=True)
    edition: Mapped[int]
    content: Mapped[str] = mapped_column(Text)


def list_charts(session: Session, snapshot_id: str, edition: int) -> dict[str, str]:
    """All that was drawn for a snapshot, by name."""
    rows = session.scalars(
        select(ChartRow)
        .where(ChartRow.snapshot_id == snapshot_id)
        .where(ChartRow.edition == edition)
    )
    return {row.name: row.content for row in rows}


def replace_charts(
    session: Session, snapshot_id: str, edition: int, drawn: Mapping[str, str]
) -> None:
    """Keep these pictures instead of any earlier ones."""
    session.execute(delete(ChartRow).where(ChartRow.snapshot_id == snapshot_id))
    session.add_all(
        ChartRow(snapshot_id=snapshot_id, name=name, edition=edition, content=content)
        for name, content in drawn.items()
    )
