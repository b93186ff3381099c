"""What the pages of rollouts show: read from snapshots, plans and the timeline only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from rollouts.db import Database
from rollouts.errors import NotFound
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.plan import Draft
from rollouts.metrics import words as metric_words
from rollouts.metrics.codec import from_dict
from rollouts.reports import figures as drawing
from rollouts.reports.figures import Figures
from rollouts.reports.heads import Head, head_of, missed_looks
from rollouts.reports.model import Body, Report, report_of
from rollouts.results import service as results

if TYPE_CHECKING:
    from rollouts.lifecycle.store import PlanRow, RolloutRow, TimelineRow
    from rollouts.results.store import PointRow, SnapshotRow

Point = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A rollout's report as of one look; `report` is None before the first."""

    head: Head
    report: Report | None
    timeline: Sequence[TimelineRow]
    notices: tuple[str, ...]


def get_head(session: Session, key: str) -> Head:
    """What stands at the top of a rollout's pages. Raises NotFound."""
    return head_of(session, lifecycle.get_rollout(session, key))


def get_report(
    session: Session,
    key: str,
    snapshot_id: str | None,
    *,
    default_look_seconds: float,
    now: datetime,
) -> ReportPage:
    """The newest report of a rollout, or the one that was asked for. Raises NotFound."""
    row = lifecycle.get_rollout(session, key)
    newest = results.find_latest(session, row.id)
    snapshot = newest if snapshot_id is None else _of(session, row, snapshot_id)
    timeline = lifecycle.list_timeline(session, row.id)
    draft = lifecycle.current_draft(session, row)
    notices = [missed_looks(row, draft, default_look_seconds, now)]
    if snapshot is not None and newest is not None and snapshot.id != newest.id:
        notices.append(
            f"This is look {snapshot.look}, kept as it was. Look {newest.look} is the newest."
        )
        timeline = [item for item in timeline if item.at <= snapshot.taken_at]
    return ReportPage(
        head=head_of(session, row),
        report=report_of(snapshot.body) if snapshot else None,
        timeline=timeline,
        notices=tuple(text for text in notices if text),
    )


def get_body(session: Session, key: str, snapshot_id: str) -> Body:
    """The body of one of a rollout's snapshots. Raises NotFound."""
    row = lifecycle.get_rollout(session, key)
    body: Body = _of(session, row, snapshot_id).body
    return body


def _of(session: Session, row: RolloutRow, snapshot_id: str) -> SnapshotRow:
    snapshot = results.get_snapshot(session, snapshot_id)
    if snapshot.rollout_id != row.id:
        raise NotFound("snapshot of this rollout", snapshot_id)
    return snapshot


def figures(db: Database, page: ReportPage) -> Figures:
    """The charts of a report page, drawn once and kept with the snapshot."""
    report = page.report
    if report is None:
        return Figures()

    def points() -> list[Point]:
        with db.reading() as session:
            rows = results.list_points(session, page.head.id, report.body["look"]["number"])
        return [point_of(row) for row in rows]

    return drawing.figures(db, report, points)


def point_of(row: PointRow) -> Point:
    """One look of one metric, as the charts read it."""
    return {
        "look": row.look,
        "taken_at": row.taken_at.isoformat(),
        "arm": row.arm,
        "metric": row.metric,
        "units": row.units,
        "evidence_share": row.evidence_share,
        "harm_estimate": row.harm_estimate,
        "harm_low": row.harm_low,
        "harm_high": row.harm_high,
    }


@dataclass(frozen=True, slots=True)
class Counted:
    """One metric of a plan: its name, what it counts, and the version that is locked."""

    key: str
    name: str
    meaning: str
    version: int


@dataclass(frozen=True, slots=True)
class PlanPage:
    """A plan: what was settled before the first customer, and what changed since."""

    head: Head
    draft: Draft
    metrics: Mapping[str, Counted]
    plans: Sequence[PlanRow]
    revision: int

    @property
    def is_locked(self) -> bool:
        """Whether it is hashed and cannot be edited."""
        return bool(self.plans)


def get_plan(session: Session, key: str) -> PlanPage:
    """The plan of a rollout, locked or still a draft. Raises NotFound."""
    row = lifecycle.get_rollout(session, key)
    plans = lifecycle.list_plans(session, row.id)
    draft = lifecycle.current_draft(session, row)
    if plans:
        held = {item["key"]: _counted(item) for item in plans[-1].body["metrics"]}
    else:
        named = lifecycle.locked_metrics(session, draft)
        held = {
            key: Counted(key, item.name, metric_words.meaning(item.definition), item.version)
            for key, item in named.items()
        }
    return PlanPage(head_of(session, row), draft, held, plans, row.revision)


def _counted(item: Mapping[str, Any]) -> Counted:
    meaning = metric_words.meaning(from_dict(item["definition"]))
    return Counted(item["key"], item["name"], meaning, item["version"])


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What happened to a rollout, and its looks, newest first."""

    head: Head
    timeline: Sequence[TimelineRow]
    looks: Sequence[SnapshotRow]
    next_before: int | None


def get_history(session: Session, key: str, *, before: int | None, limit: int) -> HistoryPage:
    """The timeline and one page of looks. Raises NotFound."""
    row = lifecycle.get_rollout(session, key)
    looks = results.list_snapshots(session, row.id, before=before, limit=limit + 1)
    shown = looks[:limit]
    return HistoryPage(
        head=head_of(session, row),
        timeline=list(reversed(lifecycle.list_timeline(session, row.id))),
        looks=shown,
        next_before=shown[-1].look if len(looks) > limit else None,
    )
