"""What is sent, when it is tried again, and what became of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

# Seconds until the next try; the last one repeats until a day has passed.
DELAYS = (1, 5, 30, 120, 600, 1_800, 3_600, 7_200)
JITTER = 0.2
GIVE_UP_AFTER = timedelta(hours=24)
LONGEST_SENTENCE = 2_000


class DestinationKind(StrEnum):
    """How a destination is spoken to."""

    WEBHOOK = "webhook"
    APPRISE = "apprise"


class DeliveryState(StrEnum):
    """What became of a message on its way to one destination."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Outcome(StrEnum):
    """How one try ended."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # by our own rules about where we may go
    FAILED = "failed"
    GONE = "gone"  # the receiver wants nothing any more


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `problem` is ours: nothing the receiver wrote, nothing of the address."""

    outcome: Outcome
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that happened, as it is told."""

    id: str
    kind: str  # "rollout.withdrawn"
    subject: str
    happened: str
    done: str
    created_at: datetime
    links: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The form in which programs get it."""
        return {
            "type": self.kind,
            "timestamp": self.created_at.isoformat().replace("+00:00", "Z"),
            "data": {
                **self.data,
                "subject": self.subject,
                "happened": self.happened,
                "done": self.done,
                "links": self.links,
            },
        }

    def text(self) -> str:
        """The form in which people get it: what happened, what was done, where to look."""
        where = [f"{name}: {address}" for name, address in self.links.items()]
        return "\n".join([self.happened, self.done, *where])


def next_try(
    delivery_id: int, attempts: int, created_at: datetime, now: datetime
) -> datetime | None:
    """When to try again after so many failed attempts, or None to give up.

    The jitter comes from the delivery itself: it spreads a receiver's load when it returns, and
    the same delivery always waits the same.
    """
    delay = DELAYS[min(attempts, len(DELAYS)) - 1]
    chance = sha256(f"{delivery_id}:{attempts}".encode()).digest()[0] / 255
    at = now + timedelta(seconds=delay * (1 - JITTER + 2 * JITTER * chance))
    return at if at - created_at < GIVE_UP_AFTER else None


def one_line(text: str, longest: int = LONGEST_SENTENCE) -> str:
    """Text without anything that could end a line, a header or a terminal's patience.

    >>> one_line("Withdrawn:\\r\\nBcc: all")
    'Withdrawn: Bcc: all'
    """
    return re.sub(r"[^\S\u00a0\u202f]+|[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)[:longest]
