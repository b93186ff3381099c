"""Units' own numbers, where sums do not say enough: histograms, and times with censoring.

Made when a look asks, from totals and outcomes; what leaves the store is counts per value, or a
duration per unit, never who it was.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from analysis.histogram import Histogram
from analysis.rows import Times
from rollouts.ingest.model import MICROSECOND, to_us
from rollouts.ledger.bulk import table_of
from rollouts.ledger.members import happened, members, with_totals
from rollouts.ledger.segments import settled
from rollouts.ledger.store import ExposureRow, OutcomeRow, TotalRow
from rollouts.ledger.units import properties_of
from rollouts.metrics.model import Definition

SECOND_US = 1_000_000
NEVER = -1  # no time that an event can have after an exposure
AT_ONCE = 10_000  # rows in memory while a distribution is read

_exposures, _outcomes, _totals = (table_of(row) for row in (ExposureRow, OutcomeRow, TotalRow))


def histograms(
    session: Session, rollout_id: int, metric_version_id: int, definition: Definition
) -> dict[int, Histogram]:
    """How many uncrossed units have which number, by variation.

    Units without an outcome count as 0, but where an average is asked for they have none.
    """
    x = settled(definition)
    query = (
        members(select(_exposures.c.variation, x, func.count()), rollout_id)
        .select_from(with_totals(metric_version_id))
        .group_by(_exposures.c.variation, x)
    )
    if definition.aggregation.has_denominator:
        query = query.where(_totals.c.y > 0)
    return counted(streamed(session, query))


def counted(batches: Iterable[Sequence[Any]]) -> dict[int, Histogram]:
    """Histograms by variation, from rows of variation, value and how many have it."""
    variations, values, counts = columns(batches, "qdq")
    return {
        int(variation): Histogram.merged(
            values[variations == variation], counts[variations == variation]
        )
        for variation in np.unique(variations)
    }


def streamed(session: Session, query: Select[Any]) -> Iterator[Sequence[Any]]:
    """A query's rows in batches: never more than some thousand in memory."""
    yield from session.execute(query, execution_options={"yield_per": AT_ONCE}).partitions()


def columns(batches: Iterable[Sequence[Any]], kinds: str) -> list[npt.NDArray[Any]]:
    """Rows as one array for each column, by the letters of `array`: d for floats, q for integers."""
    held = [array(kind) for kind in kinds]
    for batch in batches:
        for column, more in zip(held, zip(*batch, strict=True), strict=True):
            column.extend(more)
    return [np.array(column) for column in held]


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
    end_us = to_us(data_end) if data_end is not None else 0
    rows = _first_events(session, rollout_id, environment_id, definition)
    variations, first_us, event_us = columns(rows, "qqq")
    watched = np.maximum(end_us - first_us, 0)
    if definition.window is not None:
        watched = np.minimum(watched, definition.window // MICROSECOND)
    took = event_us - first_us
    is_seen = (event_us != NEVER) & (took <= watched)
    seconds = np.where(is_seen, took, watched) / SECOND_US
    return {
        int(variation): Times(seconds[variations == variation], is_seen[variations == variation])
        for variation in np.unique(variations)
    }


def _first_events(
    session: Session, rollout_id: int, environment_id: int, definition: Definition
) -> Iterator[Sequence[Any]]:
    """Each unit's variation, first exposure, and when it first did what is meant after it."""
    own = happened(definition, definition.numerator, environment_id)
    seen = (_exposures.c.variation, _exposures.c.first_us)
    if not definition.numerator.filters:
        first = func.coalesce(func.min(_outcomes.c.at_us), NEVER)
        query = (
            members(select(*seen, first), rollout_id)
            .select_from(_exposures.outerjoin(_outcomes, own))
            # The whole key, so that both stores know the rest; in its order, so nothing is sorted.
            .group_by(_exposures.c.unit, _exposures.c.rollout_id)
        )
        yield from streamed(session, query)
        return
    found = _first_taken(session, rollout_id, definition, environment_id)
    for batch in streamed(session, members(select(_exposures.c.unit, *seen), rollout_id)):
        yield [(variation, at, found.get(unit, NEVER)) for unit, variation, at in batch]


def _first_taken(
    session: Session, rollout_id: int, definition: Definition, environment_id: int
) -> dict[int, int]:
    """The same where the events' own properties say whether they are meant, by unit."""
    own = happened(definition, definition.numerator, environment_id)
    query = members(
        select(_outcomes.c.unit, _outcomes.c.at_us, _outcomes.c.properties), rollout_id
    ).select_from(_exposures.join(_outcomes, own))
    found: dict[int, int] = {}
    for batch in streamed(session, query):
        for unit, at_us, properties in batch:
            is_earlier = at_us < found.get(unit, at_us + 1)
            if is_earlier and definition.numerator.passes(properties_of(properties)):
                found[unit] = at_us
    return found
