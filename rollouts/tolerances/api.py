"""The organisation's tolerances over HTTP."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from rollouts.accounts.model import Role
from rollouts.tolerances import service
from rollouts.tolerances.bodies import ToleranceBody
from rollouts.tolerances.store import ToleranceRow
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, transaction
from rollouts.web.paging import PageQuery, page

bp = APIBlueprint(
    "tolerances_api",
    __name__,
    url_prefix="/api/v1/tolerances",
    abp_tags=[Tag(name="Tolerances", description="What harm the organisation tolerates.")],
)


class MetricPath(BaseModel):
    """Which metric."""

    metric: str = Field(max_length=200)


class ReasonQuery(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=10_000)


@bp.get("", summary="List tolerances")
@requires(Role.READER)
def list_all(query: PageQuery) -> dict[str, Any]:
    """The organisation's tolerances, by metric."""
    with reading() as session:
        rows = service.list_tolerances(
            session, after=query.after, limit=query.limit + 1, search=query.search
        )
        return page(rows, query, lambda row: row.metric_key, shown)


@bp.get("/<metric>", summary="One tolerance")
@requires(Role.READER)
def get_one(path: MetricPath) -> dict[str, Any]:
    """What is tolerated of one metric."""
    with reading() as session:
        return shown(service.get_tolerance(session, path.metric))


@bp.put("/<metric>", summary="Set a tolerance")
@requires(Role.ADMIN)
def put_one(path: MetricPath, body: ToleranceBody) -> dict[str, Any]:
    """Say what is tolerated of one metric; rollouts that have started keep their own copy."""
    with transaction() as session:
        row = service.put_tolerance(
            session,
            body.to_domain(path.metric),
            owner=body.owner,
            actor=current_actor(),
            now=now(),
        )
        return shown(row)


@bp.delete("/<metric>", summary="Drop a tolerance")
@requires(Role.ADMIN)
def delete_one(path: MetricPath, query: ReasonQuery) -> tuple[str, int]:
    """Drop the organisation's tolerance; locked plans are not touched."""
    with transaction() as session:
        service.delete_tolerance(
            session, path.metric, reason=query.reason, actor=current_actor(), now=now()
        )
    return "", 204


def shown(row: ToleranceRow) -> dict[str, Any]:
    """A tolerance as the API shows it."""
    return {
        **row.body,
        "owner": row.owner,
        "updated_at": row.updated_at.isoformat(),
        "updated_by": row.updated_by,
    }
