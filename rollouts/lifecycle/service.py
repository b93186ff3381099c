"""Write a plan down, lock it, and read it back. What is done to a live rollout: deeds.py."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor, Role
from rollouts.audit import service as audit
from rollouts.errors import (
    AlreadyExists,
    EditUnconditional,
    Fault,
    Invalid,
    NotAllowed,
    StaleEdit,
    ToleranceLocked,
)
from rollouts.flags import service as flags
from rollouts.flags.model import Arm, RolloutRule
from rollouts.lifecycle import store
from rollouts.lifecycle.model import State
from rollouts.lifecycle.plan import (
    Draft,
    LockedMetric,
    draft_from_dict,
    draft_to_dict,
    lock,
    plan_hash,
)
from rollouts.lifecycle.store import PlanRow, RolloutRow, TimelineRow
from rollouts.metrics import service as metrics

get_rollout = store.get_rollout
find_rollout = store.find_rollout
list_rollouts = store.list_rollouts
list_ended = store.list_ended
list_live_on = store.list_live_on
list_started = store.list_started
count_by_state = store.count_by_state
list_plans = store.list_plans
list_plans_of = store.list_plans_of
list_timeline = store.list_timeline
list_due = store.list_due
list_allocations_of = store.list_allocations_of


def create(session: Session, draft: Draft, *, actor: Actor, now: datetime) -> RolloutRow:
    """Write a plan down as a draft. Nothing reaches a customer yet."""
    if store.find_rollout(session, draft.key) is not None:
        raise AlreadyExists("rollout", draft.key)
    row = RolloutRow(key=draft.key, state=State.DRAFT, created_at=now)
    _apply(session, row, draft)
    session.add(row)
    session.flush()
    note(session, row, "draft", "Plan drafted.", actor, now)
    record(session, "rollout.drafted", row, None, row.draft, "", actor, now)
    return row


def edit(
    session: Session, draft: Draft, *, revision: int | None, actor: Actor, now: datetime
) -> RolloutRow:
    """Change a draft. Raises ToleranceLocked once the rollout has started."""
    row = store.get_rollout(session, draft.key, lock=True)
    if row.state is not State.DRAFT:
        raise ToleranceLocked(
            f"The plan of {row.key!r} was locked when it started. To change it, send the new plan "
            "with a reason to /plan-versions; the report will show both versions."
        )
    _check_revision(row, revision)
    before = row.draft
    _apply(session, row, draft)
    row.revision += 1
    record(session, "rollout.edited", row, before, row.draft, "", actor, now)
    return row


def new_plan_version(
    session: Session, draft: Draft, *, reason: str, actor: Actor, now: datetime
) -> PlanRow:
    """Change a locked plan: a new version with a reason, shown on the report beside the old.

    What customers meet (flag, variations, shares, unit, targeting) cannot change under way.
    """
    row = store.get_rollout(session, draft.key, lock=True)
    if not row.state.is_live:
        raise ToleranceLocked(f"Rollout {row.key!r} is {row.state}: its plan is what it is.")
    if not reason.strip():
        raise Invalid("Say why the locked plan changes; the report will show it.")
    check_override(row, actor)
    held = current_draft(session, row)
    for name in ("flag", "environment", "unit", "variations", "control", "condition"):
        if getattr(held, name) != getattr(draft, name):
            raise ToleranceLocked(
                f"{name} cannot change while customers are compared by it: make a new rollout."
            )
    if [stage.share for stage in draft.ramp][: row.stage + 1] != [
        stage.share for stage in held.ramp
    ][: row.stage + 1]:
        raise ToleranceLocked("Stages that were already entered cannot change.")
    _check_adjustment(session, row, draft)
    row.name, row.owner = draft.name, draft.owner
    plan = lock_plan(session, row, draft, reason=reason, actor=actor, now=now)
    note(
        session,
        row,
        "lock",
        f"Plan changed to version {plan.version}: {reason.strip()}",
        actor,
        now,
    )
    record(
        session,
        "rollout.plan_changed",
        row,
        draft_to_dict(held),
        draft_to_dict(draft),
        reason,
        actor,
        now,
    )
    return plan


def _check_adjustment(session: Session, row: RolloutRow, draft: Draft) -> None:
    """What was not kept since the start may have been recorded after the change was met."""
    since_start = store.list_plans(session, row.id)[0].body["segments"]
    late = [name for name in draft.adjust_by if name not in since_start]
    if late:
        why = "its values were not kept from the start, so the change may have touched them"
        raise Invalid(
            f"Effects cannot be adjusted by {late[0]!r}: {why}.", faults=(Fault("adjust_by", why),)
        )


def lock_plan(
    session: Session, row: RolloutRow, draft: Draft, *, reason: str, actor: Actor, now: datetime
) -> PlanRow:
    """Freeze a plan with every definition as it stands, under its hash."""
    body = lock(draft, locked_metrics(session, draft))
    version = len(store.list_plans(session, row.id)) + 1
    plan = PlanRow(
        rollout_id=row.id,
        version=version,
        body=body,
        hash=plan_hash(body),
        locked_at=now,
        locked_by=actor.name,
        reason=reason.strip(),
    )
    session.add(plan)
    session.flush()
    return plan


def locked_metrics(session: Session, draft: Draft) -> dict[str, LockedMetric]:
    """The metrics a draft names, at their newest versions. Raises NotFound."""
    held = {}
    for key in draft.metric_keys:
        metric = metrics.get_metric(session, key)
        version = metrics.get_version(session, metric)
        held[key] = LockedMetric(
            key, metric.name, version.id, version.version, version.to_domain(), version.definition
        )
    return held


def current_plan(session: Session, row: RolloutRow) -> PlanRow:
    """The newest locked plan. Only for rollouts that have started."""
    return store.list_plans(session, row.id)[-1]


def current_draft(session: Session, row: RolloutRow) -> Draft:
    """What holds now: the locked plan, or the draft."""
    if row.started_at is None:
        return draft_from_dict(row.draft)
    return draft_from_dict(current_plan(session, row).body)


def rule_for(draft: Draft, *, coverage: float, decided: str | None = None) -> RolloutRule:
    """The flag's rule that puts this rollout before customers."""
    return RolloutRule(
        rollout=draft.key,
        unit=draft.unit,
        variations=tuple(Arm(v.key, v.name, v.value, v.share) for v in draft.variations),
        control=draft.control,
        coverage=coverage,
        condition=draft.condition,
        decided=decided,
        phase="0",
    )


def schedule_next_look(
    row: RolloutRow, draft: Draft, default_seconds: float, now: datetime
) -> None:
    """When the guard looks again."""
    row.next_look_at = now + timedelta(seconds=draft.look_every_seconds or default_seconds)


def note(
    session: Session, row: RolloutRow, kind: str, sentence: str, actor: Actor, now: datetime
) -> None:
    """Write a sentence on the rollout's timeline."""
    session.add(
        TimelineRow(rollout_id=row.id, at=now, kind=kind, actor=actor.name, sentence=sentence)
    )


def record(
    session: Session,
    action: str,
    row: RolloutRow,
    before: Any,
    after: Any,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    """An audit entry about a rollout."""
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="rollout",
        subject=row.key,
        before=before,
        after=after,
        reason=reason,
        now=now,
    )


def _apply(session: Session, row: RolloutRow, draft: Draft) -> None:
    environment = flags.get_environment(session, draft.environment)
    flags.check_rollout(
        session,
        flag=draft.flag,
        environment=draft.environment,
        variations=tuple(Arm(v.key, v.name, v.value, v.share) for v in draft.variations),
        condition=draft.condition,
    )
    lock(draft, locked_metrics(session, draft))
    row.name, row.owner, row.flag_key = draft.name, draft.owner, draft.flag
    row.environment_id, row.environment_key = environment.id, environment.key
    row.draft = draft_to_dict(draft)


def _check_revision(row: RolloutRow, revision: int | None) -> None:
    if revision is None:
        raise EditUnconditional(
            f'Send the header If-Match: "{row.revision}" to say which version you edit.'
        )
    if revision != row.revision:
        raise StaleEdit(
            f"You edit revision {revision}, but {row.key!r} is at {row.revision}. "
            "Read it again and repeat your change."
        )


def check_override(row: RolloutRow, actor: Actor) -> None:
    """Whether this actor may overrule the plan, by the role the plan names."""
    needed = Role(row.draft["may_override"])
    if not actor.role.includes(needed):
        raise NotAllowed(f"The plan lets only the role {needed} overrule it; you are {actor.role}.")
