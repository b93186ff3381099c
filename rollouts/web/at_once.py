"""Running an awaitable as far as it goes without a task: most sends never have to wait."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any


def run_at_once(work: Awaitable[None]) -> Awaitable[None] | None:
    """Run it until it must wait; returns what is left of it then, or None if it is done.

    A task for each of thousands of sends costs more than the sends themselves.

    >>> async def nothing() -> None: ...
    >>> run_at_once(nothing()) is None
    True
    """
    steps = work.__await__()
    try:
        awaited = next(steps)
    except StopIteration:
        return None
    return _Rest(steps, awaited)


class _Rest:
    """An awaitable that has begun. Whoever awaits it goes on where it had to wait."""

    def __init__(self, steps: Generator[Any, Any, None], awaited: Any) -> None:
        self._steps = steps
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        try:
            yield self._awaited
        except BaseException:
            getattr(self._steps, "close", lambda: None)()  # a bare iterator has nothing to close
            raise
        yield from self._steps
