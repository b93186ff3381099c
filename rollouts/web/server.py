"""The web server: granian, with the settings that the service is shipped with."""

from __future__ import annotations

import os
from typing import Any, Final

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from rollouts.config import Settings
from rollouts.notify.sealing import Seal
from rollouts.web.parent import become_parent

TARGET: Final = "rollouts.web.asgi:create_edge"
STOP_SECONDS: Final = 15  # what is under way may take so long once the process is told to stop
HEADER_MS: Final = 10_000
BACKLOG: Final = 2_048
REQUESTS_BESIDE_STREAMS: Final = 1_000  # under way at once, in one process


def serve(settings: Settings) -> None:
    """Run the web processes in the foreground until SIGTERM or SIGINT."""
    Seal.from_settings(settings)  # refuse what cannot be here, where a person reads it
    server = make_server(settings)
    become_parent()
    server.serve()


def make_server(settings: Settings) -> Any:
    """The server before it runs; each of its processes reads the settings from the environment."""
    from rollouts.supervisor import to_environment

    os.environ.update(to_environment(settings))
    return Granian(
        TARGET,
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        loop=Loops.asyncio,
        workers=settings.web_processes,
        backlog=BACKLOG,
        # Open streams are requests under way too: they must never keep out all others.
        backpressure=settings.streams_per_process + REQUESTS_BESIDE_STREAMS,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS),
        websockets=False,
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        log_level=LogLevels.warning,
    )
