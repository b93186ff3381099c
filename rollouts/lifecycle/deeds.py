"""What is done to a rollout: start, advance, pause, resume, withdraw, ship, stop.

Every deed is guarded by the lifecycle, audited, and carried out as an ordinary flag change.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.errors import Conflict, Invalid
from rollouts.flags import service as flags
from rollouts.lifecycle import service, store
from rollouts.lifecycle.model import Deed, State, follow
from rollouts.lifecycle.plan import Draft, draft_from_dict
from rollouts.lifecycle.store import AllocationRow, RolloutRow
from rollouts.words import percent


def start(
    session: Session, key: str, *, default_look_seconds: float, actor: Actor, now: datetime
) -> RolloutRow:
    """Lock the plan and put the first stage before customers."""
    row = store.get_rollout(session, key, lock=True)
    after = follow(key, row.state, Deed.START)
    draft = draft_from_dict(row.draft)
    if not draft.guardrails:
        raise Invalid("A rollout needs at least one guardrail: say what harm you would tolerate.")
    _refuse_neighbours(session, row)
    plan = service.lock_plan(session, row, draft, reason="", actor=actor, now=now)
    row.state, row.started_at, row.stage = after, now, 0
    _allocate(session, row, draft, now)
    _serve(session, row, draft, actor, "rollout started", now)
    service.schedule_next_look(row, draft, default_look_seconds, now)
    service.note(
        session, row, "lock", "Plan locked: limits, budget, looks and who may override.", actor, now
    )
    service.note(
        session,
        row,
        "run",
        f"Started at {percent(draft.ramp[0].share)} of the traffic.",
        actor,
        now,
    )
    after_json = {"plan": plan.hash, "share": draft.ramp[0].share}
    service.record(session, "rollout.started", row, None, after_json, "", actor, now)
    return row


def advance(session: Session, key: str, *, reason: str, actor: Actor, now: datetime) -> RolloutRow:
    """Move a rollout on to its next stage. Overruling a hold needs the plan's role and a reason."""
    row = store.get_rollout(session, key, lock=True)
    follow(key, row.state, Deed.ADVANCE)
    draft = service.current_draft(session, row)
    if row.stage + 1 >= len(draft.ramp):
        raise Conflict(f"Rollout {key!r} is at its last stage already; ship it or stop it.")
    if row.hold_reason:
        _check_overruling(row, actor, reason, f"the guard holds it: {row.hold_reason}")
    before = draft.ramp[row.stage].share
    row.stage += 1
    row.hold_reason = ""
    _allocate(session, row, draft, now)
    _serve(session, row, draft, actor, reason or "next stage of the ramp", now)
    share = draft.ramp[row.stage].share
    service.note(session, row, "run", f"Raised to {percent(share)} of the traffic.", actor, now)
    service.record(
        session, "rollout.advanced", row, {"share": before}, {"share": share}, reason, actor, now
    )
    return row


def pause(session: Session, key: str, *, reason: str, actor: Actor, now: datetime) -> RolloutRow:
    """Stop the ramp where it is. Customers keep what they have; the guard goes on watching."""
    return _step(session, key, Deed.PAUSE, "hold", "Paused: the ramp stays", reason, actor, now)


def resume(session: Session, key: str, *, reason: str, actor: Actor, now: datetime) -> RolloutRow:
    """Let the ramp go on."""
    return _step(session, key, Deed.RESUME, "run", "Resumed", reason, actor, now)


def withdraw(
    session: Session, key: str, *, reason: str, sentence: str = "", actor: Actor, now: datetime
) -> RolloutRow:
    """Take the change away from everybody: all are served control again."""
    row = store.get_rollout(session, key, lock=True)
    draft = service.current_draft(session, row)
    if not reason.strip():
        raise Invalid("Say why it is withdrawn; the report will show it.")
    said = sentence or f"Withdrawn by hand: {reason.strip()}"
    return _end(session, row, Deed.WITHDRAW, draft.control, "harm", said, reason, actor, now)


def stop(session: Session, key: str, *, reason: str, actor: Actor, now: datetime) -> RolloutRow:
    """End without shipping: all are served control again."""
    row = store.get_rollout(session, key, lock=True)
    draft = service.current_draft(session, row)
    said = f"Stopped: {reason.strip() or 'not worth going on'}"
    return _end(session, row, Deed.STOP, draft.control, "off", said, reason, actor, now)


def ship(
    session: Session,
    key: str,
    *,
    variation: str,
    is_safe: bool,
    reason: str,
    actor: Actor,
    now: datetime,
) -> RolloutRow:
    """Give a variation to everybody. Without all guardrails safe it needs the plan's role."""
    row = store.get_rollout(session, key, lock=True)
    draft = service.current_draft(session, row)
    if variation not in {item.key for item in draft.treatments}:
        raise Invalid(f"{variation!r} is not a treatment of this rollout.")
    if not is_safe:
        _check_overruling(row, actor, reason, "not every guardrail is shown to be safe")
    said = f"Shipped to everybody: {variation}." + (f" {reason.strip()}" if reason.strip() else "")
    return _end(session, row, Deed.SHIP, variation, "ship", said, reason, actor, now)


def hold(session: Session, row: RolloutRow, *, reason: str, actor: Actor, now: datetime) -> None:
    """Keep the ramp where it is until the reason is gone or overruled."""
    if row.hold_reason == reason:
        return
    row.hold_reason = reason
    service.note(session, row, "hold", f"Held: {reason}", actor, now)
    service.record(session, "rollout.held", row, None, {"reason": reason}, reason, actor, now)


def release(session: Session, row: RolloutRow, *, actor: Actor, now: datetime) -> None:
    """The reason for holding is gone."""
    if row.hold_reason:
        service.note(session, row, "run", f"No longer held: {row.hold_reason}", actor, now)
        row.hold_reason = ""


def _check_overruling(row: RolloutRow, actor: Actor, reason: str, because: str) -> None:
    if not reason.strip():
        raise Conflict(f"This overrules the plan, since {because}. Send a reason to go ahead.")
    service.check_override(row, actor)


def _refuse_neighbours(session: Session, row: RolloutRow) -> None:
    others = store.list_live_on(session, row.flag_key, row.environment_key)
    if others:
        raise Conflict(
            f"Rollout {others[0].key!r} is live on flag {row.flag_key!r} in "
            f"{row.environment_key}; end it first, or the two could not be told apart."
        )


def _step(
    session: Session,
    key: str,
    deed: Deed,
    kind: str,
    said: str,
    reason: str,
    actor: Actor,
    now: datetime,
) -> RolloutRow:
    row = store.get_rollout(session, key, lock=True)
    before = row.state
    row.state = follow(key, row.state, deed)
    sentence = said + (f": {reason.strip()}" if reason.strip() else ".")
    service.note(session, row, kind, sentence, actor, now)
    _record_step(session, row, deed, before, reason, actor, now)
    return row


def _end(
    session: Session,
    row: RolloutRow,
    deed: Deed,
    served: str,
    kind: str,
    said: str,
    reason: str,
    actor: Actor,
    now: datetime,
) -> RolloutRow:
    before = row.state
    row.state = follow(row.key, row.state, deed)
    row.ended_at, row.next_look_at, row.hold_reason = now, None, ""
    draft = service.current_draft(session, row)
    flags.put_rollout_rule(
        session,
        flag=row.flag_key,
        environment=row.environment_key,
        rule=service.rule_for(draft, coverage=draft.ramp[row.stage].share, decided=served),
        actor=actor,
        reason=reason or said,
        now=now,
    )
    service.note(session, row, kind, said, actor, now)
    _record_step(session, row, deed, before, reason or said, actor, now)
    return row


def _record_step(
    session: Session,
    row: RolloutRow,
    deed: Deed,
    before: State,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    done = {
        Deed.PAUSE: "rollout.paused",
        Deed.RESUME: "rollout.resumed",
        Deed.WITHDRAW: "rollout.withdrawn",
        Deed.SHIP: "rollout.shipped",
        Deed.STOP: "rollout.stopped",
    }[deed]
    states = ({"state": before.value}, {"state": row.state.value})
    service.record(session, done, row, *states, reason, actor, now)


def _allocate(session: Session, row: RolloutRow, draft: Draft, now: datetime) -> None:
    row.stage_entered_at = now
    share = draft.ramp[row.stage].share
    session.add(AllocationRow(rollout_id=row.id, stage=row.stage, share=share, at=now))


def _serve(
    session: Session, row: RolloutRow, draft: Draft, actor: Actor, reason: str, now: datetime
) -> None:
    flags.put_rollout_rule(
        session,
        flag=row.flag_key,
        environment=row.environment_key,
        rule=service.rule_for(draft, coverage=draft.ramp[row.stage].share),
        actor=actor,
        reason=reason,
        now=now,
    )
