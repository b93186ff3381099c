"""The first page: what needs somebody, what is live, what ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.model import State
from rollouts.reports import heads
from rollouts.reports.bars import Gauge
from rollouts.reports.model import Report, report_of
from rollouts.results import service as results

if TYPE_CHECKING:
    from rollouts.lifecycle.store import RolloutRow

LIVE = (State.RUNNING, State.PAUSED)
GROUPS: dict[str, tuple[State, ...]] = {
    "live": LIVE,
    "draft": (State.DRAFT,),
    "withdrawn": (State.WITHDRAWN,),
    "shipped": (State.SHIPPED,),
    "stopped": (State.STOPPED,),
}
PAGE = 25
MOST_NEEDS = 10
MOST_ENDED = 10
MOST_LOOKED_AT = 500  # live rollouts that are asked whether they need somebody
RECENT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One rollout in a list."""

    key: str
    name: str
    state: str
    owner: str
    where: str
    entered_at: datetime | None
    what_next: str
    ended_at: datetime | None
    report: Report | None

    @property
    def findings(self) -> tuple[str, ...]:
        """The guardrails' findings, the worst first; none if they cannot be judged."""
        if self.report is None or not self.report.is_judged:
            return ()
        return tuple(row.state for arm in self.report.arms for row in arm.guardrails)

    @property
    def gauge(self) -> Gauge | None:
        """The harm budget that is most spent."""
        held = self.report.gauges if self.report else ()
        return held[0][1].gauge if held else None

    @property
    def sentence(self) -> str:
        """The verdict, or why there is none."""
        if self.report is None:
            return "No look was taken."
        return str(self.report.body["verdict"]["sentence"])


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person."""

    key: str
    name: str
    icon: str
    what: str
    why: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the list is wanted: a text in key or name, a group of states, and from where."""

    search: str = ""
    group: str = ""
    after: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing in particular is asked for."""
        return not self.search and not self.group and self.after is None


@dataclass(frozen=True, slots=True)
class Home:
    """The first page."""

    counts: dict[str, int]
    needs: tuple[Need, ...]
    lines: tuple[Line, ...]
    next_after: str | None
    ended: tuple[Line, ...]

    @property
    def total(self) -> int:
        """How many rollouts there are at all."""
        return sum(self.counts.values())


def get_home(session: Session, wanted: Wanted, *, now: datetime) -> Home:
    """The first page, or the list that was asked for."""
    by_state = lifecycle.count_by_state(session)
    counts = {
        name: sum(by_state.get(state, 0) for state in states) for name, states in GROUPS.items()
    }
    states = GROUPS.get(wanted.group, LIVE if wanted.is_plain else ())
    rows = lifecycle.list_rollouts(
        session, after=wanted.after, limit=PAGE + 1, search=wanted.search, states=states
    )
    shown = rows[:PAGE]
    return Home(
        counts=counts,
        needs=_needs(session, now) if wanted.is_plain else (),
        lines=tuple(_lines(session, shown)),
        next_after=shown[-1].key if len(rows) > PAGE else None,
        ended=tuple(_lines(session, lifecycle.list_ended(session, limit=MOST_ENDED)))
        if wanted.is_plain
        else (),
    )


def _lines(session: Session, rows: Sequence[RolloutRow]) -> list[Line]:
    latest = results.list_latest(session, [row.id for row in rows])
    lines = []
    for row in rows:
        draft = lifecycle.current_draft(session, row)
        held = latest.get(row.id)
        lines.append(
            Line(
                key=row.key,
                name=row.name,
                state=heads.shown_state(row),
                owner=row.owner,
                where=heads.where(row, draft),
                entered_at=row.stage_entered_at,
                what_next="" if row.state.is_ended else heads.what_next(row, draft),
                ended_at=row.ended_at,
                report=report_of(held.body) if held else None,
            )
        )
    return lines


def _needs(session: Session, now: datetime) -> tuple[Need, ...]:
    live = lifecycle.list_rollouts(session, states=LIVE, limit=MOST_LOOKED_AT)
    gone = [
        row
        for row in lifecycle.list_ended(session, limit=MOST_NEEDS)
        if row.state is State.WITHDRAWN and now - (row.ended_at or now) < RECENT
    ]
    latest = results.list_latest(session, [row.id for row in gone])
    needs = [
        Need(
            row.key,
            row.name,
            "harm",
            "was withdrawn",
            latest[row.id].body["verdict"]["sentence"] if row.id in latest else "",
            row.ended_at,
        )
        for row in gone
    ]
    for row in live:
        if row.hold_reason:
            needs.append(Need(row.key, row.name, "hold", "is held", row.hold_reason, None))
        elif row.state is State.PAUSED:
            needs.append(Need(row.key, row.name, "hold", "is paused", "Resume it or end it.", None))
    return tuple(needs[:MOST_NEEDS])
