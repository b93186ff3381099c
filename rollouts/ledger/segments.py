"""Sums within segments, made from the units' totals when somebody asks."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Float, and_, case, cast, func, literal, select
from sqlalchemy.orm import Session

from analysis.histogram import Histogram
from analysis.summary import PairSummary
from rollouts.ledger.bulk import table_of
from rollouts.ledger.members import members, with_totals
from rollouts.ledger.store import ExposureRow, TotalRow, UnitSegmentRow
from rollouts.metrics.model import Aggregation, Definition

AT_ONCE = 10_000  # rows in memory while segments are read
NOT_SENT = "(not sent)"

_exposures, _totals, _segments = (table_of(row) for row in (ExposureRow, TotalRow, UnitSegmentRow))


@dataclass(frozen=True, slots=True)
class SegmentSums:
    """One metric's sums by (segment's value, variation)."""

    by_value: Mapping[tuple[str, int], PairSummary]

    @property
    def values(self) -> list[str]:
        """The values that any unit has, in order."""
        return sorted({value for value, _ in self.by_value})


def segment_sums(
    session: Session,
    rollout_id: int,
    attribute: str,
    metric_version_id: int,
    definition: Definition,
) -> SegmentSums:
    """One metric's sums within each value of an attribute; uncrossed units only."""
    x = settled(definition)
    y = denominator(definition)
    value = func.coalesce(_segments.c.value, NOT_SENT)
    sums = (func.sum(x), func.sum(y), func.sum(x * x), func.sum(y * y), func.sum(x * y))
    query = (
        members(select(value, _exposures.c.variation, func.count(), *sums), rollout_id)
        .select_from(with_totals(metric_version_id).outerjoin(_segments, _within(attribute)))
        .group_by(value, _exposures.c.variation)
    )
    return SegmentSums(
        {
            (held, variation): PairSummary(n, *(float(item) for item in rest))
            for held, variation, n, *rest in session.execute(query)
        }
    )


def segment_histograms(
    session: Session,
    rollout_id: int,
    attribute: str,
    metric_version_id: int,
    definition: Definition,
) -> dict[tuple[str, int], Histogram]:
    """How many uncrossed units have which number, by (attribute's value, variation)."""
    x, value = settled(definition), func.coalesce(_segments.c.value, NOT_SENT)
    cell = (value, _exposures.c.variation)
    query = (
        members(select(*cell, x, func.count()), rollout_id)
        .select_from(with_totals(metric_version_id).outerjoin(_segments, _within(attribute)))
        .group_by(*cell, x)
    )
    if definition.aggregation.has_denominator:
        query = query.where(_totals.c.y > 0)
    pairs: dict[tuple[str, int], tuple[array[float], array[int]]] = defaultdict(
        lambda: (array("d"), array("q"))
    )
    for batch in session.execute(query, execution_options={"yield_per": AT_ONCE}).partitions():
        for held, variation, number, n in batch:
            values, counts = pairs[held, variation]
            values.append(number)
            counts.append(n)
    return {
        key: Histogram.merged(np.array(values), np.array(counts))
        for key, (values, counts) in pairs.items()
    }


def _within(attribute: str) -> ColumnElement[bool]:
    return and_(
        _segments.c.unit == _exposures.c.unit,
        _segments.c.rollout_id == _exposures.c.rollout_id,
        _segments.c.attribute == attribute,
    )


def settled(definition: Definition) -> ColumnElement[Any]:
    """A unit's value as the ledger settles it: at most 1 for any, and never above the cap."""
    x: ColumnElement[Any] = func.coalesce(_totals.c.x, 0.0)
    if definition.aggregation is Aggregation.ANY:
        x = case((x > 0, 1.0), else_=0.0)
    if definition.aggregation is Aggregation.AVERAGE:
        x = case((_totals.c.y > 0, _totals.c.x / _totals.c.y), else_=0.0)
    if definition.cap is not None:
        x = case((x > definition.cap, definition.cap), else_=x)
    return cast(x, Float)


def denominator(definition: Definition) -> ColumnElement[Any]:
    """A unit's denominator: 1 for each, but of ratios and averages."""
    if definition.aggregation is Aggregation.RATIO:
        return cast(func.coalesce(_totals.c.y, 0.0), Float)
    if definition.aggregation is Aggregation.AVERAGE:
        return cast(case((_totals.c.y > 0, 1.0), else_=0.0), Float)
    return cast(literal(1.0), Float)
