"""What units did before they were first exposed, beside what they did after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    Subquery,
    case,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.orm import Session

from analysis.summary import PairSummary
from rollouts.ingest.model import MICROSECOND
from rollouts.ledger.bulk import table_of
from rollouts.ledger.catalogue import CountedMetric
from rollouts.ledger.members import is_plain, members, with_totals
from rollouts.ledger.model import NO_TOTAL
from rollouts.ledger.segments import settled
from rollouts.ledger.store import ExposureRow, OutcomeRow, TotalRow
from rollouts.ledger.strata import Values, joined, values_of_units
from rollouts.ledger.units import outcome_of
from rollouts.lifecycle.measured import MeasuredMetric
from rollouts.metrics.model import Aggregation, Definition

Stratified = tuple[int, Values]  # variation, and the units' values of some attributes

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
    held = before_by_strata(session, rollout_id, environment_id, metric, ())
    return {variation: sums for (variation, _), sums in held.items()}


def before_by_strata(
    session: Session,
    rollout_id: int,
    environment_id: int,
    metric: MeasuredMetric,
    attributes: Sequence[str],
) -> dict[Stratified, PairSummary]:
    """The same per variation and combination of values of these attributes of the units.

    Without a time before, before is 0 for all.
    """
    definition = metric.definition
    if definition.pre_period is None or is_plain(definition.numerator):
        return _in_sql(session, rollout_id, environment_id, metric, attributes)
    return _one_by_one(session, rollout_id, environment_id, metric, attributes)


def _in_sql(
    session: Session,
    rollout_id: int,
    environment_id: int,
    metric: MeasuredMetric,
    attributes: Sequence[str],
) -> dict[Stratified, PairSummary]:
    definition = metric.definition
    source, columns = joined(with_totals(metric.metric_version_id), attributes)
    before: ColumnElement[Any] = cast(literal(0.0), Float)
    if definition.pre_period is not None:
        earlier = _totals_before(rollout_id, environment_id, definition)
        source = source.outerjoin(earlier, earlier.c.unit == _exposures.c.unit)
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
        members(select(_exposures.c.variation, *columns, func.count(), *sums), rollout_id)
        .select_from(source)
        .group_by(_exposures.c.variation, *columns)
    )
    end = 1 + len(columns)
    return {
        (row[0], tuple(row[1:end])): PairSummary(row[end], *(float(x) for x in row[end + 1 :]))
        for row in session.execute(query)
    }


def _totals_before(rollout_id: int, environment_id: int, definition: Definition) -> Subquery:
    """What each unit that did anything before its exposure did then."""
    query = select(_exposures.c.unit, func.sum(_part(definition)).label("total"))
    found = _earlier(query, rollout_id, environment_id, definition)
    return found.group_by(_exposures.c.unit).subquery()


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
    session: Session,
    rollout_id: int,
    environment_id: int,
    metric: MeasuredMetric,
    attributes: Sequence[str],
) -> dict[Stratified, PairSummary]:
    counted = CountedMetric.of(metric)
    totals: dict[int, float] = defaultdict(float)
    for row in session.execute(
        _earlier(select(_outcomes), rollout_id, environment_id, metric.definition)
    ):
        totals[row.unit] += counted.part_of(outcome_of(row))[0]
    before = {unit: counted.settle((total, 0.0))[0] for unit, total in totals.items()}
    values = values_of_units(session, rollout_id, attributes)
    return _paired(session, rollout_id, counted, before, values)


def _paired(
    session: Session,
    rollout_id: int,
    counted: CountedMetric,
    before: Mapping[int, float],
    values: Mapping[int, Values],
) -> dict[Stratified, PairSummary]:
    query = members(
        select(_exposures.c.unit, _exposures.c.variation, _totals.c.x), rollout_id
    ).select_from(with_totals(counted.id))
    pairs: dict[Stratified, list[tuple[float, float]]] = defaultdict(list)
    for unit, variation, x in session.execute(query):
        after = counted.settle((x, 0.0) if x is not None else NO_TOTAL)[0]
        pairs[variation, values.get(unit, ())].append((after, before.get(unit, 0.0)))
    return {
        cell: PairSummary.of([x for x, _ in held], [y for _, y in held])
        for cell, held in pairs.items()
    }
