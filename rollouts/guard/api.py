"""Looks, results and endings over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from rollouts.accounts.model import Role
from rollouts.errors import NotFound
from rollouts.guard import service
from rollouts.guard.service import Ending
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.bodies import KeyPath, ReasonBody
from rollouts.results import service as results
from rollouts.results.store import SnapshotRow
from rollouts.web import json_bytes
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime

bp = APIBlueprint(
    "guard_api",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Results", description="Looks, results, and how a rollout ends.")],
)


class ShipBody(BaseModel):
    """Which variation everybody gets, and why."""

    model_config = ConfigDict(extra="forbid")

    variation: str = Field(max_length=200)
    reason: str = Field("", max_length=10_000)


class SnapshotPath(BaseModel):
    """Which snapshot."""

    id: str = Field(max_length=100)


class LooksQuery(BaseModel):
    """Which looks: newest first, from before one."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=500)
    before: int | None = Field(None, ge=1, description="Only looks with a smaller number.")


@bp.post("/rollouts/<key>/looks", summary="Take a look now")
@requires(Role.EDITOR)
def take_look(path: KeyPath) -> tuple[Response, int]:
    """Count everything accepted so far, judge it, and act as the plan says."""
    snapshot = service.take_look(runtime(), path.key, kind="asked", now=now())
    return _answer(snapshot), 201


@bp.get("/rollouts/<key>/looks", summary="List looks")
@requires(Role.READER)
def list_looks(path: KeyPath, query: LooksQuery) -> dict[str, Any]:
    """The looks of a rollout, newest first, each with its verdict."""
    with reading() as session:
        row = lifecycle.get_rollout(session, path.key)
        rows = results.list_snapshots(session, row.id, before=query.before, limit=query.limit + 1)
    shown = rows[: query.limit]
    return {
        "items": [
            {
                "snapshot": item.id,
                "look": item.look,
                "taken_at": item.taken_at.isoformat(),
                "verdict": item.body["verdict"],
                "decision": item.body["decision"],
            }
            for item in shown
        ],
        "next_before": shown[-1].look if len(rows) > query.limit else None,
    }


@bp.get("/rollouts/<key>/results", summary="The latest results")
@requires(Role.READER)
def latest(path: KeyPath) -> Response:
    """The newest snapshot of a rollout."""
    with reading() as session:
        row = lifecycle.get_rollout(session, path.key)
        snapshot = results.find_latest(session, row.id)
    if snapshot is None:
        raise NotFound("result yet: no look has been taken of rollout", path.key)
    return _answer(snapshot)


@bp.get("/snapshots/<id>", summary="One snapshot")
@requires(Role.READER)
def get_snapshot(path: SnapshotPath) -> Response:
    """A snapshot by the id that alerts and pages print."""
    with reading() as session:
        return _answer(results.get_snapshot(session, path.id))


@bp.post("/rollouts/<key>/withdraw", summary="Withdraw now")
@requires(Role.EDITOR)
def withdraw(path: KeyPath, body: ReasonBody) -> Response:
    """Take the change away from everybody; needs a reason."""
    return _end(path.key, Ending("withdrawn", body.reason, current_actor()))


@bp.post("/rollouts/<key>/stop", summary="Stop without shipping")
@requires(Role.EDITOR)
def stop(path: KeyPath, body: ReasonBody) -> Response:
    """End a rollout; everybody gets control again."""
    return _end(path.key, Ending("stopped", body.reason, current_actor()))


@bp.post("/rollouts/<key>/ship", summary="Ship a variation")
@requires(Role.EDITOR)
def ship(path: KeyPath, body: ShipBody) -> Response:
    """Give a variation to everybody; without all guardrails safe it needs the plan's role."""
    return _end(path.key, Ending("shipped", body.reason, current_actor(), body.variation))


def _end(key: str, ending: Ending) -> Response:
    return _answer(service.take_look(runtime(), key, kind="final", now=now(), ending=ending))


def _answer(snapshot: SnapshotRow) -> Response:
    answer = Response(json_bytes.dumps(snapshot.body), content_type="application/json")
    answer.headers["ETag"] = f'"{snapshot.id}"'
    return answer
