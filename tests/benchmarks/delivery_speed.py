"""How fast flags are delivered, as shipped. Run: python -m tests.benchmarks.delivery_speed

200 flags of 100 kB, 32 connections, wrk. Every figure stands beside a plainer way of giving the
same answer on the same server in the same run; only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.evaluation_speed import make_payload, make_user
from tests.benchmarks.ingest_speed import ADMIN_KEY, free_port, running

CONNECTIONS = 32
GRANIAN = [sys.executable, "-m", "granian", "--log-level", "warning", "--loop", "asyncio"]


class Measured(NamedTuple):
    """What wrk says."""

    per_second: float
    median_ms: float
    p99_ms: float


def wrk(
    url: str, seconds: float, *, headers: dict[str, str] | None = None, body: bytes = b""
) -> Measured:
    """Requests per second and how long they took."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency"]
    for name, text in (headers or {}).items():
        command += ["-H", f"{name}: {text}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body:
            script.write(f"wrk.method = 'POST'\nwrk.body = {json.dumps(body.decode())}\n")
            script.flush()
            command += ["-s", script.name]
        told = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told and "If-None-Match" not in (headers or {}):
        raise SystemExit(told)
    return Measured(
        float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1]),  # type: ignore[index]
        _ms(re.search(r"50%\s+([\d.]+)(us|ms|s)", told)),
        _ms(re.search(r"99%\s+([\d.]+)(us|ms|s)", told)),
    )


def _ms(found: re.Match[str] | None) -> float:
    assert found is not None
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


class Service:
    """The running service with its 200 flags."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def send(self, method: str, path: str, body: Any) -> Any:
        """Call the API."""
        asked = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)

    def connect(self, mode: str = "plain") -> str:
        """A new client key."""
        body = {"name": "benchmark", "mode": mode, "options": {"saved_groups": "references"}}
        return str(self.send("POST", "/connections", body)["client_key"])

    def fill(self) -> None:
        """The payload that the comparisons serve, as flags of ours."""
        made = make_payload()
        payload = {"features": made["features"], "savedGroups": made["savedGroups"]}
        self.send("POST", "/environments/production/import/growthbook", payload)


def measure_payload(service: Service, key: str, seconds: float, folder: Path) -> None:
    """Ready bytes, and 304, beside a static file and a view that serialises."""
    url = f"{service.url}/api/features/{key}"
    with urllib.request.urlopen(url) as answer:
        tag, size = answer.headers["ETag"], len(answer.read())
    ready = wrk(url, seconds)
    unchanged = wrk(url, seconds, headers={"If-None-Match": tag})
    port = free_port()
    (folder / "static").mkdir()
    shutil.copy(__file__, folder / "static" / "file")
    (folder / "static" / "file").write_bytes(b"x" * size)
    command = [*GRANIAN, "--interface", "wsgi", "--port", str(port), "--factory"]
    command += ["--blocking-threads", "32", "--static-path-mount", str(folder / "static")]
    command += ["--static-path-route", "/static", "tests.benchmarks.delivery_servers:serialising"]
    with running(command, port, {}):
        static = wrk(f"http://127.0.0.1:{port}/static/file", seconds)
        plain = wrk(f"http://127.0.0.1:{port}/payload", seconds)
    print(f"{size:,} bytes, {CONNECTIONS} connections")
    for name, measured in (("static file", static), ("serialising view", plain)):
        _show(name, measured)
    for name, measured in (("payload", ready), ("304", unchanged)):
        ratio = f"{measured.per_second / plain.per_second:5.1f} times the view"
        tail = f"p99 {measured.p99_ms / measured.median_ms:4.1f} times the median"
        _show(name, measured, f"{ratio}, {tail}")


def _show(name: str, measured: Measured, more: str = "") -> None:
    print(
        f"  {name:<18}{measured.per_second:9,.0f}/s  median {measured.median_ms:7.2f} ms"
        f"  p99 {measured.p99_ms:7.2f} ms  {more}"
    )


def measure_evaluation(service: Service, seconds: float) -> None:
    """All flags for one user, beside the SDK's engine behind the same server."""
    remote, plain = service.connect("remote"), service.connect()
    user = make_user(7)
    asked = {
        f"/api/eval/{remote}": json.dumps({"attributes": user}).encode(),
        "/ofrep/v1/evaluate/flags": json.dumps(
            {"context": {**user, "targetingKey": user["id"]}}
        ).encode(),
    }
    headers = {"Content-Type": "application/json", "X-API-Key": plain}
    port = free_port()
    command = [*GRANIAN, "--interface", "asgi", "--port", str(port), "--factory"]
    with running([*command, "tests.benchmarks.delivery_servers:sdk_engine"], port, {}):
        for path, body in asked.items():
            name = "remote evaluation" if "eval/" in path else "OFREP bulk"
            ours = wrk(service.url + path, seconds, headers=headers, body=body)
            theirs = wrk(f"http://127.0.0.1:{port}{path}", seconds, headers=headers, body=body)
            _show(f"{name}, SDK", theirs)
            _show(name, ours, f"{ours.per_second / theirs.per_second:5.1f} times the SDK's engine")


class Streams:
    """Many open streams, and when the last of them was told."""

    def __init__(self, port: int, path: str, n: int, size: int) -> None:
        self._port, self._path, self._n, self._size = port, path, n, size
        self._links: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def open(self) -> None:
        """Open all, and read what each is sent at first."""
        for _ in range(self._n):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
            writer.write(f"GET {self._path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self._links.append((reader, writer))
        await asyncio.gather(*(self._hear(reader) for reader, _ in self._links))

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Read a whole version: its `data:` line is the only long one."""
        while len(await reader.readline()) < self._size:
            pass

    async def time_to_hear(self, change: Any) -> float:
        """Seconds from the change until the last stream has all of it."""
        began = time.perf_counter()
        telling = asyncio.create_task(asyncio.to_thread(change))
        await asyncio.gather(*(self._hear(reader) for reader, _ in self._links))
        took = time.perf_counter() - began
        await telling
        return took

    def close(self) -> None:
        """Close all."""
        for _, writer in self._links:
            writer.close()


async def measure_streams(service: Service, port: int, key: str, n: int, folder: Path) -> None:
    """One change to many streams, beside a bare server that writes the same bytes."""
    with urllib.request.urlopen(f"{service.url}/api/features/{key}") as answer:
        body = answer.read()
    features = make_payload()["features"]
    flag = next(key for key, feature in features.items() if feature["defaultValue"] is False)

    def switch(enabled: bool) -> None:
        body = {"environment": "production", "enabled": enabled}
        service.send("POST", f"/flags/{flag}/toggle", body)

    edit = min(_timed(lambda on=on: switch(on)) for on in (False, True))
    ours = Streams(port, f"/sub/{key}", n, len(body) // 2)
    await ours.open()
    took = min([await ours.time_to_hear(lambda on=on: switch(on)) for on in (False, True, False)])
    ours.close()
    bare = await _measure_bare(b"data: " + body + b"\n\n", n, folder)
    print(f"one change of {len(body):,} bytes to {n:,} streams")
    print(f"  bare asyncio       {1000 * bare:7.0f} ms")
    print(
        f"  ours, edit included{1000 * took:7.0f} ms  {took / bare:.1f} times;"
        f" the edit alone {1000 * edit:.0f} ms"
    )


def _timed(change: Any) -> float:
    began = time.perf_counter()
    change()
    return time.perf_counter() - began


async def _measure_bare(frame: bytes, n: int, folder: Path) -> float:
    port, trigger = free_port(), folder / "trigger"
    (folder / "frame").write_bytes(frame)
    environment = {
        "PORT": str(port),
        "FRAME": str(folder / "frame"),
        "TRIGGER": str(trigger),
    }
    command = [sys.executable, "-m", "tests.benchmarks.delivery_servers"]
    with running(command, port, environment):
        streams = Streams(port, "/", n, len(frame) // 2)
        await streams.open()
        took = min([await streams.time_to_hear(trigger.touch) for _ in range(3)])
        streams.close()
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--streams", type=int, default=2_000)
    parser.add_argument("--only-streams", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        environment = {
            "ROLLOUTS_VAR_DIR": str(folder / "var"),
            "ROLLOUTS_PORT": str(port),
            "ROLLOUTS_BOOTSTRAP_ADMIN_KEY": ADMIN_KEY,
            "ROLLOUTS_LOG_LEVEL": "warning",
            "ROLLOUTS_STREAMS_PER_KEY": str(given.streams),
        }
        with running([sys.executable, "-m", "rollouts", "serve"], port, environment):
            service = Service(port)
            service.fill()
            key = service.connect()
            if not given.only_streams:
                measure_payload(service, key, given.seconds, folder)
                measure_evaluation(service, given.seconds)
            asyncio.run(measure_streams(service, port, key, given.streams, folder))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "default")
    main()
