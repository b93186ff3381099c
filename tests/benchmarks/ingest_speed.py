"""Durable events per second over HTTP. Run: python -m tests.benchmarks.ingest_speed

Starts the service as it is shipped and posts batches of 100 to it over a few connections. Beside
the wanted 100,000 events a second stands what the same server does with the same requests when
it only reads them: that is the machine's and the server's share, the rest is ours.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rollouts.config import Settings
from rollouts.db import Database
from rollouts.ingest.journal import Journal

WANTED = 100_000  # events/s
ADMIN_KEY = "benchmark-administrator-key-of-40-letters"
BARE = "tests.benchmarks.ingest_speed:read_only"


async def read_only(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    """An application that reads a body and answers; nothing else."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def batch(n: int) -> bytes:
    """A batch of Segment calls of about 310 bytes each."""
    events = [
        {
            "type": "track",
            "event": "Contact Opened",
            "userId": f"customer-{number}",
            "messageId": f"message-{os.urandom(8).hex()}",
            "timestamp": "2026-11-20T09:42:00.000Z",
            "properties": {"channel": "phone", "value": 1.5 * number, "reason": "late"},
            "context": {"library": {"name": "analytics-python", "version": "2.3.2"}},
        }
        for number in range(n)
    ]
    return json.dumps({"batch": events, "sentAt": "2026-11-20T09:42:01.000Z"}).encode()


def request_bytes(port: int, body: bytes, key: str) -> bytes:
    """The same request, ready to be sent again and again."""
    head = (
        f"POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def post_for(port: int, request: bytes, seconds: float, n_connections: int) -> list[float]:
    """Seconds that each answered request took."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    def work() -> None:
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (began := time.perf_counter()) < until:
                link.sendall(request)
                answer = link.recv(65_536)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise SystemExit(f"refused: {answer[:300]!r}")
                took.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work) for _ in range(n_connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    """The id of a server process that answers."""
    server = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                break
            time.sleep(0.1)
        yield server.pid
    finally:
        server.terminate()
        server.wait(30)


def make_write_key(port: int) -> str:
    """A server write key, from the service itself."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/write-keys",
        json.dumps({"name": "benchmark", "environment": "production", "kind": "server"}).encode(),
        {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["write_key"])


def measure_bare(body: bytes, seconds: float, n_connections: int) -> float:
    """Events per second that the server reads when nothing is done with them."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "asyncio"]
    command += ["--port", str(port), "--log-level", "warning", BARE]
    with running(command, port, {}):
        took = post_for(port, request_bytes(port, body, "none"), seconds, n_connections)
    return len(took) / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args()
    body = batch(given.batch)
    bare = measure_bare(body, given.seconds, given.connections) * given.batch
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = {
            "ROLLOUTS_VAR_DIR": folder,
            "ROLLOUTS_PORT": str(port),
            "ROLLOUTS_BOOTSTRAP_ADMIN_KEY": ADMIN_KEY,
            "ROLLOUTS_LOG_LEVEL": "warning",
            "ROLLOUTS_SECRET_KEY": "benchmark-secret-of-more-than-32-letters",
        }
        with running([sys.executable, "-m", "rollouts", "serve"], port, environment):
            key = make_write_key(port)
            request = request_bytes(port, body, key)
            post_for(port, request, 0.5, given.connections)
            began = time.perf_counter()
            took = post_for(port, request, given.seconds, given.connections)
            elapsed = time.perf_counter() - began
        settings = Settings(var_dir=Path(folder))
        journal = Journal.open(settings, Database(settings.store_url))
        stored = journal.end()
        journal.close()
    rate = len(took) * given.batch / elapsed
    worst = statistics.quantiles(took, n=100)[98]
    print(f"batches of {given.batch} ({len(body):,} bytes) over {given.connections} connections")
    print(f"the server alone, reading only: {bare:,.0f} events/s")
    print(
        f"durable: {rate:,.0f} events/s, {rate / WANTED:.1f} times the wanted rate, "
        f"{rate / bare:.0%} of reading only; p99 {1000 * worst:.0f} ms"
    )
    if stored < len(took) * given.batch:
        raise SystemExit(f"only {stored:,} events are in the journal")


if __name__ == "__main__":
    main()
