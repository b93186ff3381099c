"""Evaluation on the asynchronous edge: compiled flags answer in the event loop itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs

from rollouts.flags import evaluating
from rollouts.flags.answers import Answer
from rollouts.flags.delivery_http import key_in
from rollouts.runtime import Runtime
from rollouts.web.asgi_parts import (
    INCOMPLETE,
    SLOW,
    BodyTooSlow,
    ClientGone,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    send_whole,
)

EVALUATION: Final = "/api/eval/"
ROUTE: Final = "evaluation"
KEY_HEADER: Final = b"x-growthbook-api-key"
OFREP: Final = "/ofrep/v1/"
OFREP_ALL: Final = "/ofrep/v1/evaluate/flags"
OFREP_ONE: Final = "/ofrep/v1/evaluate/flags/"

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
Evaluate = Callable[[Scope, bytes], Awaitable[Answer]]


class Evaluation:
    """GrowthBook's remote evaluation and OFREP."""

    def __init__(self, parts: Runtime) -> None:
        self._parts = parts

    def find_handler(self, path: str, method: str) -> Handler | None:
        """The handler of a request to evaluate; None for all else."""
        if method != "POST":
            return None
        if path.startswith(EVALUATION):
            return self._with_body(self._remote)
        if path == OFREP_ALL:
            return self._with_body(self._all)
        return self._with_body(self._one) if path.startswith(OFREP_ONE) else None

    def _with_body(self, evaluate: Evaluate) -> Handler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            limit = self._parts.settings.body_max_bytes
            try:
                body = await read_body(scope, receive, limit)
            except (ClientGone, BodyTooSlow) as wrong:
                refusal = SLOW if isinstance(wrong, BodyTooSlow) else INCOMPLETE
                await send_whole(send, refusal, ROUTE)
                return
            is_short = len(body) <= limit
            found = await evaluate(scope, body) if is_short else evaluating.TOO_LARGE
            await send_whole(send, found, ROUTE)

        return handle

    async def _remote(self, scope: Scope, body: bytes) -> Answer:
        key = key_in(scope["path"][len(EVALUATION) :], header(scope, KEY_HEADER))
        return await self._answered(key, lambda: evaluating.remote(self._parts, key, body))

    async def _one(self, scope: Scope, body: bytes) -> Answer:
        flag, key = scope["path"][len(OFREP_ONE) :], _key(scope)
        return await self._answered(key, lambda: evaluating.ofrep_one(self._parts, key, flag, body))

    async def _all(self, scope: Scope, body: bytes) -> Answer:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        wanted = query.get("flagConfigEtag", [""])[0]
        key, tag = _key(scope), header(scope, b"if-none-match")
        if evaluating.is_behind(self._parts.delivery, key, wanted):
            await asyncio.to_thread(self._parts.delivery.refresh)
        return await self._answered(
            key, lambda: evaluating.ofrep_all(self._parts, key, body, tag, wanted)
        )

    async def _answered(self, key: str, evaluate: Callable[[], Answer]) -> Answer:
        """At once, or in a thread where the store is asked what units keep."""
        if evaluating.needs_store(self._parts.delivery, key):
            return await asyncio.to_thread(evaluate)
        return evaluate()


def _key(scope: Scope) -> str:
    return evaluating.client_key_of(header(scope, b"authorization"), header(scope, b"x-api-key"))
