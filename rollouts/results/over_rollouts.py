"""All ended rollouts on one metric together: what they usually do, and what was shipped did.

Every rollout whose evidence can be believed is learnt from, the withdrawn ones too: to leave them
out is how a sum of shipped effects comes to be too good.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

from analysis.effect import Scale, Undecided
from analysis.impact import Impact, cumulative_impact
from analysis.meta import Combined, random_effects
from analysis.shrinkage import Shrunken, Spread, shrink, spread
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.store import PlanRow, RolloutRow
from rollouts.metrics import service as metrics
from rollouts.metrics.codec import from_dict
from rollouts.metrics.model import Definition
from rollouts.metrics.store import MetricRow
from rollouts.results import store
from rollouts.results.in_units import InUnits, in_units
from rollouts.results.moved import NO_LOOK, USUAL_BAR, Moved, moved_of, scale_of

MOST = 1000  # ended rollouts that are learnt from, newest first
AT_ONCE = 100  # snapshots read together
KEPT = 2 * MOST
OTHER_DEFINITION = "it counted this metric by another definition"
ALONE = Undecided("fewer than two rollouts to learn from", needs="more finished rollouts")

_SEEN: WeakKeyDictionary[Any, OrderedDict[tuple[int, str], tuple[Moved, ...]]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rollouts: of one environment, and what of them is listed and added up: a period.

    since, until: days on which a rollout ended, both included.
    """

    environment: str = ""
    since: date | None = None
    until: date | None = None

    def takes(self, at: datetime) -> bool:
        """Whether the moment lies in the period."""
        day = at.date()
        return (self.since is None or self.since <= day) and (
            self.until is None or day <= self.until
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One past effect beside what is left of it once all others are known."""

    moved: Moved
    shrunken: Shrunken | None


@dataclass(frozen=True, slots=True)
class PastEffects:
    """What is known of one metric over rollouts.

    lines: believed and in the period, the last to end first. left_out: in the period, but not
    believed. n_learnt: rollouts' versions learnt from, in and out of the period.
    """

    key: str
    name: str
    definition: Definition
    scale: Scale
    wanted: Wanted
    lines: tuple[Line, ...]
    left_out: tuple[Moved, ...]
    n_learnt: int
    combined: Combined | Undecided
    spread: Spread | Undecided
    impact: Impact | Undecided
    units: InUnits | Undecided
    is_cut: bool

    @property
    def shipped(self) -> tuple[Moved, ...]:
        """What stayed, the last to end first."""
        return tuple(line.moved for line in self.lines if line.moved.is_shipped)


def past_effects(session: Session, key: str, wanted: Wanted | None = None) -> PastEffects:
    """One metric over all rollouts that ended. Raises NotFound."""
    row = metrics.get_metric(session, key)
    return effects_on(session, row, list_moved(session), wanted or Wanted())


def effects_on(
    session: Session, row: MetricRow, every: Sequence[Moved], wanted: Wanted
) -> PastEffects:
    """One metric of the catalogue, from what was read of all rollouts."""
    definition = metrics.get_version(session, row).to_domain()
    held = [
        _alike(item, definition)
        for item in every
        if item.metric == row.key and wanted.environment in ("", item.environment)
    ]
    known = [item for item in held if item.estimate is not None]
    estimates = [item.estimate for item in known if item.estimate is not None]
    pulled = shrink(estimates) if len(estimates) > 1 else [None] * len(estimates)
    lines = tuple(
        Line(item, to)
        for item, to in zip(known, pulled, strict=True)
        if wanted.takes(item.ended_at)
    )
    stayed = [item.is_shipped and wanted.takes(item.ended_at) for item in known]
    impact = cumulative_impact(
        estimates, stayed, better=-definition.harm_sign, bars=[item.bar for item in known]
    )
    shipped = [item for item, is_in in zip(known, stayed, strict=True) if is_in]
    return PastEffects(
        key=row.key,
        name=row.name,
        definition=definition,
        scale=scale_of(definition),
        wanted=wanted,
        lines=lines,
        left_out=tuple(i for i in held if i.estimate is None and wanted.takes(i.ended_at)),
        n_learnt=len(known),
        combined=random_effects(estimates),
        spread=spread(estimates) if len(estimates) > 1 else ALONE,
        impact=impact,
        units=in_units(session, definition, shipped, impact),
        is_cut=len({item.rollout for item in every}) >= MOST,
    )


def _alike(item: Moved, definition: Definition) -> Moved:
    """The same, left out where it counted something else than the metric counts now."""
    if _counted(item.definition) == _counted(definition):
        return item
    return replace(item, estimate=None, why_not=OTHER_DEFINITION)


def _counted(definition: Definition) -> Definition:
    """The definition without what changes no effect."""
    return replace(definition, harm_unit="", pre_period=None)


def list_moved(session: Session) -> tuple[Moved, ...]:
    """What every ended rollout did to every metric of its plan, the last to end first.

    A last snapshot never changes, so what was read of it once is kept in memory.
    """
    seen = _SEEN.setdefault(session.get_bind(), OrderedDict())
    rows = lifecycle.list_ended(session, limit=MOST)
    newest = store.list_latest_ids(session, [row.id for row in rows])
    named = [(row, (row.id, newest.get(row.id, ""))) for row in rows]
    unread = [(row, name) for row, name in named if name not in seen]
    for start in range(0, len(unread), AT_ONCE):
        _read(session, unread[start : start + AT_ONCE], seen)
    found = tuple(item for _, name in named for item in seen.get(name, ()))
    while len(seen) > KEPT:
        seen.popitem(last=False)
    return found


def _read(
    session: Session,
    some: Iterable[tuple[RolloutRow, tuple[int, str]]],
    seen: OrderedDict[tuple[int, str], tuple[Moved, ...]],
) -> None:
    held = list(some)
    ids = [row.id for row, _ in held]
    plans, snapshots = lifecycle.list_plans_of(session, ids), store.list_latest(session, ids)
    for row, name in held:
        definitions = _definitions(plans.get(row.id, []))
        snapshot = snapshots.get(row.id)
        if snapshot is None:
            seen[name] = tuple(_unseen(row, key, item) for key, item in definitions.items())
        else:
            body = _ended(snapshot.body, row)
            seen[name] = tuple(moved_of(body, definitions))


def _ended(body: Mapping[str, Any], row: RolloutRow) -> dict[str, Any]:
    """The last body with how it ended: what a person did after the last look stands in the row."""
    ended = row.ended_at.isoformat() if row.ended_at else None
    return {**body, "rollout": {**body["rollout"], "state": row.state.value, "ended_at": ended}}


def _definitions(plans: Sequence[PlanRow]) -> dict[str, Definition]:
    if not plans:
        return {}
    return {item["key"]: from_dict(item["definition"]) for item in plans[-1].body["metrics"]}


def _unseen(row: RolloutRow, key: str, definition: Definition) -> Moved:
    assert row.ended_at is not None  # or it would not be among those that ended
    return Moved(
        rollout=row.key,
        name=row.name,
        environment=row.environment_key,
        state=row.state.value,
        arm="",
        arm_name="",
        metric=key,
        definition=definition,
        snapshot="",
        ended_at=row.ended_at,
        is_shipped=False,
        role="",
        estimate=None,
        bar=USUAL_BAR,
        level=None,
        units=0,
        grade="",
        why_not=NO_LOOK,
    )
