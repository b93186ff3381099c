"""The debug view of exposures: what the last ones were understood as, or why they do not count."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from pydantic import ConfigDict, Field

from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid
from rollouts.ingest.model import from_us
from rollouts.ledger import service
from rollouts.ledger.store import RecentExposureRow
from rollouts.web.access import requires
from rollouts.web.context import reading, runtime
from rollouts.web.paging import PageQuery, page

bp = APIBlueprint(
    "ledger_api",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Exposures", description="Who was seen to get what, lately, and why not.")],
)


class ExposureQuery(PageQuery):
    """Which of the last exposures are wanted; newest first."""

    model_config = ConfigDict(extra="forbid")

    unit: str = Field(
        "", max_length=200, description="Only this unit, by the value it is hashed by."
    )
    rollout: str = Field("", max_length=200, description="Only this rollout, by its key.")

    @property
    def before_id(self) -> int | None:
        """The id that the page before ended with."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) < 19):
            raise Invalid("This cursor is not one of ours.", faults=(Fault("cursor", "no cursor"),))
        return int(self.after)


@bp.get("/exposures")
@requires(Role.EDITOR)
def list_exposures(query: ExposureQuery) -> dict[str, Any]:
    """List the last 1,000 exposures of each environment, as understood and as refused.

    From every wire format, with the reason where one does not count. What intake could not read
    at all was told to its sender and is not here; nor are evaluations that divided nobody.
    """
    with reading() as session:
        rows = service.list_recent(
            session,
            unit_key=runtime().seal.unit_key,
            unit=query.unit,
            rollout=query.rollout or query.search,
            limit=query.limit + 1,
            before_id=query.before_id,
        )
        return page(rows, query, lambda row: row.id, show)


def show(row: RecentExposureRow) -> dict[str, Any]:
    """One exposure as it goes out; the unit as the hash that the store knows it by."""
    return {
        "id": row.id,
        "rollout": row.rollout,
        "unit_hash": f"{row.unit & 0xFFFFFFFFFFFFFFFF:016x}" if row.unit else None,
        "variation": row.variation,
        "at": from_us(row.at_us).isoformat(),
        "received_at": from_us(row.received_us).isoformat(),
        "source": row.source,
        "is_trusted": row.is_trusted,
        "state": "refused" if row.reason else "counted",
        "reason": row.reason or None,
    }
