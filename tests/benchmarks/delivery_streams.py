"""One change to thousands of open streams, beside the least that asyncio can do.

Both sides have the same client, which only counts bytes, and send the same bytes; they take
turns, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.ingest_speed import free_port, running

PAUSE_SECONDS = 0.3  # between changes, so that nothing of the last one is left


class Told(NamedTuple):
    """One change to all streams."""

    whole_ms: float  # from asking for the change to the last byte
    bytes_ms: float  # from the first byte to the last
    cpu_ms: float  # of the server, to 10 ms


class Streams:
    """Many open streams to a server."""

    def __init__(self, port: int, path: str, n: int, size: int, pid: int) -> None:
        self._size, self._pid = size, pid
        self._waiting = select.epoll()
        self._links: dict[int, socket.socket] = {}
        self._room = bytearray(2**19)
        for _ in range(n):
            link = socket.create_connection(("127.0.0.1", port))
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            link.setblocking(False)
            self._links[link.fileno()] = link
            self._waiting.register(link.fileno(), select.EPOLLIN)
        self._hear()

    def _hear(self) -> tuple[float, float]:
        """Until every stream had a whole version: when the first byte came, and the last."""
        heard = dict.fromkeys(self._links, 0)
        n_waiting, first = len(heard), 0.0
        while n_waiting:
            for number, _ in self._waiting.poll():
                n_bytes = self._links[number].recv_into(self._room)
                if n_bytes == 0:
                    raise SystemExit("a stream was closed")
                first = first or time.perf_counter()
                before, heard[number] = heard[number], heard[number] + n_bytes
                n_waiting -= before < self._size <= heard[number]
        return first, time.perf_counter()

    def time_to_hear(self, change: Callable[[], object]) -> Told:
        """Make the change, and wait until the last stream has all of it."""
        used, began = _cpu_ms(self._pid), time.perf_counter()
        telling = threading.Thread(target=change)
        telling.start()
        first, last = self._hear()
        telling.join()
        time.sleep(PAUSE_SECONDS)
        used = _cpu_ms(self._pid) - used
        return Told(1000 * (last - began), 1000 * (last - first), used)

    def close(self) -> None:
        """Close all."""
        for link in self._links.values():
            link.close()


def _cpu_ms(pid: int) -> float:
    """What a process and its children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own = 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_cpu_ms(int(child)) for child in children)


class Side(NamedTuple):
    """A server with its streams, and what makes it tell them something."""

    streams: Streams
    change: Callable[[], object]


def measure_streams(ours: Side, frame: bytes, n: int, rounds: int, folder: Path) -> None:
    """One change to many streams, beside a bare server that writes the same bytes."""
    port = free_port()
    (folder / "frame").write_bytes(frame)
    environment = {"PORT": str(port), "FRAME": str(folder / "frame")}
    command = [sys.executable, "-m", "tests.benchmarks.delivery_servers"]
    with running(command, port, environment) as pid:
        streams = Streams(port, "/", n, len(frame) * 9 // 10, pid)
        bare = Side(streams, lambda: os.kill(pid, signal.SIGUSR1))
        pairs = [
            (bare.streams.time_to_hear(bare.change), ours.streams.time_to_hear(ours.change))
            for _ in range(rounds)
        ]
        streams.close()
    _show(frame, n, pairs)


def _show(frame: bytes, n: int, pairs: list[tuple[Told, Told]]) -> None:
    print(f"one change of {len(frame):,} bytes to {n:,} streams, medians of {len(pairs)} rounds")
    for name, told in zip(("bare asyncio", "ours"), zip(*pairs, strict=True), strict=True):
        whole, between, used = (statistics.median(each) for each in zip(*told, strict=True))
        print(
            f"  {name:<14}{whole:6.0f} ms from the change to the last byte,"
            f" {between:4.0f} ms from the first byte to the last, {used:4.0f} ms of processor"
        )
    for name, index in (("edit included", 0), ("first byte to last", 1)):
        ratios = sorted(ours[index] / bare[index] for bare, ours in pairs)
        median = statistics.median(ratios)
        print(
            f"  {name}: {median:.2f} times ({ratios[0]:.2f} to {ratios[-1]:.2f} in single rounds)"
        )
