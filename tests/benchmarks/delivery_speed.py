"""How fast flags are delivered, as shipped. Run: python -m tests.benchmarks.delivery_speed

200 flags of 100 kB, 32 connections, wrk. Every figure stands beside a plainer way of giving the
same answer on the same server in the same run; only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.delivery_streams import Side, Streams, measure_streams
from tests.benchmarks.evaluation_speed import make_payload, make_user
from tests.benchmarks.ingest_speed import ADMIN_KEY, free_port, running

CONNECTIONS = 32
GRANIAN = [sys.executable, "-m", "granian", "--log-level", "warning", "--loop", "asyncio"]


SLICES = 5  # of what is measured: others on the machine disturb some of them


class Measured(NamedTuple):
    """What wrk says."""

    per_second: float
    median_ms: float
    p99_ms: float


class Asked(NamedTuple):
    """What is asked of a server again and again."""

    url: str
    headers: dict[str, str]
    body: bytes = b""


def measure_in_turns(asked: dict[str, Asked], seconds: float) -> dict[str, Measured]:
    """Each in slices, in turns, so that whatever else the machine does meets all; medians."""
    slices: dict[str, list[Measured]] = {name: [] for name in asked}
    for _ in range(SLICES):
        for name, (url, headers, body) in asked.items():
            slices[name].append(
                wrk(url, max(1, round(seconds / SLICES)), headers=headers, body=body)
            )
    return {
        name: Measured(*(statistics.median(each) for each in zip(*found, strict=True)))
        for name, found in slices.items()
    }


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
    """Ready bytes, and 304, beside a static file, a view that serialises, and a bare 304."""
    url = f"{service.url}/api/features/{key}"
    with urllib.request.urlopen(url) as answer:
        tag, size = answer.headers["ETag"], len(answer.read())
    (folder / "static").mkdir()
    (folder / "static" / "file").write_bytes(b"x" * size)
    port, bare_port = free_port(), free_port()
    plainer = [*GRANIAN, "--interface", "wsgi", "--port", str(port), "--factory"]
    plainer += ["--blocking-threads", "32", "--static-path-mount", str(folder / "static")]
    plainer += ["--static-path-route", "/static", "tests.benchmarks.delivery_servers:serialising"]
    bare = [*GRANIAN, "--interface", "asgi", "--port", str(bare_port), "--factory"]
    bare += ["tests.benchmarks.delivery_servers:unchanged"]
    asked = {
        "static file": Asked(f"http://127.0.0.1:{port}/static/file", {}),
        "serialising view": Asked(f"http://127.0.0.1:{port}/payload", {}),
        "bare 304": Asked(f"http://127.0.0.1:{bare_port}/", {"If-None-Match": tag}),
        "payload": Asked(url, {}),
        "304": Asked(url, {"If-None-Match": tag}),
    }
    with running(plainer, port, {}), running(bare, bare_port, {}):
        found = measure_in_turns(asked, seconds)
    print(f"{size:,} bytes, {CONNECTIONS} connections, medians of {SLICES} slices each")
    plain = found["serialising view"]
    for name, measured in found.items():
        _show(name, measured, f"{measured.per_second / plain.per_second:5.1f} times the view")


def _show(name: str, measured: Measured, more: str = "") -> None:
    print(
        f"  {name:<18}{measured.per_second:9,.0f}/s  median {measured.median_ms:7.2f} ms"
        f"  p99 {measured.p99_ms:7.2f} ms, {measured.p99_ms / measured.median_ms:4.1f} medians  {more}"
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
            sides = {
                f"{name}, SDK": Asked(f"http://127.0.0.1:{port}{path}", headers, body),
                name: Asked(service.url + path, headers, body),
            }
            theirs, ours = measure_in_turns(sides, seconds).values()
            _show(f"{name}, SDK", theirs)
            _show(name, ours, f"{ours.per_second / theirs.per_second:5.1f} times the SDK's engine")


def measure_change(
    service: Service, port: int, pid: int, key: str, n: int, rounds: int, folder: Path
) -> None:
    """One change to many streams: a flag switched on or off, over the API."""
    with urllib.request.urlopen(f"{service.url}/api/features/{key}") as answer:
        frame = b"id: 100-0123abcd\nevent: features\ndata: " + answer.read() + b"\n\n"
    features = make_payload()["features"]
    flag = next(key for key, feature in features.items() if feature["defaultValue"] is False)
    states = cycle((False, True))

    def switch() -> None:
        body = {"environment": "production", "enabled": next(states)}
        service.send("POST", f"/flags/{flag}/toggle", body)

    alone = [_timed(switch) for _ in range(rounds)]
    streams = Streams(port, f"/sub/{key}", n, len(frame) * 9 // 10, pid)
    measure_streams(Side(streams, switch), frame, n, rounds, folder)
    streams.close()
    print(f"  the edit alone {1000 * statistics.median(alone):.0f} ms until it is answered")


def _timed(change: Callable[[], object]) -> float:
    began = time.perf_counter()
    change()
    time.sleep(0.1)
    return time.perf_counter() - began - 0.1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--streams", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=9)
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
        with running([sys.executable, "-m", "rollouts", "serve"], port, environment) as pid:
            service = Service(port)
            service.fill()
            key = service.connect()
            if not given.only_streams:
                measure_payload(service, key, given.seconds, folder)
                measure_evaluation(service, given.seconds)
            measure_change(service, port, pid, key, given.streams, given.rounds, folder)
    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"load of the machine: {loads} on {os.cpu_count()} cores")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "default")
    main()
