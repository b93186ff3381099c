"""Metrics and their versions. A version is never changed, only followed by another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from rollouts.audit.append_only import attach_append_only
from rollouts.db import Base
from rollouts.errors import NotFound
from rollouts.metrics.codec import from_dict
from rollouts.metrics.model import Definition


class MetricRow(Base):
    """One entry of the catalogue."""

    __tablename__ = "metrics"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(10_000), default="")
    owner: Mapped[str] = mapped_column(String(200), default="")
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class MetricVersionRow(Base):
    """One definition, as it was when a plan locked it."""

    __tablename__ = "metric_versions"
    __table_args__ = (UniqueConstraint("metric_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    metric_id: Mapped[int] = mapped_column(ForeignKey("metrics.id"))
    version: Mapped[int]
    definition: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(String(10_000), default="")
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(200))

    def to_domain(self) -> Definition:
        """The definition this row holds."""
        return from_dict(self.definition)


# Once written they stand: the triggers refuse what no code of ours would try.
attach_append_only(MetricVersionRow.__table__)


def get_metric(session: Session, key: str) -> MetricRow:
    """The metric with this key. Raises NotFound."""
    row = session.scalar(select(MetricRow).where(MetricRow.key == key))
    if row is None:
        raise NotFound("metric", key)
    return row


def find_metric(session: Session, key: str) -> MetricRow | None:
    """The metric with this key, if there is one."""
    return session.scalar(select(MetricRow).where(MetricRow.key == key))


def list_metrics(
    session: Session, *, after: str | None, limit: int, search: str
) -> list[MetricRow]:
    """Metrics by key, from behind `after`."""
    query = select(MetricRow).where(MetricRow.archived_at.is_(None)).order_by(MetricRow.key)
    if after is not None:
        query = query.where(MetricRow.key > after)
    if search:
        found = (c.icontains(search, autoescape=True) for c in (MetricRow.key, MetricRow.name))
        query = query.where(or_(*found))
    return list(session.scalars(query.limit(limit)))


def get_version(
    session: Session, metric: MetricRow, version: int | None = None
) -> MetricVersionRow:
    """A version of a metric; the newest unless one is named. Raises NotFound."""
    wanted = version or metric.version
    row = session.scalar(
        select(MetricVersionRow)
        .where(MetricVersionRow.metric_id == metric.id)
        .where(MetricVersionRow.version == wanted)
    )
    if row is None:
        raise NotFound("version of this metric", wanted)
    return row


def list_versions(session: Session, metric: MetricRow) -> list[MetricVersionRow]:
    """All definitions a metric ever had, newest first."""
    return list(
        session.scalars(
            select(MetricVersionRow)
            .where(MetricVersionRow.metric_id == metric.id)
            .order_by(MetricVersionRow.version.desc())
        )
    )


def versions_by_id(session: Session, ids: Sequence[int]) -> dict[int, MetricVersionRow]:
    """The versions with these ids."""
    rows = session.scalars(select(MetricVersionRow).where(MetricVersionRow.id.in_(ids)))
    return {row.id: row for row in rows}
