"""The catalogue of metrics over HTTP."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from rollouts.accounts.model import Role
from rollouts.metrics import service
from rollouts.metrics.bodies import EditMetricBody, NewMetricBody
from rollouts.metrics.store import MetricRow, MetricVersionRow
from rollouts.metrics.words import kind, meaning
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, transaction
from rollouts.web.paging import PageQuery, page

bp = APIBlueprint(
    "metrics_api",
    __name__,
    url_prefix="/api/v1/metrics",
    abp_tags=[Tag(name="Metrics", description="What is counted, and which way is good.")],
)


class KeyPath(BaseModel):
    """Which metric."""

    key: str = Field(max_length=200)


@bp.get("", summary="List metrics")
@requires(Role.READER)
def list_all(query: PageQuery) -> dict[str, Any]:
    """The catalogue, by key."""
    with reading() as session:
        rows = service.list_metrics(
            session, after=query.after, limit=query.limit + 1, search=query.search
        )
        pairs = [(row, service.get_version(session, row)) for row in rows]
        return page(pairs, query, lambda pair: pair[0].key, lambda pair: shown(*pair))


@bp.post("", summary="Add a metric")
@requires(Role.EDITOR)
def create(body: NewMetricBody) -> tuple[dict[str, Any], int]:
    """Add a metric to the catalogue."""
    with transaction() as session:
        row = service.create_metric(
            session,
            key=body.key,
            name=body.name,
            description=body.description,
            owner=body.owner or current_actor().name,
            definition=body.to_domain(),
            actor=current_actor(),
            now=now(),
        )
        return shown(row, service.get_version(session, row)), 201


@bp.get("/<key>", summary="One metric")
@requires(Role.READER)
def get_one(path: KeyPath) -> dict[str, Any]:
    """A metric with all the definitions it ever had."""
    with reading() as session:
        row = service.get_metric(session, path.key)
        versions = service.list_versions(session, row)
        earlier = [_version(held) for held in versions]
        return {**shown(row, versions[0]), "versions": earlier}


@bp.put("/<key>", summary="Change a metric")
@requires(Role.EDITOR)
def edit(path: KeyPath, body: EditMetricBody) -> dict[str, Any]:
    """Change a metric; another definition makes a new version, and locked plans keep theirs."""
    with transaction() as session:
        row = service.redefine(
            session,
            path.key,
            name=body.name,
            description=body.description,
            owner=body.owner or current_actor().name,
            definition=body.to_domain(),
            reason=body.reason,
            actor=current_actor(),
            now=now(),
        )
        return shown(row, service.get_version(session, row))


@bp.delete("/<key>", summary="Archive a metric")
@requires(Role.EDITOR)
def archive(path: KeyPath) -> tuple[str, int]:
    """Take a metric off the catalogue; rollouts that count it go on."""
    with transaction() as session:
        service.archive(session, path.key, reason="", actor=current_actor(), now=now())
    return "", 204


def shown(row: MetricRow, version: MetricVersionRow) -> dict[str, Any]:
    """A metric as the API shows it."""
    definition = version.to_domain()
    return {
        "key": row.key,
        "name": row.name,
        "description": row.description,
        "owner": row.owner,
        "version": version.version,
        "kind": kind(definition),
        "meaning": meaning(definition),
        "definition": version.definition,
        "created_at": row.created_at.isoformat(),
        "archived_at": row.archived_at.isoformat() if row.archived_at else None,
    }


def _version(row: MetricVersionRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "meaning": meaning(row.to_domain()),
        "definition": row.definition,
        "reason": row.reason,
        "created_at": row.created_at.isoformat(),
        "created_by": row.created_by,
    }
