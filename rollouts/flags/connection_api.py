"""Environments and SDK connections over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response

from rollouts.accounts.model import Role
from rollouts.flags import service
from rollouts.flags.blueprint import CONNECTIONS, ENVIRONMENTS, bp
from rollouts.flags.bodies import (
    ClientKeyPath,
    EditConnectionBody,
    NewConnectionBody,
    NewEnvironmentBody,
    answer,
)
from rollouts.flags.changing import changing
from rollouts.flags.environment_store import ConnectionRow, EnvironmentRow
from rollouts.flags.propagation import Reach, sentence
from rollouts.flags.served import to_date
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading
from rollouts.web.paging import PageQuery, page


@bp.get("/environments", summary="List environments", tags=[ENVIRONMENTS])
@requires(Role.READER)
def list_environments() -> dict[str, Any]:
    """All environments; there are few."""
    with reading() as session:
        rows = service.list_environments(session)
        return {"items": [_environment(row) for row in rows], "next_cursor": None}


@bp.post("/environments", summary="Make an environment", tags=[ENVIRONMENTS])
@requires(Role.ADMIN)
def create_environment(body: NewEnvironmentBody) -> Response:
    """Add an environment; every flag starts there switched off."""
    with changing() as session:
        row = service.create_environment(
            session, key=body.key, name=body.name, actor=current_actor(), now=now()
        )
        return answer(_environment(row), status=201)


@bp.get("/connections", summary="List connections", tags=[CONNECTIONS])
@requires(Role.READER)
def list_connections(query: PageQuery) -> dict[str, Any]:
    """Connections in use, by client key."""
    with reading() as session:
        rows = service.list_connections(
            session, after=query.after, limit=query.limit + 1, search=query.search
        )
        return page(rows, query, lambda row: row[0].client_key, lambda row: _shown(*row))


@bp.post("/connections", summary="Make a connection", tags=[CONNECTIONS])
@requires(Role.ADMIN)
def create_connection(body: NewConnectionBody) -> Response:
    """Make a client key: public, for SDKs. An encrypted one comes with its encryption key."""
    with changing() as session:
        row = service.create_connection(
            session,
            name=body.name,
            environment=body.environment,
            mode=body.mode,
            options=body.options.to_domain(),
            actor=current_actor(),
            now=now(),
        )
        environment = service.get_environment(session, body.environment)
        return answer(_with_key(row, environment), status=201)


@bp.get("/connections/<client_key>", summary="One connection", tags=[CONNECTIONS])
@requires(Role.ADMIN)
def get_connection(path: ClientKeyPath) -> Response:
    """A connection, its encryption key included."""
    with reading() as session:
        row, environment = service.get_connection_with_environment(session, path.client_key)
        return answer(_with_key(row, environment))


@bp.get("/connections/<client_key>/propagation", summary="How far it came", tags=[CONNECTIONS])
@requires(Role.READER)
def get_propagation(path: ClientKeyPath) -> dict[str, Any]:
    """How many of the clients that are known have each version, and in what time.

    Open streams are counted one by one. Who polls is one client for each `X-Client-Id` it sends,
    and without that header one for each address and user agent: several processes behind one
    address then count as one, and behind a CDN only the CDN is seen. A client is known for ten
    minutes after it last asked; one that asks less often comes and goes.
    """
    with reading() as session:
        service.get_connection(session, path.client_key)
        found = service.list_reaches(session, path.client_key)
    return {"versions": [_reach(item) for item in found]}


@bp.patch("/connections/<client_key>", summary="Change a connection", tags=[CONNECTIONS])
@requires(Role.ADMIN)
def edit_connection(path: ClientKeyPath, body: EditConnectionBody) -> Response:
    """Rename a connection, or change what its payload holds."""
    with changing() as session:
        service.edit_connection(
            session,
            path.client_key,
            name=body.name,
            options=body.options.to_domain() if body.options else None,
            actor=current_actor(),
            now=now(),
        )
        row, environment = service.get_connection_with_environment(session, path.client_key)
        return answer(_shown(row, environment))


@bp.delete("/connections/<client_key>", summary="Revoke a connection", tags=[CONNECTIONS])
@requires(Role.ADMIN)
def revoke_connection(path: ClientKeyPath) -> Response:
    """Stop serving a client key."""
    with changing() as session:
        service.revoke_connection(session, path.client_key, actor=current_actor(), now=now())
    return Response(status=204)


def _environment(row: EnvironmentRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "name": row.name,
        "version": row.version,
        "updated_at": to_date(row.updated_at),
        "next_change_at": row.next_change_at,
    }


def _reach(reach: Reach) -> dict[str, Any]:
    return {
        "version": reach.version,
        "published_at": to_date(reach.published_at),
        "known": reach.n_known,
        "reached": reach.n_reached,
        "seconds": reach.seconds,
        "sentence": sentence(reach),
    }


def _shown(row: ConnectionRow, environment: EnvironmentRow) -> dict[str, Any]:
    options = row.to_options()
    return {
        "client_key": row.client_key,
        "name": row.name,
        "environment": environment.key,
        "mode": row.mode,
        "options": {
            "saved_groups": options.groups.value,
            "rule_ids": options.with_rule_ids,
            "names": options.with_names,
            "sticky": options.is_sticky,
            "experiments": options.with_experiments,
            "metadata": options.with_metadata,
        },
        "created_at": row.created_at,
    }


def _with_key(row: ConnectionRow, environment: EnvironmentRow) -> dict[str, Any]:
    key = {} if row.encryption_key is None else {"encryption_key": row.encryption_key}
    return {**_shown(row, environment), **key}
