"""Units' own numbers, where sums do not say enough: histograms, and times with censoring.

Made when a look asks, from totals and outcomes; what leaves the store is counts per value, or a
duration per unit, never who it was.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import numpy as np
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from analysis.histogram import Histogram
from analysis.rows import Times
from rollouts.ingest.model import MICROSECOND, to_us
from rollouts.ledger.bulk import table_of
from rollouts.ledger.segments import settled
from rollouts.ledger.store import ExposureRow, OutcomeRow, TotalRow
from rollouts.ledger.units import outcome_of
from rollouts.metrics.model import Definition

SECOND_US = 1_000_000

_exposures, _outcomes, _totals = (table_of(row) for row in (ExposureRow, OutcomeRow, TotalRow))


def histograms(
    session: Session, rollout_id: int, metric_version_id: int, definition: Definition
) -> dict[int, Histogram]:
    """How many uncrossed units have which number, by variation.

    Units without an outcome count as 0, but where an average is asked for they have none.
    """
    total = and_(
        _totals.c.unit == _exposures.c.unit,
        _totals.c.rollout_id == _exposures.c.rollout_id,
        _totals.c.metric_version_id == metric_version_id,
    )
    x = settled(definition)
    query = (
        select(_exposures.c.variation, x, func.count())
        .select_from(_exposures.outerjoin(_totals, total))
        .where(_exposures.c.rollout_id == rollout_id)
        .where(_exposures.c.is_crossed.is_(False))
        .group_by(_exposures.c.variation, x)
    )
    if definition.aggregation.has_denominator:
        query = query.where(_totals.c.y > 0)
    counts: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for variation, value, n in session.execute(query):
        counts[variation].append((float(value), n))
    return {variation: Histogram.counted(held) for variation, held in counts.items()}


def times(
    session: Session,
    rollout_id: int,
    environment_id: int,
    definition: Definition,
    data_end: datetime | None,
) -> dict[int, Times]:
    """Seconds from first exposure to the first event, by variation; the others are censored.

    A unit without an event was watched until the data's end, or its window's, if that is earlier.
    """
    exposed = session.execute(
        select(_exposures.c.unit, _exposures.c.variation, _exposures.c.first_us)
        .where(_exposures.c.rollout_id == rollout_id)
        .where(_exposures.c.is_crossed.is_(False))
    ).all()
    first = _first_events(session, rollout_id, environment_id, definition)
    end_us = to_us(data_end) if data_end is not None else 0
    window_us = definition.window // MICROSECOND if definition.window is not None else None
    durations: dict[int, list[float]] = defaultdict(list)
    happened: dict[int, list[bool]] = defaultdict(list)
    for unit, variation, first_us in exposed:
        watched = max(end_us - first_us, 0)
        if window_us is not None:
            watched = min(watched, window_us)
        event = first.get(unit)
        is_seen = event is not None and event - first_us <= watched
        span = event - first_us if event is not None and is_seen else watched
        durations[variation].append(span / SECOND_US)
        happened[variation].append(is_seen)
    return {
        variation: Times(np.array(held), np.array(happened[variation], dtype=np.bool_))
        for variation, held in durations.items()
    }


def _first_events(
    session: Session, rollout_id: int, environment_id: int, definition: Definition
) -> dict[int, int]:
    """When each exposed unit first did what is meant, at or after its exposure."""
    query = (
        select(_outcomes)
        .join(_exposures, _exposures.c.unit == _outcomes.c.unit)
        .where(_exposures.c.rollout_id == rollout_id)
        .where(_outcomes.c.at_us >= _exposures.c.first_us)
        .where(_outcomes.c.name == definition.numerator.event)
        .where(_outcomes.c.environment_id.in_((0, environment_id)))
        .order_by(_outcomes.c.at_us)
    )
    if not definition.allow_untrusted:
        query = query.where(_outcomes.c.is_trusted.is_(True))
    found: dict[int, int] = {}
    for row in session.execute(query):
        if row.unit not in found and definition.numerator.takes(outcome_of(row)):
            found[row.unit] = row.at_us
    return found
