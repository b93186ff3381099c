"""What shipped changes are worth in the customer's own units: contacts, orders, minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from analysis.effect import Scale, Undecided
from analysis.impact import Impact
from rollouts.lifecycle import service as lifecycle
from rollouts.metrics.model import Definition, Statistic
from rollouts.results.baselines import customers_per_day
from rollouts.results.moved import Moved

PER = 1000  # customers


@dataclass(frozen=True, slots=True)
class InUnits:
    """A total for so many customers, after shrinkage, with its interval; and as it was claimed.

    unit: what the metric's numbers are called. level: per customer before the first of the
    changes, None for values that are added as they are. per_day: customers a day as in the last
    shipped rollout, None where it was too short to tell. level_from, traffic_from: rollouts.
    """

    unit: str
    total: float
    low: float
    high: float
    claimed: float
    level: float | None
    level_from: str
    per_day: float | None
    traffic_from: str

    def a_day(self, value: float) -> float | None:
        """One of the totals as so many a day, where it is known how many customers come."""
        return None if self.per_day is None else value / PER * self.per_day


def in_units(
    session: Session, definition: Definition, shipped: Sequence[Moved], impact: Impact | Undecided
) -> InUnits | Undecided:
    """The total in the metric's units. shipped: the last to end first."""
    if isinstance(impact, Undecided):
        return impact
    if definition.statistic is not Statistic.MEAN or definition.aggregation.has_denominator:
        return Undecided("this metric's numbers cannot be added up over customers")
    first = shipped[-1]
    if impact.scale is Scale.RELATIVE and not first.level:
        return Undecided("the level before the first shipped change is not known")
    times = PER * (first.level or 0.0) if impact.scale is Scale.RELATIVE else float(PER)
    return InUnits(
        unit=definition.harm_unit,
        total=impact.total * times,
        low=impact.low * times,
        high=impact.high * times,
        claimed=impact.claimed * times,
        level=first.level if impact.scale is Scale.RELATIVE else None,
        level_from=first.name,
        per_day=_traffic(session, shipped[0]),
        traffic_from=shipped[0].name,
    )


def _traffic(session: Session, last: Moved) -> float | None:
    row = lifecycle.get_rollout(session, last.rollout)
    cuts = lifecycle.list_allocations_of(session, [row.id]).get(row.id, [])
    return customers_per_day(cuts, last.ended_at, last.units)
