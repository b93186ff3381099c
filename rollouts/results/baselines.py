"""How customers are today, as earlier rollouts measured it on those who kept the old version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy.orm import Session

from analysis.summary import PairSummary
from rollouts.ledger import service as ledger
from rollouts.ledger.model import Sums
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.course import A_DAY
from rollouts.lifecycle.forecast import Baseline
from rollouts.lifecycle.plan import Draft
from rollouts.lifecycle.store import AllocationRow, RolloutRow
from rollouts.metrics.model import Definition, Statistic

LEAST_UNITS = 100  # of control; from fewer nobody should plan
MOST_LOOKED_AT = 50  # earlier rollouts, newest first
LEAST_DAYS = 1.0  # of a rollout that tells how many customers come on a day


@dataclass(frozen=True, slots=True)
class Past:
    """One earlier rollout that randomised the same unit in the same environment."""

    row: RolloutRow
    draft: Draft
    sums: Sums

    @property
    def control(self) -> int:
        """Place of the version that everybody has without the rollout."""
        return [item.key for item in self.draft.variations].index(self.draft.control)


@dataclass(frozen=True, slots=True)
class Traffic:
    """New eligible customers on a day, and where that is known from."""

    customers_per_day: float
    source: str


def list_past(session: Session, row: RolloutRow, draft: Draft) -> Iterator[Past]:
    """Earlier rollouts on the same unit in the same environment, newest first."""
    measured = [
        item
        for item in lifecycle.list_started(session, limit=MOST_LOOKED_AT)
        if item.id != row.id and item.environment_key == draft.environment
    ]
    for item in measured:
        earlier = lifecycle.current_draft(session, item)
        if earlier.unit == draft.unit:
            yield Past(item, earlier, ledger.sums(session, item.id))


def baseline_in(past: Past, version_id: int, definition: Definition) -> Baseline | None:
    """The level of control's customers in this rollout; None if it was not counted there."""
    cells = [
        held
        for (version, variation, _), held in past.sums.by_metric.items()
        if version == version_id and variation == past.control
    ]
    total = sum(cells, PairSummary())
    if total.n < LEAST_UNITS or total.x_total <= 0:
        return None
    source = f"control of {past.row.name}"
    if definition.statistic is not Statistic.MEAN:
        return None  # the sums of such a metric are not what is compared
    if definition.aggregation.has_denominator:
        return _of_ratio(total, source)
    mean = total.x_total / total.n
    variance = max(total.xx - total.x_total * mean, 0.0) / (total.n - 1)
    return Baseline(mean, variance / mean or None, source=source, units=total.n)


def _of_ratio(total: PairSummary, source: str) -> Baseline | None:
    if total.y_total <= 0:
        return None
    mean = total.x_total / total.y_total
    squares = total.xx - 2 * mean * total.xy + mean * mean * total.yy
    variance = max(squares, 0.0) * total.n / (total.n - 1) / total.y_total
    return Baseline(
        mean,
        variance / mean or None,
        per_unit=total.y_total / total.n,
        source=source,
        units=total.n,
    )


def traffic_in(session: Session, past: Past, draft: Draft, now: datetime) -> Traffic | None:
    """How many new customers came on a day, had the rollout been for all whom it concerned.

    None for another audience, or for a rollout too short to tell a day from a night.
    """
    if past.draft.condition != draft.condition or not past.sums.units:
        return None
    cuts = lifecycle.list_allocations_of(session, [past.row.id]).get(past.row.id, [])
    end = past.row.ended_at or past.sums.data_at or now
    per_day = customers_per_day(cuts, end, sum(past.sums.units.values()))
    return None if per_day is None else Traffic(per_day, f"as in {past.row.name}")


def customers_per_day(cuts: Sequence[AllocationRow], end: datetime, units: int) -> float | None:
    """New customers on a day, had all been eligible; None where less than a day tells of it."""
    moments = [cut.at for cut in cuts] + [end]
    days = [max((later - sooner) / A_DAY, 0.0) for sooner, later in pairwise(moments)]
    weighed = sum(cut.share * length for cut, length in zip(cuts, days, strict=True))
    if sum(days) < LEAST_DAYS or weighed <= 0 or not units:
        return None
    return units / weighed
