"""Waking those who wait for a connection's next version, in threads and in event loops."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

Wake = Callable[[], None]

WOKEN_PER_TURN: Final = 100  # of the event loop


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
    """Wakes those of one event loop who wait for a key that changed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, dict[Wake, None]] = {}

    def ring(self, keys: Iterable[str] | None) -> None:
        """Wake those who wait for these keys, or all; safe from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring, None if keys is None else list(keys))

    def _ring(self, keys: list[str] | None) -> None:
        found = list(self._waiting) if keys is None else keys
        self._wake_some(deque(wake for key in found for wake in self._waiting.get(key, ())))

    def _wake_some(self, waiting: deque[Wake]) -> None:
        """In turns, so that thousands of them hold up nobody else in the loop."""
        for _ in range(min(len(waiting), WOKEN_PER_TURN)):
            waiting.popleft()()
        if waiting:
            self._loop.call_soon(self._wake_some, waiting)

    def join(self, key: str, wake: Wake) -> None:
        """Call this in the loop when the key changes, until it is given to `leave`.

        It does not raise, and it may still be called once after it has left.
        """
        self._waiting.setdefault(key, {})[wake] = None

    def leave(self, key: str, wake: Wake) -> None:
        """Call this no more."""
        waiting = self._waiting.get(key, {})
        waiting.pop(wake, None)
        if not waiting:
            self._waiting.pop(key, None)
