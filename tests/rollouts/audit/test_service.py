"""The chain: it grows, it is whole, and it shows what was done to it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from rollouts.accounts.model import OPERATOR
from rollouts.audit import service
from rollouts.audit.append_only import append_only_ddl
from rollouts.db import Database

NOW = datetime(2026, 5, 14, 9, 42, 0, 123456, tzinfo=UTC)


def write(db: Database, subject: str = "returns", **more: object) -> None:
    with db.transaction() as session:
        service.record(
            session,
            actor=OPERATOR,
            action="flag.edited",
            subject_kind="flag",
            subject=subject,
            before={"enabled": True, "share": 0.1},
            after={"enabled": False, "share": 1.0, "big": 2**60},
            reason="contacts rose",
            now=NOW,
            **more,  # type: ignore[arg-type]
        )


def tamper(db: Database, statement: str) -> None:
    """Change the store as its owner can: triggers off."""
    off = (
        [f"DROP TRIGGER audit_entries_{name}" for name in ("no_update", "no_delete")]
        if db.is_sqlite
        else ["ALTER TABLE audit_entries DISABLE TRIGGER USER"]
    )
    with db.engine.begin() as connection:
        for line in (*off, statement):
            connection.execute(text(line))


def verify(db: Database) -> int | None:
    with db.reading() as session:
        return service.verify(session)


def test_an_untouched_chain_is_whole(db: Database) -> None:
    """What was written verifies after it went through the store, and an empty chain does."""
    assert verify(db) is None
    for _ in range(3):
        write(db)

    assert verify(db) is None
    with db.reading() as session:
        entries = service.list_entries(session, limit=10)
    assert [entry.id for entry in entries] == [3, 2, 1]
    assert entries[0].at == NOW
    assert entries[0].after == {"enabled": False, "share": 1.0, "big": str(2**60)}


def test_a_time_in_another_zone_is_the_same_moment(db: Database) -> None:
    """The chain does not depend on the zone a caller thinks in."""
    with db.transaction() as session:
        service.record(
            session,
            actor=OPERATOR,
            action="x",
            subject_kind="flag",
            subject="a",
            now=NOW.astimezone(timezone(timedelta(hours=5))),
        )

    assert verify(db) is None


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit_entries SET reason = 'nothing happened' WHERE id = 2", 2),
        ("UPDATE audit_entries SET after = '{\"enabled\": true}' WHERE id = 2", 2),
        ("UPDATE audit_entries SET actor_name = 'nobody' WHERE id = 3", 3),
        ("UPDATE audit_entries SET before = NULL WHERE id = 1", 1),
        ("DELETE FROM audit_entries WHERE id = 2", 3),
        ("DELETE FROM audit_entries WHERE id = 1", 2),
    ],
)
def test_tampering_shows_at_the_first_broken_entry(
    db: Database, statement: str, broken: int
) -> None:
    """A changed entry breaks at itself, a missing one at the next."""
    for _ in range(4):
        write(db)

    tamper(db, statement)

    assert verify(db) == broken


def test_a_cut_off_end_shows_only_against_a_kept_head(db: Database) -> None:
    """From within nothing is missing; the head that was kept outside says otherwise."""
    for _ in range(3):
        write(db)
    with db.reading() as session:
        kept = service.get_head(session)

    tamper(db, "DELETE FROM audit_entries WHERE id = 3")

    assert verify(db) is None
    with db.reading() as session:
        assert service.get_head(session) != kept


def test_the_store_itself_refuses_changes(db: Database) -> None:
    """Triggers refuse UPDATE, DELETE, and what deletes in disguise: REPLACE and TRUNCATE."""
    write(db)
    disguise = (
        "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE id = 1"
        if db.is_sqlite
        else "TRUNCATE audit_entries"
    )

    for statement in (
        "UPDATE audit_entries SET reason = ''",
        "DELETE FROM audit_entries",
        disguise,
    ):
        with pytest.raises(DatabaseError, match="append-only"), db.transaction() as session:
            session.execute(text(statement))

    assert verify(db) is None


def test_an_entry_falls_with_its_transaction(db: Database) -> None:
    """What was not done is not recorded."""

    def change() -> None:
        with db.transaction() as session:
            service.record(
                session, actor=OPERATOR, action="x", subject_kind="flag", subject="a", now=NOW
            )
            raise RuntimeError("the change itself failed")

    with pytest.raises(RuntimeError):
        change()

    with db.reading() as session:
        assert service.list_entries(session, limit=10) == []


def test_writers_at_once_make_one_chain(db: Database) -> None:
    """Transactions of several threads extend the chain one after another."""
    threads = [
        threading.Thread(target=lambda: [write(db, subject="t") for _ in range(5)])
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert verify(db) is None
    with db.reading() as session:
        assert service.get_head(session).id == 30


def test_entries_are_found_and_paged(db: Database) -> None:
    """Search looks at action, subject and actor; pages continue below the last id."""
    for subject in ("returns", "checkout", "return_100%"):
        write(db, subject=subject)

    with db.reading() as session:
        found = service.list_entries(session, limit=10, search="RETURN")
        exact = service.list_entries(session, limit=10, search="100%")
        older = service.list_entries(session, limit=10, before_id=2)
        of_one = service.list_entries(session, limit=10, subject_kind="flag", subject="checkout")
    assert [entry.subject for entry in found] == ["return_100%", "returns"]
    assert [entry.subject for entry in exact] == ["return_100%"]
    assert [entry.id for entry in older] == [1]
    assert [entry.subject for entry in of_one] == ["checkout"]


def test_no_dialect_is_left_without_triggers_silently() -> None:
    """An unknown database is refused rather than left open."""
    with pytest.raises(ValueError, match="mysql"):
        append_only_ddl("mysql", "audit_entries")
