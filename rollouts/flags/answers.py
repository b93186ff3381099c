"""A complete HTTP answer, for the Flask views and the asynchronous edge alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

Headers = tuple[tuple[str, str], ...]

EXPOSED = "x-sse-support, etag, retry-after, x-rollouts-store, x-unrecoverable"
ALLOWED = (
    "Authorization, Cache-Control, Content-Type, If-None-Match, Last-Event-ID, X-API-Key,"
    " X-Client-Id, X-GrowthBook-API-Key, *"
)
CORS: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", EXPOSED),
)
PREFLIGHT: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS"),
    ("Access-Control-Allow-Headers", ALLOWED),
    ("Access-Control-Max-Age", "86400"),
)
JSON_TYPE = ("Content-Type", "application/json")
NO_STORE = ("Cache-Control", "no-store")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body; the headers also as the bytes that ASGI wants."""

    status: int
    headers: Headers
    body: bytes = b""
    raw_headers: list[tuple[bytes, bytes]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        length = () if self.status in (204, 304) else (("Content-Length", str(len(self.body))),)
        whole = (*self.headers, *length)
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in whole]
        object.__setattr__(self, "raw_headers", raw)


def failure(status: int, text: str, *more: tuple[str, str]) -> Answer:
    """A refusal in the words of GrowthBook's own servers."""
    body = msgspec.json.encode({"status": status, "error": text})
    return Answer(status, (JSON_TYPE, NO_STORE, *CORS, *more), body)


PREFLIGHT_ANSWER = Answer(204, PREFLIGHT)
# Nothing becomes of asking again, so that a CDN may keep the refusal.
FOR_GOOD = ("x-unrecoverable", "1")
KEY_MISSING = failure(400, "Missing API key in request", FOR_GOOD)
KEY_UNKNOWN = failure(400, "Invalid API Key", FOR_GOOD)
KEY_REMOTE = failure(400, "Remote evaluation required for this connection", FOR_GOOD)
NOTHING_YET = failure(503, "Failed to get features", ("Retry-After", "5"))
TOO_MANY_STREAMS = failure(429, "Too many open streams", ("Retry-After", "60"))
METHOD_UNKNOWN = failure(405, "Method not allowed", ("Allow", "GET, HEAD, OPTIONS"))
HEALTHY = Answer(200, (JSON_TYPE, NO_STORE, *CORS), b'{"ok":true,"healthy":true}')
