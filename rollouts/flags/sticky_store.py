"""The variations that units keep, for remote evaluation: by a hash, since ids are personal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base
from rollouts.flags.evaluation.results import StickyDocument


class StickyDocumentRow(Base):
    """The assignments of one unit in one environment."""

    __tablename__ = "sticky_documents"

    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), primary_key=True)
    unit_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    assignments: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


def find_documents(
    session: Session, environment_id: int, keys: Sequence[str]
) -> dict[str, StickyDocument]:
    """The documents under those keys, as far as there are any."""
    hashes = {_hash(key): key for key in keys}
    query = select(StickyDocumentRow).where(
        StickyDocumentRow.environment_id == environment_id,
        StickyDocumentRow.unit_hash.in_(hashes),
    )
    return {
        hashes[row.unit_hash]: _document(hashes[row.unit_hash], row.assignments)
        for row in session.scalars(query)
    }


def _document(key: str, assignments: dict[str, Any]) -> StickyDocument:
    name, _, value = key.partition("||")
    return {"attributeName": name, "attributeValue": value, "assignments": assignments}


def save_documents(
    session: Session, environment_id: int, changed: Mapping[str, StickyDocument], now: datetime
) -> None:
    """Keep changed documents; what another request kept meanwhile stays beside it."""
    for key in sorted(changed):
        place = (environment_id, _hash(key))
        row = session.get(StickyDocumentRow, place, with_for_update=True)
        if row is None:
            row = StickyDocumentRow(
                environment_id=environment_id, unit_hash=place[1], assignments={}
            )
            session.add(row)
        row.assignments = {**changed[key]["assignments"], **row.assignments}
        row.updated_at = now


def _hash(key: str) -> str:
    return sha256(key.encode(errors="surrogatepass")).hexdigest()
