"""Who sends: keys and connections found, and let in within their quotas."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from rollouts.accounts.model import Key, KeyKind
from rollouts.config import Settings
from rollouts.errors import Malformed, NotAllowed, NotSignedIn
from rollouts.ingest.journal import Journal
from rollouts.quotas import Quotas

WRITE_KINDS = (KeyKind.SERVER_WRITE, KeyKind.BROWSER_WRITE)


class Keys(Protocol):
    """Finds keys that are valid now."""

    def find(self, presented: str, *, now: datetime) -> Key | None: ...
    def note_leak(self, key: Key, origin: str, *, now: datetime) -> None: ...


class Connection(Protocol):
    """What must be known of an SDK connection."""

    @property
    def client_key(self) -> str: ...
    @property
    def environment_id(self) -> int: ...


class Connections(Protocol):
    """Finds SDK connections by their public key."""

    def find(self, client_key: str) -> Connection | None: ...


class Parts(Protocol):
    """The running parts that taking events in needs."""

    @property
    def settings(self) -> Settings: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def delivery(self) -> Connections: ...
    @property
    def quotas(self) -> Quotas: ...


def admit_connection(parts: Parts, client_key: str, now: datetime) -> Connection:
    """The connection with this key, let in. Raises NotSignedIn, TooMany."""
    connection = parts.delivery.find(client_key)
    if connection is None:
        raise NotSignedIn("This client key is not known. Send it as ?client_key=sdk-....")
    parts.quotas.enter(connection.client_key, is_public=True, now=now)
    return connection


def admit_key(parts: Parts, presented: str, now: datetime, origin: str = "") -> Key:
    """The write key with this text, let in. Raises NotSignedIn, NotAllowed, TooMany.

    origin: that of the page which sent the request, if it is not ours. Whoever reads that page
    can read the key, so that one which is meant to be secret is told of.
    """
    key = parts.keys.find(presented, now=now) if presented else None
    if key is None:
        raise NotSignedIn(
            "Send a valid write key: as user name of Basic authentication, or as `writeKey`."
        )
    if origin and key.kind is not KeyKind.BROWSER_WRITE:
        parts.keys.note_leak(key, origin, now=now)
    if key.kind not in WRITE_KINDS:
        raise NotAllowed("This key is no write key. Make one with POST /api/v1/write-keys.")
    parts.quotas.enter(key.id, is_public=not key.is_trusted, now=now)
    return key


def foreign_origin(origin: str, host: str, base_url: str) -> str:
    """The origin of the page that sent a request, or nothing if there is none or it is ours.

    >>> foreign_origin("https://shop.example", "flags.example", "https://flags.example")
    'https://shop.example'
    >>> foreign_origin("https://flags.example", "10.0.0.7:8765", "https://flags.example/")
    ''
    """
    site = origin.partition("://")[2]
    return "" if site and site in (host, urlsplit(base_url).netloc) else origin


def presented_in(authorization: str) -> str:
    """The key in an Authorization header: Bearer, or Basic with the key as user name.

    Raises NotSignedIn, Malformed.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        raise NotSignedIn("Send the write key by Basic or Bearer authentication.")
    try:
        user = base64.b64decode(rest.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Malformed("The Authorization header is no valid Basic authentication.") from None
    return user.partition(":")[0]
