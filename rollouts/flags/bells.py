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

    def ring(self, keys: Iterable[str]) -> None:
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
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def ring(self, keys: Iterable[str]) -> None:
        """Wake the tasks that wait for these keys; safe from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring, list(keys))

    def _ring(self, keys: list[str]) -> None:
        for key in keys:
            future = self._waiting.pop(key, None)
            if future is not None and not future.done():
                future.set_result(None)

    def next(self, key: str) -> asyncio.Future[None]:
        """Done when the key next changes. Take it before looking at what is current."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = self._loop.create_future()
        return future
