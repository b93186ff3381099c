"""A story whose clock the test moves: rollouts take weeks, tests must not."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient

from rollouts.guard import service as guard
from rollouts.runtime import Runtime
from tests.factories.story import Story, did, seen

T0 = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Timeline(Story):
    """A story told at moments of its own."""

    def __init__(self, client: FlaskClient, parts: Runtime) -> None:
        super().__init__(client)
        self.parts = parts
        parts.now = lambda: self.at
        self.at = T0

    def move(self, **by: float) -> None:
        """Let time pass since the start of the story."""
        self.at = T0 + timedelta(**by)

    def expose(self, units: Iterable[str], arm: str, key: str = "guided") -> None:
        """Customers meet the change now."""
        at = self.at.isoformat()
        self.send([seen(unit, arm, key, timestamp=at) for unit in units])

    def happen(self, units: Iterable[str], event: str, number: int = 0, **properties: Any) -> None:
        """Customers do something now."""
        at = self.at.isoformat()
        self.send([{**did(unit, event, number, **properties), "timestamp": at} for unit in units])

    def scheduled_look(self, key: str = "guided") -> dict[str, Any]:
        """A look by the guard itself."""
        return dict(guard.take_look(self.parts, key, kind="scheduled", now=self.at).body)

    def messages(self, kind: str) -> list[Any]:
        """What people were told of one kind."""
        return [item for item in self.get("/outbox")["items"] if kind in item.values()]


def found(body: dict[str, Any], metric: str) -> dict[str, Any]:
    """A metric of the first treatment."""
    return next(item for item in body["arms"][0]["metrics"] if item["key"] == metric)


def named(arm: str, n: int, start: int = 0) -> list[str]:
    """Customers of an arm."""
    return [f"{arm}{i}" for i in range(start, start + n)]


def every(units: list[str], rate: float) -> list[str]:
    """Exactly this share of the units, spread evenly."""
    return [unit for i, unit in enumerate(units) if int((i + 1) * rate) > int(i * rate)]
