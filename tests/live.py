"""The real service in processes of its own, for tests that use it from outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from rollouts.config import Settings
from rollouts.demo.client import Api
from rollouts.supervisor import to_environment

KEY = "live-administrator-key-of-40-characters-"


class LiveService:
    """Web and worker of one store, started, stopped and killed at will."""

    def __init__(self, folder: Path, **over: Any) -> None:
        self.settings = Settings(
            var_dir=folder / "var",
            port=free_port(),
            bootstrap_admin_key=KEY,
            outbound_allow="127.0.0.0/8",
            log_format="json",
            **over,
        )
        self.log = folder / "service.log"
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.api = Api(self.url, KEY)

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.settings.base_url

    def start(self, *parts: str) -> None:
        """Start the named parts, or both, and wait until they work."""
        for name in parts or ("serve", "worker"):
            with self.log.open("ab") as log:
                self.children[name] = subprocess.Popen(
                    [sys.executable, "-m", "rollouts", name],
                    env={**os.environ, **to_environment(self.settings)},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        if {"serve", "worker"} <= set(self.children):
            self.api.wait_until_ready()
        else:
            self.wait_until_up()

    def wait_until_up(self, seconds: float = 60.0) -> None:
        """Wait until the web process answers at all."""
        until = time.monotonic() + seconds
        while "serve" in self.children and time.monotonic() < until:
            try:
                if requests.get(f"{self.url}/healthz", timeout=2).status_code == 200:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)

    def kill(self, name: str) -> None:
        """End a part as a power cut would: its whole group, without a word."""
        child = self.children.pop(name)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def stop(self) -> None:
        """Ask every part to finish, and wait for it."""
        for child in self.children.values():
            child.send_signal(signal.SIGTERM)
        for child in self.children.values():
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self.children.clear()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
