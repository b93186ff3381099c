"""API keys and write keys over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rollouts.accounts import service
from rollouts.accounts.blueprint import bp
from rollouts.accounts.model import KeyKind, Role
from rollouts.accounts.store import AccessKeyRow
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction
from rollouts.web.paging import PageQuery, page

API_KINDS = (KeyKind.API,)
WRITE_KIND = {"server": KeyKind.SERVER_WRITE, "browser": KeyKind.BROWSER_WRITE}
WORD = {str(kind): word for word, kind in WRITE_KIND.items()}


class KeyPath(BaseModel):
    """Which key."""

    key_id: str = Field(max_length=16)


class ApiKeyBody(BaseModel):
    """A key to be made for the API."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="What uses it.")
    role: Role = Field(Role.READER, description="At most your own role.")
    environments: list[str] = Field(
        default_factory=list, max_length=50, description="Keys of those it may change; empty: all."
    )
    expires_in_days: int = Field(service.API_KEY_DAYS, ge=1, le=service.API_KEY_DAYS)


class WriteKeyBody(BaseModel):
    """A key to be made for sending events."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="What sends with it.")
    environment: str = Field("production", max_length=200)
    kind: Literal["server", "browser"] = Field(
        "server",
        description="`browser` for keys that lie in pages: what they send decides nothing alone.",
    )


@bp.post("/api-keys")
@requires(Role.EDITOR)
def create_api_key(body: ApiKeyBody) -> tuple[dict[str, Any], int]:
    """Make an API key. Its text is in this answer and nowhere else."""
    with transaction() as session:
        issued = service.create_api_key(
            session,
            name=body.name,
            role=body.role,
            environments=tuple(body.environments),
            valid=timedelta(days=body.expires_in_days),
            actor=current_actor(),
            now=now(),
        )
    return {**show(issued.row), "api_key": issued.text}, 201


@bp.get("/api-keys")
@requires(Role.EDITOR)
def list_api_keys(query: PageQuery) -> dict[str, Any]:
    """List API keys that are not revoked, without their secrets."""
    return _list(API_KINDS, query)


@bp.delete("/api-keys/<key_id>")
@requires(Role.EDITOR)
def revoke_api_key(path: KeyPath) -> tuple[str, int]:
    """End an API key, everywhere within seconds."""
    return _revoke(path.key_id, API_KINDS)


@bp.post("/write-keys")
@requires(Role.EDITOR)
def create_write_key(body: WriteKeyBody) -> tuple[dict[str, Any], int]:
    """Make a write key. Its text is in this answer and nowhere else."""
    with transaction() as session:
        issued = service.create_write_key(
            session,
            name=body.name,
            environment=body.environment,
            kind=WRITE_KIND[body.kind],
            actor=current_actor(),
            now=now(),
        )
    return {**show(issued.row), "write_key": issued.text}, 201


@bp.get("/write-keys")
@requires(Role.EDITOR)
def list_write_keys(query: PageQuery) -> dict[str, Any]:
    """List write keys that are not revoked, without their secrets."""
    return _list(service.WRITE_KINDS, query)


@bp.delete("/write-keys/<key_id>")
@requires(Role.EDITOR)
def revoke_write_key(path: KeyPath) -> tuple[str, int]:
    """End a write key, everywhere within seconds."""
    return _revoke(path.key_id, service.WRITE_KINDS)


def show(row: AccessKeyRow) -> dict[str, Any]:
    """A key as it goes out: everything but the secret."""
    shown: dict[str, Any] = {"id": row.id, "name": row.name}
    if row.kind == KeyKind.API:
        shown |= {"role": row.role, "environments": row.environments}
    else:
        shown |= {"kind": WORD[row.kind], "environment": row.environments[0]}
    for name in ("created_at", "expires_at", "last_used_at", "leaked_at"):
        moment = getattr(row, name)
        shown[name] = moment.isoformat() if moment else None
    return shown | {"created_by": row.created_by}


def _list(kinds: tuple[KeyKind, ...], query: PageQuery) -> dict[str, Any]:
    with reading() as session:
        rows = service.list_keys(
            session, kinds, limit=query.limit + 1, after=query.after, search=query.search
        )
        return page(rows, query, lambda row: row.id, show)


def _revoke(key_id: str, kinds: tuple[KeyKind, ...]) -> tuple[str, int]:
    with transaction() as session:
        service.revoke_key(session, key_id, kinds, actor=current_actor(), now=now())
    runtime().keys.forget()
    return "", 204
