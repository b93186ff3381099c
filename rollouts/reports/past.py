"""What rollouts did to a metric, and what shipped changes did together, as pages show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from markupsafe import Markup
from sqlalchemy.orm import Session

from analysis.effect import Scale, Undecided
from analysis.impact import Impact
from analysis.meta import Combined
from rollouts.flags import service as flags
from rollouts.metrics import service as metrics
from rollouts.reports import past_charts, past_words
from rollouts.reports.bars import Axis, Plot
from rollouts.reports.past_words import Ends
from rollouts.results import past_words as words
from rollouts.results.in_units import InUnits
from rollouts.results.moved import Moved
from rollouts.results.over_rollouts import (
    Line,
    PastEffects,
    Wanted,
    effects_on,
    list_moved,
    past_effects,
)
from rollouts.web import formatting as say

if TYPE_CHECKING:
    from rollouts.flags.environment_store import EnvironmentRow

PAGE = 25


@dataclass(frozen=True, slots=True)
class Told:
    """One effect in words, and its place."""

    text: str
    interval: str
    plot: Plot
    state: str = "plain"  # history is no finding


@dataclass(frozen=True, slots=True)
class PastRow:
    """One version of one ended rollout."""

    key: str
    name: str
    arm: str
    state: str
    is_shipped: bool
    ended_at: datetime
    units: int
    environment: str
    grade: str
    seen: Told | None
    pulled: Told | None
    kept: float | None
    why_not: str


@dataclass(frozen=True, slots=True)
class SumRow:
    """The shipped effects together, in one way of adding them up."""

    name: str
    note: str
    told: Told


@dataclass(frozen=True, slots=True)
class Sums:
    """All ways, on one axis, and the same in the customer's units."""

    rows: tuple[SumRow, ...]
    by_rule: str
    units: tuple[str, ...]
    why_no_units: str

    @property
    def axis(self) -> Axis:
        """The axis that the bars share."""
        return past_words.axis_of([row.told.plot for row in self.rows])


@dataclass(frozen=True, slots=True)
class PastPage:
    """One metric over all rollouts that ended."""

    past: PastEffects
    sums: Sums | None
    rows: tuple[PastRow, ...]
    n_found: int
    next_after: str | None
    picture: Mapping[str, Markup]
    environments: Sequence[EnvironmentRow]

    @property
    def why_no_sum(self) -> str:
        """Why shipped changes are not added up."""
        return _reason(self.past.impact)

    @property
    def usual(self) -> tuple[tuple[str, str], ...]:
        """What rollouts usually do, in named facts; empty where it is not known."""
        return tuple(_usual(self.past))

    @property
    def why_not_usual(self) -> str:
        """Why that is not known."""
        return _reason(self.past.combined)

    @property
    def notes(self) -> Sequence[str]:
        """What the figures take for granted."""
        return words.notes(self.past)


def get_past(
    session: Session, key: str, wanted: Wanted, *, search: str, after: str | None
) -> PastPage:
    """One metric. Raises NotFound."""
    past = past_effects(session, key, wanted)
    every: list[Line | Moved] = [*past.lines, *past.left_out]
    found = [item for item in every if search.casefold() in _names(item)]
    places = [_moved(item).place for item in found]
    start = places.index(after) + 1 if after in places else 0
    shown = found[start : start + PAGE]
    return PastPage(
        past=past,
        sums=sums_of(past),
        rows=tuple(row_of(past, item) for item in shown),
        n_found=len(found),
        next_after=_moved(shown[-1]).place if start + PAGE < len(found) else None,
        picture=past_charts.forest(past),
        environments=flags.list_environments(session),
    )


def _moved(item: Line | Moved) -> Moved:
    return item.moved if isinstance(item, Line) else item


def _names(item: Line | Moved) -> str:
    moved = _moved(item)
    return f"{moved.rollout}\n{moved.name}".casefold()


def row_of(past: PastEffects, item: Line | Moved) -> PastRow:
    """One past effect, or why it is left out."""
    moved = _moved(item)
    pulled = item.shrunken if isinstance(item, Line) else None
    return PastRow(
        key=moved.rollout,
        name=moved.name,
        arm=moved.arm_name or moved.arm,
        state=moved.state,
        is_shipped=moved.is_shipped,
        ended_at=moved.ended_at,
        units=moved.units,
        environment=moved.environment,
        grade=moved.grade,
        seen=_told(past, words.seen(moved)),
        pulled=_told(past, (pulled.value, pulled.low, pulled.high)) if pulled else None,
        kept=pulled.kept if pulled else None,
        why_not=moved.why_not,
    )


def _told(past: PastEffects, ends: Ends | None) -> Told | None:
    if ends is None:
        return None
    value, low, high = ends
    return Told(
        past_words.told(past.scale, value),
        past_words.span(past.scale, low, high),
        past_words.plot_of(ends, past.definition.harm_sign),
    )


def sums_of(past: PastEffects) -> Sums | None:
    """The shipped effects added up; None where there is no honest sum."""
    found = past.impact
    if isinstance(found, Undecided):
        return None
    told = (
        ("Without luck", "each drawn towards what rollouts usually do", _total(found)),
        ("As each was seen", "the plain sum, which choosing made too good", _claimed(found)),
    )
    rows = [
        SumRow(name, note, held)
        for name, note, ends in told
        if (held := _told(past, ends)) is not None
    ]
    return Sums(
        rows=tuple(rows),
        by_rule=past_words.told(past.scale, found.debiased),
        units=tuple(words.in_units_words(past)),
        why_no_units="" if isinstance(past.units, InUnits) else _reason(past.units),
    )


def _total(found: Impact) -> Ends:
    return found.total, found.low, found.high


def _claimed(found: Impact) -> Ends:
    return found.claimed, found.claimed_low, found.claimed_high


def _usual(past: PastEffects) -> list[tuple[str, str]]:
    found, apart, scale = past.combined, past.spread, past.scale
    if isinstance(found, Undecided) or isinstance(apart, Undecided):
        return []
    held = [("On average", _beside(scale, found.mean, found.low, found.high))]
    held.append(("The next one", _next(scale, found)))
    ends = [words.widened(scale, value) for value in (apart.value, apart.low, apart.high)]
    held.append(("True effects lie apart by", _size(scale, *ends)))
    differ = found.heterogeneity
    said = "more than chance explains" if differ.p_value < 0.05 else "no more than chance explains"
    held.append(("They differ", f"{said} ({say.p_value(differ.p_value)})"))
    return held


def _beside(scale: Scale, value: float, low: float, high: float) -> str:
    return f"{past_words.told(scale, value)} {past_words.span(scale, low, high)}"


def _next(scale: Scale, found: Combined) -> str:
    if found.next_low is None or found.next_high is None:
        return "not known: it takes three past effects"
    low, high = (past_words.told(scale, end) for end in (found.next_low, found.next_high))
    return f"its true effect is expected from {low} to {high}"


def _size(scale: Scale, value: float, low: float, high: float) -> str:
    tell = say.percent if scale is Scale.RELATIVE else (lambda v: say.number(v, 2))
    return f"{tell(value)} ({tell(low)} to {tell(high)})"


def _reason(held: object) -> str:
    if not isinstance(held, Undecided):
        return ""
    return held.reason + (f"; what would help: {held.needs}" if held.needs else "")


@dataclass(frozen=True, slots=True)
class ImpactLine:
    """One metric in the list of what shipped changes did."""

    key: str
    name: str
    n_past: int
    n_shipped: int
    sums: Sums | None
    units: str
    why_not: str


@dataclass(frozen=True, slots=True)
class ImpactPage:
    """One page of metrics, each with what shipped changes did to it."""

    lines: tuple[ImpactLine, ...]
    next_after: str | None
    environments: Sequence[EnvironmentRow]


def list_impact(
    session: Session, wanted: Wanted, *, search: str, after: str | None, limit: int = PAGE
) -> ImpactPage:
    """Metrics by key."""
    every = list_moved(session)
    rows = metrics.list_metrics(session, after=after, limit=limit + 1, search=search)
    lines = tuple(impact_line(effects_on(session, row, every, wanted)) for row in rows[:limit])
    return ImpactPage(
        lines=lines,
        next_after=rows[limit - 1].key if len(rows) > limit else None,
        environments=flags.list_environments(session),
    )


def impact_line(past: PastEffects) -> ImpactLine:
    """One metric."""
    sums = sums_of(past)
    return ImpactLine(
        key=past.key,
        name=past.name,
        n_past=len(past.lines),
        n_shipped=len(past.shipped),
        sums=sums,
        units=sums.units[0] if sums and sums.units else "",
        why_not=_reason(past.impact),
    )
