"""People over HTTP, and who the caller is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from rollouts.accounts import service
from rollouts.accounts.blueprint import bp
from rollouts.accounts.model import Access, Role
from rollouts.accounts.store import UserRow
from rollouts.accounts.visit_cookie import local_path
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction
from rollouts.web.paging import PageQuery, page


class UserPath(BaseModel):
    """Which person."""

    name: str = Field(max_length=200)


class UserBody(BaseModel):
    """A person to be invited."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        min_length=1, max_length=200, description="What they sign in with, e.g. an e-mail address."
    )
    full_name: str = Field("", max_length=200, description="How pages and records call them.")
    role: Role = Field(Role.READER, description="At most your own role.")


class UserChange(BaseModel):
    """What changes; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    is_disabled: bool | None = Field(None, description="True ends all their sessions.")


class LinkBody(BaseModel):
    """A one-time link to be made."""

    model_config = ConfigDict(extra="forbid")

    next: str = Field("", max_length=1000, description="A path of ours the link leads on to.")


@bp.get("/me")
@requires(Access.SIGNED_IN)
def get_me() -> dict[str, Any]:
    """Who the service takes you for."""
    actor = current_actor()
    return {
        "kind": actor.kind,
        "id": actor.id,
        "name": actor.name,
        "role": actor.role,
        "environments": sorted(actor.environments),
    }


@bp.post("/users")
@requires(Role.ADMIN)
def invite_user(body: UserBody) -> tuple[dict[str, Any], int]:
    """Add a person; the answer has the link that signs them in for the first time."""
    with transaction() as session:
        user = service.create_user(
            session,
            name=body.name,
            full_name=body.full_name,
            role=body.role,
            actor=current_actor(),
            now=now(),
        )
        return {**show(user), **_new_link(session, user, "")}, 201


@bp.get("/users")
@requires(Role.EDITOR)
def list_users(query: PageQuery) -> dict[str, Any]:
    """List people by name."""
    with reading() as session:
        rows = service.list_users(
            session, limit=query.limit + 1, after=query.after, search=query.search
        )
        return page(rows, query, lambda user: user.name, show)


@bp.patch("/users/<name>")
@requires(Role.ADMIN)
def change_user(path: UserPath, body: UserChange) -> dict[str, Any]:
    """Change somebody else's role, or whether they may sign in."""
    with transaction() as session:
        user = service.change_user(
            session,
            path.name,
            role=body.role,
            is_disabled=body.is_disabled,
            actor=current_actor(),
            now=now(),
        )
        return show(user)


@bp.delete("/users/<name>")
@requires(Role.ADMIN)
def disable_user(path: UserPath) -> tuple[str, int]:
    """Shut a person out and end their sessions; what they did stays on record."""
    with transaction() as session:
        service.change_user(session, path.name, is_disabled=True, actor=current_actor(), now=now())
    return "", 204


@bp.post("/users/<name>/links")
@requires(Role.ADMIN)
def create_link(path: UserPath, body: LinkBody) -> tuple[dict[str, Any], int]:
    """Make a link that signs this person in once, within ten minutes."""
    with transaction() as session:
        user = service.get_user(session, path.name)
        return _new_link(session, user, body.next), 201


def show(user: UserRow) -> dict[str, Any]:
    """A person as they go out."""
    return {
        "name": user.name,
        "full_name": user.full_name,
        "role": user.role,
        "is_disabled": user.disabled_at is not None,
        "has_password": user.password_hash is not None,
        "created_at": user.created_at.isoformat(),
        "created_by": user.created_by,
        "signed_in_at": user.signed_in_at.isoformat() if user.signed_in_at else None,
    }


def _new_link(session: Session, user: UserRow, next_path: str) -> dict[str, Any]:
    token = service.create_link(session, user, actor=current_actor(), now=now())
    onward = local_path(next_path) if next_path else ""
    return {
        "link": service.link_address(runtime().settings, token, onward),
        "link_expires_at": (now() + service.LINK_VALID).isoformat(),
    }
