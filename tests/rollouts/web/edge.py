"""Driving the asynchronous edge as a server does, without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rollouts.web.asgi import Edge

SECONDS = 10.0


@dataclass
class Heard:
    """An answer of the edge."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of a header."""
        return dict(self.headers).get(name.lower())


def scope_of(method: str, target: str, headers: dict[str, str]) -> dict[str, Any]:
    """A request as ASGI describes it."""
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": query.encode("latin-1"),
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
        "server": ("localhost", 8765),
        "client": ("127.0.0.1", 50_000),
    }


class Line:
    """One connection: what the client sends, and what comes back, message by message."""

    def __init__(self, edge: Edge, scope: dict[str, Any], *body: bytes) -> None:
        self.to_edge: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.from_edge: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.is_taking = asyncio.Event()
        self.is_taking.set()
        self.is_broken = False
        for index, part in enumerate(body):
            more = index + 1 < len(body)
            self.say({"type": "http.request", "body": part, "more_body": more})
        self.task = asyncio.ensure_future(edge(scope, self.to_edge.get, self._send))

    def say(self, message: dict[str, Any]) -> None:
        """What the server tells the application about the client."""
        self.to_edge.put_nowait(message)

    def hang_up(self) -> None:
        """The client closes the connection."""
        self.say({"type": "http.disconnect"})

    async def _send(self, message: Any) -> None:
        await self.is_taking.wait()
        if self.is_broken:
            raise RuntimeError("the connection is closed")
        self.from_edge.put_nowait(message)

    async def next_body(self) -> bytes:
        """The next piece of the answer's body."""
        message = await asyncio.wait_for(self.from_edge.get(), SECONDS)
        assert message["type"] == "http.response.body", message
        return bytes(message["body"])

    async def start(self) -> Heard:
        """Status and headers of the answer."""
        message = await asyncio.wait_for(self.from_edge.get(), SECONDS)
        headers = [(k.decode(), v.decode("latin-1")) for k, v in message["headers"]]
        return Heard(message["status"], headers)


async def ask(
    edge: Edge, method: str, target: str, *body: bytes, headers: dict[str, str] | None = None
) -> Heard:
    """One request and its whole answer."""
    line = Line(edge, scope_of(method, target, headers or {}), *(body or (b"",)))
    await asyncio.wait_for(line.task, SECONDS)
    heard = await line.start()
    while not line.from_edge.empty():
        heard.body += await line.next_body()
    return heard


@asynccontextmanager
async def living(edge: Edge) -> AsyncIterator[None]:
    """The edge between start and stop of its process."""
    to_edge: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_edge: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.ensure_future(edge({"type": "lifespan"}, to_edge.get, from_edge.put))
    to_edge.put_nowait({"type": "lifespan.startup"})
    assert (await from_edge.get())["type"] == "lifespan.startup.complete"
    yield
    to_edge.put_nowait({"type": "lifespan.shutdown"})
    assert (await from_edge.get())["type"] == "lifespan.shutdown.complete"
    await life
