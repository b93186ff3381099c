"""A secret key that a page sends can be read by whoever opens that page: it is told of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from rollouts import first_start
from rollouts.audit import service as audit
from rollouts.runtime import Runtime
from rollouts.web.asgi_ingest import Ingest

PAGE = "https://shop.example"
EVENT = {"event": "contact", "userId": "u1", "messageId": "m1"}


@pytest.fixture(autouse=True)
def _started(parts: Runtime) -> None:
    first_start.prepare(parts)


def leaks(parts: Runtime) -> list[str]:
    """Ids of the keys that the audit calls leaked."""
    with parts.db.reading() as session:
        entries = audit.list_entries(session, limit=100, action="key.leaked")
        return [entry.subject for entry in entries]


@pytest.mark.parametrize(
    ("kind", "path", "n_told"),
    [
        ("server", "/v1/track", 1),
        ("server", "/v1/logs", 1),
        ("server", "/v1/traces", 1),
        ("browser", "/v1/track", 0),
        ("api", "/v1/track", 1),
    ],
)
def test_a_secret_key_from_a_page_is_told_of_once(
    app: Flask, api: FlaskClient, parts: Runtime, kind: str, path: str, n_told: int
):
    """Write keys of servers and API keys; those meant for pages are not secret."""
    key = make_key(api, kind)
    headers = {"Authorization": f"Bearer {key}", "Origin": PAGE}

    with capture_logs() as told:
        for _ in range(2):
            app.test_client().post(path, json=EVENT, headers=headers)

    assert [line["origin"] for line in told if line["event"] == "key_seen_in_a_page"] == [
        PAGE
    ] * n_told
    assert len(leaks(parts)) == n_told
    assert key not in str(told)


@pytest.mark.parametrize("origin", [None, "http://localhost", "http://127.0.0.1:8765"])
def test_our_own_pages_and_servers_are_none(
    app: Flask, api: FlaskClient, parts: Runtime, origin: str | None
):
    """A server sends no Origin at all."""
    headers = {"Authorization": f"Bearer {make_key(api, 'server')}"}
    headers |= {} if origin is None else {"Origin": origin}

    assert app.test_client().post("/v1/track", json=EVENT, headers=headers).status_code == 200
    assert leaks(parts) == []


async def send_by_edge(parts: Runtime, headers: dict[str, str]) -> list[Any]:
    """Post an event to the asynchronous edge."""
    sent: list[Any] = []
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"path": "/v1/track", "headers": raw, "query_string": b""}
    body = b'{"event": "contact", "userId": "u1", "messageId": "m1"}'

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    handler = Ingest(parts).find_handler("/v1/track", "POST")
    assert handler is not None
    await handler(scope, receive, send)
    return sent


@pytest.mark.parametrize(("origin", "n_told"), [(PAGE, 1), ("http://flags.test", 0), (None, 0)])
def test_the_edge_tells_of_it_too(
    api: FlaskClient, parts: Runtime, origin: str | None, n_told: int
):
    """The server that is shipped answers events there."""

    headers = {"Authorization": f"Bearer {make_key(api, 'server')}", "Host": "flags.test"}
    headers |= {} if origin is None else {"Origin": origin}

    sent = asyncio.run(send_by_edge(parts, headers))

    assert sent[0]["status"] == 200
    assert len(leaks(parts)) == n_told


def make_key(api: FlaskClient, kind: str) -> str:
    """A new key's text."""
    if kind == "api":
        made = api.post("/api/v1/api-keys", json={"name": "ci"})
        return str(made.json["api_key"])  # type: ignore[index]
    body = {"name": "shop", "environment": "production", "kind": kind}
    made = api.post("/api/v1/write-keys", json=body)
    assert made.status_code == 201, made.text
    return str(made.json["write_key"])  # type: ignore[index]
