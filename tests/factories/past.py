"""Ended rollouts by the dozen, with sums whose true effects are known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from rollouts.db import Database
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.model import State
from rollouts.lifecycle.plan import draft_to_dict, lock
from rollouts.lifecycle.store import AllocationRow, PlanRow, RolloutRow
from rollouts.results.store import SnapshotRow
from tests.factories.beside import make_evidence
from tests.factories.snapshots import make_goal, make_metric, make_snapshot

FIRST_END = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
UNITS = 20_000  # of either version


def make_past(
    db: Database,
    draft: Any,
    ratios: list[float],
    *,
    shipped: list[bool] | None = None,
    ships_below: float = 0.0,
    names: list[str] | None = None,
    seed: int = 1,
    **over: Any,
) -> None:
    """One ended rollout for each true ratio of contacts, a week apart; over: of every metric.

    Those marked stayed; and those that showed a ratio below `ships_below`.
    """
    stayed = shipped or [False] * len(ratios)
    draw = np.random.default_rng(seed)
    with db.transaction() as session:
        body = lock(draft, lifecycle.locked_metrics(session, draft))
        for i, (ratio, is_shipped) in enumerate(zip(ratios, stayed, strict=True)):
            ended = FIRST_END + timedelta(days=7 * i)
            old, new = (int(draw.poisson(UNITS * 0.1 * r)) for r in (1.0, ratio))
            stays = is_shipped or new < ships_below * old
            row = _row(draft, i, State.SHIPPED if stays else State.WITHDRAWN, ended)
            row.name = dict(enumerate(names or [])).get(i, row.name)
            session.add(row)
            session.flush()
            session.add(
                PlanRow(
                    rollout_id=row.id,
                    version=1,
                    body=body,
                    hash="0" * 64,
                    locked_at=ended,
                    locked_by="Priya Nair",
                )
            )
            session.add(
                AllocationRow(rollout_id=row.id, stage=0, share=1.0, at=ended - timedelta(days=5))
            )
            session.add(_snapshot(row, counted(old, new, **over), ended, stays))


def counted(old: int, new: int, **over: Any) -> dict[str, Any]:
    """Contacts of both versions, with the sums of one stage."""
    stratum = {
        "stratum": 0,
        "coverage": 1.0,
        "n0": UNITS,
        "s0": old,
        "q0": old * 1.1,
        "n1": UNITS,
        "s1": new,
        "q1": new * 1.1,
    }
    shift = new / old - 1
    return {
        **make_metric(
            control=(UNITS, old),
            treatment=(UNITS, new),
            interval=(shift - 0.09, shift + 0.09),
            strata=[stratum],
        ),
        **over,
    }


def _row(draft: Any, i: int, state: State, ended: datetime) -> RolloutRow:
    return RolloutRow(
        key=f"past-{i:03}",
        name=f"Past change {i}",
        owner="Priya Nair",
        flag_key=draft.flag,
        environment_id=1,
        environment_key=draft.environment,
        state=state,
        draft=draft_to_dict(draft),
        created_at=ended - timedelta(days=6),
        started_at=ended - timedelta(days=5),
        ended_at=ended,
    )


def _snapshot(row: RolloutRow, metric: Any, ended: datetime, is_shipped: bool) -> SnapshotRow:
    snapshot_id = f"S-past-{row.key}"
    body = make_snapshot(
        id=snapshot_id,
        arms=[{"key": "new", "name": "New page", "metrics": [metric, make_goal()]}],
        evidence=make_evidence("strong"),
    )
    body["rollout"] |= {
        "key": row.key,
        "name": row.name,
        "ended_at": ended.isoformat(),
        "state": row.state.value,
        "environment": row.environment_key,
    }
    if is_shipped:
        body["rollout"]["shipped"] = "new"
    return SnapshotRow(id=snapshot_id, rollout_id=row.id, look=1, taken_at=ended, body=body)
