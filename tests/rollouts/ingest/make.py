"""The parts that taking events in needs: a real journal, keys and connections from a table."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rollouts.accounts.model import Key, KeyKind
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.ingest import service
from rollouts.ingest.journal import Journal
from rollouts.ingest.model import Answer, Frame
from rollouts.quotas import Quotas

NOW = datetime(2026, 5, 14, 10, 0, tzinfo=UTC)
SERVER_KEY, BROWSER_KEY, API_KEY, CLIENT_KEY = "wk-secret", "ww-public", "api-secret", "sdk-page"


@dataclass(frozen=True, slots=True)
class Page:
    """An SDK connection."""

    client_key: str = CLIENT_KEY
    environment_id: int = 2


class KeyTable:
    """The keys that exist."""

    def find(self, presented: str, *, now: datetime) -> Key | None:
        """The key with this text."""
        kinds = {
            SERVER_KEY: KeyKind.SERVER_WRITE,
            BROWSER_KEY: KeyKind.BROWSER_WRITE,
            API_KEY: KeyKind.API,
        }
        kind = kinds.get(presented)
        return Key(f"id-{kind.value}", kind, "shop", None, 1) if kind else None


class Pages:
    """The connections that exist."""

    def find(self, client_key: str) -> Page | None:
        """The connection with this key."""
        return Page() if client_key == CLIENT_KEY else None


@dataclass(slots=True)
class Parts:
    """What `ingest.service` asks for."""

    settings: Settings
    journal: Journal
    keys: KeyTable = field(default_factory=KeyTable)
    delivery: Pages = field(default_factory=Pages)
    quotas: Quotas = field(init=False)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.settings)


def open_journal(db: Database, folder: Any) -> Journal:
    """The journal that belongs to a store: a file beside SQLite, a table in PostgreSQL."""
    url = "" if db.is_sqlite else db.url
    secret = "s" * 32
    return Journal.open(Settings(var_dir=folder, database_url=url, secret_key=secret), db)


def basic(key: str) -> str:
    """A Basic authorization with the key as user and no password."""
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def segment(parts: Parts, body: object, kind: str = "batch", **more: Any) -> Answer:
    """Post to Segment's API; what is no bytes goes as JSON."""
    given = {"authorization": basic(SERVER_KEY), "content_encoding": "", "now": NOW, **more}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.accept_segment(parts, kind=kind, body=raw, **given)


def growthbook(parts: Parts, body: object, **more: Any) -> Answer:
    """Post to GrowthBook's tracking endpoint."""
    given = {"client_key": CLIENT_KEY, "content_encoding": "", "now": NOW, **more}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.accept_growthbook(parts, body=raw, **given)


def frames_of(parts: Parts) -> list[Frame]:
    """All frames in the journal."""
    entries = parts.journal.read(0, 1_000_000)
    assert all(entry.frame is not None for entry in entries)
    return [entry.frame for entry in entries if entry.frame is not None]


def events_of(parts: Parts) -> list[Any]:
    """All events in the journal."""
    return [event for frame in frames_of(parts) for event in json.loads(frame.events)]
