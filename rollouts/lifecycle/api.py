"""Rollouts over HTTP: plan, lock, ramp. Looks and endings are the guard's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid
from rollouts.lifecycle import deeds, service
from rollouts.lifecycle.bodies import (
    GuardrailBody,
    KeyPath,
    NewPlanBody,
    NewRolloutBody,
    PlanBody,
    ReasonBody,
    event_shown,
    plan_shown,
    shown,
)
from rollouts.lifecycle.model import State
from rollouts.lifecycle.plan import Draft
from rollouts.lifecycle.store import RolloutRow
from rollouts.tolerances import service as tolerances
from rollouts.tolerances.model import Guardrail, Method
from rollouts.web import json_bytes
from rollouts.web.access import requires
from rollouts.web.conditional import edited_revision
from rollouts.web.context import current_actor, now, reading, runtime, transaction
from rollouts.web.paging import PageQuery, page

bp = APIBlueprint(
    "lifecycle_api",
    __name__,
    url_prefix="/api/v1/rollouts",
    abp_tags=[Tag(name="Rollouts", description="The record of one change under test.")],
)


class RolloutQuery(PageQuery):
    """Which rollouts."""

    state: State | None = None
    flag: str | None = Field(None, max_length=200)


class VersionPath(BaseModel):
    """Which version of a rollout's plan."""

    key: str = Field(max_length=200)
    version: int


@bp.get("", summary="List rollouts")
@requires(Role.READER)
def list_all(query: RolloutQuery) -> dict[str, Any]:
    """Rollouts by key."""
    with reading() as session:
        rows = service.list_rollouts(
            session,
            after=query.after,
            limit=query.limit + 1,
            search=query.search,
            states=[query.state] if query.state else [],
            flag=query.flag,
        )
        plans = {row.id: service.list_plans(session, row.id) for row in rows}
        return page(rows, query, lambda row: row.key, lambda row: shown(row, plans[row.id]))


@bp.post("", summary="Draft a rollout")
@requires(Role.EDITOR)
def create(body: NewRolloutBody) -> tuple[Response, int]:
    """Write a plan down as a draft; nothing reaches a customer yet."""
    with transaction() as session:
        draft = _draft(session, body.key, body)
        row = service.create(session, draft, actor=current_actor(), now=now())
        return _answer(session, row), 201


@bp.get("/<key>", summary="One rollout")
@requires(Role.READER)
def get_one(path: KeyPath) -> Response:
    """A rollout with the plan that holds now."""
    with reading() as session:
        return _answer(session, service.get_rollout(session, path.key))


@bp.put("/<key>", summary="Change a draft")
@requires(Role.EDITOR)
def edit(path: KeyPath, body: PlanBody) -> Response:
    """Change a draft; needs `If-Match` with its revision. Refused once the plan is locked."""
    with transaction() as session:
        draft = _draft(session, path.key, body)
        revision = edited_revision(request.headers)
        row = service.edit(session, draft, revision=revision, actor=current_actor(), now=now())
        return _answer(session, row)


@bp.post("/<key>/start", summary="Lock the plan and start")
@requires(Role.EDITOR)
def start(path: KeyPath) -> Response:
    """Lock the plan under its hash and put the first stage before customers."""
    parts = runtime()
    with transaction() as session:
        row = deeds.start(
            session,
            path.key,
            default_look_seconds=parts.settings.look_interval_seconds,
            actor=current_actor(),
            now=now(),
        )
        answer = _answer(session, row)
    parts.delivery.refresh()
    return answer


@bp.post("/<key>/advance", summary="Go on to the next stage")
@requires(Role.EDITOR)
def advance(path: KeyPath, body: ReasonBody) -> Response:
    """Move a rollout on to its next stage; overruling a hold needs a reason and the plan's role."""
    with transaction() as session:
        row = deeds.advance(session, path.key, reason=body.reason, actor=current_actor(), now=now())
        answer = _answer(session, row)
    runtime().delivery.refresh()
    return answer


@bp.post("/<key>/pause", summary="Pause the ramp")
@requires(Role.EDITOR)
def pause(path: KeyPath, body: ReasonBody) -> Response:
    """Keep the ramp where it is; the guard goes on watching."""
    with transaction() as session:
        row = deeds.pause(session, path.key, reason=body.reason, actor=current_actor(), now=now())
        return _answer(session, row)


@bp.post("/<key>/resume", summary="Resume the ramp")
@requires(Role.EDITOR)
def resume(path: KeyPath, body: ReasonBody) -> Response:
    """Let the ramp go on."""
    with transaction() as session:
        row = deeds.resume(session, path.key, reason=body.reason, actor=current_actor(), now=now())
        return _answer(session, row)


@bp.get("/<key>/plan-versions", summary="All versions of the plan")
@requires(Role.READER)
def list_plans(path: KeyPath) -> dict[str, Any]:
    """Every plan that was ever locked, oldest first, with the reason for each change."""
    with reading() as session:
        row = service.get_rollout(session, path.key)
        plans = service.list_plans(session, row.id)
        return {"items": [{**plan_shown(plan), "body": plan.body} for plan in plans]}


@bp.post("/<key>/plan-versions", summary="Change a locked plan")
@requires(Role.EDITOR)
def new_plan(path: KeyPath, body: NewPlanBody) -> tuple[dict[str, Any], int]:
    """Lock a changed plan beside the old one; the report shows both and the reason."""
    with transaction() as session:
        plan = service.new_plan_version(
            session,
            _draft(session, path.key, body),
            reason=body.reason,
            actor=current_actor(),
            now=now(),
        )
        return {**plan_shown(plan), "body": plan.body}, 201


@bp.get("/<key>/timeline", summary="What happened")
@requires(Role.READER)
def timeline(path: KeyPath) -> dict[str, Any]:
    """What happened to a rollout, oldest first."""
    with reading() as session:
        row = service.get_rollout(session, path.key)
        return {"items": [event_shown(item) for item in service.list_timeline(session, row.id)]}


def _draft(session: Session, key: str, body: PlanBody) -> Draft:
    rails = tuple(_guardrail(session, item) for item in body.guardrails)
    return body.to_domain(key, current_actor().name, rails)


def _guardrail(session: Session, body: GuardrailBody) -> Guardrail:
    policy = tolerances.find_tolerance(session, body.metric) if body.margin is None else None
    rail = body.to_domain(policy)
    if rail is policy and rail is not None and body.method is Method.EXACT:
        rail = replace(rail, method=Method.EXACT)  # asked for here, whatever is usual
    if rail is None:
        raise Invalid(
            f"Say how much worse {body.metric!r} may become: give a margin, or set the "
            "organisation's tolerance for it first.",
            faults=(Fault("guardrails.margin", "no margin, and no tolerance to take it from"),),
        )
    return rail


def _answer(session: Session, row: RolloutRow) -> Response:
    body = shown(row, service.list_plans(session, row.id))
    answer = Response(json_bytes.dumps(body), content_type="application/json")
    answer.headers["ETag"] = f'"{row.revision}"'
    return answer
