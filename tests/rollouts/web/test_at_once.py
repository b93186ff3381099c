"""Awaitables that are run without a task as far as they go."""

from __future__ import annotations

import asyncio

import pytest

from rollouts.web.at_once import run_at_once


async def take(gate: asyncio.Event, taken: list[str]) -> None:
    """Something that waits in its middle."""
    try:
        taken.append("begun")
        await gate.wait()
        taken.append("done")
    finally:
        taken.append("left")


def test_what_needs_not_wait_is_done_at_once():
    """Nothing is left of it, and no event loop was asked."""

    async def story() -> None:
        gate, taken = asyncio.Event(), list[str]()
        gate.set()
        assert run_at_once(take(gate, taken)) is None
        assert taken == ["begun", "done", "left"]

    asyncio.run(story())


def test_what_must_wait_goes_on_where_it_was():
    """Whoever awaits the rest of it sees it done."""

    async def story() -> None:
        gate, taken = asyncio.Event(), list[str]()
        rest = run_at_once(take(gate, taken))
        assert rest is not None
        assert taken == ["begun"]
        asyncio.get_running_loop().call_later(0.01, gate.set)
        await rest
        assert taken == ["begun", "done", "left"]

    asyncio.run(story())


def test_the_rest_can_be_cancelled():
    """It leaves what it waited for in good order."""

    async def story() -> None:
        gate, taken = asyncio.Event(), list[str]()
        rest = run_at_once(take(gate, taken))
        assert rest is not None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rest, 0.01)
        assert taken == ["begun", "left"]

    asyncio.run(story())


def test_an_error_is_the_callers():
    """Before it waits it is raised at once; after, where the rest is awaited."""

    async def fail(gate: asyncio.Event) -> None:
        await gate.wait()
        raise OSError("gone")

    async def story() -> None:
        gate = asyncio.Event()
        rest = run_at_once(fail(gate))
        assert rest is not None
        gate.set()
        with pytest.raises(OSError, match="gone"):
            await rest
        with pytest.raises(OSError, match="gone"):
            run_at_once(fail(gate))

    asyncio.run(story())
