"""Past effects and cumulative impact over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid
from rollouts.lifecycle.bodies import Body, KeyPath
from rollouts.metrics import service as metrics
from rollouts.results import past_words as words
from rollouts.results.moved import Moved
from rollouts.results.over_rollouts import (
    Line,
    PastEffects,
    Wanted,
    effects_on,
    list_moved,
    past_effects,
)
from rollouts.web.access import requires
from rollouts.web.context import reading
from rollouts.web.paging import PageQuery, page

LEVEL = 0.95

bp = APIBlueprint(
    "past_api",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Past effects", description="All ended rollouts on a metric together.")],
)


class PeriodQuery(Body):
    """Which rollouts are listed and added up."""

    since: date | None = Field(None, alias="from", description="Ended on this day or later (UTC).")
    until: date | None = Field(None, alias="to", description="Ended on this day or earlier (UTC).")
    environment: str = Field("", max_length=200, description="Of one environment; empty: of all.")

    def to_domain(self) -> Wanted:
        """The rollouts this query asks for. Raises Invalid for a period that ends before it begins."""
        if self.since and self.until and self.since > self.until:
            raise Invalid(
                "The period ends before it begins.", faults=(Fault("to", "earlier than `from`"),)
            )
        return Wanted(self.environment, self.since, self.until)


class PastQuery(PeriodQuery, PageQuery):
    """Which rollouts, and which page of them."""


@bp.get("/metrics/<key>/past-effects", summary="What past rollouts did to a metric")
@requires(Role.READER)
def list_past_effects(path: KeyPath, query: PastQuery) -> dict[str, Any]:
    """Every ended rollout on the metric, the last to end first.

    Each effect as it was seen and as it is once all are known (shrunken), or why it is left out;
    with the mean over rollouts, how far true effects lie apart, and what the next rollout may do.
    Withdrawn rollouts count like the others. `/catalogue/{key}/past-effects.csv` has it as CSV.
    """
    with reading() as session:
        past = past_effects(session, path.key, query.to_domain())
    rows = _from(_wanted(past, query.search), query)
    shown = page(rows, query, lambda row: row[0].place, lambda row: words.line_shown(*row, LEVEL))
    return {**words.shown(past), **shown}


@bp.get("/metrics/<key>/impact", summary="What shipped changes did to a metric together")
@requires(Role.READER)
def get_impact(path: KeyPath, query: PeriodQuery) -> dict[str, Any]:
    """The sum of what shipped changes showed, beside what is left of it without luck.

    What ships was chosen for looking good, so the plain sum is too good. Effects compound.
    """
    with reading() as session:
        return words.impact_shown(past_effects(session, path.key, query.to_domain()))


@bp.get("/impact", summary="What shipped changes did, by metric")
@requires(Role.READER)
def list_impact(query: PastQuery) -> dict[str, Any]:
    """The same of every metric in the catalogue, by key."""
    wanted = query.to_domain()
    with reading() as session:
        every = list_moved(session)
        rows = metrics.list_metrics(
            session, after=query.after, limit=query.limit + 1, search=query.search
        )
        return page(
            rows,
            query,
            lambda row: row.key,
            lambda row: words.impact_shown(effects_on(session, row, every, wanted)),
        )


Row = tuple[Moved, Line | None]


def _wanted(past: PastEffects, search: str) -> list[Row]:
    """What is believed, then what is left out; those whose key or name has the text."""
    rows: list[Row] = [(line.moved, line) for line in past.lines]
    rows += [(item, None) for item in past.left_out]
    text = search.casefold()
    return [row for row in rows if text in f"{row[0].rollout}\n{row[0].name}".casefold()]


def _from(rows: list[Row], query: PageQuery) -> list[Row]:
    start = 0
    if query.after is not None:
        places = [item.place for item, _ in rows]
        if query.after not in places:
            raise Invalid(
                "What this cursor points behind is not in the list any more. Start again.",
                faults=(Fault("cursor", "points at nothing"),),
            )
        start = places.index(query.after) + 1
    return rows[start : start + query.limit + 1]
