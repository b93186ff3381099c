"""One SDK's stream: what it is sent next, for threads and event loops alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Final

from rollouts.clock import utcnow
from rollouts.flags.answers import CORS
from rollouts.flags.delivery import Delivery
from rollouts.flags.served import Served
from rollouts.flags.sources import Source

OPENING: Final = b"retry: 10000\n\n"
HEARTBEAT: Final = b": ping\n\n"
HEARTBEAT_SECONDS: Final = 20.0  # proxies cut what is silent for 30
STREAM_HEADERS: Final = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-cache"),
    ("X-Accel-Buffering", "no"),
    *CORS,
)


class Ended(Exception):  # no error: the stream is over
    """The key was revoked, or the process is about to stop."""


class Follower:
    """Remembers what one client has; however slow it is, only the newest version is sent."""

    def __init__(
        self,
        delivery: Delivery,
        client_key: str,
        last_event_id: str,
        frame_of: Callable[[Served], bytes] = attrgetter("frame"),
    ) -> None:
        self._delivery = delivery
        self._frame_of = frame_of
        self._client_key = client_key
        self._event_id = last_event_id
        self._sending: Source | None = None

    def step(self) -> bytes | None:
        """What to send now, or None if the client has the newest. Raises Ended."""
        if self._delivery.is_draining:
            raise Ended
        held = self._delivery.current(self._client_key)
        if held is None:
            if self._delivery.is_loaded:
                raise Ended
            return None  # nothing was ever loaded: the store may come yet
        if held.served.event_id == self._event_id:
            return None
        self._event_id = held.served.event_id
        self._sending = held.served.source
        return self._frame_of(held.served)

    def has_sent(self) -> None:
        """What `step` gave was taken by the client's connection."""
        if self._sending is not None:
            self._delivery.propagation.note(
                self._client_key, self, self._sending, utcnow(), is_stream=True
            )
            self._sending = None

    def leave(self) -> None:
        """The stream is over."""
        self._delivery.propagation.forget(self._client_key, self)


def follow(delivery: Delivery, follower: Follower) -> Iterator[bytes]:
    """A stream for a server with threads: blocks between what it yields."""
    bell = delivery.thread_bell
    yield OPENING
    while True:
        seen = bell.count
        try:
            frame = follower.step()
        except Ended:
            return
        if frame is None:
            bell.wait(seen, HEARTBEAT_SECONDS)
            frame = HEARTBEAT if bell.count == seen else b""
        if frame:
            yield frame
            follower.has_sent()
