"""A flag of a shop, connected and switched, as SDK tests need it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from tests.live import LiveService

_numbers = itertools.count()


class Shop:
    """One flag and the connections to it."""

    def __init__(self, live: LiveService) -> None:
        self.live = live
        self.flag = f"flag-{next(_numbers)}"
        self.made: list[dict[str, Any]] = []

    @property
    def host(self) -> str:
        """Where SDKs ask."""
        return self.live.url

    def make_flag(self, **more: Any) -> None:
        """A flag that is true for Germans."""
        rule = {"type": "force", "value": True, "condition": {"country": "DE"}}
        body = {"environments": {"production": {"rules": [rule]}}, **more}
        self.live.api.post("/flags", {"key": self.flag, **body})

    def make_experiment(self) -> None:
        """A flag that divides everybody in halves."""
        arms = [{"key": str(n), "name": "", "value": bool(n), "share": 0.5} for n in (0, 1)]
        rule = {"type": "experiment", "key": f"{self.flag}-test", "variations": arms}
        self.make_flag(environments={"production": {"rules": [rule]}})

    def connect(self, mode: str = "plain", **options: Any) -> dict[str, Any]:
        """A new connection."""
        body = {"name": "shop", "mode": mode, "options": options}
        return dict(self.live.api.post("/connections", body))

    def switch(self, enabled: bool) -> float:
        """Switch the flag; returns when that was asked for."""
        began = time.monotonic()
        body = {"environment": "production", "enabled": enabled}
        self.live.api.post(f"/flags/{self.flag}/toggle", body)
        return began


def until(check: Callable[[], Any], seconds: float = 10.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.01)
    return bool(check())
