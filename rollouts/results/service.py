"""Take stock of a rollout from the ledger's sums, and keep what was found for good."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from analysis.effect import Undecided
from analysis.srm import srm_p_value
from rollouts.ledger import service as ledger
from rollouts.ledger.service import Sums
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.plan import Draft, canonical, draft_from_dict
from rollouts.lifecycle.store import PlanRow, RolloutRow
from rollouts.results import store
from rollouts.results.evidence import Seen, checks_of, evidence_shown, test_checks
from rollouts.results.feeding import STATE, feed_checks, remember
from rollouts.results.gather import volume, work_of
from rollouts.results.groups import broken_in, split_checks
from rollouts.results.measure import measure_arm
from rollouts.results.quality import quality_lines
from rollouts.results.recommend import recommendation
from rollouts.results.segments import by_segments
from rollouts.results.split import always_p_value
from rollouts.results.store import PointRow, SnapshotRow
from rollouts.results.work import Measuring

find_latest = store.find_latest
list_latest = store.list_latest
get_snapshot = store.get_snapshot
list_snapshots = store.list_snapshots
list_points = store.list_points

BROKEN_SPLIT = 0.001  # the share of sound splits that would be called broken, however often seen


@dataclass(frozen=True, slots=True)
class Stock:
    """What one look found, before anything is decided on it."""

    body: dict[str, Any]
    states: dict[str, dict[str, Any]]


def take_stock(session: Session, row: RolloutRow, *, kind: str, now: datetime) -> Stock:
    """Measure everything the plan names. Reads only."""
    plans = lifecycle.list_plans(session, row.id)
    plan = plans[-1]
    draft = draft_from_dict(plan.body)
    sums = ledger.sums(session, row.id)
    work = work_of(session, row, plan, draft, sums, kind, now)
    treatments = [n for n, item in enumerate(draft.variations) if item.key != draft.control]
    previous = store.find_latest(session, row.id)
    body: dict[str, Any] = {
        "schema": 1,
        "id": "",
        "rollout": _rollout(row, draft),
        "plan": _plan(plan, plans, draft),
        "look": {
            "number": (previous.look if previous else 0) + 1,
            "taken_at": now.isoformat(),
            "kind": kind,
            "data_at": sums.data_at.isoformat() if sums.data_at else None,
            "is_deadline": work.is_deadline,
        },
        "stage": _stage(row, draft, now),
        "units": _units(draft, sums),
        "srm": _split(draft, sums),
        "arms": [
            measure_arm(work, place) | {"segments": by_segments(session, row.id, work, place)}
            for place in treatments
        ],
    }
    _add_trust(session, row, work, sums, body, len(plans), now)
    if kind == "scheduled":  # looks that people ask for come in bunches, and are no history
        work.states[STATE] = dict(remember(work.last_event_at, work.states.get(STATE, {}), now))
    return Stock(body, work.states)


def _add_trust(
    session: Session,
    row: RolloutRow,
    work: Measuring,
    sums: Sums,
    body: dict[str, Any],
    plan_versions: int,
    now: datetime,
) -> None:
    """Whether the look can be believed, line by line and in one grade; and what it speaks for."""
    places = range(len(work.draft.variations))
    crossed = work.crossed() if sums.crossed else {}
    shares = [item.share for item in work.draft.variations]
    seen = Seen(
        units=_per_variation(work.draft, sums),
        shares=[share / sum(shares) for share in shares],
        crossed=[crossed.get(place, 0) for place in places],
        refused=sum(sums.refused.values()),
        untrusted=sums.untrusted_units,
        plan_versions=plan_versions,
        feeds=feed_checks(
            work.last_event_at,
            work.states.get(STATE, {}),
            lambda key, last_at, lag: volume(session, row, work.metrics[key], last_at, lag),
            now,
            rails=frozenset(item.metric for item in work.draft.guardrails),
            started_at=row.started_at,
        ),
    )
    checks = {
        **checks_of(work, seen),
        **split_checks(work, sums.units, work.by_day(), body["arms"]),
        **test_checks(body["arms"]),
    }
    body["srm"]["broken_in"] = broken_in(checks)
    is_complete = work.is_deadline or work.pace.units >= work.draft.planned_units
    body["quality"] = quality_lines(body, checks)
    body["evidence"] = evidence_shown(checks)
    body["recommendation"] = recommendation(body, checks["split"], complete=is_complete)


def keep(session: Session, row: RolloutRow, stock: Stock, now: datetime) -> SnapshotRow:
    """Store a look for good, with its points and the state of its tests."""
    body = stock.body
    digest = hashlib.sha256(canonical({**body, "id": row.key})).hexdigest()[:8]
    body["id"] = f"S-{now:%Y%m%d-%H%M}-{digest}"
    look = body["look"]["number"]
    snapshot = SnapshotRow(id=body["id"], rollout_id=row.id, look=look, taken_at=now, body=body)
    session.add(snapshot)
    for arm in body["arms"]:
        for metric in arm["metrics"]:
            session.add(_point(row.id, look, now, arm, metric))
    store.save_states(session, row.id, look, stock.states)
    session.flush()
    return snapshot


def _rollout(row: RolloutRow, draft: Draft) -> dict[str, Any]:
    return {
        "key": row.key,
        "name": row.name,
        "hypothesis": draft.hypothesis,
        "owner": row.owner,
        "environment": row.environment_key,
        "flag": row.flag_key,
        "unit": draft.unit,
        "state": row.state.value,
        "started_at": row.started_at.isoformat() if row.started_at else None,
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
        "control": draft.control,
    }


def _plan(plan: PlanRow, plans: list[PlanRow], draft: Draft) -> dict[str, Any]:
    return {
        "version": plan.version,
        "hash": plan.hash,
        "locked_at": plan.locked_at.isoformat(),
        "locked_by": plan.locked_by,
        "reason": plan.reason,
        "alpha": draft.alpha,
        "deadline": draft.deadline.isoformat() if draft.deadline else None,
        "planned_units": draft.planned_units,
        "futility_floor": draft.futility_floor,
        "look_every_seconds": draft.look_every_seconds,
        "may_override": draft.may_override.value,
        "trust": plan.body["trust"],
        "previous": [
            {
                "version": item.version,
                "hash": item.hash,
                "locked_at": item.locked_at.isoformat(),
                "locked_by": item.locked_by,
                "reason": item.reason,
            }
            for item in plans[:-1]
        ],
    }


def _stage(row: RolloutRow, draft: Draft, now: datetime) -> dict[str, Any]:
    entered = row.stage_entered_at or now
    stage = draft.ramp[row.stage]
    has_next = row.stage + 1 < len(draft.ramp)
    return {
        "index": row.stage,
        "share": stage.share,
        "entered_at": entered.isoformat(),
        "stages": [
            {"share": item.share, "hold_seconds": item.hold.total_seconds()} for item in draft.ramp
        ],
        "next_share": draft.ramp[row.stage + 1].share if has_next else None,
        "next_at": (entered + stage.hold).isoformat() if has_next else None,
        "hold_reason": row.hold_reason,
    }


def _per_variation(draft: Draft, sums: Sums) -> list[int]:
    return [
        sum(n for (variation, _), n in sums.units.items() if variation == place)
        for place in range(len(draft.variations))
    ]


def _units(draft: Draft, sums: Sums) -> dict[str, Any]:
    counts = _per_variation(draft, sums)
    return {
        "total": sum(counts),
        "by_variation": [
            {
                "key": item.key,
                "name": item.name,
                "is_control": item.key == draft.control,
                "n": n,
                "share": item.share,
            }
            for item, n in zip(draft.variations, counts, strict=True)
        ],
        "crossed": sums.crossed,
        "untrusted": sums.untrusted_units,
        "refused": dict(sums.refused),
    }


def _split(draft: Draft, sums: Sums) -> dict[str, Any]:
    """Whether the units fell as the plan said; safe to ask at every look."""
    counts = _per_variation(draft, sums)
    shares = [item.share for item in draft.variations]
    shares = [share / sum(shares) for share in shares]
    once = srm_p_value(counts, shares)
    always = always_p_value(counts, shares)
    text = " to ".join(f"{n:,}" for n in counts)
    if isinstance(once, Undecided) or isinstance(always, Undecided):
        return {"state": "unknown", "p_value": None, "anytime_p_value": None, "text": text}
    state = "broken" if always < BROKEN_SPLIT else "ok"
    shown = "p < 0.001" if once < 0.001 else f"p = {once:.2g}"
    return {
        "state": state,
        "p_value": once,
        "anytime_p_value": always,
        "text": f"{text}, {shown}",
        "set": shares,
    }


def _point(
    rollout_id: int, look: int, now: datetime, arm: dict[str, Any], metric: dict[str, Any]
) -> PointRow:
    effect = metric["relative"] or metric["absolute"] or {}
    budget = metric["budget"] or {}
    return PointRow(
        rollout_id=rollout_id,
        look=look,
        taken_at=now,
        arm=arm["key"],
        metric=metric["key"],
        units=metric["treatment"]["n"],
        evidence_share=(metric["evidence"] or {}).get("share"),
        estimate=effect.get("estimate"),
        low=effect.get("low"),
        high=effect.get("high"),
        harm_estimate=budget.get("estimate"),
        harm_low=budget.get("low"),
        harm_high=budget.get("high"),
    )
