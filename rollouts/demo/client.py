"""The service as a client sees it, and a receiver for its alerts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from standardwebhooks import Webhook, WebhookVerificationError

UP_SECONDS = 60.0


class ServiceRefused(RuntimeError):
    """The service answered something else than expected."""


class Api:
    """A thin client of the HTTP API."""

    def __init__(self, base_url: str, key: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {key}"

    def wait_until_ready(self) -> None:
        """Wait until web and worker are at work."""
        until = time.monotonic() + UP_SECONDS
        while time.monotonic() < until:
            try:
                if self._session.get(f"{self.base_url}/readyz", timeout=5).status_code == 200:
                    return
            except requests.ConnectionError:
                pass
            time.sleep(0.1)
        raise ServiceRefused(f"the service did not come up at {self.base_url}")

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send JSON, take JSON. Raises ServiceRefused with what the service said."""
        return self._answer(
            self._session.post(f"{self.base_url}/api/v1{path}", json=body or {}, timeout=30)
        )

    def get(self, path: str) -> Any:
        """Take JSON. Raises ServiceRefused with what the service said."""
        return self._answer(self._session.get(f"{self.base_url}/api/v1{path}", timeout=30))

    def find(self, path: str) -> Any | None:
        """Take JSON, None where there is nothing yet."""
        answer = self._session.get(f"{self.base_url}/api/v1{path}", timeout=30)
        return None if answer.status_code == 404 else self._answer(answer)

    @staticmethod
    def _answer(answer: requests.Response) -> Any:
        if answer.status_code >= 400:
            raise ServiceRefused(f"{answer.request.method} {answer.url}: {answer.text[:500]}")
        return answer.json() if answer.content else None


class Outcomes:
    """Sends what customers do, as Segment-style batches with a server's write key."""

    def __init__(self, base_url: str, write_key: str) -> None:
        self._url = f"{base_url}/v1/batch"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = (write_key, "")

    def send(self, events: list[dict[str, Any]]) -> None:
        """Send a batch; it is stored when this returns."""
        answer = self._session.post(self._url, json={"batch": events}, timeout=30)
        if answer.status_code != 200:
            raise ServiceRefused(f"ingest: {answer.status_code} {answer.text[:500]}")


class Receiver:
    """A local webhook receiver that checks signatures and keeps what came."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.secret = ""
        keep = self._keep

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(204 if keep(body, dict(self.headers)) else 401)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing: the demo has its own picture."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def find(self, kind: str) -> dict[str, Any] | None:
        """The first verified message of a kind."""
        return next((item for item in self.messages if item.get("type") == kind), None)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            Webhook(self.secret).verify(body, {name.lower(): v for name, v in headers.items()})
        except WebhookVerificationError:
            return False
        self.messages.append(json.loads(body))
        return True
