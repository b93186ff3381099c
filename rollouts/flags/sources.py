"""What delivery is made from: each connection in use with its environment's current body."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from rollouts.flags import environment_store as store
from rollouts.flags.environment_store import ConnectionRow, EnvironmentRow
from rollouts.flags.model import Connection

get_serial = store.get_serial


@dataclass(frozen=True, slots=True)
class Source:
    """A connection, and one version of its environment as it was published."""

    connection: Connection
    version: int
    updated_at: datetime
    body: str  # canonical: before it is adapted to the connection


def list_sources(session: Session) -> list[Source]:
    """All connections in use; those of an environment share its body."""
    bodies = store.read_bodies(session)
    return [
        Source(
            to_connection(row, environment),
            environment.version,
            environment.updated_at,
            bodies[environment.id],
        )
        for row, environment in store.list_served(session)
        if environment.id in bodies
    ]


def to_connection(row: ConnectionRow, environment: EnvironmentRow) -> Connection:
    """A stored connection as delivery knows it."""
    return Connection(
        client_key=row.client_key,
        environment_id=environment.id,
        environment_key=environment.key,
        mode=row.to_mode(),
        options=row.to_options(),
        encryption_key=row.encryption_key,
        name=row.name,
    )
