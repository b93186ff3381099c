"""The organisation's tolerances: what a guardrail on a metric starts from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.db import Base
from rollouts.errors import NotFound
from rollouts.tolerances.codec import guardrail_from_dict
from rollouts.tolerances.model import Guardrail


class ToleranceRow(Base):
    """The organisation's tolerance for one metric; plans copy it, so it may change later."""

    __tablename__ = "tolerances"

    id: Mapped[int] = mapped_column(primary_key=True)
    metric_key: Mapped[str] = mapped_column(String(200), unique=True)
    body: Mapped[dict[str, Any]]
    owner: Mapped[str] = mapped_column(String(200), default="")
    updated_at: Mapped[datetime]
    updated_by: Mapped[str] = mapped_column(String(200))

    def to_domain(self) -> Guardrail:
        """The tolerance this row holds."""
        return guardrail_from_dict(self.body)


def find_tolerance(session: Session, metric: str) -> ToleranceRow | None:
    """The organisation's tolerance for a metric, if it has one."""
    return session.scalar(select(ToleranceRow).where(ToleranceRow.metric_key == metric))


def get_tolerance(session: Session, metric: str) -> ToleranceRow:
    """The organisation's tolerance for a metric. Raises NotFound."""
    row = find_tolerance(session, metric)
    if row is None:
        raise NotFound("tolerance for metric", metric)
    return row


def list_tolerances(
    session: Session, *, after: str | None, limit: int, search: str
) -> list[ToleranceRow]:
    """Tolerances by metric, from behind `after`."""
    query = select(ToleranceRow).order_by(ToleranceRow.metric_key)
    if after is not None:
        query = query.where(ToleranceRow.metric_key > after)
    if search:
        query = query.where(ToleranceRow.metric_key.icontains(search, autoescape=True))
    return list(session.scalars(query.limit(limit)))
