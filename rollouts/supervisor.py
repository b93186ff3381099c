"""Web and worker as two processes that live and die together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import IO

from rollouts.config import PREFIX, Settings

STOP_SECONDS = 20.0
RESTART_SECONDS = 1.0
PARTS = ("serve", "worker")


class Supervisor:
    """Starts the parts, restarts one that dies, and stops them without losing anything."""

    def __init__(self, settings: Settings, *, log: IO[bytes] | None = None) -> None:
        self._environment = {**os.environ, **to_environment(settings)}
        self._output = log
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start every part."""
        for name in PARTS:
            self._children[name] = self._spawn(name)

    def watch(self, told: Callable[[str], None]) -> None:
        """Restart parts that die, until `stop` is called."""
        while not self._stopping.wait(0.2):
            for name, child in list(self._children.items()):
                if child.poll() is not None and not self._stopping.is_set():
                    told(f"{name} ended with status {child.returncode}; starting it again")
                    time.sleep(RESTART_SECONDS)
                    self._children[name] = self._spawn(name)

    def stop(self) -> None:
        """Ask every part to finish, web first so that nothing new comes in; then wait."""
        self._stopping.set()
        for name in PARTS:
            child = self._children.get(name)
            if child is None:
                continue
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def request_stop(self) -> None:
        """Let `watch` return; safe from a signal handler."""
        self._stopping.set()

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C reaches only us, and we stop the parts in order.
        return subprocess.Popen(
            [sys.executable, "-m", "rollouts", name],
            env=self._environment,
            start_new_session=True,
            stdout=self._output,
            stderr=self._output,
        )


def to_environment(settings: Settings) -> dict[str, str]:
    """The settings as the variables that `Settings.from_environment` reads."""
    held = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
        if text:
            held[PREFIX + item.name.upper()] = text
    return held
