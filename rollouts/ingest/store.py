"""The journal's table: in a file of its own beside SQLite, in the main store on PostgreSQL."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, cast

from sqlalchemy import BigInteger, LargeBinary, Row, String, Table, delete, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base


class JournalFrameRow(Base):
    """One request's accepted events, packed. Never updated; deleted only by age."""

    __tablename__ = "journal_frames"

    end_offset: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    n_events: Mapped[int]
    received_us: Mapped[int] = mapped_column(BigInteger)  # integers: no zone, no rounding
    sent_us: Mapped[int | None] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(String(20))
    is_trusted: Mapped[bool]
    environment_id: Mapped[int]
    key_id: Mapped[str] = mapped_column(String(200))
    size: Mapped[int]  # of the events, unpacked
    checksum: Mapped[int] = mapped_column(BigInteger)  # over all of the above and the events
    packed: Mapped[bytes] = mapped_column(LargeBinary)


TABLE = cast(Table, JournalFrameRow.__table__)  # no object is made of each frame
FETCH_FRAMES = 50


def find_end(session: Session) -> int:
    """Offset of the newest event; 0 if there never was one."""
    return session.scalar(select(func.max(TABLE.c.end_offset))) or 0


def add_frames(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Append frames whose offsets follow the newest one's."""
    session.execute(insert(TABLE), rows)


def stream_frames(session: Session, after: int) -> Generator[Row[Any], None, None]:
    """Frames that end past `after`, in order, fetched as they are asked for. Close it after use."""
    rows = session.execute(
        select(*TABLE.c)
        .where(TABLE.c.end_offset > after)
        .order_by(TABLE.c.end_offset)
        .execution_options(yield_per=FETCH_FRAMES)
    )
    try:
        yield from rows
    finally:
        rows.close()


def delete_frames(session: Session, received_before_us: int, up_to: int) -> int:
    """Drop old frames, but never the newest: it holds the offset. Returns how many."""
    newest = select(func.max(JournalFrameRow.end_offset)).scalar_subquery()
    dropped = session.execute(
        delete(JournalFrameRow)
        .where(JournalFrameRow.received_us < received_before_us)
        .where(JournalFrameRow.end_offset <= up_to)
        .where(JournalFrameRow.end_offset < newest)
        .execution_options(synchronize_session=False)
    )
    return int(dropped.rowcount)  # type: ignore[attr-defined]
