"""Factories: started rollouts as the ledger finds them, and frames of events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from rollouts.ingest.model import Frame, Source
from rollouts.lifecycle.model import State
from rollouts.lifecycle.plan import plan_hash
from rollouts.lifecycle.store import AllocationRow, PlanRow, RolloutRow
from rollouts.metrics.codec import to_dict
from rollouts.metrics.model import Aggregation, Definition, Direction, Filter, Operator, Selector

START = datetime(2026, 5, 14, 9, 0, tzinfo=UTC)
UNIT_KEY = b"k" * 32
ENVIRONMENT = 1

CONTACTS = Definition(
    Selector("Contact Opened"), Aggregation.COUNT, Direction.DOWN, window=timedelta(days=7)
)
CONTACTED = Definition(
    Selector("Contact Opened", channels=("phone",)), Aggregation.ANY, Direction.DOWN
)
REVENUE = Definition(Selector("Order Completed"), Aggregation.SUM, Direction.UP, cap=250.0)
PER_ORDER = Definition(
    Selector("Contact Opened", filters=(Filter("reason", Operator.IS_NOT, "praise"),)),
    Aggregation.RATIO,
    Direction.DOWN,
    denominator=Selector("Order Completed"),
    numerator_aggregation=Aggregation.COUNT,
)
ALL_METRICS = {1: CONTACTS, 2: CONTACTED, 3: REVENUE, 4: PER_ORDER}


def at(seconds: float) -> datetime:
    """So long after the start of the rollouts."""
    return START + timedelta(seconds=seconds)


def start_rollout(
    session: Session,
    key: str = "new-checkout",
    *,
    metrics: dict[int, Definition] | None = None,
    unit: str = "id",
    shares: tuple[float, ...] = (0.5, 0.5),
    cuts: Sequence[float] = (0.0,),
    environment_id: int = ENVIRONMENT,
    segments: Sequence[str] = (),
) -> int:
    """A running rollout with the variations control and treatment; its id."""
    row = RolloutRow(
        key=key,
        name=key,
        owner="ann",
        flag_key=key,
        environment_id=environment_id,
        environment_key="production",
        state=State.RUNNING,
        draft={},
        created_at=START,
        started_at=START,
    )
    session.add(row)
    session.flush()
    lock_plan(
        session,
        row.id,
        ALL_METRICS if metrics is None else metrics,
        unit,
        shares,
        segments=segments,
    )
    for cut in cuts:
        cut_allocation(session, row.id, cut)
    return row.id


def lock_plan(
    session: Session,
    rollout_id: int,
    metrics: dict[int, Definition],
    unit: str = "id",
    shares: tuple[float, ...] = (0.5, 0.5),
    *,
    version: int = 1,
    segments: Sequence[str] = (),
) -> None:
    """A locked plan, as much of it as the ledger reads."""
    names = ["control", "treatment", "third"][: len(shares)]
    body: dict[str, Any] = {
        "unit": unit,
        "segments": list(segments),
        "variations": [
            {"key": name, "name": name.title(), "share": share}
            for name, share in zip(names, shares, strict=True)
        ],
        "metrics": [
            {"metric_version_id": number, "key": f"metric-{number}", "definition": to_dict(held)}
            for number, held in metrics.items()
        ],
    }
    session.add(
        PlanRow(
            rollout_id=rollout_id,
            version=version,
            body=body,
            hash=plan_hash(body),
            locked_at=START,
            locked_by="ann",
        )
    )
    session.flush()


def cut_allocation(session: Session, rollout_id: int, seconds: float) -> None:
    """The allocation changes at this moment."""
    session.add(AllocationRow(rollout_id=rollout_id, stage=0, share=1.0, at=at(seconds)))
    session.flush()


def frame(
    events: Sequence[dict[str, Any]],
    *,
    source: Source = Source.SEGMENT,
    is_trusted: bool = True,
    environment_id: int = ENVIRONMENT,
    received: float = 3600.0,
    sent_at: datetime | None = None,
    key_id: str = "key",
) -> Frame:
    """Events as the journal keeps them."""
    return Frame(
        source=source,
        events=msgspec.json.encode(events),
        n_events=len(events),
        is_trusted=is_trusted,
        environment_id=environment_id,
        key_id=key_id,
        received_at=at(received),
        sent_at=sent_at,
    )


def exposure(
    unit: str,
    variation: str = "treatment",
    seconds: float = 0.0,
    *,
    rollout: str = "new-checkout",
    **more: Any,
) -> dict[str, Any]:
    """A Segment call that shows a unit's variation."""
    return {
        "type": "track",
        "event": "Experiment Viewed",
        "userId": unit,
        "timestamp": at(seconds).isoformat(),
        "properties": {"experiment_id": rollout, "variation_id": variation},
        **more,
    }


def outcome(
    unit: str, name: str = "Contact Opened", seconds: float = 0.0, **more: Any
) -> dict[str, Any]:
    """A Segment call for something that happened to a unit; `more` are its properties."""
    message = {"messageId": more.pop("message")} if "message" in more else {}
    return {
        "type": "track",
        "event": name,
        "userId": unit,
        "timestamp": at(seconds).isoformat(),
        "properties": more,
        **message,
    }
