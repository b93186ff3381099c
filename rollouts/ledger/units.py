"""What is stored of units: their standings, outcomes and totals, fetched for many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from rollouts.ingest.model import from_us
from rollouts.ledger.bulk import fetch_in, table_of
from rollouts.ledger.catalogue import Catalogue, Weighed
from rollouts.ledger.model import Standing, Total
from rollouts.ledger.store import ExposureRow, OutcomeRow, TotalRow
from rollouts.metrics.model import Outcome

_exposures, _outcomes, _totals = (table_of(row) for row in (ExposureRow, OutcomeRow, TotalRow))


def standings_of(session: Session, units: Collection[int]) -> dict[int, dict[int, Standing]]:
    """Where the units stand, by unit and rollout."""
    held: dict[int, dict[int, Standing]] = defaultdict(dict)
    query = select(
        _exposures.c.unit,
        _exposures.c.rollout_id,
        _exposures.c.variation,
        _exposures.c.stratum,
        _exposures.c.first_us,
        _exposures.c.is_crossed,
        _exposures.c.is_trusted,
    )
    for row in fetch_in(session, query, _exposures.c.unit, units):
        held[row.unit][row.rollout_id] = Standing(
            row.variation, row.stratum, row.first_us, row.is_crossed, row.is_trusted
        )
    return held


def exposed_after(
    session: Session, rollout_id: int, after: int | None, limit: int
) -> dict[int, Standing]:
    """The next units of a rollout behind one of them, in the order of their numbers."""
    query = (
        select(_exposures)
        .where(_exposures.c.rollout_id == rollout_id)
        .order_by(_exposures.c.unit)
        .limit(limit)
    )
    if after is not None:
        query = query.where(_exposures.c.unit > after)
    return {
        row.unit: Standing(row.variation, row.stratum, row.first_us, row.is_crossed, row.is_trusted)
        for row in session.execute(query)
    }


def totals_of(session: Session, units: Collection[int]) -> dict[tuple[int, int], dict[int, Total]]:
    """The units' totals, by (rollout, unit) and metric version."""
    held: dict[tuple[int, int], dict[int, Total]] = defaultdict(dict)
    for row in fetch_in(session, select(*_totals.c), _totals.c.unit, units):
        held[row.rollout_id, row.unit][row.metric_version_id] = (row.x, row.y)
    return held


def n_outcomes_of(session: Session, units: Iterable[int]) -> dict[int, int]:
    """How many outcomes are kept of each unit that has any."""
    query = select(_outcomes.c.unit, func.count().label("n")).group_by(_outcomes.c.unit)
    return {row.unit: row.n for row in fetch_in(session, query, _outcomes.c.unit, units)}


def outcomes_of(
    session: Session, units: Collection[int]
) -> dict[int, list[tuple[int, int, Outcome]]]:
    """The units' outcomes: (time, environment, outcome), by unit."""
    held: dict[int, list[tuple[int, int, Outcome]]] = defaultdict(list)
    for row in fetch_in(session, select(*_outcomes.c), _outcomes.c.unit, units):
        held[row.unit].append((row.at_us, row.environment_id, outcome_of(row)))
    return held


def outcome_of(row: Row[Any]) -> Outcome:
    """An outcome as metrics take it, from its row."""
    properties = properties_of(row.properties) or None
    return Outcome(row.name, from_us(row.at_us), row.value, row.channel, properties, row.is_trusted)


def properties_of(held: str) -> dict[str, Any]:
    """An outcome's properties, as they are stored."""
    return dict(msgspec.json.decode(held)) if held else {}


def weighed_of(
    session: Session, catalogue: Catalogue, units: Collection[int]
) -> dict[int, list[Weighed]]:
    """What the units' outcomes add to the metrics that want them, by unit."""
    return {
        unit: [
            weighed
            for at_us, environment_id, outcome in held
            if (weighed := catalogue.weigh(outcome, at_us, environment_id)) is not None
        ]
        for unit, held in outcomes_of(session, units).items()
    }
