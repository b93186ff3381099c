"""Add to the catalogue and read from it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.audit import service as audit
from rollouts.errors import AlreadyExists
from rollouts.metrics import store
from rollouts.metrics.codec import to_dict
from rollouts.metrics.model import Definition
from rollouts.metrics.store import MetricRow, MetricVersionRow

get_metric = store.get_metric
find_metric = store.find_metric
list_metrics = store.list_metrics
get_version = store.get_version
list_versions = store.list_versions
versions_by_id = store.versions_by_id


def create_metric(
    session: Session,
    *,
    key: str,
    name: str,
    description: str,
    owner: str,
    definition: Definition,
    actor: Actor,
    now: datetime,
) -> MetricRow:
    """Add a metric with its first definition."""
    if store.find_metric(session, key) is not None:
        raise AlreadyExists("metric", key)
    row = MetricRow(key=key, name=name, description=description, owner=owner, created_at=now)
    session.add(row)
    session.flush()
    _add_version(session, row, 1, definition, "", actor, now)
    _record(session, "metric.created", row, None, definition, "", actor, now)
    return row


def redefine(
    session: Session,
    key: str,
    *,
    name: str,
    description: str,
    owner: str,
    definition: Definition,
    reason: str,
    actor: Actor,
    now: datetime,
) -> MetricRow:
    """Change a metric. Another definition makes another version; locked plans keep theirs."""
    row = store.get_metric(session, key)
    held = store.get_version(session, row).to_domain()
    row.name, row.description, row.owner = name, description, owner
    if definition != held:
        row.version += 1
        _add_version(session, row, row.version, definition, reason, actor, now)
    _record(session, "metric.edited", row, held, definition, reason, actor, now)
    return row


def archive(session: Session, key: str, *, reason: str, actor: Actor, now: datetime) -> None:
    """Take a metric off the catalogue; rollouts that count it go on."""
    row = store.get_metric(session, key)
    row.archived_at = now
    _record(session, "metric.archived", row, None, None, reason, actor, now)


def _add_version(
    session: Session,
    row: MetricRow,
    version: int,
    definition: Definition,
    reason: str,
    actor: Actor,
    now: datetime,
) -> MetricVersionRow:
    held = MetricVersionRow(
        metric_id=row.id,
        version=version,
        definition=to_dict(definition),
        reason=reason,
        created_at=now,
        created_by=actor.name,
    )
    session.add(held)
    session.flush()
    return held


def _record(
    session: Session,
    action: str,
    row: MetricRow,
    before: Definition | None,
    after: Definition | None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="metric",
        subject=row.key,
        before=to_dict(before) if before else None,
        after=to_dict(after) if after else None,
        reason=reason,
        now=now,
    )
