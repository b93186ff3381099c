"""Small parts of the asynchronous edge: types, bodies read under a limit, answers sent whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final, cast

from prometheus_client import Counter

from rollouts import telemetry
from rollouts.flags.answers import Answer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders = Iterable[tuple[bytes, bytes]]

BODY_SECONDS: Final = 30.0  # a body that takes longer is a way of keeping us busy


class BodyTooSlow(Exception):  # named for the refusal
    """The body did not arrive in time."""


class ClientGone(Exception):  # no error of ours
    """The client left before it had sent everything."""


def header(scope: Scope, name: bytes) -> str:
    """The last value of a header, or an empty text."""
    found = ""
    for key, value in scope["headers"]:
        if key == name:
            found = cast("bytes", value).decode("latin-1")
    return found


def client_address(scope: Scope, proxy_hops: int) -> str:
    """Where a request comes from: of trusted proxies in front, what the first of them saw."""
    address: str = (scope.get("client") or ("", 0))[0]
    listed = header(scope, b"x-forwarded-for").split(",") if proxy_hops else []
    return listed[-proxy_hops].strip() if 0 < proxy_hops <= len(listed) else address


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body, read no further than one byte past its limit. Raises BodyTooSlow, ClientGone."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while size <= limit:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise BodyTooSlow from None
    return b"".join(parts)[: limit + 1]


async def send_answer(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    """Send an answer whole."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def to_raw(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]


@lru_cache(maxsize=500)
def _counter(route: str, status: int) -> Counter:
    return telemetry.REQUESTS.labels(route, str(status))


def count(route: str, status: int) -> None:
    """Count an answer that Flask does not see."""
    _counter(route, status).inc()


async def send_whole(send: Send, answer: Answer, route: str, *, is_head: bool = False) -> None:
    """Send one of delivery's answers, and count it."""
    count(route, answer.status)
    body = b"" if is_head else answer.body
    await send_answer(send, answer.status, answer.raw_headers, body)


SLOW: Final = Answer(
    408,
    (("Content-Type", "application/problem+json"), ("Connection", "close")),
    b'{"type":"urn:rollouts:error:too_slow","title":"The request took too long","status":408,'
    b'"detail":"The body did not arrive in time.","code":"too_slow"}',
)
INCOMPLETE: Final = Answer(
    400,
    (("Content-Type", "application/problem+json"), ("Connection", "close")),
    b'{"type":"urn:rollouts:error:malformed","title":"The request cannot be read","status":400,'
    b'"detail":"The body ended before it was complete.","code":"malformed"}',
)
