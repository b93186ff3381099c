"""The same over HTTP: paths, headers and methods that the clients use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rollouts.ingest import api
from rollouts.web import access, problems
from tests.rollouts.ingest.make import BROWSER_KEY, NOW, SERVER_KEY, Parts, basic, events_of

CONTACT = {"type": "track", "event": "Contact Opened", "userId": "u1"}


@dataclass(slots=True)
class Running(Parts):
    """The parts of a running process."""

    now: Callable[[], datetime] = lambda: NOW


@pytest.fixture
def client(parts: Parts) -> Iterator[FlaskClient]:
    """A client of a service that takes events in and does nothing else."""
    app = Flask("rollouts")
    app.config["MAX_CONTENT_LENGTH"] = 400_000  # smaller than ingest takes, as pages may have it
    app.extensions["rollouts"] = Running(parts.settings, parts.journal)
    app.before_request(access.check_caller)
    app.register_blueprint(api.bp)
    problems.register(app)
    with app.test_client() as held:
        yield held


def test_a_segment_client_posts_as_its_library_does(client: FlaskClient, parts: Parts) -> None:
    """Basic authentication, JSON, and the success that its library looks for."""
    answer = client.post(
        "/v1/batch", json={"batch": [CONTACT]}, headers={"Authorization": basic(SERVER_KEY)}
    )

    assert (answer.status_code, answer.json["success"]) == (200, True)  # type: ignore[index]
    assert events_of(parts) == [CONTACT]


@pytest.mark.parametrize("kind", ["track", "identify", "page", "screen", "group", "alias"])
def test_every_call_of_the_api_has_its_path(client: FlaskClient, parts: Parts, kind: str) -> None:
    """All six calls are taken; a path that is no call is not found."""
    answer = client.post(f"/v1/{kind}", json={**CONTACT, "writeKey": SERVER_KEY})

    assert answer.status_code == 200
    assert [event["type"] for event in events_of(parts)] == [kind]
    assert client.post("/v1/delete", json={}).status_code == 404


def test_a_page_posts_text_to_track_from_any_origin(client: FlaskClient, parts: Parts) -> None:
    """Plugins send JSON as text/plain so that browsers ask nothing first."""
    body = json.dumps([{"event_name": "Added to Basket", "device_id": "u1"}])
    answer = client.post(
        "/track?client_key=sdk-page",
        data=body,
        content_type="text/plain;charset=UTF-8",
        headers={"Origin": "https://shop.example"},
    )

    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert len(events_of(parts)) == 1


def test_browsers_that_ask_first_are_let_through(client: FlaskClient) -> None:
    """A preflight for JSON gets the methods and headers it asks for."""
    answer = client.options("/track", headers={"Origin": "https://shop.example"})

    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "content-type" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/traces"])
def test_pages_may_export_telemetry(client: FlaskClient, path: str) -> None:
    """The preflight allows the key's header and JSON; every answer can be read, refusals too."""
    page = {"Origin": "https://shop.example", "Content-Type": "application/json"}
    asked = client.options(path, headers={**page, "Access-Control-Request-Method": "POST"})
    good = client.post(path, data=b"{}", headers={**page, "Authorization": basic(BROWSER_KEY)})
    large = client.post(path, data=b" " * 4_000_001, headers=page)
    refused = client.post(path, data=b"{}", headers=page)

    allowed = asked.headers["Access-Control-Allow-Headers"]
    assert (asked.status_code, asked.data) == (204, b"")
    assert {"authorization", "content-type"} <= set(allowed.split(", "))
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert [item.status_code for item in (good, large, refused)] == [200, 413, 401]
    for answer in (asked, good, large, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_segments_calls_are_not_open_to_pages(client: FlaskClient) -> None:
    """Its libraries send from servers here, so that no CORS header is sent."""
    answer = client.post("/v1/batch", json={"batch": []}, headers={"Authorization": "Bearer x"})

    assert answer.status_code == 401
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/batch", "/track?client_key=sdk-page"])
@pytest.mark.parametrize("size", [500_001, 10_000_000])
def test_large_bodies_are_refused_by_size(client: FlaskClient, path: str, size: int) -> None:
    """413 in the service's own form, whether the size was announced or not."""
    announced = client.post(path, data=b" " * size)
    streamed = client.post(
        path,
        input_stream=BytesIO(b" " * size),
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )

    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert answer.content_type == "application/problem+json"


def test_ingest_has_its_own_limit(client: FlaskClient) -> None:
    """What ingest takes does not depend on the limit of the pages around it."""
    answer = client.post(
        "/v1/batch",
        data=json.dumps({"batch": []}).encode() + b" " * 450_000,
        headers={"Authorization": basic(SERVER_KEY)},
    )

    assert answer.status_code == 200


def test_every_view_says_who_may_call_it() -> None:
    """No view of ingest is without a declaration."""
    app = Flask("rollouts")
    app.register_blueprint(api.bp)

    declared: dict[str, Any] = {
        rule.endpoint: access.required_of(app, rule.endpoint) for rule in app.url_map.iter_rules()
    }
    assert None not in declared.values()
