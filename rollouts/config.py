"""Settings: one frozen dataclass, and the only reader of the environment."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rollouts.errors import SettingWrong

PREFIX = "ROLLOUTS_"
_WORDS = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}


def _setting(default: Any, help_text: str, **extra: Any) -> Any:
    return field(default=default, metadata={"help": help_text, **extra})


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be set, as `ROLLOUTS_<NAME>`. Units are in the names."""

    var_dir: Path = _setting(Path("var"), "Folder of the embedded store, its journal and caches.")
    database_url: str = _setting(
        "", "SQLAlchemy URL; empty means SQLite in the folder above. PostgreSQL: postgresql://..."
    )
    host: str = _setting("127.0.0.1", "Address the web server binds to.")
    port: int = _setting(8765, "Port of the web server.")
    public_url: str = _setting(
        "", "Address that people and links use; empty means http://host:port."
    )
    secret_key: str = _setting(
        "",
        "Wraps stored secrets and keys unit hashes, 32 characters or more; empty: kept in a file.",
        secret=True,
    )
    bootstrap_admin_key: str = _setting(
        "", "An administrator's API key to exist from the first start (containers).", secret=True
    )
    api_key: str = _setting(
        "", "API key of commands that call a running service: code-refs scan.", secret=True
    )
    web_threads: int = _setting(32, "Threads for pages and API in the web process.")
    web_processes: int = _setting(1, "Web processes; more than one needs PostgreSQL.")
    auto_migrate: bool = _setting(
        True, "Bring the store's schema up to date at start; no where another role migrates."
    )
    log_level: str = _setting("info", "debug, info, warning or error.")
    log_format: str = _setting("console", "console or json.")
    fold_interval_ms: int = _setting(200, "How often the worker folds the journal.")
    fold_batch_events: int = _setting(20_000, "Most events folded in one transaction.")
    watch_interval_ms: int = _setting(50, "How often a process asks whether flags changed.")
    look_interval_seconds: float = _setting(300.0, "Time between looks for a plan that names none.")
    worker_late_seconds: int = _setting(30, "Silence of the worker after which it is not ready.")
    journal_lag_events: int = _setting(500_000, "Unfolded events above which it is not ready.")
    journal_keep_days: int = _setting(90, "How long raw events stay in the journal once folded.")
    body_max_bytes: int = _setting(1_000_000, "Largest body of an API request.")
    ingest_max_bytes: int = _setting(500_000, "Largest body of an ingest request.")
    event_max_bytes: int = _setting(32_000, "Largest single event.")
    otlp_max_bytes: int = _setting(4_000_000, "Largest body of OpenTelemetry logs, unpacked.")
    ingest_key_requests_per_second: int = _setting(
        2_000, "Ingest requests of one key that one web process takes."
    )
    ingest_key_bytes_per_second: int = _setting(
        200_000_000, "Bytes of ingest, unpacked, of one key that one web process takes."
    )
    ingest_key_events_per_second: int = _setting(
        500_000, "Events of one server's key that one web process takes."
    )
    browser_key_events_per_second: int = _setting(
        5_000, "Events of one key of browsers or apps that one web process takes."
    )
    ingest_burst_seconds: float = _setting(
        10.0, "How many seconds' worth of the above a key that was quiet may send at once."
    )
    outbound_allow: str = _setting(
        "", "Private networks webhooks may reach, comma separated, e.g. 127.0.0.0/8."
    )
    proxy_hops: int = _setting(0, "Trusted proxies in front that set X-Forwarded-*.")
    trusted_hosts: str = _setting("", "Host names answered to, comma separated; empty: any.")
    session_idle_hours: int = _setting(8, "A session ends after so much silence.")
    session_days: int = _setting(7, "A session ends after so long in any case.")
    streams_per_key: int = _setting(500, "Most open streams for one client key.")
    streams_per_process: int = _setting(5_000, "Most open streams in one process.")

    def __post_init__(self) -> None:
        for check in (_check_server, _check_secrets, _check_numbers, _check_words):
            check(self)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Read `ROLLOUTS_*`, refuse what cannot be. `given` wins over the environment."""
        env = os.environ if environ is None else environ
        known = {PREFIX + item.name.upper(): item for item in fields(cls)}
        for name in env:
            if name.startswith(PREFIX) and name not in known:
                raise SettingWrong(
                    f"{name} is no setting of this release. `rollouts settings` lists them."
                )
        read = {
            item.name: _parse(item.name, str(item.type), env[name])
            for name, item in known.items()
            if env.get(name, "") != ""
        }
        return cls(**{**read, **given})

    @property
    def store_url(self) -> str:
        """The database URL with its driver named."""
        url = self.database_url or f"sqlite:///{self.var_dir / 'rollouts.db'}"
        for plain in ("postgresql://", "postgres://"):
            if url.startswith(plain):
                return "postgresql+psycopg://" + url.removeprefix(plain)
        return url

    @property
    def is_embedded(self) -> bool:
        """Whether the store is SQLite on this machine."""
        return self.store_url.startswith("sqlite")

    @property
    def base_url(self) -> str:
        """The address links start with, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def is_https(self) -> bool:
        """Whether people reach the service by https."""
        return self.base_url.startswith("https://")

    @property
    def outbound_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Private networks that deliveries may reach."""
        return tuple(ipaddress.ip_network(part) for part in _split(self.outbound_allow))


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse(name: str, kind: str, text: str) -> Any:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return _WORDS[text.strip().lower()]
        return Path(text) if kind == "Path" else text
    except ValueError:
        raise SettingWrong(f"{PREFIX}{name.upper()} must be a number, not {text!r}.") from None
    except KeyError:
        raise SettingWrong(f"{PREFIX}{name.upper()} must be yes or no, not {text!r}.") from None


def _refuse(name: str, must: str) -> None:
    raise SettingWrong(f"{PREFIX}{name.upper()} {must}")


def _check_server(s: Settings) -> None:
    if not 0 <= s.port <= 65535:
        _refuse("port", f"must be between 0 and 65535, not {s.port}.")
    if s.public_url and urlsplit(s.public_url).scheme not in ("http", "https"):
        _refuse("public_url", f"must start with http:// or https://, not {s.public_url!r}.")
    if not s.store_url.startswith(("sqlite:///", "postgresql+psycopg://")):
        _refuse("database_url", "must be a sqlite:/// or postgresql:// address.")
    if s.web_processes > 1 and s.is_embedded:
        _refuse("web_processes", "can only be above 1 with PostgreSQL: SQLite takes one writer.")
    try:
        _ = s.outbound_networks
    except ValueError as wrong:
        _refuse("outbound_allow", f"must list networks such as 10.0.0.0/8: {wrong}.")


def _check_secrets(s: Settings) -> None:
    for name in ("secret_key", "bootstrap_admin_key"):
        held = getattr(s, name)
        if held and len(held) < 32:
            _refuse(name, "must have 32 characters or more.")


def _check_numbers(s: Settings) -> None:
    may_be_zero = {"port", "proxy_hops"}
    for item in fields(s):
        value = getattr(s, item.name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and value <= 0 and item.name not in may_be_zero:
            _refuse(item.name, f"must be above 0, not {value}.")
    if s.proxy_hops < 0:
        _refuse("proxy_hops", "must not be negative.")


def _check_words(s: Settings) -> None:
    if s.log_level not in ("debug", "info", "warning", "error"):
        _refuse("log_level", f"must be debug, info, warning or error, not {s.log_level!r}.")
    if s.log_format not in ("console", "json"):
        _refuse("log_format", f"must be console or json, not {s.log_format!r}.")
