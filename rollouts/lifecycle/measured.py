"""What the ledger must know of a rollout in order to count for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Engine, func, select, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from rollouts.lifecycle.store import (
    AllocationRow,
    PlanRow,
    RolloutRow,
    list_allocations_of,
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


@dataclass(frozen=True, slots=True)
class _Plan:
    """A locked plan, as much of it as is counted by."""

    unit: str
    arms: tuple[ArmInfo, ...]
    segments: tuple[str, ...]
    metrics: tuple[MeasuredMetric, ...]


class _Known:
    """What was read of one store: a locked plan never changes, and reading it is what takes time.

    A plan is known by its hash beside its number, which a transaction that was undone gives back.
    """

    def __init__(self) -> None:
        self.plans: dict[PlanId, _Plan] = {}
        self.measured: dict[int, tuple[tuple[Any, ...], Measured]] = {}  # by rollout, as it was


PlanId = tuple[int, str]  # number and hash

_known: WeakKeyDictionary[Engine, _Known] = WeakKeyDictionary()


def list_measured(session: Session) -> list[Measured]:
    """Every rollout that ever started: outcomes may come in after its end.

    Asked several times a second, so what is unchanged since the last time is that very object.
    """
    known = _known.setdefault(session.get_bind().engine, _Known())
    plans, cuts = _plan_ids(session), _last_cuts(session)
    held: dict[int, tuple[tuple[Any, ...], Measured]] = {}
    for number, *rest in session.execute(_STARTED):
        ids = plans.get(number, ())
        seen = (*rest, ids, cuts.get(number))
        old = known.measured.get(number)
        if old is None or old[0] != seen:
            old = (seen, _measured(session, number, ids, known))
        held[number] = old
    known.measured = held
    return [measured for _, measured in held.values()]


def _raw(time: Any) -> ColumnElement[Any]:
    """A time as the store hands it out: enough to tell whether it is another one."""
    return type_coerce(time, NullType())


_STARTED = (
    select(
        RolloutRow.id,
        RolloutRow.key,
        RolloutRow.flag_key,
        RolloutRow.environment_id,
        _raw(RolloutRow.started_at),
        _raw(RolloutRow.ended_at),
    )
    .where(RolloutRow.started_at.is_not(None))
    .order_by(RolloutRow.id)
)
_PLANS = select(PlanRow.rollout_id, PlanRow.id, PlanRow.hash).order_by(PlanRow.version)
# Allocations are only ever added, so their number and the newest tell whether there are more.
_LAST_CUTS = select(
    AllocationRow.rollout_id,
    func.count(),
    func.max(AllocationRow.id),
    _raw(func.max(AllocationRow.at)),
).group_by(AllocationRow.rollout_id)


def _plan_ids(session: Session) -> dict[int, tuple[PlanId, ...]]:
    """Each rollout's plans, oldest first."""
    held: dict[int, tuple[PlanId, ...]] = {}
    for rollout_id, number, digest in session.execute(_PLANS):
        held[rollout_id] = (*held.get(rollout_id, ()), (number, digest))
    return held


def _last_cuts(session: Session) -> dict[int, tuple[Any, ...]]:
    return {rollout_id: tuple(rest) for rollout_id, *rest in session.execute(_LAST_CUTS)}


def _measured(
    session: Session, rollout_id: int, ids: tuple[PlanId, ...], known: _Known
) -> Measured:
    row = session.execute(
        select(
            RolloutRow.id,
            RolloutRow.key,
            RolloutRow.flag_key,
            RolloutRow.environment_id,
            RolloutRow.started_at,
            RolloutRow.ended_at,
        ).where(RolloutRow.id == rollout_id)
    ).one()
    assert row.started_at is not None
    plans = [_plan(session, plan_id, known) for plan_id in ids]
    metrics = {metric.metric_version_id: metric for plan in plans for metric in plan.metrics}
    cuts = list_allocations_of(session, [row.id]).get(row.id, [])
    newest = plans[-1]
    return Measured(
        rollout_id=row.id,
        key=row.key,
        flag=row.flag_key,
        environment_id=row.environment_id,
        unit=newest.unit,
        arms=newest.arms,
        seed=row.key,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cuts=tuple(cut.at for cut in cuts),
        metrics=tuple(metrics[held] for held in sorted(metrics)),
        segments=newest.segments,
        fingerprint=f"{row.id}:{len(cuts)}:{','.join(str(held) for held in sorted(metrics))}",
    )


def _plan(session: Session, plan_id: PlanId, known: _Known) -> _Plan:
    held = known.plans.get(plan_id)
    if held is None:
        body = session.execute(select(PlanRow.body).where(PlanRow.id == plan_id[0])).scalar_one()
        held = known.plans[plan_id] = _read(body)
    return held


def _read(body: Mapping[str, Any]) -> _Plan:
    return _Plan(
        body["unit"],
        tuple(
            ArmInfo(item["key"], item["name"], place, item["share"])
            for place, item in enumerate(body["variations"])
        ),
        tuple(body["segments"]),
        tuple(
            MeasuredMetric(item["metric_version_id"], item["key"], from_dict(item["definition"]))
            for item in body["metrics"]
        ),
    )
