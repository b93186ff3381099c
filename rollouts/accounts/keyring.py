"""Presented keys are looked up here: from memory for some seconds, else from the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rollouts.accounts import key_text, store
from rollouts.accounts.keys import BOOTSTRAP_ID, report_leak
from rollouts.accounts.model import Key, KeyKind
from rollouts.accounts.store import AccessKeyRow
from rollouts.db import Database

log = structlog.get_logger()

# Below the five seconds in which a revoked key must be dead everywhere.
KEPT = timedelta(seconds=3)
USED_EVERY = timedelta(minutes=1)
MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class _Held:
    """What the store said about an id, and when."""

    loaded_at: datetime
    key: Key | None
    secret_hash: str = ""
    expires_at: datetime | None = None
    used_at: datetime | None = None


def in_background(job: Callable[[], None]) -> None:
    """Run a small write beside the request, which need not wait for it."""
    threading.Thread(target=job, name="key-used", daemon=True).start()


class KeyRing:
    """Finds keys. One per process; safe to ask from threads, and from async code for keys held.

    No lock is held while the store is asked, so a slow store delays only who asks for a key that
    is not held.
    """

    def __init__(self, db: Database, *, run: Callable[[Callable[[], None]], None] = in_background):
        self._db = db
        self.run = run  # also for other small writes beside a request
        self._held: dict[str, _Held] = {}
        self._used: dict[str, datetime] = {}
        self._leaked: set[str] = set()
        self._lock = threading.Lock()

    def find(self, presented: str, *, now: datetime) -> Key | None:
        """The key, if it is known, not revoked and not expired."""
        if len(presented) > key_text.LONGEST:
            return None
        # A key from the settings may have any form, even that of our own keys.
        for key_id in (key_text.find_id(presented), BOOTSTRAP_ID):
            held = self._get(key_id, now) if key_id else None
            if (
                held is None
                or held.key is None
                or not key_text.matches(presented, held.secret_hash)
            ):
                continue
            if held.expires_at is not None and held.expires_at <= now:
                return None
            self._remember_use(held.key.id, held.used_at, now)
            return held.key
        return None

    def find_api_key(self, presented: str, *, now: datetime) -> Key | None:
        """The same, for keys that may call the API."""
        key = self.find(presented, now=now)
        return key if key is not None and key.kind is KeyKind.API else None

    def forget(self) -> None:
        """Ask the store anew for every key: what this process changed holds at once."""
        with self._lock:
            self._held.clear()

    def note_leak(self, key: Key, origin: str, *, now: datetime) -> None:
        """Say once per process, and keep in the store, that a page holds this secret key."""
        with self._lock:
            if key.id in self._leaked:
                return
            self._leaked.add(key.id)
        log.warning("key_seen_in_a_page", key_id=key.id, origin=origin[:200])
        self.run(lambda: self._write_leak(key, origin, now))

    def _write_leak(self, key: Key, origin: str, now: datetime) -> None:
        try:
            with self._db.transaction() as session:
                report_leak(session, key.id, origin, actor=key.actor(), now=now)
        except SQLAlchemyError as wrong:
            log.debug("leak_not_written", key_id=key.id, error=type(wrong).__name__)
            with self._lock:
                self._leaked.discard(key.id)  # the next request tries again

    def _get(self, key_id: str, now: datetime) -> _Held:
        held = self._held.get(key_id)
        if held is not None and timedelta(0) <= now - held.loaded_at < KEPT:
            return held
        held = self._load(key_id, now)
        with self._lock:
            if len(self._held) >= MOST_KEPT:
                self._held.clear()
            self._held[key_id] = held
        return held

    def _load(self, key_id: str, now: datetime) -> _Held:
        with self._db.reading() as session:
            row = session.get(AccessKeyRow, key_id)
            if row is None or row.revoked_at is not None:
                return _Held(now, None)
            return _Held(now, row.to_domain(), row.secret_hash, row.expires_at, row.last_used_at)

    def _remember_use(self, key_id: str, stored: datetime | None, now: datetime) -> None:
        with self._lock:
            latest = max(filter(None, (stored, self._used.get(key_id))), default=None)
            if latest is not None and now - latest < USED_EVERY:
                return
            self._used[key_id] = now
        self.run(lambda: self._write_use(key_id, now))

    def _write_use(self, key_id: str, now: datetime) -> None:
        try:
            with self._db.transaction() as session:
                store.touch_key(session, key_id, now=now, every=USED_EVERY)
        except SQLAlchemyError as wrong:
            log.debug("key_use_not_written", key_id=key_id, error=type(wrong).__name__)
