"""The asynchronous edge answers as Flask does, and keeps slow clients from costing anything."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from rollouts import first_start, telemetry
from rollouts.accounts import keys
from rollouts.accounts.model import OPERATOR, KeyKind
from rollouts.flags import service
from rollouts.flags.model import Mode
from rollouts.ingest.otlp import Signal
from rollouts.runtime import Runtime
from rollouts.web import asgi, asgi_parts, asgi_streams
from rollouts.web.asgi import Edge
from tests.conftest import ADMIN_KEY
from tests.rollouts.flags.makers import EDITOR, ENVIRONMENT, make_connection, make_flag
from tests.rollouts.flags.test_delivery import lost
from tests.rollouts.ingest.logs import PROTOBUF, body_of, split
from tests.rollouts.web.edge import Heard, Line, ask, living, scope_of

ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def edge(parts: Runtime, app: Flask) -> Edge:
    """The edge of a process with one flag that is on."""
    first_start.prepare(parts)
    with parts.db.transaction() as session:
        make_flag(session, "f", default=True, description="x" * 2_000)
    return Edge(parts, app)


@pytest.fixture
def key(parts: Runtime, edge: Edge) -> str:
    """A client key."""
    with parts.db.transaction() as session:
        return make_connection(session).client_key


def switch(parts: Runtime, enabled: bool) -> None:
    """Switch the flag, as some process does."""
    with parts.db.transaction() as session:
        service.set_enabled(
            session, "f", ENVIRONMENT, enabled, reason="", actor=EDITOR, now=parts.now()
        )


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Live through a story in an event loop of its own."""
    asyncio.run(asyncio.wait_for(_awaited(story), 60))


async def _awaited(story: Callable[[], Awaitable[None]]) -> None:
    await story()


def by_flask(app: Flask, method: str, target: str, body: bytes, headers: dict[str, str]) -> Heard:
    """The same request to the Flask application alone."""
    answer = app.test_client().open(target, method=method, data=body, headers=headers)
    pairs = [(name.lower(), value) for name, value in answer.headers]
    return Heard(answer.status_code, pairs, answer.data)


def comparable(body: bytes) -> Any:
    """A body without what is random in it."""
    try:
        held = json.loads(body)
    except ValueError:
        return body
    return {**held, "request_id": ""} if isinstance(held, dict) else held


SHOWN = (
    "content-type",
    "content-length",
    "content-encoding",
    "etag",
    "cache-control",
    "vary",
    "x-sse-support",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "retry-after",
    "x-unrecoverable",
    "www-authenticate",
    "x-content-type-options",
)


@pytest.mark.parametrize("accepts", ["", "gzip", "br, gzip;q=0.5"])
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/api/features/{key}"),
        ("HEAD", "/api/features/{key}"),
        ("OPTIONS", "/api/features/{key}"),
        ("POST", "/api/features/{key}"),
        ("GET", "/api/features/{remote}"),
        ("GET", "/api/features/sdk-nothing"),
        ("GET", "/api/features/a/b"),
        ("GET", "/api/features/"),
        ("GET", "/api/features"),
        ("OPTIONS", "/api/features"),
        ("OPTIONS", "/sub/{key}"),
        ("POST", "/sub/{key}"),
        ("GET", "/sub/sdk-nothing"),
        ("GET", "/healthcheck"),
        ("GET", "/healthz"),
        ("GET", "/api/v1/flags"),
        ("GET", "/nowhere"),
        ("GET", "/v1/batch"),
        ("OPTIONS", "/track"),
        ("OPTIONS", "/api/eval/{key}"),
        ("GET", "/api/eval/{key}"),
        ("OPTIONS", "/ofrep/v1/evaluate/flags/f"),
        ("GET", "/ofrep/v1/evaluate/flags"),
        ("GET", "/ofrep/v1/stream/sdk-nothing"),
    ],
)
def test_the_edge_answers_as_flask_does(
    parts: Runtime, app: Flask, edge: Edge, key: str, method: str, target: str, accepts: str
):
    """Status, headers and body are the same, byte for byte, whoever answers."""
    with parts.db.transaction() as session:
        remote = make_connection(session, Mode.REMOTE).client_key
    where = target.format(key=key, remote=remote)
    headers = {"Accept-Encoding": accepts} if accepts else {}

    async def story() -> None:
        heard = await ask(edge, method, where, headers=headers)
        expected = by_flask(app, method, where, b"", headers)
        assert heard.status == expected.status
        for name in SHOWN:
            assert heard.header(name) == expected.header(name), name
        assert comparable(heard.body) == comparable(expected.body)

    run(story)


@pytest.mark.parametrize("target", ["/api/features", "/api/features/", "/api/eval/"])
def test_the_key_may_come_in_the_proxys_header(
    parts: Runtime, app: Flask, edge: Edge, key: str, target: str
):
    """As growthbook-proxy takes it; without any, what is missing is named, for good."""
    with parts.db.transaction() as session:
        remote = make_connection(session, Mode.REMOTE).client_key
    method, mine = ("POST", remote) if "eval" in target else ("GET", key)

    async def story() -> None:
        for sent in ({"X-GrowthBook-API-Key": mine}, {}):
            heard = await ask(edge, method, target, b"{}", headers=sent)
            expected = by_flask(app, method, target, b"{}", sent)
            assert (heard.status, heard.body) == (expected.status, expected.body)
            assert heard.status == (200 if sent else 400)
        assert b"Missing API key in request" in heard.body
        assert heard.header("x-unrecoverable") == expected.header("x-unrecoverable") == "1"

    run(story)


def test_a_client_that_has_the_version_gets_304(edge: Edge, key: str):
    """From the edge as from Flask."""

    async def story() -> None:
        first = await ask(edge, "GET", f"/api/features/{key}")
        again = await ask(
            edge,
            "GET",
            f"/api/features/{key}",
            headers={"If-None-Match": first.header("etag") or ""},
        )
        assert (again.status, again.body) == (304, b"")
        assert again.header("content-length") is None

    run(story)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/api/eval/{remote}", b'{"attributes":{"id":"u1"}}'),
        ("/api/eval/{remote}", b"{"),
        ("/api/eval/{remote}", b" " * 1_000_001),
        ("/api/eval/{key}", b"{}"),
        ("/api/eval/sdk-nothing", b"{}"),
        ("/ofrep/v1/evaluate/flags/f", b'{"context":{"targetingKey":"u1"}}'),
        ("/ofrep/v1/evaluate/flags/a/b:c", b"{}"),
        ("/ofrep/v1/evaluate/flags/f", b"{"),
        ("/ofrep/v1/evaluate/flags", b'{"context":{"targetingKey":"u1"}}'),
        ("/ofrep/v1/evaluate/flags?flagConfigEtag=9-x", b"{}"),
        ("/ofrep/v1/evaluate/flags", b"[]"),
        ("/ofrep/v1/evaluate/flags", b" " * 1_000_001),
        ("/ofrep/v1/nothing", b"{}"),
    ],
)
def test_evaluation_is_answered_as_by_flask(
    parts: Runtime, app: Flask, edge: Edge, key: str, target: str, body: bytes
):
    """Remote evaluation and OFREP, right and wrong, give the same bytes either way."""
    with parts.db.transaction() as session:
        remote = make_connection(session, Mode.REMOTE).client_key
    where = target.format(key=key, remote=remote)
    headers = {**JSON, "X-API-Key": key, "Content-Length": str(len(body))}

    async def story() -> None:
        heard = await ask(edge, "POST", where, body, headers=headers)
        expected = by_flask(app, "POST", where, body, headers)
        assert heard.status == expected.status, heard.body
        assert comparable(heard.body) == comparable(expected.body)
        for name in SHOWN:
            assert heard.header(name) == expected.header(name), name

    run(story)


TRACK = [
    {
        "event_name": "Experiment Viewed",
        "properties_json": {"experimentId": "e", "variationId": "0"},
        "device_id": "u1",
    }
]
BATCH = {"batch": [{"type": "track", "event": "Paid", "userId": "u1", "messageId": "m1"}]}


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/track?client_key={key}", json.dumps(TRACK).encode()),
        ("/track?client_key={key}", b"[]"),
        ("/track?client_key={key}", b"{"),
        ("/track?client_key=sdk-nothing", b"[]"),
        ("/track", b"[]"),
        ("/track?client_key={key}", b" " * 500_001),
        ("/v1/batch", json.dumps(BATCH).encode()),
        ("/v1/batch", b'{"batch":[{"type":"track"}]}'),
        ("/v1/batch", b"[" * 10_000),
        ("/v1/batch", b" " * 500_001),
        ("/v1/track", json.dumps(BATCH["batch"][0]).encode()),
        ("/v1/nothing", b"{}"),
        ("/v1/logs", b"{}"),
        ("/v1/logs", body_of([split(), split("")])),
        ("/v1/logs", b"["),
        ("/v1/logs", b" " * 4_000_001),
        ("/v1/traces", b"{}"),
        ("/v1/traces", body_of([split(), split("")], signal=Signal.TRACES)),
        ("/v1/traces", b"["),
    ],
)
def test_events_are_answered_as_by_flask(
    parts: Runtime, app: Flask, edge: Edge, key: str, target: str, body: bytes
):
    """Taken, named as bad, refused or too large: the same words either way."""
    with parts.db.transaction() as session:
        held = keys.create_write_key(
            session,
            name="server",
            environment=ENVIRONMENT,
            kind=KeyKind.SERVER_WRITE,
            actor=OPERATOR,
            now=parts.now(),
        )
    where = target.format(key=key)
    headers = {**JSON, "Authorization": f"Bearer {held.text}", "Content-Length": str(len(body))}

    async def story() -> None:
        heard = await ask(edge, "POST", where, body, headers=headers)
        expected = by_flask(app, "POST", where, body, headers)
        assert heard.status == expected.status, heard.body
        assert comparable(heard.body) == comparable(expected.body)
        for name in SHOWN:
            assert heard.header(name) == expected.header(name), name

    run(story)


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("made", ["good", "", "no protobuf", " " * 4_000_001], ids=len)
def test_protobuf_is_answered_as_by_flask(
    parts: Runtime, app: Flask, edge: Edge, made: str, signal: Signal
):
    """Logs and spans in their usual encoding: the same bytes, and what was taken is in the journal."""
    with parts.db.transaction() as session:
        key = keys.create_write_key(
            session,
            name="server",
            environment=ENVIRONMENT,
            kind=KeyKind.SERVER_WRITE,
            actor=OPERATOR,
            now=parts.now(),
        ).text
    body = body_of([split()], PROTOBUF, signal) if made == "good" else made.encode()
    target = f"/v1/{signal}"
    headers = {
        "Content-Type": PROTOBUF,
        "Authorization": f"Bearer {key}",
        "Content-Length": str(len(body)),
    }

    async def story() -> None:
        heard = await ask(edge, "POST", target, body, headers=headers)
        n_events = parts.journal.end()
        expected = by_flask(app, "POST", target, body, headers)
        assert (heard.status, heard.body) == (expected.status, expected.body)
        assert heard.header("content-type") == expected.header("content-type") == PROTOBUF
        assert (n_events, parts.journal.end()) in ((0, 0), (1, 2))

    run(story)


def test_what_is_answered_with_200_is_in_the_journal(parts: Runtime, edge: Edge, key: str):
    """The answer waits for the commit, though no thread does."""

    async def story() -> None:
        body = json.dumps(TRACK * 3).encode()
        answers = await asyncio.gather(
            *(ask(edge, "POST", f"/track?client_key={key}", body) for _ in range(20))
        )
        assert {answer.status for answer in answers} == {200}
        assert parts.journal.end() == 60

    run(story)


@pytest.mark.parametrize("target", ["/v1/batch", "/v1/logs", "/v1/traces"])
def test_without_a_store_senders_are_told_to_come_back(parts: Runtime, edge: Edge, target: str):
    """Keys cannot be looked up: nothing is taken, and nothing falls over."""
    headers = {**JSON, "Authorization": "Bearer rlk_wk_unknown_unknown"}

    async def story() -> None:
        with lost(parts.db):
            heard = await ask(edge, "POST", target, b'{"batch":[]}', headers=headers)
            page = await ask(edge, "GET", "/api/v1/flags", headers=ADMIN)
        assert (heard.status, heard.header("retry-after")) == (503, "5")
        assert page.status == 503

    run(story)


def test_what_flask_does_not_see_is_counted(edge: Edge, key: str):
    """By what was asked for and how it was answered."""

    async def story() -> None:
        name, labels = "rollouts_http_requests_total", {"route": "/api/features/", "status": "200"}
        before = telemetry.REGISTRY.get_sample_value(name, labels) or 0
        await ask(edge, "GET", f"/api/features/{key}")
        assert telemetry.REGISTRY.get_sample_value(name, labels) == before + 1

    run(story)


def test_a_page_is_answered_by_flask(edge: Edge):
    """With its body, in however many pieces it comes, and whatever bytes the query holds."""

    async def story() -> None:
        body = json.dumps({"key": "made-in-pieces"}).encode()
        made = await ask(
            edge, "POST", "/api/v1/flags", body[:5], body[5:], headers={**ADMIN, **JSON}
        )
        assert made.status == 201, made.body
        chunked = {**ADMIN, **JSON, "Transfer-Encoding": "chunked"}
        again = await ask(edge, "POST", "/api/v1/flags", body, headers=chunked)
        assert again.status == 409
        odd = await ask(edge, "GET", "/api/v1/flags?search=\xff\xfe", headers=ADMIN)
        assert odd.status == 200
        assert json.loads(odd.body)["items"] == []

    run(story)


def test_a_change_is_served_at_once_by_the_process_that_made_it(edge: Edge, key: str):
    """Flask and edge share one delivery."""

    async def story() -> None:
        body = b'{"reason":"harm"}'
        killed = await ask(edge, "POST", "/api/v1/flags/f/kill", body, headers={**ADMIN, **JSON})
        assert killed.status == 200, killed.body
        served = await ask(edge, "GET", f"/api/features/{key}")
        assert json.loads(served.body)["features"]["f"] == {"defaultValue": False}

    run(story)


def test_a_body_is_read_no_further_than_its_limit(edge: Edge):
    """However much comes after it, and whether or not its length was told."""

    async def story() -> None:
        scope = scope_of("POST", "/api/v1/flags", {**ADMIN, **JSON})
        line = Line(edge, scope)
        for _ in range(40):
            line.say({"type": "http.request", "body": b" " * 100_000, "more_body": True})
        await asyncio.wait_for(line.task, 30)
        assert (await line.start()).status == 413
        assert line.to_edge.qsize() >= 29

    run(story)


def test_a_body_that_does_not_come_holds_no_thread(edge: Edge, monkeypatch: pytest.MonkeyPatch):
    """A hundred senders who never finish, and a page is answered all the same."""
    monkeypatch.setattr(asgi_parts, "BODY_SECONDS", 1.0)

    async def story() -> None:
        scope = scope_of("POST", "/api/v1/flags", {**ADMIN, **JSON})
        lines = [Line(edge, scope) for _ in range(100)]
        for line in lines:
            line.say({"type": "http.request", "body": b"{", "more_body": True})
        assert (await ask(edge, "GET", "/healthz")).status == 200
        await asyncio.wait_for(asyncio.gather(*(line.task for line in lines)), 30)
        assert {(await line.start()).status for line in lines} == {408}

    run(story)


def test_a_body_that_ends_early_is_refused(edge: Edge, key: str):
    """Whether or not anybody hears it: what is incomplete is not taken."""

    async def story() -> None:
        for target in ("/api/v1/flags", f"/track?client_key={key}", "/api/eval/sdk-x"):
            line = Line(edge, scope_of("POST", target, {**ADMIN, **JSON}))
            line.hang_up()
            await asyncio.wait_for(line.task, 10)
            assert (await line.start()).status == 400

    run(story)


def test_too_many_pages_at_once_are_refused(parts: Runtime, app: Flask):
    """The queue for threads is bounded; who finds it full is told to come back."""
    edge = Edge(parts, app)
    edge._pages._n_most = 0

    async def story() -> None:
        heard = await ask(edge, "GET", "/healthz")
        assert (heard.status, heard.header("retry-after")) == (503, "5")

    run(story)


def test_only_known_hosts_are_answered(parts: Runtime, app: Flask, edge: Edge, key: str):
    """Where the service was given its names, the edge keeps to them too."""
    edge._hosts = frozenset({"flags.example"})

    async def story() -> None:
        known = await ask(
            edge, "GET", f"/api/features/{key}", headers={"Host": "flags.example:443"}
        )
        assert known.status == 200
        assert edge._find_handler(scope_of("GET", f"/api/features/{key}", {})) is not None
        assert not edge._is_host_known(scope_of("GET", "/", {"Host": "evil.example"}))

    run(story)


# Streams


async def opened(edge: Edge, key: str, last_event_id: str = "") -> Line:
    """A stream that was sent its first version, unless it has it already."""
    line = Line(edge, scope_of("GET", f"/sub/{key}", {"Last-Event-ID": last_event_id}), b"")
    heard = await line.start()
    assert (heard.status, heard.header("content-type")) == (200, "text/event-stream")
    assert await line.next_body() == b"retry: 10000\n\n"
    if not last_event_id:
        assert b"event: features\n" in await line.next_body()
    return line


@pytest.mark.parametrize(
    ("headers", "n_known"),
    [
        ([{}, {}, {"User-Agent": "other"}], 2),
        ([{"X-Client-Id": "a"}, {"X-Client-Id": "b"}, {"X-Client-Id": "a", "User-Agent": "x"}], 2),
        ([{"X-Forwarded-For": f"10.0.0.{n}, 10.1.1.1"} for n in (7, 8, 7)], 2),
        ([{"X-Forwarded-For": "10.0.0.7"}, {}], 1),
    ],
)
def test_who_polls_is_told_apart(
    parts: Runtime, edge: Edge, key: str, headers: list[dict[str, str]], n_known: int
):
    """By the name it gives itself, or else by address and user agent, past trusted proxies."""
    is_past_proxies = n_known == 2 and "X-Forwarded-For" in headers[0]
    edge._parts = replace(parts, settings=replace(parts.settings, proxy_hops=2 * is_past_proxies))

    async def story() -> None:
        for sent in headers:
            await ask(edge, "GET", f"/api/features/{key}", headers=sent)
        held = parts.delivery.current(key)
        assert held is not None
        (reach,) = parts.delivery.propagation.list_reached({key: held.served.source}, parts.now())
        assert (reach.n_known, reach.n_reached) == (n_known, n_known)

    run(story)


def test_a_change_reaches_every_stream(parts: Runtime, edge: Edge, key: str):
    """Two thousand of them, and each place is given back when its client leaves."""
    parts.delivery._settings = replace(parts.settings, streams_per_key=2_000)

    async def story() -> None:
        async with living(edge):
            lines = [await opened(edge, key) for _ in range(2_000)]
            assert parts.delivery.count_streams(key) == 2_000
            await asyncio.to_thread(switch, parts, False)
            for line in lines:
                assert b'"f":{"defaultValue":false}' in await line.next_body()
            for line in lines:
                line.hang_up()
            await asyncio.gather(*(line.task for line in lines))
            assert parts.delivery.count_streams(key) == 0

    run(story)


def test_a_reconnecting_client_gets_what_it_missed(parts: Runtime, edge: Edge, key: str):
    """Nothing if it has the version; else the current one."""

    async def story() -> None:
        async with living(edge):
            held = parts.delivery.current(key)
            assert held is not None
            line = await opened(edge, key, held.served.event_id)
            await asyncio.to_thread(switch, parts, False)
            assert b'"f":{"defaultValue":false}' in await line.next_body()
            late = await opened(edge, key, held.served.event_id)
            assert b'"f":{"defaultValue":false}' in await late.next_body()
            for each in (line, late):
                each.hang_up()
                await each.task

    run(story)


def test_a_slow_client_delays_nobody_and_is_given_up(
    parts: Runtime, edge: Edge, key: str, monkeypatch: pytest.MonkeyPatch
):
    """It takes nothing; others are served, and after a while its place is free again."""
    monkeypatch.setattr(asgi_streams, "WRITE_SECONDS", 0.5)
    monkeypatch.setattr(asgi_streams, "LOOK_SECONDS", 0.05)

    async def story() -> None:
        async with living(edge):
            slow, quick = await opened(edge, key), await opened(edge, key)
            slow.is_taking.clear()
            await asyncio.to_thread(switch, parts, False)
            assert b'"f":{"defaultValue":false}' in await quick.next_body()
            await asyncio.wait_for(slow.task, 10)
            assert parts.delivery.count_streams(key) == 1
            quick.hang_up()
            await quick.task

    run(story)


def test_a_client_that_was_slow_gets_only_the_newest(parts: Runtime, edge: Edge, key: str):
    """After what was on its way to it: nothing piles up for it."""

    async def story() -> None:
        async with living(edge):
            slow, quick = await opened(edge, key), await opened(edge, key)
            slow.is_taking.clear()
            for enabled in (False, True, False, True):
                await asyncio.to_thread(switch, parts, enabled)
                heard = await quick.next_body()
            slow.is_taking.set()
            assert b'"f":{"defaultValue":false}' in await slow.next_body()
            assert await slow.next_body() == heard
            assert slow.from_edge.empty()
            for line in (slow, quick):
                line.hang_up()
                await line.task

    run(story)


def test_a_connection_that_breaks_takes_nobody_along(parts: Runtime, edge: Edge, key: str):
    """The server fails to write to one: the others are told, and its place is free again."""

    async def story() -> None:
        async with living(edge):
            broken, quick = await opened(edge, key), await opened(edge, key)
            broken.is_broken = True
            await asyncio.to_thread(switch, parts, False)
            assert b'"f":{"defaultValue":false}' in await quick.next_body()
            await asyncio.wait_for(broken.task, 10)
            assert parts.delivery.count_streams(key) == 1
            quick.hang_up()
            await quick.task

    run(story)


def test_a_silent_stream_has_a_heartbeat(edge: Edge, key: str, monkeypatch: pytest.MonkeyPatch):
    """So that no proxy takes it for dead."""
    monkeypatch.setattr(asgi_streams, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(asgi_streams, "LOOK_SECONDS", 0.05)

    async def story() -> None:
        async with living(edge):
            line = await opened(edge, key)
            assert [await line.next_body() for _ in range(2)] == [b": ping\n\n"] * 2
            line.hang_up()
            await line.task

    run(story)


def test_streams_end_when_the_process_stops(parts: Runtime, edge: Edge, key: str):
    """In good order, with the last chunk of an answer that is complete."""

    async def story() -> None:
        async with living(edge):
            lines = [await opened(edge, key) for _ in range(10)]
            parts.delivery.drain()
            for line in lines:
                await asyncio.wait_for(line.task, 10)
                assert await line.next_body() == b""

    run(story)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python says so
def test_a_signal_that_the_loop_misses_is_given_again(edge: Edge, monkeypatch: pytest.MonkeyPatch):
    """Its pipe is full where thousands leave at once: the server must hear of the stop all the same."""
    monkeypatch.setattr(asgi, "REPEAT_SECONDS", (0.05,))

    async def story() -> None:
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, heard.set)
        async with living(edge):
            with suppress(BlockingIOError):
                while True:
                    loop._csock.send(b"\0")  # type: ignore[attr-defined]
            signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(heard.wait(), 10)
        loop.remove_signal_handler(signal.SIGTERM)

    run(story)


def test_a_key_has_only_so_many_streams(parts: Runtime, edge: Edge, key: str):
    """Who comes too many is told to come back later."""

    async def story() -> None:
        async with living(edge):
            for _ in range(parts.settings.streams_per_key):
                parts.delivery.admit(key)
            heard = await ask(edge, "GET", f"/sub/{key}")
            assert (heard.status, heard.header("retry-after")) == (429, "60")

    run(story)
