"""Destinations, deliveries and the outbox over HTTP."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask.testing import FlaskClient

from rollouts.accounts.model import Role
from rollouts.db import Database
from rollouts.notify import service

from ..accounts.doors import Clock, make_app, make_key, make_settings
from .receiver import Receiver

SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(db: Database, clock: Clock) -> FlaskClient:
    client = make_app(db, clock, make_settings(outbound_allow="127.0.0.0/8")).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = make_key(db)["Authorization"]
    return client


def add(client: FlaskClient, url: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/destinations", json={"name": "on call", "url": url, **more})
    assert answer.status_code == 201, answer.text
    assert answer.json is not None
    return dict(answer.json)


def tell(db: Database, clock: Clock, kind: str = "rollout.withdrawn", subject: str = "A") -> None:
    with db.transaction() as session:
        service.enqueue(
            session,
            kind=kind,
            subject=subject,
            happened="Contacts rose.",
            done="It was withdrawn.",
            links={},
            data={"n": 1},
            now=clock(),
        )


def get(client: FlaskClient, path: str) -> dict[str, Any]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return dict(answer.json)


def test_a_webhook_is_added_tested_listed_and_removed(
    client: FlaskClient, receiver: Receiver
) -> None:
    """Its path and its secret are shown nowhere; a secret made here is shown once."""
    made = add(client, receiver.url, kinds=["rollout.withdrawn"])
    given = add(client, receiver.url, secret=SECRET)
    path = f"/api/v1/destinations/{made['id']}"

    assert made["secret"].startswith("whsec_")
    assert "secret" not in given
    listed = client.get("/api/v1/destinations")
    assert get(client, path) == {k: v for k, v in made.items() if k != "secret"}
    assert made["address"] == f"http://127.0.0.1:{receiver.port}/…"
    for secret in (made["secret"], SECRET, "s3cret-path"):
        assert secret not in listed.text
        assert secret not in client.get("/api/v1/audit").text
    assert client.post(f"{path}/test").json == {"outcome": "delivered", "problem": ""}
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == client.post(f"{path}/test").status_code == 404
    assert [item["id"] for item in get(client, "/api/v1/destinations")["items"]] == [given["id"]]


def test_bad_destinations_are_refused_with_the_field(client: FlaskClient) -> None:
    """What cannot be told is known when it is added."""
    for body, where in (
        ({"name": "x", "url": "ftp://example.com"}, "url"),
        ({"name": "x", "url": "http://10.0.0.1/"}, "url"),
        ({"name": "x", "url": "https://example.com", "secret": "short"}, "secret"),
        ({"name": "x", "url": "json://example.com", "kind": "apprise"}, "url"),
        ({"name": "x", "url": "slack://a/b/c?template=/etc/passwd", "kind": "apprise"}, "url"),
        ({"name": "", "url": "https://example.com"}, "name"),
        ({"name": "x", "url": "https://example.com", "headers": {}}, "headers"),
        ({"name": "x", "url": "https://example.com", "kind": "pigeon"}, "kind"),
    ):
        answer = client.post("/api/v1/destinations", json=body)
        assert answer.status_code == 422, body
        assert answer.json is not None
        assert answer.json["errors"][0]["where"] == where


def test_sending_out_is_for_administrators(db: Database, client: FlaskClient) -> None:
    """Editors see where alerts go, readers what was told; neither makes the service call out."""
    added = add(client, "https://hooks.example/x", secret=SECRET)["id"]

    for role, calls in (
        (
            Role.EDITOR,
            {
                "GET /destinations": 200,
                "GET /deliveries": 200,
                "POST /destinations": 403,
                f"POST /destinations/{added}/test": 403,
                f"DELETE /destinations/{added}": 403,
                "POST /deliveries/1/retry": 403,
            },
        ),
        (Role.READER, {"GET /outbox": 200, "GET /destinations": 403, "GET /deliveries": 403}),
    ):
        for call, status in calls.items():
            method, path = call.split(" ")
            answer = client.open(
                f"/api/v1{path}", method=method, headers=make_key(db, role), json={}
            )
            assert answer.status_code == status, (role, call)


def test_deliveries_show_what_became_of_them(
    db: Database, client: FlaskClient, clock: Clock, receiver: Receiver
) -> None:
    """Pending with its next try, dead with its reason, tried again by hand, delivered."""
    held = client.application.extensions["rollouts"]
    added = add(client, receiver.url, secret=SECRET)["id"]
    receiver.answers = [500]
    tell(db, clock)

    def deliver() -> dict[str, Any]:
        service.deliver_due(held.db, held.seal, held.settings, now=clock())
        item: dict[str, Any] = get(client, "/api/v1/deliveries")["items"][0]
        return item

    pending = deliver()
    assert (pending["state"], pending["attempts"]) == ("pending", 1)
    assert pending["next_at"] is not None
    assert pending["destination"] == added
    assert client.post(f"/api/v1/deliveries/{pending['id']}/retry").status_code == 409
    clock.pass_(hours=24)
    dead = deliver()
    assert (dead["state"], dead["problem"]) == ("dead", "The receiver answered 500.")
    assert get(client, "/api/v1/deliveries?state=dead")["items"] == [dead]
    assert get(client, "/api/v1/deliveries?state=delivered")["items"] == []
    assert client.get("/api/v1/deliveries?state=lost").status_code == 422
    receiver.answers = [204]
    assert client.post(f"/api/v1/deliveries/{dead['id']}/retry").status_code == 204
    assert deliver()["state"] == "delivered"
    assert client.post("/api/v1/deliveries/999/retry").status_code == 404


def test_deliveries_come_in_pages(
    db: Database, client: FlaskClient, clock: Clock, receiver: Receiver
) -> None:
    """Newest first, each once."""
    add(client, receiver.url, secret=SECRET)
    for number in range(5):
        tell(db, clock, subject=f"message {number}")

    seen, cursor = [], ""
    while True:
        answer = get(client, f"/api/v1/deliveries?limit=2{cursor}")
        seen += [item["subject"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"

    assert seen == [f"message {number}" for number in (4, 3, 2, 1, 0)]
    assert client.get("/api/v1/deliveries?cursor=bm90LWEtbnVtYmVy").status_code == 422


def test_the_outbox_is_replayed_from_where_a_reader_ended(
    db: Database, client: FlaskClient, clock: Clock
) -> None:
    """Without any destination everything is kept; the last cursor goes on with what is new."""
    for number in range(3):
        tell(db, clock, subject=f"message {number}")
    first = get(client, "/api/v1/outbox?limit=2")
    rest = get(client, f"/api/v1/outbox?cursor={first['next_cursor']}")
    tell(db, clock, kind="rollout.shipped", subject="later")

    news = get(client, f"/api/v1/outbox?cursor={rest['last_cursor']}")
    nothing = get(client, f"/api/v1/outbox?cursor={news['last_cursor']}")

    assert [item["data"]["subject"] for item in first["items"] + rest["items"]] == [
        "message 0",
        "message 1",
        "message 2",
    ]
    assert rest["next_cursor"] is None
    assert [item["type"] for item in news["items"]] == ["rollout.shipped"]
    assert news["items"][0]["data"] | {"n": 1} == news["items"][0]["data"]
    assert nothing["items"] == []
    assert nothing["last_cursor"] == news["last_cursor"]
    shipped = get(client, "/api/v1/outbox?kind=rollout.shipped")
    assert [item["id"] for item in shipped["items"]] == [news["items"][0]["id"]]


def test_numbers_follow_the_order_of_commits(db: Database, clock: Clock) -> None:
    """A reader's cursor never passes over a message that is committed later."""
    entered = threading.Event()

    def slow() -> None:
        with db.transaction() as session:
            service.enqueue(
                session, kind="a", subject="", happened="", done="", links={}, data={}, now=clock()
            )
            entered.set()
            threading.Event().wait(0.3)

    first = threading.Thread(target=slow)
    first.start()
    assert entered.wait(10)
    tell(db, clock, kind="b")
    with db.reading() as session:
        numbers = [row.kind for row in service.list_messages(session, limit=10)]
    first.join()

    assert numbers == ["a", "b"]
