"""What units did before they were first exposed, beside what they did after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, case, cast, func, literal, select
from sqlalchemy.orm import Session

from analysis.summary import PairSummary
from rollouts.ingest.model import MICROSECOND
from rollouts.ledger.bulk import table_of
from rollouts.ledger.catalogue import CountedMetric
from rollouts.ledger.members import is_plain, members, with_totals
from rollouts.ledger.model import NO_TOTAL
from rollouts.ledger.segments import settled
from rollouts.ledger.store import ExposureRow, OutcomeRow, TotalRow
from rollouts.ledger.units import outcome_of
from rollouts.lifecycle.measured import MeasuredMetric
from rollouts.metrics.model import Aggregation, Definition

_exposures, _outcomes, _totals = (table_of(row) for row in (ExposureRow, OutcomeRow, TotalRow))


def before_and_after(
    session: Session, rollout_id: int, environment_id: int, metric: MeasuredMetric
) -> dict[int, PairSummary]:
    """Per variation: sums of (after, before) over its uncrossed units, products included.

    Before is the same metric in the `pre_period` that ended with the unit's first exposure, so
    nothing of it can have been caused by the rollout. Units without outcomes count as 0.
    Empty for a metric without such a period.
    """
    if metric.definition.pre_period is None:
        return {}
    if is_plain(metric.definition.numerator):
        return _in_sql(session, rollout_id, environment_id, metric)
    return _one_by_one(session, rollout_id, environment_id, metric)


def _in_sql(
    session: Session, rollout_id: int, environment_id: int, metric: MeasuredMetric
) -> dict[int, PairSummary]:
    definition = metric.definition
    part = _part(definition)
    earlier = (
        _earlier(
            select(_exposures.c.unit, func.sum(part).label("total")),
            rollout_id,
            environment_id,
            definition,
        )
        .group_by(_exposures.c.unit)
        .subquery()
    )
    before = _settled(func.coalesce(earlier.c.total, 0.0), definition)
    after = settled(definition)
    sums = (
        func.sum(after),
        func.sum(before),
        func.sum(after * after),
        func.sum(before * before),
        func.sum(after * before),
    )
    query = (
        members(select(_exposures.c.variation, func.count(), *sums), rollout_id)
        .select_from(
            with_totals(metric.metric_version_id).outerjoin(
                earlier, earlier.c.unit == _exposures.c.unit
            )
        )
        .group_by(_exposures.c.variation)
    )
    return {
        variation: PairSummary(n, *(float(item) for item in rest))
        for variation, n, *rest in session.execute(query)
    }


def _part(definition: Definition) -> ColumnElement[Any]:
    """What one outcome adds, as the ledger's own arithmetic has it."""
    if definition.aggregation is not Aggregation.SUM:
        return cast(literal(1.0), Float)
    value = func.coalesce(_outcomes.c.value, 0.0)
    if definition.allow_negative:
        return value
    return case((value > 0, value), else_=0.0)


def _settled(total: ColumnElement[Any], definition: Definition) -> ColumnElement[Any]:
    if definition.aggregation is Aggregation.ANY:
        total = case((total > 0, 1.0), else_=0.0)
    if definition.cap is not None:
        total = case((total > definition.cap, definition.cap), else_=total)
    return cast(total, Float)


def _earlier(
    query: Select[Any], rollout_id: int, environment_id: int, definition: Definition
) -> Select[Any]:
    """The outcomes of a metric's event in the time before each unit's first exposure."""
    assert definition.pre_period is not None
    span_us = definition.pre_period // MICROSECOND
    query = (
        members(query, rollout_id)
        .select_from(_exposures.join(_outcomes, _outcomes.c.unit == _exposures.c.unit))
        .where(_outcomes.c.at_us < _exposures.c.first_us)
        .where(_outcomes.c.at_us >= _exposures.c.first_us - span_us)
        .where(_outcomes.c.name == definition.numerator.event)
        .where(_outcomes.c.environment_id.in_((0, environment_id)))
    )
    if definition.numerator.channels:
        query = query.where(_outcomes.c.channel.in_(definition.numerator.channels))
    if not definition.allow_untrusted:
        query = query.where(_outcomes.c.is_trusted.is_(True))
    return query


def _one_by_one(
    session: Session, rollout_id: int, environment_id: int, metric: MeasuredMetric
) -> dict[int, PairSummary]:
    counted = CountedMetric.of(metric)
    totals: dict[int, float] = defaultdict(float)
    for row in session.execute(
        _earlier(select(_outcomes), rollout_id, environment_id, metric.definition)
    ):
        totals[row.unit] += counted.part_of(outcome_of(row))[0]
    before = {unit: counted.settle((total, 0.0))[0] for unit, total in totals.items()}
    return _paired(session, rollout_id, counted, before)


def _paired(
    session: Session, rollout_id: int, counted: CountedMetric, before: Mapping[int, float]
) -> dict[int, PairSummary]:
    query = members(
        select(_exposures.c.unit, _exposures.c.variation, _totals.c.x), rollout_id
    ).select_from(with_totals(counted.id))
    pairs: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for unit, variation, x in session.execute(query):
        after = counted.settle((x, 0.0) if x is not None else NO_TOTAL)[0]
        pairs[variation].append((after, before.get(unit, 0.0)))
    return {
        variation: PairSummary.of([x for x, _ in held], [y for _, y in held])
        for variation, held in pairs.items()
    }
