"""Which units are alike by attributes that were sent with their exposure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, func, select
from sqlalchemy.orm import Session

from rollouts.ledger.bulk import table_of
from rollouts.ledger.segments import NOT_SENT
from rollouts.ledger.store import ExposureRow, UnitSegmentRow

Values = tuple[str, ...]  # of the attributes, in the order asked for

_exposures, _segments = table_of(ExposureRow), table_of(UnitSegmentRow)


def joined(
    source: FromClause, attributes: Sequence[str]
) -> tuple[FromClause, list[ColumnElement[Any]]]:
    """Exposures joined with their units' values, and a column for each attribute."""
    columns: list[ColumnElement[Any]] = []
    for place, attribute in enumerate(attributes):
        held = _segments.alias(f"by{place}")
        source = source.outerjoin(
            held,
            and_(
                held.c.unit == _exposures.c.unit,
                held.c.rollout_id == _exposures.c.rollout_id,
                held.c.attribute == attribute,
            ),
        )
        columns.append(func.coalesce(held.c.value, NOT_SENT))
    return source, columns


def values_of_units(
    session: Session, rollout_id: int, attributes: Sequence[str]
) -> dict[int, Values]:
    """Every unit's values; for what is read unit by unit."""
    if not attributes:
        return {}
    source, columns = joined(_exposures, attributes)
    query = (
        select(_exposures.c.unit, *columns)
        .select_from(source)
        .where(_exposures.c.rollout_id == rollout_id)
    )
    return {unit: tuple(values) for unit, *values in session.execute(query)}
