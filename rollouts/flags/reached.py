"""How far the newest change of one flag has come: by environment and connection, in a sentence.

A change is in the payload version that was published with it; whoever has that version or a
later one has the change. What nobody counted is said to be unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from rollouts.flags import environment_store, store
from rollouts.flags.changes import get_row
from rollouts.flags.environment_store import ConnectionRow, EnvironmentRow
from rollouts.flags.propagation import Reach, sentence
from rollouts.flags.propagation_store import list_reaches
from rollouts.flags.store import RevisionRow

MOST_REVISIONS = 50  # that are looked through for the newest one that an environment noticed
MOST_CONNECTIONS = 200
AT_ONCE = timedelta(milliseconds=100)  # versions that follow too fast are moved apart by as much


@dataclass(frozen=True, slots=True)
class Arrival:
    """The newest change of a flag at the clients of one connection."""

    client_key: str
    name: str
    environment: str
    version: int | None  # that brought the change; None if that is not known
    revision: int | None  # the change itself
    n_known: int | None  # clients; None if nobody counted
    n_reached: int | None
    seconds: float | None
    sentence: str


def list_arrivals(session: Session, key: str) -> list[Arrival]:
    """Every connection that is told of a flag, by environment. Raises NotFound."""
    revisions = store.list_revisions(
        session, get_row(session, key).id, before=None, limit=MOST_REVISIONS
    )
    rows = environment_store.list_connections(session, after=None, limit=MOST_CONNECTIONS)
    places = environment_store.list_environments(session)
    brought = {place.id: _brought(session, place, revisions) for place in places}
    order = [place.id for place in places]
    return [
        _arrival(connection, place, brought[place.id], list_reaches(session, connection.client_key))
        for connection, place in sorted(rows, key=lambda row: (order.index(row[1].id), row[0].name))
    ]


def _brought(
    session: Session, place: EnvironmentRow, revisions: Sequence[RevisionRow]
) -> tuple[int, int] | None:
    """Version and revision of the newest change that changed what the environment serves."""
    for row in revisions:
        version = environment_store.find_version_at(session, place.id, _whole(row.at), AT_ONCE)
        if version is not None:
            return version, row.number
    return None


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _arrival(
    connection: ConnectionRow,
    place: EnvironmentRow,
    brought: tuple[int, int] | None,
    reaches: Sequence[Reach],
) -> Arrival:
    version, revision = brought or (None, None)
    by_version = {reach.version: reach for reach in reaches}
    of_change = by_version.get(version) if version is not None else None
    newest = by_version.get(place.version)
    counted = newest if version is None else of_change or newest
    return Arrival(
        client_key=connection.client_key,
        name=connection.name,
        environment=place.key,
        version=version,
        revision=revision,
        n_known=counted.n_known if counted else None,
        n_reached=counted.n_reached if counted else None,
        seconds=counted.seconds if counted else None,
        sentence=told(version, place.version, of_change, newest),
    )


def told(version: int | None, current: int, of_change: Reach | None, newest: Reach | None) -> str:
    """What there is to say about a change that came with a version.

    >>> told(47, 47, None, None)
    'No client of this connection is known, so nobody can say who has version 47.'
    """
    if of_change is None and newest is None:
        which = f"version {current if version is None else version}"
        return f"No client of this connection is known, so nobody can say who has {which}."
    if version is None:
        assert newest is not None
        return f"Which version brought the change is not known. {sentence(newest)}"
    if version == current:
        assert newest is not None
        return sentence(newest)
    parts = [f"Version {version} was followed by others before anybody counted."]
    if of_change is not None:
        parts = [f"{sentence(of_change)[:-1]} before others followed."]
    if newest is not None:
        parts.append(f"{sentence(newest)[:-1]}, and has the change too.")
    return " ".join(parts)
