"""Waking those who wait for a connection's next version, in threads and in event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable


class ThreadBell:
    """Wakes waiting threads. A count tells whether it rang since one last looked."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.count = 0

    def ring(self, keys: Iterable[str] | None) -> None:
        """Wake all; each sees for itself whether it is concerned."""
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def wait(self, seen: int, timeout: float) -> None:
        """Until it has rung after the count was `seen`, or the time is over."""
        with self._condition:
            self._condition.wait_for(lambda: self.count != seen, timeout)


class LoopBell:
    """Wakes the tasks of one event loop, only those that wait for a key that changed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def ring(self, keys: Iterable[str] | None) -> None:
        """Wake the tasks that wait for these keys, or all; safe from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring, None if keys is None else list(keys))

    def _ring(self, keys: list[str] | None) -> None:
        for key in list(self._waiting) if keys is None else keys:
            for event in self._waiting.get(key, ()):
                event.set()

    def join(self, key: str) -> asyncio.Event:
        """An event that is set when the key changes, until it is given to `leave`."""
        event = asyncio.Event()
        self._waiting.setdefault(key, set()).add(event)
        return event

    def leave(self, key: str, event: asyncio.Event) -> None:
        """Set this event no more."""
        events = self._waiting.get(key, set())
        events.discard(event)
        if not events:
            self._waiting.pop(key, None)
