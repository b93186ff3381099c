"""Streams of payload versions in the event loop: thousands of clients, none waits for another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from rollouts.flags import answers, delivery_http
from rollouts.flags.bells import LoopBell
from rollouts.flags.delivery import Delivery, TooManyStreams
from rollouts.flags.following import (
    HEARTBEAT,
    HEARTBEAT_SECONDS,
    OPENING,
    STREAM_HEADERS,
    Ended,
    Follower,
)
from rollouts.flags.served import Served
from rollouts.web.asgi_parts import Receive, Scope, Send, header, send_answer, to_raw

WRITE_SECONDS: Final = 10.0  # a client that takes nothing for so long is given up
SPREAD_SECONDS: Final = 0.5  # so that clients of a stopping process do not all come back at once

RAW_STREAM_HEADERS: Final = to_raw(STREAM_HEADERS)


async def serve_stream(
    delivery: Delivery,
    bell: LoopBell,
    key: str,
    frame_of: Callable[[Served], bytes],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Admit the client and follow the key for it, until either side ends."""
    refusal = delivery_http.refused_stream(delivery, key)
    if refusal is not None:
        await send_answer(send, refusal.status, refusal.raw_headers, refusal.body)
        return
    try:
        delivery.admit(key)
    except TooManyStreams:
        full = answers.TOO_MANY_STREAMS
        await send_answer(send, full.status, full.raw_headers, full.body)
        return
    event = bell.join(key)
    client = _Client(receive, send, event)
    follower = Follower(delivery, key, header(scope, b"last-event-id"), frame_of)
    try:
        await client.follow(follower)
    finally:
        client.release()
        follower.leave()
        bell.leave(key, event)
        delivery.leave(key)


class _Client:
    """One client: what it is sent, and whether it is still there."""

    def __init__(self, receive: Receive, send: Send, event: asyncio.Event) -> None:
        self._receive = receive
        self._send = send
        self._event = event
        self._is_gone = False
        self._watch = asyncio.create_task(self._watch_for_end())

    async def _watch_for_end(self) -> None:
        while (await self._receive())["type"] == "http.request":
            pass
        self._is_gone = True
        self._event.set()

    def release(self) -> None:
        """Stop watching the client."""
        self._watch.cancel()

    async def follow(self, follower: Follower) -> None:
        """Send each version as it comes, or a heartbeat, until the stream ends."""
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": RAW_STREAM_HEADERS}
        )
        try:
            await self._write(OPENING)
            while not self._is_gone:
                self._event.clear()
                frame = follower.step()
                if frame is not None:
                    await self._write(frame)
                    follower.has_sent()
                elif not await self._has_woken():
                    await self._write(HEARTBEAT)
        except Ended:
            await asyncio.sleep(random.uniform(0, SPREAD_SECONDS))  # noqa: S311  # no secret
        except TimeoutError:
            return  # it takes nothing any more; the server closes the connection
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _has_woken(self) -> bool:
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._event.wait()
        except TimeoutError:
            return False
        return True

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(WRITE_SECONDS):
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
