"""A rollout's uncrossed units with their totals and outcomes, as queries take them.

They are read in the order of their numbers, in which all three tables lie: at many units that
takes a fraction of the time that jumping about takes.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, FromClause, Select, and_

from rollouts.ingest.model import MICROSECOND
from rollouts.ledger.bulk import table_of
from rollouts.ledger.store import ExposureRow, OutcomeRow, TotalRow
from rollouts.metrics.model import Definition, Selector

Query = TypeVar("Query", bound=Select[Any])

_exposures, _outcomes, _totals = (table_of(row) for row in (ExposureRow, OutcomeRow, TotalRow))


def with_totals(metric_version_id: int) -> FromClause:
    """Exposures beside the units' totals of one metric; units without one have none."""
    total = and_(
        _totals.c.unit == _exposures.c.unit,
        _totals.c.rollout_id == _exposures.c.rollout_id,
        _totals.c.metric_version_id == metric_version_id,
    )
    return _exposures.outerjoin(_totals, total)


def members(query: Query, rollout_id: int) -> Query:
    """Of a query over exposures: those of one rollout that are in no quarantine."""
    return query.where(_exposures.c.rollout_id == rollout_id, _exposures.c.is_crossed.is_(False))


def happened(
    definition: Definition, selector: Selector, environment_id: int
) -> ColumnElement[bool]:
    """What makes an outcome one of a unit's own that `selector` means, by columns alone.

    At or after the unit's first exposure, within the window, from whom the definition trusts.
    Filters are JSON, which the stores read apart: see `is_plain`.
    """
    parts: list[ColumnElement[bool]] = [
        _outcomes.c.unit == _exposures.c.unit,
        _outcomes.c.at_us >= _exposures.c.first_us,
        _outcomes.c.name == selector.event,
        _outcomes.c.environment_id.in_((0, environment_id)),
    ]
    if definition.window is not None:
        span_us = definition.window // MICROSECOND
        parts.append(_outcomes.c.at_us < _exposures.c.first_us + span_us)
    if selector.channels:
        parts.append(_outcomes.c.channel.in_(selector.channels))
    if not definition.allow_untrusted:
        parts.append(_outcomes.c.is_trusted.is_(True))
    return and_(*parts)


def is_plain(selector: Selector) -> bool:
    """Whether columns alone say what counts, and which number it carries."""
    return not selector.filters and not selector.value_property
