"""Signs of life: the worker says that it works, so that `/readyz` can tell the truth."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base


class BeatRow(Base):
    """When one part of the service was last at work."""

    __tablename__ = "beats"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    at: Mapped[datetime]


def beat(session: Session, name: str, now: datetime) -> None:
    """Say that a part is alive."""
    session.merge(BeatRow(name=name, at=now))


def find_beat(session: Session, name: str) -> datetime | None:
    """When a part was last alive, if ever."""
    row = session.get(BeatRow, name)
    return row.at if row else None
