"""How far each version has come: which clients are known to have it, and since when.

A stream is a client for as long as it is open. Whoever polls is known for as long as it keeps
asking, by the name it gives itself or else by address and user agent, which is a guess.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from rollouts.flags.sources import Source

POLLER_SECONDS: Final = 600.0  # since it last asked; Python's SDK asks every 60, at the longest 600
MOST_CLIENTS: Final = 20_000  # that one process remembers for one client key
CLIENT_ID_MAX: Final = 200
MOST_VERSIONS: Final = 20  # that are remembered for one client key


def told_apart(address: str, user_agent: str, client_id: str) -> Hashable:
    """Whoever polls, as far as one can be told from another.

    client_id: the header X-Client-Id, by which apps may name each of their processes. Nothing
    else that clients send is of one alone: Python's SDK has one user agent for all, connections
    come and go, and an ETag says which version is there, not whose it is.

    >>> told_apart("10.0.0.7", "Gb-Python-ab12", "worker-3") == told_apart("10.0.0.8", "", "worker-3")
    True
    """
    name = client_id.strip()[:CLIENT_ID_MAX]
    return ("named", name) if name else (address, user_agent)


@dataclass(frozen=True, slots=True)
class Reach:
    """One version of one client key, as one process knows it."""

    client_key: str
    version: int
    published_at: datetime
    n_known: int  # clients
    n_reached: int  # of them, that have this version
    seconds: float | None  # until the last of those arrived who had another version before


def sentence(reach: Reach) -> str:
    """What there is to say about a version.

    >>> from datetime import UTC
    >>> sentence(Reach("sdk-a", 47, datetime(2026, 5, 14, tzinfo=UTC), 214, 212, 1.3))
    'Version 47 reached 212 of 214 clients in 1.3 s.'
    """
    clients = f"{reach.n_known} client{'' if reach.n_known == 1 else 's'}"
    if not reach.n_reached:
        return f"Version {reach.version} is not known to have reached any of {clients} yet."
    took = "" if reach.seconds is None else f" in {reach.seconds:.1f} s"
    return f"Version {reach.version} reached {reach.n_reached} of {clients}{took}."


@dataclass(slots=True)
class _Client:
    version: int
    seen_at: datetime
    is_stream: bool


@dataclass(slots=True)
class _Key:
    clients: OrderedDict[Hashable, _Client] = field(default_factory=OrderedDict)
    seconds: dict[int, float] = field(default_factory=dict)  # by version


class Propagation:
    """What one process knows; safe from threads and event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, _Key] = {}

    def note(
        self, client_key: str, client: Hashable, source: Source, now: datetime, *, is_stream: bool
    ) -> None:
        """A client has this version now: it was sent, or the client said so."""
        with self._lock:
            held = self._keys.get(client_key)
            if held is None:
                held = self._keys[client_key] = _Key()
            known = held.clients.get(client)
            if known is not None and known.version == source.version:
                known.seen_at = now
                held.clients.move_to_end(client)
                return
            held.clients[client] = _Client(source.version, now, is_stream)
            held.clients.move_to_end(client)
            if len(held.clients) > MOST_CLIENTS:
                held.clients.popitem(last=False)
            if known is not None:
                _arrived(held, source, now)

    def forget(self, client_key: str, client: Hashable) -> None:
        """A stream has ended."""
        with self._lock:
            held = self._keys.get(client_key)
            if held is not None:
                held.clients.pop(client, None)

    def list_reached(self, current: Mapping[str, Source], now: datetime) -> list[Reach]:
        """How far the current version of each client key has come that has clients here."""
        with self._lock:
            return [
                _counted(self._keys[key], key, source, now)
                for key, source in current.items()
                if key in self._keys and self._keys[key].clients
            ]


def _arrived(held: _Key, source: Source, now: datetime) -> None:
    took = (now - source.updated_at).total_seconds()
    held.seconds[source.version] = max(held.seconds.get(source.version, 0.0), took)
    if len(held.seconds) > MOST_VERSIONS:
        del held.seconds[min(held.seconds)]


def _counted(held: _Key, client_key: str, source: Source, now: datetime) -> Reach:
    since = now - timedelta(seconds=POLLER_SECONDS)
    for client in [c for c, it in held.clients.items() if not it.is_stream and it.seen_at < since]:
        del held.clients[client]
    return Reach(
        client_key,
        source.version,
        source.updated_at,
        n_known=len(held.clients),
        n_reached=sum(client.version == source.version for client in held.clients.values()),
        seconds=held.seconds.get(source.version),
    )
