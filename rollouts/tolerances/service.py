"""Set, read and drop the organisation's tolerances."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.audit import service as audit
from rollouts.errors import Fault, Invalid
from rollouts.metrics import service as metrics
from rollouts.tolerances import store
from rollouts.tolerances.codec import guardrail_to_dict
from rollouts.tolerances.exact import ONLY, why_not_exact
from rollouts.tolerances.model import Guardrail, Method
from rollouts.tolerances.store import ToleranceRow


def put_tolerance(
    session: Session, guardrail: Guardrail, *, owner: str, actor: Actor, now: datetime
) -> ToleranceRow:
    """Say what the organisation tolerates of a metric. Running plans keep their own copy."""
    _check_method(session, guardrail)
    body = guardrail_to_dict(guardrail)
    row = store.find_tolerance(session, guardrail.metric)
    before = dict(row.body) if row else None
    if row is None:
        row = ToleranceRow(metric_key=guardrail.metric, owner=owner)
        session.add(row)
    row.body, row.updated_at, row.updated_by = body, now, actor.name
    row.owner = owner or row.owner
    _record(session, "tolerance.set", guardrail.metric, before, body, guardrail.reason, actor, now)
    session.flush()
    return row


def _check_method(session: Session, guardrail: Guardrail) -> None:
    metric = metrics.get_metric(session, guardrail.metric)
    if guardrail.method is not Method.EXACT:
        return
    why = why_not_exact(metrics.get_version(session, metric).to_domain())
    if why:
        raise Invalid(
            f"{guardrail.metric!r} cannot be judged by the exact test: {why}. {ONLY}.",
            faults=(Fault("method", why),),
        )


def delete_tolerance(
    session: Session, metric: str, *, reason: str, actor: Actor, now: datetime
) -> None:
    """Drop the organisation's tolerance for a metric; locked plans are not touched."""
    row = store.get_tolerance(session, metric)
    _record(session, "tolerance.dropped", metric, dict(row.body), None, reason, actor, now)
    session.delete(row)


def find_tolerance(session: Session, metric: str) -> Guardrail | None:
    """What the organisation tolerates of a metric, if it said so."""
    row = store.find_tolerance(session, metric)
    return row.to_domain() if row else None


get_tolerance = store.get_tolerance
list_tolerances = store.list_tolerances


def _record(
    session: Session,
    action: str,
    metric: str,
    before: object,
    after: object,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="tolerance",
        subject=metric,
        before=before,
        after=after,
        reason=reason,
        now=now,
    )
