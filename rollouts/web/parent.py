"""A web process ends with the server that started it, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h

_server: int | None = None  # inherited by the processes that the server forks


def become_parent() -> None:
    """This process is the server; those it forks are to end with it."""
    global _server  # a fork inherits nothing else
    _server = os.getpid()


def end_with_parent() -> None:
    """Be told to stop when the server dies. Killed outright, it could not tell us itself,
    and we would go on holding its port. Linux only; elsewhere the port is freed later."""
    if _server is None or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != _server:
        raise SystemExit(0)  # it died before we asked to be told
