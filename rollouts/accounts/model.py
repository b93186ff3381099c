"""Who acts, and what each role may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do; each role includes the ones before it."""

    READER = "reader"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether this role may do all that the other may."""
        return _RANK[self] >= _RANK[other]


_RANK = {Role.READER: 1, Role.EDITOR: 2, Role.ADMIN: 3}


class Access(StrEnum):
    """Who may call a route; every route says one of these, or a `Role`."""

    ANYONE = "anyone"  # nothing secret behind it
    CLIENT_KEY = "client-key"  # the public key in the path or query is checked by the view
    WRITE_KEY = "write-key"  # ingest; checked by the view, off the signed-in path
    SIGNED_IN = "signed-in"  # any person or key, whatever its role


class ActorKind(StrEnum):
    """What kind of hand did it."""

    PERSON = "person"
    KEY = "key"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks for something: a person, an API key, or the service itself."""

    kind: ActorKind
    id: str
    name: str
    role: Role


STOP_LOSS = Actor(ActorKind.MACHINE, "stop-loss", "stop-loss", Role.ADMIN)
RAMP = Actor(ActorKind.MACHINE, "ramp", "automatic ramp", Role.ADMIN)
OPERATOR = Actor(ActorKind.MACHINE, "operator", "command line", Role.ADMIN)
