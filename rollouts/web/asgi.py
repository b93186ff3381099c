"""The asynchronous edge: what SDKs and senders ask for is answered here, the rest by Flask.

`granian --interface asgi --factory rollouts.web.asgi:create_edge`, or `rollouts serve`.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from operator import attrgetter
from types import FrameType
from typing import Any, Final

from flask import Flask

from rollouts import first_start
from rollouts.app import create_app, make_runtime, prepare_schema
from rollouts.config import Settings
from rollouts.flags import answers, delivery_http
from rollouts.flags.propagation import told_apart
from rollouts.runtime import Runtime
from rollouts.web.asgi_evaluation import EVALUATION, KEY_HEADER, OFREP, Evaluation
from rollouts.web.asgi_ingest import Ingest
from rollouts.web.asgi_pages import Pages
from rollouts.web.asgi_parts import (
    INCOMPLETE,
    SLOW,
    BodyTooSlow,
    ClientGone,
    Receive,
    Scope,
    Send,
    client_address,
    header,
    read_body,
    send_whole,
)
from rollouts.web.asgi_streams import Streams
from rollouts.web.parent import end_with_parent

FEATURES: Final = "/api/features/"
STREAMS: Final = "/sub/"
OFREP_STREAMS: Final = "/ofrep/v1/stream/"

PREPARE_SECONDS: Final = 2.0
REPEAT_SECONDS: Final = (0.5, 2.0, 5.0)  # after a signal, should it have been lost
SWITCH_SECONDS: Final = 0.001  # a thread that renders a page gives way to the loop so soon
GARBAGE: Final = (20_000, 20, 50)  # a look through thousands of streams holds up all of them

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


def create_edge(settings: Settings | None = None) -> Edge:
    """The application of one web process."""
    end_with_parent()
    parts = make_runtime(settings or Settings.from_environment(), may_lack_store=True)
    edge = Edge(parts, create_app(parts=parts))
    gc.collect()
    gc.freeze()  # what is loaded by now stays: looking through it again would hold up requests
    gc.set_threshold(*GARBAGE)
    sys.setswitchinterval(SWITCH_SECONDS)
    return edge


class Edge:
    """An ASGI application in front of the Flask one."""

    def __init__(self, parts: Runtime, pages: Flask) -> None:
        self._parts = parts
        self._ingest = Ingest(parts)
        self._evaluation = Evaluation(parts)
        self._pages = Pages(pages, parts.settings.web_threads)
        self._streams: Streams | None = None
        self._stopping = threading.Event()
        self._signals: dict[signal.Signals, Any] = {}  # handlers to put back
        self._is_told = False  # to stop
        names = parts.settings.trusted_hosts.split(",")
        self._hosts = frozenset(name.strip() for name in names if name.strip())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through one life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            handler = self._find_handler(scope) if self._is_host_known(scope) else None
            await (handler or self._serve_page)(scope, receive, send)

    def _find_handler(self, scope: Scope) -> Handler | None:
        """The handler of a request that the edge answers itself; None for Flask's."""
        path, method = scope["path"], scope["method"]
        if path.startswith(FEATURES) or path == FEATURES[:-1]:
            return self._features if method in ("GET", "HEAD") else self._preflight(method)
        if path.startswith((STREAMS, OFREP_STREAMS)):
            return self._stream if method == "GET" else self._preflight(method)
        if path.startswith((EVALUATION, OFREP)):
            return self._evaluation.find_handler(path, method) or self._preflight(method)
        return self._ingest.find_handler(path, method)

    def _preflight(self, method: str) -> Handler | None:
        return _answer_preflight if method == "OPTIONS" else None

    def _is_host_known(self, scope: Scope) -> bool:
        if not self._hosts:
            return True
        return header(scope, b"host").rsplit(":", 1)[0] in self._hosts

    def _client_of(self, scope: Scope) -> Hashable:
        return told_apart(
            client_address(scope, self._parts.settings.proxy_hops),
            header(scope, b"user-agent"),
            header(scope, b"x-client-id"),
        )

    async def _features(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = delivery_http.features(
            self._parts.delivery,
            delivery_http.key_in(scope["path"][len(FEATURES) :], header(scope, KEY_HEADER)),
            header(scope, b"if-none-match"),
            header(scope, b"accept-encoding"),
            self._client_of(scope),
        )
        await send_whole(send, answer, FEATURES, is_head=scope["method"] == "HEAD")

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        is_ofrep = path.startswith(OFREP_STREAMS)
        key = path.removeprefix(OFREP_STREAMS if is_ofrep else STREAMS)
        frame_of = attrgetter("ofrep_frame" if is_ofrep else "frame")
        await self._get_streams().serve(key, frame_of, scope, receive, send)

    def _get_streams(self) -> Streams:
        if self._streams is None:
            self._streams = Streams(self._parts.delivery)
        return self._streams

    async def _serve_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to a thread once the body is here, so that slow senders hold no thread."""
        try:
            body = await read_body(scope, receive, self._parts.settings.body_max_bytes)
        except (ClientGone, BodyTooSlow) as wrong:
            refusal = SLOW if isinstance(wrong, BodyTooSlow) else INCOMPLETE
            await send_whole(send, refusal, "pages")
            return
        await self._pages.serve(scope, body, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._start()
        except Exception as wrong:  # the server must hear why it cannot start
            await send({"type": "lifespan.startup.failed", "message": str(wrong)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._leave_signals()
        self._get_streams().close()
        await asyncio.get_running_loop().run_in_executor(None, self._stop)
        await send({"type": "lifespan.shutdown.complete"})

    def _start(self) -> None:
        self._parts.delivery.start()
        if not self._parts.delivery.is_store_reachable:
            threading.Thread(target=self._prepare_late, name="prepare", daemon=True).start()
        self._get_streams()
        for name in (signal.SIGTERM, signal.SIGINT):
            self._drain_on(name)

    def _prepare_late(self) -> None:
        """What every start makes sure of, once the store is there."""
        while not self._stopping.wait(PREPARE_SECONDS):
            is_there = prepare_schema(self._parts.db, self._parts.settings, may_be_gone=True)
            if is_there and first_start.prepare_if_possible(self._parts):
                return

    def _drain_on(self, name: signal.Signals) -> None:
        """End the streams as soon as the process is told to stop: the server waits for them.

        The server has its own handler in the event loop, which goes on being called.
        """
        before = signal.getsignal(name)
        loop = asyncio.get_running_loop()

        def drain(number: int, frame: FrameType | None) -> None:
            self._parts.delivery.drain()
            if callable(before):
                before(number, frame)
            if not self._is_told:
                self._is_told = True
                loop.call_soon_threadsafe(self._repeat, loop, number)

        with suppress(ValueError):  # not the main thread: whoever runs us there stops us
            signal.signal(name, drain)
            self._signals[name] = before

    def _repeat(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        """Give the signal again for a while, unless the server stops.

        Loops hear of signals through a pipe. It is full while thousands of clients leave, and then
        the server's handler is never called.
        """
        for seconds in REPEAT_SECONDS:
            loop.call_later(seconds, self._give, number)

    def _give(self, number: int) -> None:
        if self._signals:
            signal.raise_signal(number)

    def _leave_signals(self) -> None:
        for name, before in self._signals.items():
            signal.signal(name, before)
        self._signals.clear()

    def _stop(self) -> None:
        """Nothing comes in any more: finish what is under way, then let go of everything."""
        self._stopping.set()
        self._pages.close()
        self._parts.delivery.stop()
        self._parts.journal.close()
        self._parts.db.dispose()


async def _answer_preflight(scope: Scope, receive: Receive, send: Send) -> None:
    await send_whole(send, answers.PREFLIGHT_ANSWER, "preflight")
