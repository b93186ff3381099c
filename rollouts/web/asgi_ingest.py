"""Events on the asynchronous edge: no thread is held while the journal commits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final
from urllib.parse import parse_qs

from sqlalchemy.exc import SQLAlchemyError

from rollouts.errors import RolloutsError, TooLarge, Unavailable
from rollouts.ingest import answers, otlp, otlp_service, service
from rollouts.ingest.callers import foreign_origin
from rollouts.ingest.model import Answer
from rollouts.ingest.service import Intake
from rollouts.web.asgi_parts import (
    INCOMPLETE,
    BodyTooSlow,
    ClientGone,
    Receive,
    Scope,
    Send,
    count,
    header,
    read_body,
    send_answer,
    send_whole,
    to_raw,
)
from rollouts.web.context import Runtime

TRACK: Final = "/track"
SEGMENT: Final = {
    f"/v1/{kind}": kind
    for kind in ("batch", "track", "identify", "page", "screen", "group", "alias")
}

OTLP: Final = {f"/v1/{signal}": signal for signal in otlp.Signal}
INGEST_ROUTE: Final = "ingest"
QUICK_BYTES: Final = 20_000
STORE_GONE: Final = "The store does not answer. Send the events again in a few seconds."

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class Ingest:
    """GrowthBook's, Segment's and OpenTelemetry's endpoints."""

    def __init__(self, parts: Runtime) -> None:
        self._parts = parts

    def find_handler(self, path: str, method: str) -> Handler | None:
        """The handler of a request for events; preflights and all else are Flask's."""
        if method != "POST":
            return None
        if path == TRACK:
            return self._track
        if path in OTLP:
            return self._otlp
        return self._segment if path in SEGMENT else None

    async def _track(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        key = query.get("client_key", [""])[0]

        def take(body: bytes) -> Intake:
            return service.take_growthbook(
                self._parts,
                client_key=key,
                body=body,
                content_encoding=header(scope, b"content-encoding"),
                now=self._parts.now(),
            )

        await self._answer(scope, receive, send, take, service.REFUSE_PAGES)

    async def _segment(self, scope: Scope, receive: Receive, send: Send) -> None:
        def take(body: bytes) -> Intake:
            return service.take_segment(
                self._parts,
                kind=SEGMENT[scope["path"]],
                authorization=header(scope, b"authorization"),
                body=body,
                content_encoding=header(scope, b"content-encoding"),
                now=self._parts.now(),
                origin=self._foreign_origin(scope),
            )

        await self._answer(scope, receive, send, take, answers.refusal)

    async def _otlp(self, scope: Scope, receive: Receive, send: Send) -> None:
        content_type = header(scope, b"content-type")
        refuse = partial(otlp.refusal, content_type=content_type)
        try:
            body = await self._read(scope, receive, self._parts.settings.otlp_max_bytes)
        except ClientGone:
            await send_whole(send, INCOMPLETE, INGEST_ROUTE)
            return
        except (TooLarge, BodyTooSlow) as wrong:
            await _send(send, refuse(_refused(wrong)))
            return
        try:
            # In a thread: such a body may be ten times as large as the others, and others wait.
            taken = await asyncio.to_thread(
                otlp_service.take_otlp,
                self._parts,
                OTLP[scope["path"]],
                authorization=header(scope, b"authorization"),
                body=body,
                content_type=content_type,
                content_encoding=header(scope, b"content-encoding"),
                now=self._parts.now(),
                origin=self._foreign_origin(scope),
            )
        except SQLAlchemyError:
            await _send(send, refuse(Unavailable(STORE_GONE)))
            return
        await _send(send, await service.store_async(self._parts, taken))

    def _foreign_origin(self, scope: Scope) -> str:
        """The page that sent a request, unless it is one of ours."""
        base_url = self._parts.settings.base_url
        return foreign_origin(header(scope, b"origin"), header(scope, b"host"), base_url)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        take: Callable[[bytes], Intake],
        refuse: service.Refuse,
    ) -> None:
        try:
            body = await self._read(scope, receive, self._parts.settings.ingest_max_bytes)
        except ClientGone:
            await send_whole(send, INCOMPLETE, INGEST_ROUTE)
            return
        except (TooLarge, BodyTooSlow) as wrong:
            await _send(send, refuse(_refused(wrong)))
            return
        try:
            # Large bodies, and keys that are asked of the store, must not hold up other requests.
            is_quick = scope["path"] == TRACK and len(body) <= QUICK_BYTES
            taken = take(body) if is_quick else await asyncio.to_thread(take, body)
        except SQLAlchemyError:
            await _send(send, refuse(Unavailable(STORE_GONE)))
            return
        await _send(send, await service.store_async(self._parts, taken))

    async def _read(self, scope: Scope, receive: Receive, limit: int) -> bytes:
        declared = header(scope, b"content-length")
        if declared.isdecimal() and int(declared[:15]) > limit:
            raise TooLarge(f"A body may have {limit:,} bytes. Send smaller batches.")
        return await read_body(scope, receive, limit)


def _refused(wrong: TooLarge | BodyTooSlow) -> RolloutsError:
    return wrong if isinstance(wrong, TooLarge) else TooLarge("Too slow.")


async def _send(send: Send, answer: Answer) -> None:
    own = [
        ("Content-Type", answer.content_type),
        ("Content-Length", str(len(answer.body))),
        ("X-Content-Type-Options", "nosniff"),
    ]
    headers = to_raw([*own, *answer.headers.items()])
    count(INGEST_ROUTE, answer.status)
    await send_answer(send, answer.status, headers, answer.body)
