"""Noticing that the store changed: cheaply on SQLite, at once on PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psycopg
import structlog

from rollouts.db import Database, identity
from rollouts.flags.environment_store import CHANNEL

log = structlog.get_logger()

POLL_SECONDS = 2.0  # how often the serial is read although nothing was announced
LISTEN_AGAIN_SECONDS = 5.0


class Watch(Protocol):
    """Waits for a reason to look."""

    def wait(self, stopping: threading.Event) -> bool:
        """Whether it is time to look at the store. Returns soon after `stopping` is set."""

    def close(self) -> None:
        """Let go of what it holds."""


def make_watch(db: Database, interval: float) -> Watch:
    """The watch that suits the store."""
    return SqliteWatch(db.url, interval) if db.is_sqlite else PostgresWatch(db.url, interval)


class SqliteWatch:
    """Asks its own connection for `data_version`, which grows with each commit of any other."""

    def __init__(self, url: str, interval: float) -> None:
        self._path = Path(url.removeprefix("sqlite:///"))
        self._file: tuple[int, int] | None = None
        self._interval = interval
        self._connection: sqlite3.Connection | None = None
        self._seen: int | None = None
        self._looked_at = 0.0

    def wait(self, stopping: threading.Event) -> bool:
        """One interval; true if somebody committed, or nobody looked for long."""
        stopping.wait(self._interval)
        version = self._version()
        is_due = time.monotonic() - self._looked_at >= POLL_SECONDS
        if version is not None and version == self._seen and not is_due:
            return False
        self._seen, self._looked_at = version, time.monotonic()
        return True

    def _version(self) -> int | None:
        file = identity(self._path)
        if file is None or file != self._file:
            self.close()  # it was moved away or replaced: the one we had tells nothing any more
        try:
            if self._connection is None:
                where = f"{self._path.absolute().as_uri()}?mode=rw"  # never make an empty one
                self._connection = sqlite3.connect(where, uri=True, isolation_level=None)
                self._file = file
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            self.close()
            return None

    def close(self) -> None:
        """Close its connection."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


class PostgresWatch:
    """Listens to what the writing transactions announce; polls while it cannot."""

    def __init__(self, url: str, interval: float) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._interval = interval
        self._connection: psycopg.Connection | None = None
        self._tried_at = float("-inf")
        self._looked_at = float("-inf")

    def wait(self, stopping: threading.Event) -> bool:
        """Until something is announced; else true every so often all the same."""
        connection = self._listening()
        if connection is None:
            stopping.wait(self._interval)
            return True
        try:
            announced = list(connection.notifies(timeout=self._interval * 4, stop_after=1))
        except psycopg.Error:
            self.close()
            return True
        is_due = time.monotonic() - self._looked_at >= POLL_SECONDS
        if announced or is_due:
            self._looked_at = time.monotonic()
        return bool(announced) or is_due

    def _listening(self) -> psycopg.Connection | None:
        if self._connection is None and time.monotonic() - self._tried_at >= LISTEN_AGAIN_SECONDS:
            self._tried_at = time.monotonic()
            try:
                connection = psycopg.connect(self._url, autocommit=True, connect_timeout=3)
                connection.execute(f"LISTEN {CHANNEL}")
                self._connection = connection
                self._looked_at = float("-inf")  # what was announced meanwhile is not told again
            except psycopg.Error as wrong:
                log.warning("cannot_listen", error=type(wrong).__name__, instead="polling")
        return self._connection

    def close(self) -> None:
        """Close its connection."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
