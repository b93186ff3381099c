"""The journal: what was answered with 2xx is in it, durably, in one order for all readers.

One thread a process commits for everybody who waits (group commit), which makes a batch
ten times cheaper than a commit of its own would. Processes take turns at a lock, so offsets
become visible in their order and a reader that has seen offset n will never see n - 1 appear.
"""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import Future
from contextlib import closing
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from rollouts.config import Settings
from rollouts.db import Database
from rollouts.errors import Unavailable
from rollouts.ingest import framing, store
from rollouts.ingest.model import Entry, Frame, to_us

log = structlog.get_logger()

GROUP_FRAMES = 1_000  # most frames in one commit
WAITING_BYTES = 64_000_000  # packed bytes that may wait before senders are told to come back
WAIT_SECONDS = 20.0  # longer than the store's own patience
LOCK = 7_201_001  # our number among PostgreSQL's advisory locks

Waiting = tuple[dict[str, Any], Future[int]]


class Journal:
    """An append-only file of frames with offsets that count events."""

    def __init__(self, db: Database, *, owns_db: bool) -> None:
        self._db = db
        self._owns_db = owns_db
        self._lock = threading.Lock()
        self._start_afresh()

    @classmethod
    def open(cls, settings: Settings, db: Database) -> Journal:
        """The journal beside an embedded store, or inside a PostgreSQL one."""
        if not settings.is_embedded:
            return cls(db, owns_db=False)
        own = Database(f"sqlite:///{settings.var_dir / 'journal.db'}", pool_size=5)
        with own.transaction() as session:
            store.TABLE.create(session.connection(), checkfirst=True)
        return cls(own, owns_db=True)

    def append(self, frame: Frame) -> int:
        """Store a frame durably; the offset of its last event. Raises Unavailable."""
        future = self.append_future(frame)
        try:
            return future.result(WAIT_SECONDS)
        except TimeoutError:
            raise Unavailable("The journal is too slow. Send the events again later.") from None

    def append_future(self, frame: Frame) -> Future[int]:
        """Like `append` without waiting: the future is done once the frame is durable."""
        if frame.n_events < 1:
            raise ValueError("a frame has at least one event")
        self._ensure_committer()
        row = framing.pack(frame)
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # what is queued will be stored, wanted or not
        with self._lock:
            if self._is_closed or self._waiting_bytes > WAITING_BYTES:
                raise Unavailable("The journal takes no more now. Send the events again later.")
            self._waiting_bytes += len(row["packed"])
            self._queue.put((row, future))
        return future

    def read(self, after: int, limit_events: int) -> list[Entry]:
        """What follows an offset, in order: whole frames until `limit_events` are reached.

        A damaged frame, or a gap where frames are gone, is an entry without a frame.
        """
        entries: list[Entry] = []
        place = after
        with (
            self._db.reading() as session,
            closing(store.stream_frames(session, after)) as rows,
        ):
            for row in rows:
                entry = framing.read(row)
                if entry.start > place:
                    entries.append(Entry(place, entry.start, None, "frames are missing"))
                entries.append(entry)
                place = entry.end
                if place - after >= limit_events:
                    break
        return entries

    def end(self) -> int:
        """Offset of the newest event, which is how many were ever accepted."""
        with self._db.reading() as session:
            return store.find_end(session)

    def lag(self, offset: int) -> int:
        """How many events follow an offset."""
        return max(self.end() - offset, 0)

    def prune(self, before: datetime, *, folded: int) -> int:
        """Delete frames received before a time and folded up to an offset; how many."""
        with self._db.transaction() as session:
            return store.delete_frames(session, to_us(before), folded)

    def close(self) -> None:
        """Commit what waits, then stop. Appending afterwards raises Unavailable."""
        with self._lock:
            self._is_closed = True
            committer = self._committer
            self._queue.put(None)
        if committer is not None and self._pid == os.getpid():
            committer.join()
        if self._owns_db:
            self._db.dispose()

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._committer: threading.Thread | None = None
        self._is_closed = False

    def _ensure_committer(self) -> None:
        """Start the thread at first use, and again in a forked child: threads are not inherited."""
        if self._committer is not None and self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._db.engine.dispose(close=False)  # the parent's connections are the parent's
                self._start_afresh()
            if self._committer is None and not self._is_closed:
                self._committer = threading.Thread(
                    target=self._commit_all, name="journal", daemon=True
                )
                self._committer.start()

    def _commit_all(self) -> None:
        is_open = True
        while is_open:
            group, is_open = self._next_group()
            if group:
                self._commit(group)

    def _next_group(self) -> tuple[list[Waiting], bool]:
        """All that waits now, at least one; False once the journal is closed."""
        group: list[Waiting] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == GROUP_FRAMES:
                return group, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: list[Waiting]) -> None:
        try:
            ends = self._write([row for row, _ in group])
        except Exception as wrong:  # whoever waits must hear of any failure whatsoever
            self._fail(group, wrong)
        else:
            self._settle(group)
            for (_, future), end in zip(group, ends, strict=True):
                future.set_result(end)

    def _fail(self, group: list[Waiting], wrong: Exception) -> None:
        """Tell the senders; one frame that cannot be stored must not take others with it."""
        if len(group) > 1 and not isinstance(wrong, OperationalError):
            for waiting in group:
                self._commit([waiting])
            return
        log.error("journal_write_failed", error=type(wrong).__name__, n_frames=len(group))
        self._settle(group)
        for _, future in group:
            future.set_exception(
                Unavailable("The journal cannot be written. Send the events again later.")
            )

    def _settle(self, group: list[Waiting]) -> None:
        """These frames wait no longer."""
        with self._lock:
            self._waiting_bytes -= sum(len(row["packed"]) for row, _ in group)

    def _write(self, rows: list[dict[str, Any]]) -> list[int]:
        ends: list[int] = []
        with self._db.transaction() as session:
            if not self._db.is_sqlite:
                session.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            place = store.find_end(session)
            for row in rows:
                place += row["n_events"]
                framing.seal(row, place)
                ends.append(place)
            store.add_frames(session, rows)
        return ends
