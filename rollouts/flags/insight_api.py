"""What engineers ask of flags over HTTP: who gets what and why, what could go, where it is used."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response
from pydantic import Field, JsonValue

from rollouts.accounts.model import Role
from rollouts.flags.blueprint import FLAGS, bp
from rollouts.flags.bodies import Body, KeyPath, answer
from rollouts.flags.changes import list_flags
from rollouts.flags.model import Flag
from rollouts.flags.reached import list_arrivals
from rollouts.flags.reference_store import CodeReferenceRow, CodeScanRow
from rollouts.flags.simulating import simulate, simulate_many
from rollouts.flags.staleness import Stale, list_code_scans, list_stale, put_code_references
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, transaction
from rollouts.web.paging import PageQuery, page

TAGS = [FLAGS]


class SimulateBody(Body):
    """A user, and where."""

    environment: str = Field("production", max_length=200)
    attributes: dict[str, JsonValue] = Field(description="The user as an SDK would describe them.")


class StaleQuery(PageQuery):
    """How long is long, and how much of the list."""

    days: int = Field(30, ge=1, le=3650, description="Days without edits or clients.")


class ReferenceBody(Body):
    """One line of a file."""

    file: str = Field(min_length=1, max_length=1_000)
    line: int = Field(ge=1, le=10**9)


class ReferencesBody(Body):
    """All that a scan of one branch found of one flag."""

    repository: str = Field(min_length=1, max_length=200)
    branch: str = Field("main", min_length=1, max_length=200)
    commit: str = Field("", max_length=64, description="What was scanned, as git names it.")
    references: list[ReferenceBody] = Field(max_length=1_000)


@bp.post("/flags/<key>/simulate", summary="Who gets what and why", tags=TAGS)
@requires(Role.READER)
def simulate_flag(path: KeyPath, body: SimulateBody) -> Response:
    """What a user gets, and of each rule whether it concerns them and why."""
    with reading() as session:
        found = simulate(session, path.key, body.environment, dict(body.attributes), now=now())
    return answer(found.to_json())


@bp.post("/simulate", summary="Who gets what from every flag", tags=TAGS)
@requires(Role.READER)
def simulate_flags(query: PageQuery, body: SimulateBody) -> dict[str, Any]:
    """What a user gets from each flag, by key, and of each rule whether it concerns them."""
    with reading() as session:
        flags = list_flags(session, after=query.after, limit=query.limit + 1, search=query.search)
        found = simulate_many(session, flags, body.environment, dict(body.attributes), now=now())
    told = [{"key": flag.key, **item.to_json()} for flag, item in zip(flags, found, strict=True)]
    return page(told, query, lambda item: item["key"], lambda item: item)


@bp.get("/stale-flags", summary="Flags that could go", tags=TAGS)
@requires(Role.READER)
def list_stale_flags(query: StaleQuery) -> Response:
    """Flags that no longer decide anything, with reasons, and where to take them out.

    Flags with the tag `permanent` are left out.
    """
    with reading() as session:
        found = [
            item
            for item in list_stale(session, days=query.days, now=now())
            if item.flag.key > (query.after or "") and _has(item.flag, query.search)
        ]
        found.sort(key=lambda item: item.flag.key)  # as compared, whatever the store's collation
        return answer(page(found, query, lambda item: item.flag.key, _show_stale))


@bp.post("/flags/<key>/code-references", summary="Say where it is used", tags=TAGS)
@requires(Role.EDITOR)
def put_references(path: KeyPath, body: ReferencesBody) -> Response:
    """Replace what is known of a flag's mentions in one branch of one repository."""
    found = [(item.file, item.line) for item in body.references]
    with transaction() as session:
        rows = put_code_references(
            session,
            path.key,
            body.repository,
            body.branch,
            found,
            commit=body.commit,
            actor=current_actor(),
            now=now(),
        )
        scans = list_code_scans(session, path.key)
        return answer(
            {
                "code_references": [show_reference(row) for row in rows],
                "code_scans": [show_scan(row) for row in scans],
            }
        )


@bp.get("/flags/<key>/propagation", summary="Who has the newest change", tags=TAGS)
@requires(Role.READER)
def get_flag_propagation(path: KeyPath) -> Response:
    """Of each connection, how many clients are known to have the flag's newest change."""
    with reading() as session:
        found = list_arrivals(session, path.key)
    return answer({"items": [asdict(item) for item in found]})


def _has(flag: Flag, search: str) -> bool:
    return any(search.casefold() in text.casefold() for text in (flag.key, flag.description))


def _show_stale(item: Stale) -> dict[str, Any]:
    return {
        "key": item.flag.key,
        "owner": item.flag.owner,
        "tags": list(item.flag.tags),
        "updated_at": item.flag.updated_at,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in item.reasons],
        "removal": item.removal,
        "code_references": [show_reference(row) for row in item.references],
    }


def show_reference(row: CodeReferenceRow) -> dict[str, Any]:
    """A mention as the API shows it."""
    return {
        "repository": row.repository,
        "branch": row.branch,
        "file": row.file,
        "line": row.line,
        "scanned_at": row.scanned_at,
    }


def show_scan(row: CodeScanRow) -> dict[str, Any]:
    """A scan as the API shows it; it may have found nothing."""
    return {
        "repository": row.repository,
        "branch": row.branch,
        "commit": row.commit or None,
        "scanned_at": row.scanned_at,
    }
