"""The store: engine, sessions and transactions, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Engine, Integer, create_engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

SQLITE_BUSY_MS = 15_000
POSTGRES_CONNECT_SECONDS = 5  # a lost host must not hold a request for minutes

# SQLite numbers rows by itself only where the key is a plain INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware in, aware out, UTC in between: SQLite would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times in the store are aware; this one has no zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What every table descends from."""

    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy's own contract
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


class Database:
    """An engine and the two ways to use it: `transaction` writes, `reading` does not."""

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _make_engine(url, pool_size)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One write transaction: all of it is stored, or nothing.

        SQLite takes its write lock at once, so two writers wait instead of failing half way.
        """
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.connection(execution_options={"is_writing": True})
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent view of the store; nothing is written."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _make_engine(url: str, pool_size: int) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(
            url,
            pool_size=pool_size,
            max_overflow=20,
            pool_pre_ping=True,
            connect_args={"connect_timeout": POSTGRES_CONNECT_SECONDS},
        )
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=40,
        connect_args={"timeout": SQLITE_BUSY_MS / 1000, "isolation_level": None},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    _SameFile(Path(url.removeprefix("sqlite:///"))).guard(engine)
    return engine


class _SameFile:
    """Sees to it that connections are to the file that is there, not to one that was.

    SQLite would go on with a file that was deleted or replaced, and what is written would be lost;
    it would also make an empty one in its place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was_there = False

    def guard(self, engine: Engine) -> None:
        """Check each connection of this engine when it is made and whenever it is used again."""
        event.listen(engine, "do_connect", self._refuse_to_make)
        event.listen(engine, "connect", self._remember)
        event.listen(engine, "checkout", self._compare)

    def _refuse_to_make(self, *_: Any) -> None:
        if self._was_there and not self._path.exists():
            raise sqlite3.OperationalError("the database file is gone")

    def _remember(self, _connection: Any, record: Any) -> None:
        record.info["file"] = identity(self._path)
        self._was_there = True

    def _compare(self, _connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != identity(self._path):
            raise InvalidatePoolError("the database file was moved away or replaced")


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another that takes its name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={SQLITE_BUSY_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    is_writing = connection.get_execution_options().get("is_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
