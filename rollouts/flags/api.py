"""Flags over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Response
from pydantic import Field
from sqlalchemy.orm import Session

from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid
from rollouts.flags import connection_api as connection_api
from rollouts.flags import group_api as group_api
from rollouts.flags import import_api as import_api
from rollouts.flags import insight_api as insight_api
from rollouts.flags import service
from rollouts.flags.blueprint import FLAGS, bp
from rollouts.flags.bodies import (
    EditFlagBody,
    EditStateBody,
    FlagEnvironmentPath,
    KeyPath,
    KillBody,
    NewFlagBody,
    PreviewQuery,
    ReasonBody,
    RevertBody,
    RevisionPath,
    ToggleBody,
    answer,
    needed_revision,
    show_flag,
)
from rollouts.flags.cautions import cautions
from rollouts.flags.changing import changing, previewing
from rollouts.flags.differences import differences
from rollouts.flags.insight_api import show_reference, show_scan
from rollouts.flags.model import Flag
from rollouts.flags.revisions import changes_of, show_difference
from rollouts.flags.rule_json import dump_flag
from rollouts.flags.staleness import list_code_references, list_code_scans
from rollouts.flags.store import RevisionRow
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading
from rollouts.web.paging import PageQuery, page

__all__ = ["bp"]

TAGS = [FLAGS]


class FlagQuery(PageQuery):
    """Which flags."""

    archived: bool = Field(False, description="Also those that are archived.")


@bp.get("/flags", summary="List flags", tags=TAGS)
@requires(Role.READER)
def list_flags(query: FlagQuery) -> dict[str, Any]:
    """Flags by key."""
    with reading() as session:
        flags = service.list_flags(
            session,
            after=query.after,
            limit=query.limit + 1,
            search=query.search,
            with_archived=query.archived,
        )
    return page(flags, query, lambda flag: flag.key, show_flag)


@bp.post("/flags", summary="Make a flag", tags=TAGS)
@requires(Role.EDITOR)
def create_flag(body: NewFlagBody) -> Response:
    """Make a flag; it is in the next payload of every environment."""
    with changing() as session:
        flag = service.create_flag(
            session, body.to_domain(), actor=current_actor(), now=now(), reason=body.reason
        )
    return _shown(flag, 201)


@bp.get("/flags/<key>", summary="One flag", tags=TAGS)
@requires(Role.READER)
def get_flag(path: KeyPath) -> Response:
    """A flag in all environments; the ETag holds the revision that an edit must name."""
    with reading() as session:
        flag = service.get_flag(session, path.key)
        found = {
            "code_references": [
                show_reference(row) for row in list_code_references(session, path.key)
            ],
            "code_scans": [show_scan(row) for row in list_code_scans(session, path.key)],
        }
    return answer({**show_flag(flag), **found}, flag.revision)


@bp.patch("/flags/<key>", summary="Change a flag", tags=TAGS)
@requires(Role.EDITOR)
def edit_flag(path: KeyPath, query: PreviewQuery, body: EditFlagBody) -> Response:
    """Change what holds for a flag in every environment; needs `If-Match`."""
    revision = needed_revision()
    with _changing(query.preview, path.key) as edit:
        edit.after = service.edit_flag(
            edit.session,
            path.key,
            body.changed(),
            actor=current_actor(),
            now=now(),
            reason=body.reason,
            expected_revision=revision,
        )
    return edit.answer()


@bp.put("/flags/<key>/environments/<environment>", summary="Set rules", tags=TAGS)
@requires(Role.EDITOR)
def put_state(path: FlagEnvironmentPath, query: PreviewQuery, body: EditStateBody) -> Response:
    """Replace what a flag does in an environment; needs `If-Match`.

    Rules hold in their order. The rules of rollouts are sent back as they are.
    """
    revision = needed_revision()
    with _changing(query.preview, path.key) as edit:
        edit.after = service.set_state(
            edit.session,
            path.key,
            path.environment,
            body.to_domain(),
            actor=current_actor(),
            now=now(),
            reason=body.reason,
            expected_revision=revision,
        )
    return edit.answer()


@bp.post("/flags/<key>/toggle", summary="Switch on or off", tags=TAGS)
@requires(Role.EDITOR)
def toggle_flag(path: KeyPath, body: ToggleBody) -> Response:
    """Switch a flag on or off in one environment, whatever else is being edited."""
    with changing() as session:
        flag = service.set_enabled(
            session,
            path.key,
            body.environment,
            body.enabled,
            reason=body.reason,
            actor=current_actor(),
            now=now(),
        )
    return _shown(flag)


@bp.post("/flags/<key>/kill", summary="Kill", tags=TAGS)
@requires(Role.EDITOR)
def kill_flag(path: KeyPath, body: KillBody) -> Response:
    """Switch a flag off at once: in one environment, or in all."""
    with changing() as session:
        flag = service.kill(
            session,
            path.key,
            environment=body.environment,
            reason=body.reason,
            actor=current_actor(),
            now=now(),
        )
    return _shown(flag)


@bp.post("/flags/<key>/archive", summary="Archive", tags=TAGS)
@requires(Role.EDITOR)
def archive_flag(path: KeyPath, body: ReasonBody) -> Response:
    """Take a flag out of every payload; needs `If-Match`."""
    revision = needed_revision()
    with changing() as session:
        flag = service.archive(
            session,
            path.key,
            actor=current_actor(),
            now=now(),
            reason=body.reason,
            expected_revision=revision,
        )
    return _shown(flag)


@bp.post("/flags/<key>/restore", summary="Restore", tags=TAGS)
@requires(Role.EDITOR)
def restore_flag(path: KeyPath, body: ReasonBody) -> Response:
    """Serve an archived flag again, as it was."""
    with changing() as session:
        flag = service.restore(
            session, path.key, actor=current_actor(), now=now(), reason=body.reason
        )
    return _shown(flag)


@bp.post("/flags/<key>/revert", summary="Go back", tags=TAGS)
@requires(Role.EDITOR)
def revert_flag(path: KeyPath, query: PreviewQuery, body: RevertBody) -> Response:
    """Bring a flag back to an earlier revision; needs `If-Match`. Rules of rollouts stay."""
    revision = needed_revision()
    with _changing(query.preview, path.key) as edit:
        edit.after = service.revert(
            edit.session,
            path.key,
            body.revision,
            actor=current_actor(),
            now=now(),
            reason=body.reason,
            expected_revision=revision,
        )
    return edit.answer()


@bp.get("/flags/<key>/revisions", summary="History", tags=TAGS)
@requires(Role.READER)
def list_revisions(path: KeyPath, query: PageQuery) -> dict[str, Any]:
    """A flag's revisions, newest first, each with what it changed."""
    with reading() as session:
        rows = service.list_flag_revisions(
            session, path.key, before=_number(query), limit=query.limit + 1
        )
        return page(rows, query, lambda row: row.number, lambda row: _revision(session, row))


@bp.get("/flags/<key>/revisions/<int:number>", summary="One revision", tags=TAGS)
@requires(Role.READER)
def get_revision(path: RevisionPath) -> dict[str, Any]:
    """A flag as it was after one change."""
    with reading() as session:
        row = service.get_flag_revision(session, path.key, path.number)
        return {**_revision(session, row), "flag": row.snapshot}


def _number(query: PageQuery) -> int | None:
    if query.after is None:
        return None
    if not query.after.isdecimal() or len(query.after) > 15:
        raise Invalid("This cursor is not one of ours.", faults=(Fault("cursor", "no cursor"),))
    return int(query.after)


class _Edit:
    """An edit that is either kept and answered with the flag, or shown and undone."""

    def __init__(self, session: Session, before: Flag, is_preview: bool) -> None:
        self.session = session
        self._before = before
        self._is_preview = is_preview
        self.after = before

    def answer(self) -> Response:
        """The flag, or what would change."""
        if not self._is_preview:
            return _shown(self.after)
        found = differences(dump_flag(self._before), dump_flag(self.after))
        changes = [show_difference(item) for item in found]
        told = {"changes": changes, "warnings": _warnings(self.after)}
        return answer(told, self._before.revision)


@contextmanager
def _changing(is_preview: bool, key: str) -> Iterator[_Edit]:
    with (previewing if is_preview else changing)() as session:
        yield _Edit(session, service.get_flag(session, key), is_preview)


def _shown(flag: Flag, status: int = 200) -> Response:
    return answer({**show_flag(flag), "warnings": _warnings(flag)}, flag.revision, status)


def _warnings(flag: Flag) -> list[dict[str, Any]]:
    return [
        {"environment": item.environment, "rule": item.rule, "warning": item.text}
        for item in cautions(flag, now())
    ]


def _revision(session: Session, row: RevisionRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "action": row.action,
        "actor": {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name},
        "reason": row.reason,
        "at": row.at,
        "changes": [show_difference(item) for item in changes_of(session, row)],
    }
