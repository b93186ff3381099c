"""Calling the API as somebody, in one line."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class Caller:
    """A caller of the API with a key."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self.client = client
        self._key = key

    def send(
        self, method: str, path: str, body: Any = None, *, revision: int | None = None
    ) -> TestResponse:
        """Call a path below /api/v1."""
        headers = {"Authorization": f"Bearer {self._key}"}
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        return self.client.open(f"/api/v1{path}", method=method, json=body, headers=headers)

    def get(self, path: str) -> Any:
        """What a path holds."""
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def post(self, path: str, body: Any, *, revision: int | None = None) -> Any:
        """Post something that is taken."""
        answer = self.send("POST", path, body, revision=revision)
        assert answer.status_code in (200, 201), answer.text
        return answer.json

    def refused(
        self, method: str, path: str, body: Any = None, *, revision: int | None = None
    ) -> tuple[int, str]:
        """Status and code of a refusal."""
        answer = self.send(method, path, body, revision=revision)
        assert answer.status_code >= 400, answer.text
        assert answer.content_type == "application/problem+json"
        return answer.status_code, answer.json["code"]

    def anyone(self, path: str, **headers: str) -> TestResponse:
        """Call any path without a key, as SDKs do."""
        return self.client.get(path, headers=headers)
