"""No request, however malformed, gives a 500: each has a defined answer that says what was wrong."""

import json

import pytest
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

DEEP = b'{"a":' * 40_000 + b"1" + b"}" * 40_000
JSON = {"Content-Type": "application/json"}
TARGETS = [
    "/api/v1/flags",
    "/api/v1/metrics",
    "/api/v1/rollouts",
    "/api/v1/connections",
    "/api/v1/write-keys",
    "/api/v1/destinations",
    "/api/v1/users",
]
BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a number": b"7",
    "not UTF-8": b'{"key": "\xff\xfe"}',
    "a NUL": b'{"key": "a\\u0000b", "name": "a\\u0000b"}',
    "a lone surrogate": b'{"key": "\\ud800", "name": "\\ud800"}',
    "NaN": b'{"key": NaN}',
    "infinity": b'{"share": 1e999}',
    "a long number": b'{"key": ' + b"9" * 5000 + b"}",
    "deep nesting": DEEP,
    "too deep a value": b'{"key": ' + b"[" * 40 + b"]" * 40 + b"}",
    "wrong types": b'{"key": {"a": 1}, "name": [], "kind": 5}',
    "unknown members": b'{"colour": "red"}',
    "ten megabytes": b'{"key": "' + b"a" * 10_000_000 + b'"}',
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_bad_body_is_refused_with_a_problem(api: FlaskClient, target: str, body: bytes):
    """problem+json with a stable code, and nothing is made."""
    answer = api.post(target, data=body, headers=JSON)

    assert 400 <= answer.status_code < 500
    assert answer.content_type == "application/problem+json"
    said = json.loads(answer.data)
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(said)
    assert said["status"] == answer.status_code


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/rollouts/" + "a" * 5000, 422),
        ("/api/v1/rollouts?limit=0", 422),
        ("/api/v1/rollouts?limit=many", 422),
        ("/api/v1/rollouts?cursor=%FF", 422),
        ("/api/v1/rollouts?colour=red", 422),
        ("/api/v1/rollouts?state=happy", 422),
        ("/api/v1/snapshots/none", 404),
        ("/api/v1/metrics?search=%25", 200),
        ("/api/v1/nothing", 404),
    ],
)
def test_bad_addresses_have_defined_answers(api: FlaskClient, path: str, status: int):
    """Wrong queries are named; what is not there is not found."""
    answer = api.get(path)

    assert answer.status_code == status


@pytest.mark.parametrize(
    "path", ["/api/v1/flags/%00", "/api/v1/metrics?search=%00", "/flags?search=%00"]
)
def test_a_nul_is_never_a_500(api: FlaskClient, path: str):
    """PostgreSQL refuses it in any text, SQLite does not; neither is surprised."""
    assert api.get(path).status_code in (200, 404, 422)


@pytest.mark.parametrize("path", ["/api/v1/flags", "/flags", "/sign-in", "/healthz"])
def test_a_query_that_is_no_text_is_refused(app, path: str):
    """Raw bytes reach a plain WSGI server's application as they are."""
    environ = EnvironBuilder(path=path).get_environ()
    environ["QUERY_STRING"] = "search=\xff"

    _, status, _ = run_wsgi_app(app.wsgi_app, environ, buffered=True)

    assert status.startswith("400")


def test_a_wrong_method_names_the_right_ones(api: FlaskClient):
    """405 with Allow."""
    answer = api.delete("/api/v1/flags")

    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_a_packed_body_is_refused(api: FlaskClient):
    """Packed bodies hide their size."""
    answer = api.post("/api/v1/flags", data=b"x", headers={**JSON, "Content-Encoding": "gzip"})

    assert answer.status_code == 415


def test_refusals_come_in_order(app):
    """401 before 403 before 422: who may not call learns nothing about the rest."""
    client = app.test_client()

    assert client.post("/api/v1/flags", data=b"{", headers=JSON).status_code == 401
    assert client.get("/api/v1/flags/nothing").status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/flags", "/sign-in"])
def test_every_answer_is_hardened(api: FlaskClient, path: str):
    """A browser is told what it needs to protect the person in front of it."""
    answer = api.get(path)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_ready_tells_the_truth(api: FlaskClient):
    """Without a worker the service is not ready, and says why."""
    answer = api.get("/readyz")

    assert answer.status_code == 503
    checks = answer.get_json()["checks"]
    assert checks["store"]["ok"] is True
    assert checks["worker"]["ok"] is False
