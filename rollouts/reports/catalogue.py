"""What the pages of metrics and the audit show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from rollouts.audit import service as audit
from rollouts.metrics import service as metrics
from rollouts.metrics import words as metric_words

if TYPE_CHECKING:
    from rollouts.audit.store import AuditEntryRow
    from rollouts.metrics.store import MetricRow, MetricVersionRow

PAGE = 25


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One metric with what it counts."""

    row: MetricRow
    version: MetricVersionRow
    meaning: str
    kind: str
    harm_is: str
    harm_unit: str


@dataclass(frozen=True, slots=True)
class MetricList:
    """One page of the catalogue."""

    lines: tuple[MetricLine, ...]
    next_after: str | None


def list_metrics(session: Session, *, search: str, after: str | None) -> MetricList:
    """Metrics by key, each in a sentence."""
    rows = metrics.list_metrics(session, after=after, limit=PAGE + 1, search=search)
    shown = rows[:PAGE]
    lines = tuple(_metric_line(row, metrics.get_version(session, row)) for row in shown)
    return MetricList(lines, shown[-1].key if len(rows) > PAGE else None)


def _metric_line(row: MetricRow, version: MetricVersionRow) -> MetricLine:
    definition = version.to_domain()
    return MetricLine(
        row=row,
        version=version,
        meaning=metric_words.meaning(definition),
        kind=metric_words.kind(definition),
        harm_is="a rise" if definition.harm_sign > 0 else "a fall",
        harm_unit=definition.harm_unit,
    )


@dataclass(frozen=True, slots=True)
class MetricPage:
    """One metric and all its definitions, the newest first."""

    line: MetricLine
    versions: tuple[MetricLine, ...]


def get_metric(session: Session, key: str) -> MetricPage:
    """One metric. Raises NotFound."""
    row = metrics.get_metric(session, key)
    versions = tuple(_metric_line(row, item) for item in metrics.list_versions(session, row))
    return MetricPage(versions[0], versions)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of what was done, and whether the chain is whole."""

    entries: Sequence[AuditEntryRow]
    next_before: int | None
    head: audit.Head
    broken_at: int | None


def list_audit(session: Session, *, search: str, before: int | None) -> AuditPage:
    """What was done, newest first. The whole chain is checked each time it is read."""
    rows = audit.list_entries(session, limit=PAGE + 1, before_id=before, search=search)
    shown = rows[:PAGE]
    return AuditPage(
        entries=shown,
        next_before=shown[-1].id if len(rows) > PAGE else None,
        head=audit.get_head(session),
        broken_at=audit.verify(session),
    )
