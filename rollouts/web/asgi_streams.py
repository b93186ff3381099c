"""Streams of payload versions in the event loop: thousands of clients, none waits for another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from prometheus_client import Gauge

from rollouts import telemetry
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
from rollouts.web.asgi_parts import Receive, Scope, Send, count, header, send_whole, to_raw
from rollouts.web.at_once import run_at_once

WRITE_SECONDS: Final = 10.0  # a client that takes nothing for so long is given up
SPREAD_SECONDS: Final = 0.5  # so that clients of a stopping process do not all come back at once
LOOK_SECONDS: Final = 1.0  # between looks for clients that are silent or stuck

ROUTE: Final = "streams"
OPEN_STREAMS = Gauge("rollouts_streams_open", "Streams of SDKs.", registry=telemetry.REGISTRY)

RAW_STREAM_HEADERS: Final = to_raw(STREAM_HEADERS)


class Streams:
    """All streams of one event loop, looked after by one task rather than a timer each."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._bell = LoopBell(asyncio.get_running_loop())
        self._clients: set[_Client] = set()
        self._keeper: asyncio.Task[None] | None = None
        delivery.add_bell(self._bell)

    async def serve(
        self,
        key: str,
        frame_of: Callable[[Served], bytes],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Admit the client and follow the key for it, until either side ends."""
        refusal = delivery_http.refused_stream(self._delivery, key)
        if refusal is not None:
            await send_whole(send, refusal, ROUTE)
            return
        try:
            self._delivery.admit(key)
        except TooManyStreams:
            await send_whole(send, answers.TOO_MANY_STREAMS, ROUTE)
            return
        follower = Follower(self._delivery, key, header(scope, b"last-event-id"), frame_of)
        await self._follow(key, follower, receive, send)

    async def _follow(self, key: str, follower: Follower, receive: Receive, send: Send) -> None:
        client = _Client(receive, send, follower)
        self._clients.add(client)
        self._bell.join(key, client.wake)
        OPEN_STREAMS.inc()
        count(ROUTE, 200)
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())
        try:
            await client.follow()
        finally:
            self._clients.discard(client)
            self._bell.leave(key, client.wake)
            OPEN_STREAMS.dec()
            client.release()
            follower.leave()
            self._delivery.leave(key)

    async def _keep(self) -> None:
        while self._clients:
            await asyncio.sleep(LOOK_SECONDS)
            now = asyncio.get_running_loop().time()
            for client in list(self._clients):
                client.look(now)

    def close(self) -> None:
        """Wake nobody any more."""
        self._delivery.remove_bell(self._bell)
        if self._keeper is not None:
            self._keeper.cancel()


class _Client:
    """One client: what it is sent, and whether it is still there.

    Whoever wakes it writes for it, so that a change reaches thousands without a turn of each
    one's task. Its own task is needed only where the server does not take the bytes at once.
    """

    def __init__(self, receive: Receive, send: Send, follower: Follower) -> None:
        self._receive = receive
        self._send = send
        self._follower = follower
        self._task = asyncio.current_task()
        self._time = asyncio.get_running_loop().time
        self._called = asyncio.Event()  # wakes its own task
        self._rest: Awaitable[None] | None = None  # of what is being written
        self._is_writing = True  # until the answer has begun
        self._is_over = False
        self._is_gone = False
        self._is_stuck = False
        self._wrote_at = self._time()
        self._watch = asyncio.create_task(self._watch_for_end())

    async def _watch_for_end(self) -> None:
        while (await self._receive())["type"] == "http.request":
            pass
        self._is_gone = True
        self._call_task()
        if self._is_writing:
            self._give_up()  # what is being written will never be taken

    def release(self) -> None:
        """Stop watching the client, and write nothing more."""
        self._is_over = True
        self._watch.cancel()

    def look(self, now: float) -> None:
        """Give up a client that takes nothing; remind one that was told nothing for long."""
        if self._is_writing and now - self._wrote_at > WRITE_SECONDS:
            self._give_up()
        elif not self._is_writing and now - self._wrote_at > HEARTBEAT_SECONDS:
            self._begin(HEARTBEAT)

    def wake(self) -> None:
        """Write what is new, unless something is being written: then when that is done."""
        if self._is_over or self._is_gone or self._is_writing:
            return
        try:
            frame = self._follower.step()
        except Ended:
            self._is_over = True
            self._call_task()
            return
        if frame is not None:
            self._begin(frame)

    def _begin(self, data: bytes) -> None:
        self._is_writing, self._wrote_at = True, self._time()
        message = {"type": "http.response.body", "body": data, "more_body": True}
        try:
            self._rest = run_at_once(self._send(message))
        except Exception:  # the connection's own trouble: whoever wakes goes on to the next
            self._give_up()
            return
        if self._rest is None:
            self._has_written()
        else:
            self._call_task()

    def _has_written(self) -> None:
        self._is_writing = False
        self._follower.has_sent()

    def _call_task(self) -> None:
        self._called.set()

    def _give_up(self) -> None:
        self._is_stuck = True
        if self._task is not None:
            self._task.cancel()

    async def follow(self) -> None:
        """Send each version as it comes, or a heartbeat, until the stream ends."""
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": RAW_STREAM_HEADERS}
        )
        try:
            await self._write_all()
        except asyncio.CancelledError:
            if not self._is_stuck:
                raise
            return  # it takes nothing any more; the server closes the connection
        if not self._is_gone:
            await asyncio.sleep(random.uniform(0, SPREAD_SECONDS))  # noqa: S311  # no secret
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write_all(self) -> None:
        self._begin(OPENING)
        self.wake()
        while not (self._is_over or self._is_gone):
            await self._called.wait()
            self._called.clear()
            if self._rest is not None:
                await self._rest
                self._rest = None
                self._wrote_at = self._time()
                self._has_written()
                self.wake()
