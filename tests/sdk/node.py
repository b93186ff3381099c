"""SDKs of JavaScript, run by node, each in a process that is spoken to line by line."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import must_run

SCRIPTS = Path(__file__).parent / "js"
SECONDS = 20.0


def installed() -> Path:
    """A folder with our scripts and the packages they need, kept between runs."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        assert not must_run("node"), "node and npm are needed here"
        pytest.skip("node or npm is not installed here")
    lock = (SCRIPTS / "package-lock.json").read_bytes()
    home = Path(os.environ.get("XDG_CACHE_HOME") or tempfile.gettempdir())
    folder = home / f"rollouts-sdk-tests-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not (folder / "done").exists():
        shutil.copytree(SCRIPTS, folder, dirs_exist_ok=True)
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=folder,
            check=True,
            timeout=300,
        )
        (folder / "done").touch()
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, folder)
    return folder


class NodeProcess:
    """One script that runs: commands go in, JSON comes out."""

    def __init__(self, script: str, **given: Any) -> None:
        self._process = subprocess.Popen(
            ["node", script, json.dumps(given)],
            cwd=installed(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def hear(self, seconds: float = SECONDS) -> Any:
        """The next thing it says."""
        return json.loads(self._lines.get(timeout=seconds))

    def tell(self, command: str, argument: Any = None) -> None:
        """Give it a command."""
        assert self._process.stdin is not None
        line = json.dumps({"command": command, "argument": argument})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def ask(self, command: str, argument: Any = None) -> Any:
        """Give it a command and hear its answer."""
        self.tell(command, argument)
        return self.hear()

    def end(self) -> None:
        """Let it finish."""
        self._process.terminate()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
