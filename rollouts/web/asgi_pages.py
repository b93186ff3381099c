"""Pages and API behind the asynchronous edge: each request in a thread of a bounded pool.

Bodies are read before a thread is taken and answers are collected whole before they are sent,
so a thread is held for our own work only, never by a slow client.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from rollouts.web.asgi_parts import Scope, Send, send_answer

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

WAITING_PER_THREAD: Final = 16  # requests; more of them would only time out in the queue
BUSY: Final = (
    b'{"type":"urn:rollouts:error:unavailable","title":"Not available now","status":503,'
    b'"detail":"Too many requests wait already. Try again in a few seconds.",'
    b'"code":"unavailable"}'
)
BUSY_HEADERS: Final = [(b"content-type", b"application/problem+json"), (b"retry-after", b"5")]


class _Answer(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Pages:
    """A WSGI application as an ASGI one."""

    def __init__(self, app: WsgiApp, n_threads: int) -> None:
        self._app = app
        self._threads = ThreadPoolExecutor(n_threads, "web")
        self._n_waiting = 0
        self._n_most = n_threads * (1 + WAITING_PER_THREAD)

    async def serve(self, scope: Scope, body: bytes, send: Send) -> None:
        """Answer a request whose body is here."""
        if self._n_waiting >= self._n_most:
            await send_answer(send, 503, BUSY_HEADERS, BUSY)
            return
        self._n_waiting += 1
        try:
            loop = asyncio.get_running_loop()
            environ = to_environ(scope, body)
            answer = await loop.run_in_executor(self._threads, self._run, environ)
        finally:
            self._n_waiting -= 1
        await send_answer(send, *answer)

    def close(self) -> None:
        """Wait for the requests under way."""
        self._threads.shutdown(wait=True)

    def _run(self, environ: Environ) -> _Answer:
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        written: list[bytes] = []

        def start(status: str, headers: list[tuple[str, str]], _wrong: Any = None) -> Any:
            begun[:] = [(status, headers)]
            return written.append

        parts = self._app(environ, start)
        try:
            written.extend(parts)
        finally:
            getattr(parts, "close", lambda: None)()
        status, headers = begun[0]
        raw = [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers]
        return _Answer(int(status.split(" ", 1)[0]), raw, b"".join(written))


def to_environ(scope: Scope, body: bytes) -> Environ:
    """The request as WSGI describes it (PEP 3333)."""
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": _ascii(scope["query_string"]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1] or 0),
        "REMOTE_ADDR": str(client[0]),
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    _add_headers(environ, scope)
    # The body is here, so its length is known even if it came in chunks.
    environ["CONTENT_LENGTH"] = str(len(body)) if body else ""
    return environ


def _ascii(query: bytes) -> str:
    """The query with bytes percent-encoded that should have been: Werkzeug fails on them."""
    if query.isascii():
        return query.decode()
    return "".join(chr(byte) if byte < 128 else f"%{byte:02X}" for byte in query)


def _add_headers(environ: Environ, scope: Scope) -> None:
    for raw_name, raw_text in scope["headers"]:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        text = raw_text.decode("latin-1")
        if name == "TRANSFER_ENCODING":
            continue
        place = "CONTENT_TYPE" if name == "CONTENT_TYPE" else f"HTTP_{name}"
        joint = "; " if name == "COOKIE" else ","
        environ[place] = f"{environ[place]}{joint}{text}" if place in environ else text
