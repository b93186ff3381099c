"""What this process hands out to SDKs: in memory, ready to send, and never older than a moment."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from rollouts.clock import utcnow
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.flags import last_good, propagation_store, sources
from rollouts.flags.bells import ThreadBell
from rollouts.flags.evaluation.program import Program
from rollouts.flags.model import Connection, Mode, Options
from rollouts.flags.propagation import Propagation, Reach
from rollouts.flags.served import Served
from rollouts.flags.sources import Source
from rollouts.flags.watching import Watch, make_watch

log = structlog.get_logger()

PROCESS = f"{socket.gethostname()[:30]}-{uuid4().hex[:12]}"  # told to others
TELL_SECONDS = 2.0
RETRY_SECONDS = 1.0  # between attempts to reach a store that is gone


class Bell(Protocol):
    """Something that wakes those who follow a connection."""

    def ring(self, keys: Iterable[str] | None) -> None:
        """These client keys have something new, or are gone; None: look, whoever you are."""


class TooManyStreams(Exception):  # named for the refusal
    """The client key, or this process, follows as many streams as it may."""


@dataclass(frozen=True, slots=True)
class Held:
    """A connection and its current version."""

    connection: Connection
    served: Served


class Delivery:
    """The served state of every client key, kept current by a thread that watches the store."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._held: Mapping[str, Held] = {}
        self._serial = -1
        self._pid = 0  # of the process that it was started in
        self._starting = threading.Lock()
        self._refreshing = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._bells: list[Bell] = []
        self._streams: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._saved: object = None
        self._told: list[Reach] = []
        self._tell_at = 0.0
        self.propagation = Propagation()
        self.thread_bell = ThreadBell()
        self.is_loaded = False
        self.is_store_reachable = False
        self.is_draining = False
        self.add_bell(self.thread_bell)

    # What is current

    def find(self, client_key: str) -> Connection | None:
        """The connection of a client key, from memory."""
        held = self.current(client_key)
        return None if held is None else held.connection

    def current(self, client_key: str) -> Held | None:
        """The connection of a client key and what it is served now."""
        if self._pid != os.getpid():
            self._start_here()
        return self._held.get(client_key)

    def list_held(self) -> list[Held]:
        """All connections and what they are served now."""
        if self._pid != os.getpid():
            self._start_here()
        return list(self._held.values())

    def health(self) -> dict[str, Any]:
        """Whether what is served is what the store says."""
        if not self.is_loaded:
            return {"ok": False, "detail": "nothing to serve: no store, and no last good payload"}
        fresh = "as the store says" if self.is_store_reachable else "the last good payloads"
        detail = f"{len(self._held)} connections are served {fresh}"
        return {"ok": self.is_store_reachable, "detail": detail}

    # Its life

    def start(self) -> None:
        """Load what there is, from the store or else from disk, and watch for changes.

        The first question starts it too, in each process: threads are not inherited by a fork.
        """
        if self._pid != os.getpid():
            self._start_here()

    def _start_here(self) -> None:
        with self._starting:
            if self._pid == os.getpid():
                return
            if not self.refresh():
                self._load_last_good()
            self._thread = threading.Thread(target=self._keep_current, name="delivery", daemon=True)
            self._thread.start()
            self._pid = os.getpid()

    def drain(self) -> None:
        """End every stream in good order; the process is about to stop."""
        self.is_draining = True
        self._ring(None)

    def stop(self) -> None:
        """Drain, and stop watching for good."""
        self.drain()
        self._pid = os.getpid()  # nothing starts it again
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def refresh(self) -> bool:
        """Take over what the store now says; False if it does not answer.

        Whoever has committed a change and calls this is served the change from then on.
        """
        with self._refreshing:
            try:
                with self._db.reading() as session:
                    serial = sources.get_serial(session)
                    if serial != self._serial or not self.is_store_reachable:
                        self._take_over(sources.list_sources(session))
                        self._serial = serial
                self._note_store(True)
            except SQLAlchemyError as wrong:
                self._note_store(False, wrong)
                return False
        return True

    def _note_store(self, is_reachable: bool, wrong: Exception | None = None) -> None:
        if is_reachable != self.is_store_reachable or (wrong is not None and not self.is_loaded):
            self.is_store_reachable = is_reachable
            if wrong is not None:
                log.warning("store_unreachable", error=type(wrong).__name__, served="last known")

    def _load_last_good(self) -> None:
        found = last_good.read(self._settings.var_dir)
        if found is not None:
            self._take_over(found)
            log.warning("serving_last_good", connections=len(found))

    def _take_over(self, found: list[Source]) -> None:
        before = self._held
        now = dict(_hold(found, before))
        renewed = [
            (held.served, before[key].served)
            for key, held in now.items()
            if key in before and before[key].served is not held.served
        ]
        # A stream brings most clients the new version itself. Those of remote connections come
        # at once to have it evaluated: they are told last, when it is compiled.
        late = {key: old for key, old in before.items() if _is_remote(now.get(key), old)}
        self._serve({**now, **late})
        for new, old in renewed:
            new.prepare(old)
            new.prepare_program(old)
        self._serve(now)

    def _serve(self, now: Mapping[str, Held]) -> None:
        before, self._held = self._held, now
        was_loaded, self.is_loaded = self.is_loaded, True
        self._ring(None if not was_loaded else _changed(before, now))

    # Watching

    def _keep_current(self) -> None:
        watch = make_watch(self._db, self._settings.watch_interval_ms / 1000)
        try:
            while not self._stopping.is_set():
                self._watch_once(watch)
        finally:
            watch.close()

    def _watch_once(self, watch: Watch) -> None:
        if watch.wait(self._stopping) and not self._stopping.is_set() and not self.refresh():
            self._stopping.wait(RETRY_SECONDS)
        self._save_last_good()
        self._tell_propagation()

    def _save_last_good(self) -> None:
        if self._saved is self._held or not self.is_store_reachable:
            return
        held = self._held
        try:
            last_good.write(self._settings.var_dir, [_source(item) for item in held.values()])
        except OSError as wrong:
            log.warning("last_good_not_saved", error=str(wrong))
        self._saved = held

    def _tell_propagation(self) -> None:
        """Let other processes know how far versions have come here, if that has changed."""
        if time.monotonic() < self._tell_at or not self.is_store_reachable:
            return
        self._tell_at = time.monotonic() + TELL_SECONDS
        now = utcnow()
        current = {key: held.served.source for key, held in self._held.items()}
        reaches = self.propagation.list_reached(current, now)
        if reaches == self._told:
            return
        try:
            with self._db.transaction() as session:
                propagation_store.save(session, PROCESS, reaches, now)
            self._told = reaches
        except SQLAlchemyError as wrong:
            log.warning("propagation_not_told", error=type(wrong).__name__)

    # Followers

    def add_bell(self, bell: Bell) -> None:
        """Ring this bell too when something changes."""
        self._bells = [*self._bells, bell]

    def remove_bell(self, bell: Bell) -> None:
        """Ring this bell no more."""
        self._bells = [other for other in self._bells if other is not bell]

    def _ring(self, keys: list[str] | None) -> None:
        for bell in self._bells if keys is None or keys else ():
            bell.ring(keys)

    def admit(self, client_key: str) -> None:
        """Take a place among the open streams. Raises TooManyStreams."""
        limits = self._settings
        with self._counting:
            n_all, n_key = self._streams.total(), self._streams[client_key]
            if n_all >= limits.streams_per_process or n_key >= limits.streams_per_key:
                raise TooManyStreams(client_key)
            self._streams[client_key] += 1

    def leave(self, client_key: str) -> None:
        """Give the place back."""
        with self._counting:
            self._streams[client_key] -= 1
            if not self._streams[client_key]:
                del self._streams[client_key]

    def count_streams(self, client_key: str | None = None) -> int:
        """Open streams of a client key, or of all."""
        with self._counting:
            return self._streams.total() if client_key is None else self._streams[client_key]


def _is_remote(*held: Held | None) -> bool:
    return all(item is not None and item.served.mode is Mode.REMOTE for item in held)


def _hold(found: list[Source], before: Mapping[str, Held]) -> Iterator[tuple[str, Held]]:
    """What was made before is kept where nothing changed, and shared where nothing differs."""
    parsed: dict[tuple[int, int], tuple[dict[str, Any], dict[Options, Program]]] = {}
    shared: dict[tuple[int, int, str, Options, str | None], Served] = {}
    for source in found:
        connection = source.connection
        place = (connection.environment_id, source.version)
        known = before.get(connection.client_key)
        if known is not None and _is_current(known, source):
            yield connection.client_key, Held(connection, known.served)
            continue
        if place not in parsed:
            parsed[place] = msgspec.json.decode(source.body), {}
        form = (*place, connection.mode.value, connection.options, connection.encryption_key)
        if form not in shared:
            shared[form] = Served(connection, source, *parsed[place])
        yield connection.client_key, Held(connection, shared[form])


def _is_current(known: Held, source: Source) -> bool:
    old, new = known.connection, source.connection
    is_same_form = (old.mode, old.options, old.encryption_key, old.environment_id) == (
        new.mode,
        new.options,
        new.encryption_key,
        new.environment_id,
    )
    served = known.served.source
    is_same_version = (served.version, served.updated_at) == (source.version, source.updated_at)
    return is_same_form and is_same_version


def _changed(before: Mapping[str, Held], now: Mapping[str, Held]) -> list[str]:
    gone = [key for key in before if key not in now]
    new = [
        key
        for key, held in now.items()
        if key not in before or before[key].served is not held.served
    ]
    return gone + new


def _source(held: Held) -> Source:
    source = held.served.source
    return Source(held.connection, source.version, source.updated_at, source.body)
