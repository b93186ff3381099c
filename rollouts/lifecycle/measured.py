"""What the ledger must know of a rollout in order to count for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollouts.lifecycle.store import (
    AllocationRow,
    PlanRow,
    RolloutRow,
    list_allocations_of,
    list_plans_of,
)
from rollouts.metrics.codec import from_dict
from rollouts.metrics.model import Definition


@dataclass(frozen=True, slots=True)
class ArmInfo:
    """One variation, by its place in the plan."""

    key: str
    name: str
    index: int
    share: float


@dataclass(frozen=True, slots=True)
class MeasuredMetric:
    """One locked definition that is counted."""

    metric_version_id: int
    key: str
    definition: Definition


@dataclass(frozen=True, slots=True)
class Measured:
    """A rollout that has started, as the ledger sees it."""

    rollout_id: int
    key: str
    flag: str
    environment_id: int
    unit: str  # name of the attribute that is randomised
    arms: tuple[ArmInfo, ...]
    seed: str
    started_at: datetime
    ended_at: datetime | None
    cuts: tuple[datetime, ...]  # moments the allocation changed; the first is the start
    metrics: tuple[MeasuredMetric, ...]
    segments: tuple[str, ...]  # attributes to be kept with the first exposure
    fingerprint: str  # another one whenever metrics or cuts change


def list_measured(session: Session) -> list[Measured]:
    """Every rollout that ever started: outcomes may come in after its end."""
    rows = list(session.scalars(select(RolloutRow).where(RolloutRow.started_at.is_not(None))))
    ids = [row.id for row in rows]
    plans = list_plans_of(session, ids)
    cuts = list_allocations_of(session, ids)
    return [_measured(row, plans.get(row.id, []), cuts.get(row.id, [])) for row in rows]


def _measured(row: RolloutRow, plans: list[PlanRow], cuts: list[AllocationRow]) -> Measured:
    assert row.started_at is not None
    newest = plans[-1].body
    metrics = {
        item["metric_version_id"]: MeasuredMetric(
            item["metric_version_id"], item["key"], from_dict(item["definition"])
        )
        for plan in plans
        for item in plan.body["metrics"]
    }
    arms = tuple(
        ArmInfo(item["key"], item["name"], place, item["share"])
        for place, item in enumerate(newest["variations"])
    )
    return Measured(
        rollout_id=row.id,
        key=row.key,
        flag=row.flag_key,
        environment_id=row.environment_id,
        unit=newest["unit"],
        arms=arms,
        seed=row.key,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cuts=tuple(cut.at for cut in cuts),
        metrics=tuple(metrics[held] for held in sorted(metrics)),
        segments=tuple(newest["segments"]),
        fingerprint=f"{row.id}:{len(cuts)}:{','.join(str(held) for held in sorted(metrics))}",
    )
