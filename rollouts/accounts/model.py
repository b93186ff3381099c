"""Who acts, and what each role may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rollouts.errors import NotAllowed


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
    environments: frozenset[str] = frozenset()  # keys of those it may change; empty: all

    def check_environment(self, environment: str) -> None:
        """Refuse a change in an environment that this key was not made for."""
        if self.environments and environment not in self.environments:
            raise NotAllowed(
                f"The key {self.name!r} may change {', '.join(sorted(self.environments))} only, "
                f"not {environment}."
            )

    def check_grants(self, role: Role) -> None:
        """Refuse to hand out a role above one's own."""
        if not self.role.includes(role):
            raise NotAllowed(f"You are {self.role}, so you cannot hand out the role {role}.")


STOP_LOSS = Actor(ActorKind.MACHINE, "stop-loss", "stop-loss", Role.ADMIN)
RAMP = Actor(ActorKind.MACHINE, "ramp", "automatic ramp", Role.ADMIN)
OPERATOR = Actor(ActorKind.MACHINE, "operator", "command line", Role.ADMIN)
START = Actor(ActorKind.MACHINE, "start", "first start", Role.ADMIN)


class KeyKind(StrEnum):
    """What a key is for; written into the key itself."""

    API = "api"
    SERVER_WRITE = "wk"  # sends events from servers: believed
    BROWSER_WRITE = "ww"  # lies in pages for everyone to read: not believed


@dataclass(frozen=True, slots=True)
class Key:
    """A key that was presented and found good."""

    id: str
    kind: KeyKind
    name: str
    role: Role | None
    environment_id: int | None
    environments: frozenset[str] = frozenset()

    @property
    def is_trusted(self) -> bool:
        """Whether outcomes sent with it may decide anything by themselves."""
        return self.kind is KeyKind.SERVER_WRITE

    def actor(self) -> Actor:
        """A key as the hand that did it. A write key has no role: it only sends events."""
        role = self.role or Role.READER
        return Actor(ActorKind.KEY, self.id, self.name, role, self.environments)
