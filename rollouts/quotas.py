"""How much each key may send, so that one sender's mistake does not take the service from all.

Token buckets in the memory of one process: several processes allow several times as much.
A request is let in while no bucket of its key is in debt, and what it costs is taken afterwards,
when it is known: so a large batch is never refused for its size, it only delays the next one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

import structlog

from rollouts.config import Settings
from rollouts.errors import TooMany
from rollouts.telemetry import THROTTLED

log = structlog.get_logger()

LOG_SECONDS = 10.0  # a key that is over its limit is logged once in so long


@dataclass(slots=True)
class Bucket:
    """Tokens that come back at a rate, up to a few seconds' worth."""

    rate: float  # tokens per second
    burst: float  # most tokens held, and the most debt
    level: float
    filled_at: datetime

    @classmethod
    def full(cls, rate: float, burst_seconds: float, now: datetime) -> Bucket:
        """A bucket nobody has taken from."""
        burst = max(rate * burst_seconds, 1.0)
        return cls(rate, burst, burst, now)

    def fill(self, now: datetime) -> None:
        """Add what has come back; a clock that went backwards adds nothing."""
        passed = max((now - self.filled_at).total_seconds(), 0.0)
        self.level = min(self.level + passed * self.rate, self.burst)
        self.filled_at = now

    def take(self, tokens: float) -> None:
        """Take tokens, into debt if need be."""
        self.level = max(self.level - tokens, -self.burst)

    @property
    def wait_seconds(self) -> float:
        """How long until it has a whole token again; 0 if it has."""
        return max(1.0 - self.level, 0.0) / self.rate


@dataclass(slots=True)
class _Account:
    """One key's buckets, and what was refused since it was last logged."""

    buckets: dict[str, Bucket]
    n_refused: int = 0
    logged_at: datetime | None = None


@dataclass(slots=True)
class Quotas:
    """The buckets of every key that was used in this process; real keys only, so they are few."""

    settings: Settings
    _accounts: dict[str, _Account] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, key_id: str, *, is_public: bool, now: datetime) -> None:
        """Let a request in, or raise TooMany with the time to wait.

        is_public: the key lies in pages or apps, where anybody can read it.
        """
        with self._lock:
            account = self._accounts.get(key_id)
            if account is None:
                account = self._accounts[key_id] = self._open(is_public, now)
            for bucket in account.buckets.values():
                bucket.fill(now)
            name, slowest = max(account.buckets.items(), key=lambda item: item[1].wait_seconds)
            if slowest.wait_seconds == 0:
                account.buckets["requests"].take(1)
                return
            account.n_refused += 1
            n_refused = _n_to_log(account, now)
        THROTTLED.labels(name).inc()
        if n_refused:
            log.warning("key_over_limit", key_id=key_id, limit=name, n_refused=n_refused)
        raise TooMany(
            f"This key sends more {name} than {slowest.rate:,.0f} a second. Send the rest later.",
            retry_after_seconds=max(ceil(slowest.wait_seconds), 1),
        )

    def spend(self, key_id: str, *, n_bytes: int, n_events: int) -> None:
        """Take what a request that was let in turned out to cost."""
        with self._lock:
            buckets = self._accounts[key_id].buckets
            buckets["bytes"].take(n_bytes)
            buckets["events"].take(n_events)

    def _open(self, is_public: bool, now: datetime) -> _Account:
        held = self.settings
        rates = {
            "requests": held.ingest_key_requests_per_second,
            "bytes": held.ingest_key_bytes_per_second,
            "events": held.browser_key_events_per_second
            if is_public
            else held.ingest_key_events_per_second,
        }
        return _Account(
            {
                name: Bucket.full(rate, held.ingest_burst_seconds, now)
                for name, rate in rates.items()
            }
        )


def _n_to_log(account: _Account, now: datetime) -> int:
    """How many refusals to log now; 0 if it was done a moment ago."""
    logged_at = account.logged_at
    if logged_at is not None and (now - logged_at).total_seconds() < LOG_SECONDS:
        return 0
    n, account.n_refused, account.logged_at = account.n_refused, 0, now
    return n
