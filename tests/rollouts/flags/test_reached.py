"""How far the newest change of a flag has come."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from rollouts.db import Database
from rollouts.flags import propagation_store, service
from rollouts.flags.environment_store import PayloadRow
from rollouts.flags.model import Flag
from rollouts.flags.propagation import Reach
from rollouts.flags.reached import Arrival, list_arrivals
from tests.rollouts.flags.calling import Caller
from tests.rollouts.flags.makers import EDITOR, NOW, flag, make_connection

LATER = NOW + timedelta(hours=1)


def arrival(session: Session, key: str = "f") -> Arrival:
    """What is told of the one connection."""
    (found,) = list_arrivals(session, key)
    return found


def make(session: Session, key: str, at: int) -> Flag:
    """A flag that was made so many minutes after the start."""
    now = NOW + timedelta(minutes=at)
    return service.create_flag(session, flag(key), actor=EDITOR, now=now)


def tell(session: Session, client_key: str, version: int, reached: int, known: int) -> None:
    """A process says how far a version has come."""
    reach = Reach(client_key, version, LATER, known, reached, 1.3)
    propagation_store.save(session, "web", [reach], LATER)


def test_a_change_is_told_by_the_version_that_brought_it(db: Database):
    """Not by the newest: what came after holds it too, and says so."""
    with db.transaction() as session:
        key = make_connection(session).client_key
        make(session, "f", 1)
        version = service.get_environment(session, "production").version
        assert arrival(session).sentence == (
            f"No client of this connection is known, so nobody can say who has version {version}."
        )
        tell(session, key, version, 212, 214)
        first = arrival(session)
        make(session, "g", 2)
        tell(session, key, version + 1, 3, 214)
        second = arrival(session)
        newest = arrival(session, "g")

    assert first.sentence == f"Version {version} reached 212 of 214 clients in 1.3 s."
    assert (first.version, first.revision, first.n_reached) == (version, 1, 212)
    assert second.n_reached == 212
    assert second.sentence == (
        f"Version {version} reached 212 of 214 clients in 1.3 s before others followed."
        f" Version {version + 1} reached 3 of 214 clients in 1.3 s, and has the change too."
    )
    assert newest.n_reached == 3


def test_a_change_elsewhere_is_not_taken_for_one_here(db: Database):
    """Only staging was switched: production's version is that of the change before."""
    with db.transaction() as session:
        make_connection(session)
        make(session, "f", 1)
        version = service.get_environment(session, "production").version
        service.set_enabled(
            session, "f", "staging", False, reason="", actor=EDITOR, now=NOW + timedelta(minutes=5)
        )
        service.edit_flag(session, "f", {"owner": "Ada"}, actor=EDITOR, now=LATER)

        assert (arrival(session).version, arrival(session).revision) == (version, 1)


def test_versions_that_cannot_be_told_apart_are_unknown(db: Database):
    """A change of which no version is remembered is not guessed at."""
    with db.transaction() as session:
        key = make_connection(session).client_key
        make(session, "f", 1)
        session.execute(update(PayloadRow).values(updated_at=NOW - timedelta(days=9)))
        version = service.get_environment(session, "production").version
        tell(session, key, version, 2, 2)

        assert arrival(session).sentence == (
            "Which version brought the change is not known."
            f" Version {version} reached 2 of 2 clients in 1.3 s."
        )


def test_over_http(api: Caller):
    """By connection; and a flag that is none is refused."""
    api.post("/flags", {"key": "f"})
    api.post("/connections", {"name": "shop"})
    (item,) = api.get("/flags/f/propagation")["items"]

    assert item["name"] == "shop"
    assert item["n_known"] is None
    assert item["sentence"].startswith("No client of this connection is known")
    assert api.refused("GET", "/flags/none/propagation")[0] == 404
