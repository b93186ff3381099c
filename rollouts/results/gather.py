"""What a look works on, from the store: the plan's metrics with all that was counted for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.orm import Session

from analysis.summary import PairSummary
from rollouts.ledger import service as ledger
from rollouts.ledger.service import Sums
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.measured import MeasuredMetric
from rollouts.lifecycle.plan import Draft
from rollouts.lifecycle.store import PlanRow, RolloutRow
from rollouts.metrics.codec import from_dict
from rollouts.metrics.model import Per, Statistic
from rollouts.results import kept as kept_sums
from rollouts.results import kinds, store
from rollouts.results.cutting import cut_metric, cut_sums
from rollouts.results.kept import Kept
from rollouts.results.strata import Cell, Counted
from rollouts.results.work import DAY, Measuring, MetricInPlan, Pace

STRETCHES = 28  # of the time before a silence, where the same time of earlier days is not known
WEEK = 7
LEAST_AGE = 2 * DAY  # of a rollout whose last days are told apart
Found = TypeVar("Found")


def work_of(
    session: Session,
    row: RolloutRow,
    plan: PlanRow,
    draft: Draft,
    sums: Sums,
    kind: str,
    now: datetime,
) -> Measuring:
    """All that one look needs; what is read unit by unit is asked for only when it is wanted."""
    states = store.load_states(session, row.id)
    declared = [
        MetricInPlan(
            item["key"], item["name"], item["metric_version_id"], from_dict(item["definition"])
        )
        for item in plan.body["metrics"]
    ]
    metrics = {item.key: cut_metric(session, row.id, item, states) for item in declared}
    counted = {
        key: Counted(sums.units, cut_sums(session, row.id, metric) or _kept_sums(sums, metric))
        for key, metric in metrics.items()
    }
    last = {
        key: sums.last_event_at[metric.version_id]
        for key, metric in metrics.items()
        if metric.version_id in sums.last_event_at
    }
    allocations = lifecycle.list_allocations_of(session, [row.id]).get(row.id, [])
    began_at = allocations[-1].at if allocations else now
    kept = Kept(
        states.setdefault(kept_sums.STATE, {}), sum(sums.units.values()), now, kind == "final"
    )
    recent = _recent(row, now)
    return Measuring(
        draft=draft,
        metrics=metrics,
        counted=counted,
        last_event_at=last,
        shares_by_stratum={place: item.share for place, item in enumerate(allocations)},
        is_deadline=draft.deadline is not None and now >= draft.deadline,
        pace=_pace(row, draft, sums, len(allocations) - 1, began_at, now),
        units=_once(lambda metric: _units_of(session, row, metric, sums.data_at)),
        asked=_once(lambda metric: _asked(session, row, metric, kept)),
        matured=_once(lambda metric: _matured(session, row, metric, sums.data_at, kept)),
        before=_once(lambda metric: _before(session, row, metric, kept)),
        crossed=lambda: _crossed(session, row, kept),
        by_day=lambda: _by_day(session, row, kept),
        by_strata=_once(lambda metric: _by_strata(session, row, draft, metric, kept)),
        lately=_once(lambda metric: _lately(session, row, metric, now, recent, kept)),
        extremes=_once(lambda metric: _extremes(session, row, metric, kept)),
        recent=recent,
        states=states,
    )


def volume(
    session: Session, row: RolloutRow, metric: MetricInPlan, last_at: datetime, lag: timedelta
) -> list[int] | None:
    """Earlier stretches as long as a silence: the same time of the last days, or else just before."""
    for stretches, every in ((WEEK, DAY), (STRETCHES, lag)):
        if lag <= every:
            found = ledger.volume_before(
                session,
                row.environment_id,
                metric.definition.events,
                until=last_at,
                length=lag,
                stretches=stretches,
                every=every,
            )
            if found is not None:
                return found
    return None


def _once(find: Callable[[MetricInPlan], Found]) -> Callable[[MetricInPlan], Found]:
    """Ask the store once for each metric, however many arms and checks want to know."""
    held: dict[str, Found] = {}

    def found(metric: MetricInPlan) -> Found:
        if metric.key not in held:
            held[metric.key] = find(metric)
        return held[metric.key]

    return found


def _kept_sums(sums: Sums, metric: MetricInPlan) -> dict[tuple[int, int], PairSummary]:
    """A metric's sums as the folder keeps them, by variation and stratum."""
    return {
        (variation, stratum): held
        for (version, variation, stratum), held in sums.by_metric.items()
        if version == metric.version_id
    }


def _units_of(
    session: Session, row: RolloutRow, metric: MetricInPlan, data_at: datetime | None
) -> Mapping[int, kinds.Counted]:
    definition = metric.definition
    if definition.statistic is Statistic.TIME:
        return ledger.times(session, row.id, row.environment_id, definition, data_at)
    if definition.per is Per.EVENT:
        return ledger.events_of(session, row.id, row.environment_id, definition)
    return ledger.histograms(session, row.id, metric.version_id, definition)


def _asked(session: Session, row: RolloutRow, metric: MetricInPlan, kept: Kept) -> dict[int, int]:
    """Kept for a while: then it is a little behind the answers, and who answered was asked."""

    def find() -> dict[tuple[int, int], PairSummary]:
        held = ledger.asked(
            session, row.id, row.environment_id, metric.version_id, metric.definition
        )
        return {(variation, 0): PairSummary(n) for variation, n in held.items()}

    cells = kept.get(f"asked/{metric.version_id}", find)
    return {variation: held.n for (variation, _), held in cells.items()}


def _before(
    session: Session, row: RolloutRow, metric: MetricInPlan, kept: Kept
) -> dict[int, PairSummary]:
    measured = MeasuredMetric(metric.version_id, metric.key, metric.definition)

    def find() -> dict[tuple[int, int], PairSummary]:
        held = ledger.before_and_after(session, row.id, row.environment_id, measured)
        return {(variation, 0): sums for variation, sums in held.items()}

    cells = kept.get(f"before/{metric.version_id}", find)
    return {variation: sums for (variation, _), sums in cells.items()}


def _by_strata(
    session: Session, row: RolloutRow, draft: Draft, metric: MetricInPlan, kept: Kept
) -> Mapping[Cell, PairSummary]:
    """Sums by (variation, kind of customer); kinds are numbered by their values' order."""
    measured = MeasuredMetric(metric.version_id, metric.key, metric.definition)

    def find() -> Mapping[Cell, PairSummary]:
        held = ledger.before_by_strata(
            session, row.id, row.environment_id, measured, draft.adjust_by
        )
        numbers = {values: n for n, values in enumerate(sorted({values for _, values in held}))}
        return {(variation, numbers[values]): sums for (variation, values), sums in held.items()}

    name = "/".join(["strata", str(metric.version_id), *draft.adjust_by])
    return kept.get(name, find)


def _recent(row: RolloutRow, now: datetime) -> timedelta | None:
    """The last days of a rollout: a quarter of it, at most a week; None in its first days."""
    if row.started_at is None or now - row.started_at < LEAST_AGE:
        return None
    return min(timedelta(days=(now - row.started_at) // (4 * DAY) or 1), WEEK * DAY)


def _lately(
    session: Session,
    row: RolloutRow,
    metric: MetricInPlan,
    now: datetime,
    recent: timedelta | None,
    kept: Kept,
) -> Counted:
    if recent is None:
        return Counted({}, {})
    since = now - recent
    cells = kept.get(
        f"lately/{metric.version_id}",
        lambda: ledger.sums_since(session, row.id, metric.version_id, metric.definition, since),
    )
    return Counted({cell: sums.n for cell, sums in cells.items()}, cells)


def _extremes(
    session: Session, row: RolloutRow, metric: MetricInPlan, kept: Kept
) -> dict[Cell, tuple[float, float]]:
    """Smallest and largest value; kept as the two sums of a summary."""

    def find() -> dict[Cell, PairSummary]:
        held = ledger.extreme_units(session, row.id, metric.version_id, metric.definition)
        return {cell: PairSummary(1, least, most) for cell, (least, most) in held.items()}

    cells = kept.get(f"extremes/{metric.version_id}", find)
    return {cell: (held.x_total, held.y_total) for cell, held in cells.items()}


def _by_day(session: Session, row: RolloutRow, kept: Kept) -> dict[Cell, int]:
    def find() -> dict[Cell, PairSummary]:
        return {cell: PairSummary(n) for cell, n in ledger.units_by_day(session, row.id).items()}

    return {cell: held.n for cell, held in kept.get("days", find).items()}


def _crossed(session: Session, row: RolloutRow, kept: Kept) -> dict[int, int]:
    def find() -> dict[tuple[int, int], PairSummary]:
        held = ledger.crossed_by_variation(session, row.id)
        return {(variation, 0): PairSummary(n) for variation, n in held.items()}

    return {variation: held.n for (variation, _), held in kept.get("crossed", find).items()}


def _matured(
    session: Session,
    row: RolloutRow,
    metric: MetricInPlan,
    data_at: datetime | None,
    kept: Kept,
) -> Counted:
    """The sums of customers whose window was complete when the data ended."""
    if data_at is None:
        return Counted({}, {})
    end_at = data_at
    cells = kept.get(
        f"matured/{metric.version_id}",
        lambda: ledger.matured_sums(session, row.id, metric.version_id, metric.definition, end_at),
    )
    return Counted({cell: sums.n for cell, sums in cells.items()}, cells)


def _pace(
    row: RolloutRow, draft: Draft, sums: Sums, stratum: int, began_at: datetime, now: datetime
) -> Pace:
    return Pace(
        units=sum(sums.units.values()),
        planned_units=draft.planned_units,
        lately=sum(n for (_, held), n in sums.units.items() if held == stratum),
        during=now - began_at,
        left=draft.deadline - now if draft.deadline is not None else None,
        growth=draft.ramp[-1].share / draft.ramp[row.stage].share,
    )
