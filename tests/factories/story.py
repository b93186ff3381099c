"""A rollout told through the API: set it up, send events, look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask.testing import FlaskClient

JSON = Mapping[str, Any]


class Refused(AssertionError):
    """The API answered an error where the story needs none."""


class Story:
    """A client with shorthand for what every story does."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.write_key = ""

    def post(self, path: str, body: JSON | None = None) -> Any:
        """POST that must succeed."""
        return _value(self.client.post(f"/api/v1{path}", json=dict(body or {})))

    def get(self, path: str) -> Any:
        """GET that must succeed."""
        return _value(self.client.get(f"/api/v1{path}"))

    def set_up(self, **over: Any) -> dict[str, Any]:
        """Flag, metrics and a drafted rollout; returns the rollout."""
        self.write_key = self.post("/write-keys", {"name": "tests"})["write_key"]
        self.post("/flags", {"key": "guided", "kind": "boolean"})
        self.post("/metrics", contacts())
        self.post("/metrics", orders())
        return dict(self.post("/rollouts", plan(**over)))

    def launch(self, **over: Any) -> dict[str, Any]:
        """Set up and start."""
        self.set_up(**over)
        return dict(self.post("/rollouts/guided/start"))

    def send(self, events: Iterable[JSON]) -> Any:
        """Send Segment events in batches, with the server's write key."""
        held = list(events)
        answer = None
        for at in range(0, len(held), 500):
            answer = self.client.post(
                "/v1/batch", json={"batch": held[at : at + 500]}, auth=(self.write_key, "")
            )
            assert answer.status_code == 200, answer.text
        return answer.get_json() if answer is not None else None

    def look(self, key: str = "guided") -> dict[str, Any]:
        """Take a look."""
        return dict(self.post(f"/rollouts/{key}/looks"))


def plan(**over: Any) -> dict[str, Any]:
    """A plan with one guardrail and one goal."""
    return {
        "key": "guided",
        "name": "Guided returns",
        "hypothesis": "Guidance brings customers back.",
        "flag": "guided",
        "variations": [
            {"key": "control", "name": "Old page", "value": False, "share": 0.5},
            {"key": "new", "name": "New page", "value": True, "share": 0.5},
        ],
        "guardrails": [{"metric": "contacts", "margin": 0.1, "budget": {"amount": 200}}],
        "goals": [{"metric": "orders"}],
        "planned_units": 4000,
        **over,
    }


def contacts() -> dict[str, Any]:
    """Contacts per customer: more is worse."""
    return {
        "key": "contacts",
        "name": "Contacts",
        "event": "contact",
        "aggregation": "count",
        "good": "down",
        "harm_unit": "contacts",
    }


def orders() -> dict[str, Any]:
    """Customers who ordered: more is better."""
    return {
        "key": "orders",
        "name": "Customers who ordered",
        "event": "order",
        "aggregation": "any",
        "good": "up",
        "harm_unit": "orders",
    }


def seen(unit: str, variation: str, rollout: str = "guided", **over: Any) -> dict[str, Any]:
    """An exposure, as Segment's A/B specification spells it."""
    return {
        "type": "track",
        "event": "Experiment Viewed",
        "userId": unit,
        "messageId": f"{rollout}:{unit}:{variation}",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"experiment_id": rollout, "variation_id": variation},
        **over,
    }


def did(unit: str, event: str, number: int = 0, **properties: Any) -> dict[str, Any]:
    """An outcome of a unit; `number` tells repeated ones apart."""
    return {
        "type": "track",
        "event": event,
        "userId": unit,
        "messageId": f"{event}:{unit}:{number}",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": properties,
    }


def _value(answer: Any) -> Any:
    if answer.status_code >= 400:
        raise Refused(f"{answer.request.path}: {answer.status_code} {answer.text}")
    return answer.get_json(silent=True)
