"""Saved groups over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response

from rollouts.accounts.model import Role
from rollouts.flags import groups
from rollouts.flags.blueprint import GROUPS, bp
from rollouts.flags.bodies import GroupBody, KeyPath, NewGroupBody, answer, needed_revision
from rollouts.flags.changing import changing
from rollouts.flags.model import SavedGroup
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading
from rollouts.web.paging import PageQuery, page

TAGS = [GROUPS]


@bp.get("/saved-groups", summary="List saved groups", tags=TAGS)
@requires(Role.READER)
def list_groups(query: PageQuery) -> dict[str, Any]:
    """Saved groups by key, without their members."""
    with reading() as session:
        found = groups.list_groups(
            session, after=query.after, limit=query.limit + 1, search=query.search
        )
    return page(found, query, lambda group: group.key, _summary)


@bp.post("/saved-groups", summary="Make a saved group", tags=TAGS)
@requires(Role.EDITOR)
def create_group(body: NewGroupBody) -> Response:
    """Add a saved group."""
    with changing() as session:
        group = groups.create_group(
            session, body.to_domain(body.key), actor=current_actor(), now=now()
        )
    return _shown(group, 201)


@bp.get("/saved-groups/<key>", summary="One saved group", tags=TAGS)
@requires(Role.READER)
def get_group(path: KeyPath) -> Response:
    """A saved group with its members."""
    with reading() as session:
        return _shown(groups.get_group(session, path.key))


@bp.put("/saved-groups/<key>", summary="Change a saved group", tags=TAGS)
@requires(Role.EDITOR)
def edit_group(path: KeyPath, body: GroupBody) -> Response:
    """Replace a saved group, and with it what every flag that refers to it does."""
    revision = needed_revision()
    with changing() as session:
        group = groups.edit_group(
            session,
            body.to_domain(path.key),
            expected_revision=revision,
            actor=current_actor(),
            now=now(),
            reason=body.reason,
        )
    return _shown(group)


@bp.delete("/saved-groups/<key>", summary="Delete a saved group", tags=TAGS)
@requires(Role.EDITOR)
def delete_group(path: KeyPath) -> Response:
    """Forget a saved group that nothing refers to; needs `If-Match`."""
    revision = needed_revision()
    with changing() as session:
        groups.delete_group(
            session, path.key, expected_revision=revision, actor=current_actor(), now=now()
        )
    return Response(status=204)


def _summary(group: SavedGroup) -> dict[str, Any]:
    whole = groups.dump_group(group)
    values = whole.pop("values", None)
    count = {} if values is None else {"n_values": len(values)}
    return {**whole, **count, "revision": group.revision}


def _shown(group: SavedGroup, status: int = 200) -> Response:
    body = {**groups.dump_group(group), "revision": group.revision}
    return answer(body, group.revision, status)
