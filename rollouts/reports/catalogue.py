"""What the pages of flags, metrics and the audit show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from rollouts.audit import service as audit
from rollouts.flags import service as flags
from rollouts.flags.differences import Difference, differences
from rollouts.flags.model import Flag
from rollouts.lifecycle import service as lifecycle
from rollouts.metrics import service as metrics
from rollouts.metrics import words as metric_words
from rollouts.reports.rule_words import RuleWords, rule_words, served, value

if TYPE_CHECKING:
    from rollouts.audit.store import AuditEntryRow
    from rollouts.flags.environment_store import EnvironmentRow
    from rollouts.flags.store import RevisionRow
    from rollouts.lifecycle.store import RolloutRow
    from rollouts.metrics.store import MetricRow, MetricVersionRow

PAGE = 25
MOST_LINES = 12


@dataclass(frozen=True, slots=True)
class Place:
    """A flag in one environment."""

    key: str
    name: str
    is_enabled: bool
    served: str
    default: str
    rules: tuple[RuleWords, ...]


@dataclass(frozen=True, slots=True)
class FlagLine:
    """One flag in the list."""

    flag: Flag
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class FlagList:
    """One page of flags."""

    environments: Sequence[EnvironmentRow]
    lines: tuple[FlagLine, ...]
    next_after: str | None


def list_flags(session: Session, *, search: str, after: str | None) -> FlagList:
    """Flags by key, each with what it serves in every environment."""
    environments = flags.list_environments(session)
    rows = flags.list_flags(session, after=after, limit=PAGE + 1, search=search)
    shown = rows[:PAGE]
    lines = tuple(FlagLine(flag, _places(flag, environments)) for flag in shown)
    return FlagList(environments, lines, shown[-1].key if len(rows) > PAGE else None)


def _places(flag: Flag, environments: Sequence[EnvironmentRow]) -> tuple[Place, ...]:
    return tuple(
        Place(
            key=row.key,
            name=row.name,
            is_enabled=flag.state(row.key).is_enabled,
            served=served(flag, row.key),
            default=value(flag.default_in(row.key)),
            rules=tuple(rule_words(rule) for rule in flag.state(row.key).rules),
        )
        for row in environments
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One revision of a flag as lines: what went, what came."""

    row: RevisionRow
    lines: tuple[tuple[str, str], ...]
    n_more: int


@dataclass(frozen=True, slots=True)
class FlagPage:
    """One flag."""

    flag: Flag
    places: tuple[Place, ...]
    rollouts: Sequence[RolloutRow]
    changes: tuple[Change, ...]
    next_before: int | None


def get_flag(session: Session, key: str, *, before: int | None) -> FlagPage:
    """One flag with its environments, its rollouts and one page of its history."""
    flag = flags.get_flag(session, key)
    rows = flags.list_flag_revisions(session, key, before=before, limit=PAGE + 1)
    shown = rows[:PAGE]
    return FlagPage(
        flag=flag,
        places=_places(flag, flags.list_environments(session)),
        rollouts=lifecycle.list_rollouts(session, flag=key, limit=PAGE),
        changes=tuple(_change(session, key, row, rows) for row in shown),
        next_before=shown[-1].number if len(rows) > PAGE else None,
    )


def _change(session: Session, key: str, row: RevisionRow, rows: Sequence[RevisionRow]) -> Change:
    earlier = next((item for item in rows if item.number == row.number - 1), None)
    if row.number == 1:
        return Change(row, (), 0)
    snapshot = (
        earlier.snapshot
        if earlier
        else flags.get_flag_revision(session, key, row.number - 1).snapshot
    )
    lines = [line for item in differences(snapshot, row.snapshot) for line in _told(item)]
    return Change(row, tuple(lines[:MOST_LINES]), max(len(lines) - MOST_LINES, 0))


def _told(item: Difference) -> list[tuple[str, str]]:
    lines = [("at", item.path.replace(".", " / "))]
    if "before" in item.sides:
        lines.append(("del", _short(item.sides["before"])))
    if "after" in item.sides:
        lines.append(("add", _short(item.sides["after"])))
    return lines


def _short(held: Any) -> str:
    text = json.dumps(held, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "…"


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
