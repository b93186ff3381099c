"""Forgetting what is no longer needed to count right."""

from __future__ import annotations

from sqlalchemy import delete, exists
from sqlalchemy.orm import Session

from rollouts.ledger.bulk import table_of
from rollouts.ledger.store import ExposureRow, OutcomeRow, SeenMessageRow

MARGIN_DAYS = 2  # messages are kept longer than events are accepted late


def prune(session: Session, *, before_us: int, before_day: int) -> int:
    """Delete old messages and old outcomes of units that no rollout counts.

    Outcomes of exposed units stay: a metric that a plan adds later is counted from them.
    """
    messages, outcomes, exposures = (
        table_of(row) for row in (SeenMessageRow, OutcomeRow, ExposureRow)
    )
    old_messages = delete(messages).where(messages.c.day < before_day - MARGIN_DAYS)
    old_outcomes = (
        delete(outcomes)
        .where(outcomes.c.at_us < before_us)
        .where(~exists().where(exposures.c.unit == outcomes.c.unit))
    )
    dropped = 0
    for statement in (old_messages, old_outcomes):
        dropped += session.execute(statement).rowcount  # type: ignore[attr-defined]
    return dropped
