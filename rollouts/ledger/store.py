"""What is counted, per unit and in sums. Times are integers: microseconds since 1970, UTC.

Written set by set in one transaction with the offset; `bulk.py` has the statements.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rollouts.db import Base, BigId

# Rows live in the key's own tree: one look-up instead of two, and no second copy of the key.
CLUSTERED = {"sqlite_with_rowid": False}


class LedgerStateRow(Base):
    """How far the journal is folded. One row, which every fold locks."""

    __tablename__ = "ledger_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    offset: Mapped[int] = mapped_column(BigInteger, default=0)
    data_us: Mapped[int | None] = mapped_column(BigInteger)  # arrival of the last folded event
    n_damaged: Mapped[int] = mapped_column(BigInteger, default=0)  # events in unreadable frames


class SeenMessageRow(Base):
    """A message that was counted; its repeats are not."""

    __tablename__ = "seen_messages"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    day: Mapped[int]  # of its arrival, in days since 1970: repeats are known so long


class ExposureRow(Base):
    """A unit in a rollout, since its first exposure."""

    __tablename__ = "exposures"
    __table_args__ = (Index("ix_exposures_rollout_unit", "rollout_id", "unit"), CLUSTERED)

    unit: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    rollout_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    variation: Mapped[int]
    stratum: Mapped[int]
    first_us: Mapped[int] = mapped_column(BigInteger)
    is_crossed: Mapped[bool]  # seen in two variations: in no sum, and counted apart
    is_trusted: Mapped[bool]


class UnitSegmentRow(Base):
    """What an exposed unit was, by one attribute its rollout's plan asks for."""

    __tablename__ = "unit_segments"
    __table_args__ = (CLUSTERED,)

    unit: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    rollout_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attribute: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[str] = mapped_column(String(100))


class OutcomeRow(Base):
    """Something that happened to a unit, whether or not a metric wants it yet."""

    __tablename__ = "outcomes"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    unit: Mapped[int] = mapped_column(BigInteger, index=True)
    at_us: Mapped[int] = mapped_column(BigInteger)
    environment_id: Mapped[int]
    name: Mapped[str] = mapped_column(String(200))
    value: Mapped[float | None] = mapped_column(Float)
    channel: Mapped[str] = mapped_column(String(200))
    properties: Mapped[str] = mapped_column(Text)  # JSON, read only where a metric filters
    is_trusted: Mapped[bool]


class TotalRow(Base):
    """One unit's running total for one metric, before any cap. Absent: nothing counted yet."""

    __tablename__ = "totals"
    __table_args__ = (CLUSTERED,)

    unit: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    rollout_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    metric_version_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    x: Mapped[float] = mapped_column(Float)
    y: Mapped[float] = mapped_column(Float)  # of a ratio; else 0


class SumRow(Base):
    """Sums over the units of one variation and stratum, for one metric."""

    __tablename__ = "sums"

    rollout_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    metric_version_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    variation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stratum: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    x: Mapped[float] = mapped_column(Float)
    xx: Mapped[float] = mapped_column(Float)
    y: Mapped[float] = mapped_column(Float)
    yy: Mapped[float] = mapped_column(Float)
    xy: Mapped[float] = mapped_column(Float)


class UnitCountRow(Base):
    """Uncrossed units of one variation and stratum."""

    __tablename__ = "unit_counts"

    rollout_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    variation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stratum: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int]
    n_untrusted: Mapped[int]  # known from public keys only


class CountedRolloutRow(Base):
    """What the sums of a rollout were made for; when the plan moves on, they follow."""

    __tablename__ = "counted_rollouts"

    rollout_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fingerprint: Mapped[str] = mapped_column(Text)
    cuts: Mapped[list[Any]]
    metrics: Mapped[list[Any]]
    n_crossed: Mapped[int] = mapped_column(default=0)


class FeedRow(Base):
    """The newest event of a metric, from any unit: tells a quiet metric from a dead feed."""

    __tablename__ = "feeds"

    rollout_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    metric_version_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_us: Mapped[int] = mapped_column(BigInteger)


class RefusedRow(Base):
    """How many events counted for nothing, by rollout (0: none) and reason."""

    __tablename__ = "refused_events"

    rollout_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(String(200), primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)


class RecentExposureRow(Base):
    """One of the last exposures of an environment, as understood or refused; for debugging."""

    __tablename__ = "recent_exposures"
    __table_args__ = (Index("ix_recent_exposures_environment", "environment_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int]
    rollout: Mapped[str] = mapped_column(String(200))
    unit: Mapped[int] = mapped_column(BigInteger)  # 0: none could be told
    variation: Mapped[str] = mapped_column(String(200))
    at_us: Mapped[int] = mapped_column(BigInteger)
    received_us: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(String(20))
    is_trusted: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(200))  # "": it was counted
