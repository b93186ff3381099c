"""How many events a feed brought in earlier stretches of time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollouts.ingest.model import MICROSECOND, to_us
from rollouts.ledger.bulk import table_of
from rollouts.ledger.store import OutcomeRow

_outcomes = table_of(OutcomeRow)
DAY = timedelta(days=1)


def volume_before(
    session: Session,
    environment_id: int,
    events: Collection[str],
    *,
    until: datetime,
    length: timedelta,
    stretches: int,
    every: timedelta,
) -> list[int] | None:
    """Events in so many stretches of one length, the nearest first; none of them after `until`.

    The first stretch ends at `until` plus `length` minus `every`; each next one lies `every`
    earlier. None where the outcomes that are kept do not reach back so far.
    """
    size, step = length // MICROSECOND, every // MICROSECOND
    newest_us = to_us(until) + size - step
    oldest_us = newest_us - (stretches - 1) * step - size
    mine = _outcomes.c.name.in_(sorted(events)) & _outcomes.c.environment_id.in_(
        (0, environment_id)
    )
    first = session.scalar(select(func.min(_outcomes.c.at_us)).where(mine))
    if first is None or first > oldest_us or size <= 0 or step < size:
        return None
    back = newest_us - 1 - _outcomes.c.at_us
    place = (back - back % step) / step
    query = (
        select(place, func.count())
        .where(mine)
        .where(_outcomes.c.at_us >= oldest_us)
        .where(_outcomes.c.at_us < newest_us)
        .where(back % step < size)
        .group_by(place)
    )
    counts = [0] * stretches
    for held, n in session.execute(query):
        counts[int(held)] = n
    return counts
