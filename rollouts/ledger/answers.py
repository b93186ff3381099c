"""Every event's own value, the unit as cluster; and who was asked for one at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from analysis.quantile import Clustered
from analysis.rows import Events
from rollouts.ledger.bulk import table_of
from rollouts.ledger.distributions import columns, streamed
from rollouts.ledger.members import happened, is_plain, members, with_totals
from rollouts.ledger.store import ExposureRow, OutcomeRow, TotalRow
from rollouts.ledger.units import properties_of
from rollouts.metrics.model import Definition

_exposures, _outcomes, _totals = (table_of(row) for row in (ExposureRow, OutcomeRow, TotalRow))


def events_of(
    session: Session, rollout_id: int, environment_id: int, definition: Definition
) -> dict[int, Clustered]:
    """By variation: how many events have which value, and how each unit's lie about the quantile."""
    rows = _values(session, rollout_id, environment_id, definition)
    variations, units, values = columns(rows, "qqd")
    found = {}
    for variation in np.unique(variations):
        mine = variations == variation
        order = np.argsort(values[mine], kind="stable")
        events = Events(values[mine][order], units[mine][order])
        found[int(variation)] = Clustered.of(events, definition.quantile)
    return found


def _values(
    session: Session, rollout_id: int, environment_id: int, definition: Definition
) -> Iterator[Sequence[Any]]:
    """Variation, unit and value of each event that counts."""
    selector, own = definition.numerator, happened(definition, definition.numerator, environment_id)
    row = (_exposures.c.variation, _exposures.c.unit, _outcomes.c.value)
    if is_plain(selector):
        query = members(select(*row), rollout_id).select_from(_exposures.join(_outcomes, own))
        query = query.where(_outcomes.c.value.is_not(None))
        if not definition.allow_negative:
            query = query.where(_outcomes.c.value >= 0)
        yield from streamed(session, query)
        return
    apart = members(select(*row, _outcomes.c.properties), rollout_id).select_from(
        _exposures.join(_outcomes, own)
    )
    for batch in streamed(session, apart):
        told = ((v, unit, value, properties_of(held)) for v, unit, value, held in batch)
        meant = (
            (v, unit, selector.number_in(value, held))
            for v, unit, value, held in told
            if selector.passes(held)
        )
        kept = [item for item in meant if _counts(item[2], definition)]
        if kept:
            yield kept


def _counts(number: float | None, definition: Definition) -> bool:
    return number is not None and (number >= 0 or definition.allow_negative)


def asked(
    session: Session,
    rollout_id: int,
    environment_id: int,
    metric_version_id: int,
    definition: Definition,
) -> dict[int, int]:
    """Uncrossed units that were asked, by variation; whoever answered was asked.

    Empty for a metric that does not say who was.
    """
    if definition.survey is None or definition.survey.asked is None:
        return {}
    selector = definition.survey.asked
    own = happened(definition, selector, environment_id)
    if not selector.filters:
        query = (
            members(select(_exposures.c.variation, func.count().label("n")), rollout_id)
            .select_from(with_totals(metric_version_id))
            .where(or_(_totals.c.y > 0, exists(select(1).select_from(_outcomes).where(own))))
            .group_by(_exposures.c.variation)
        )
        return {row.variation: row.n for row in session.execute(query)}
    query = members(
        select(_exposures.c.unit, _exposures.c.variation, _outcomes.c.properties), rollout_id
    ).select_from(_exposures.join(_outcomes, own))
    sent = {
        unit: variation
        for batch in streamed(session, query)
        for unit, variation, held in batch
        if selector.passes(properties_of(held))
    }
    answered = (
        members(select(_exposures.c.unit, _exposures.c.variation), rollout_id)
        .select_from(with_totals(metric_version_id))
        .where(_totals.c.y > 0)
    )
    for batch in streamed(session, answered):
        sent |= dict(batch)
    return dict(Counter(sent.values()))
