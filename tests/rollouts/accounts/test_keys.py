"""Keys: how they are written, who may make them, and how long they live."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from rollouts.accounts import key_text, service
from rollouts.accounts.keyring import KEPT, KeyRing
from rollouts.accounts.keys import put_bootstrap_key
from rollouts.accounts.model import OPERATOR, Actor, ActorKind, KeyKind, Role
from rollouts.db import Database
from rollouts.errors import Invalid, NotAllowed

from .doors import START, Clock, make_app, make_environments, make_key, make_settings
from .dump import dump


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(db: Database, clock: Clock) -> FlaskClient:
    make_environments(db, "production", "staging")
    return make_app(db, clock, make_settings()).test_client()


def in_order(job: Any) -> None:
    job()


def write_key(db: Database, kind: KeyKind = KeyKind.SERVER_WRITE) -> str:
    with db.transaction() as session:
        return service.create_write_key(
            session,
            name="checkout",
            environment="production",
            kind=kind,
            actor=OPERATOR,
            now=START,
        ).text


def revoke(db: Database, key: str) -> None:
    found = key_text.find_id(key)
    assert found is not None
    with db.transaction() as session:
        service.revoke_key(session, found, tuple(KeyKind), actor=OPERATOR, now=START)


@pytest.mark.parametrize("kind", KeyKind)
def test_a_key_is_found_by_its_id_and_known_by_its_hash(kind: KeyKind) -> None:
    """The written form carries kind and id; the hash is of the whole."""
    new = key_text.make(kind)

    assert new.text.startswith(f"rlk_{kind}_{new.id}_")
    assert key_text.find_id(new.text) == new.id
    assert key_text.matches(new.text, new.secret_hash)
    assert new.text not in new.secret_hash


@given(st.data())
def test_a_mistyped_key_is_told_from_a_key_without_the_store(data: st.DataObject) -> None:
    """One wrong character anywhere fails the form or the checksum."""
    key = key_text.make(KeyKind.API).text
    place = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.characters(codec="ascii").filter(lambda c: c != key[place]))

    assert key_text.find_id(key[:place] + letter + key[place + 1 :]) is None


@given(st.text(st.characters(), max_size=200))
def test_nonsense_is_no_key(presented: str) -> None:
    """Whatever is presented, the answer is no, not a crash."""
    assert key_text.find_id(presented) is None
    assert not key_text.matches(presented, "0" * 64)


def test_the_ring_finds_what_it_should(db: Database) -> None:
    """Kind, environment and class of trust come with the key."""
    make_environments(db, "production")
    ring = KeyRing(db, run=in_order)

    server = ring.find(write_key(db), now=START)
    browser = ring.find(write_key(db, KeyKind.BROWSER_WRITE), now=START)

    assert server is not None
    assert browser is not None
    assert (server.kind, server.environment_id, server.is_trusted) == ("wk", 1, True)
    assert (browser.kind, browser.is_trusted) == ("ww", False)
    assert ring.find_api_key(write_key(db), now=START) is None


def test_a_right_id_with_a_wrong_secret_is_refused(db: Database) -> None:
    """Knowing the id, which lists show, is not knowing the key."""
    make_environments(db, "production")
    good = write_key(db)
    body = good[:20] + "0" * 64
    forged = body + key_text._checksum(body)
    ring = KeyRing(db, run=in_order)

    assert key_text.find_id(forged) == key_text.find_id(good)
    assert ring.find(forged, now=START) is None
    assert ring.find(good, now=START) is not None


def test_a_revoked_key_is_dead_within_five_seconds_everywhere(db: Database) -> None:
    """A ring of another process holds it for some seconds at most."""
    make_environments(db, "production")
    key = write_key(db)
    elsewhere = KeyRing(db, run=in_order)
    assert elsewhere.find(key, now=START) is not None

    revoke(db, key)

    assert timedelta(seconds=5) > KEPT
    assert elsewhere.find(key, now=START + KEPT) is None


def test_an_expired_key_is_dead_at_once(db: Database) -> None:
    """Expiry needs no look at the store."""
    key = make_key(db, valid=timedelta(hours=1))["Authorization"].removeprefix("Bearer ")
    ring = KeyRing(db, run=in_order)
    almost = START + timedelta(hours=1) - timedelta(seconds=1)

    assert ring.find(key, now=almost) is not None
    assert ring.find(key, now=almost + timedelta(seconds=1)) is None


def test_a_held_key_asks_the_store_once_in_some_seconds(db: Database) -> None:
    """A thousand requests a second do not become a thousand queries."""
    make_environments(db, "production")
    key = write_key(db)
    ring = KeyRing(db, run=lambda job: None)
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    for step in range(1000):
        assert ring.find(key, now=START + timedelta(milliseconds=step)) is not None

    assert len([sql for sql in asked if "access_keys" in sql]) == 1


def test_last_use_is_written_once_a_minute(db: Database) -> None:
    """Often enough to find keys that nobody uses, rarely enough to cost nothing."""
    make_environments(db, "production")
    key = write_key(db)
    written = 0

    def count(job: Any) -> None:
        nonlocal written
        written += 1
        job()

    ring = KeyRing(db, run=count)
    for second in range(0, 180, 5):
        ring.find(key, now=START + timedelta(seconds=second))

    assert written == 3
    with db.reading() as session:
        (row,) = service.list_keys(session, service.WRITE_KINDS, limit=10)
    assert row.last_used_at == START + timedelta(seconds=120)


def test_threads_share_a_ring(db: Database) -> None:
    """Many threads with many keys, good and bad, each get their own answer."""
    make_environments(db, "production")
    good = [write_key(db) for _ in range(5)]
    bad = [key_text.make(KeyKind.SERVER_WRITE).text for _ in range(5)]
    ring = KeyRing(db, run=in_order)
    wrong: list[str] = []

    def ask() -> None:
        for step in range(40):
            now = START + timedelta(seconds=step)
            wrong.extend(key for key in good if ring.find(key, now=now) is None)
            wrong.extend(key for key in bad if ring.find(key, now=now) is not None)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_key_is_shown_once_and_kept_as_a_hash(db: Database, client: FlaskClient) -> None:
    """The answer that made it has it; the list, the store and the audit do not."""
    admin = make_key(db)
    made = client.post(
        "/api/v1/write-keys", json={"name": "shop", "kind": "browser"}, headers=admin
    )
    listed = client.get("/api/v1/write-keys", headers=admin)
    audit = client.get("/api/v1/audit", headers=admin)

    assert made.status_code == 201
    assert made.json is not None
    assert listed.json is not None
    key = made.json["write_key"]
    assert key.startswith("rlk_ww_")
    (item,) = listed.json["items"]
    assert item == {k: v for k, v in made.json.items() if k != "write_key"}
    assert (item["environment"], item["kind"]) == ("production", "browser")
    for place in (listed.text, audit.text, dump(db)):
        assert key not in place
        assert key[20:84] not in place


def test_keys_of_the_api_work_until_revoked(
    db: Database, client: FlaskClient, clock: Clock
) -> None:
    """Made, used, seen as used, revoked, refused; another kind of key never works here."""
    admin = make_key(db)
    made = client.post(
        "/api/v1/api-keys", json={"name": "ci", "role": "editor"}, headers=admin
    ).json
    assert made is not None
    mine = {"Authorization": f"bearer {made['api_key']}"}

    me = client.get("/api/v1/me", headers=mine).json
    assert me == {
        "kind": "key",
        "id": made["id"],
        "name": "ci",
        "role": "editor",
        "environments": [],
    }
    listed = client.get("/api/v1/api-keys", headers=admin).json
    assert listed is not None
    assert [item["last_used_at"] for item in listed["items"] if item["id"] == made["id"]] == [
        clock().isoformat()
    ]
    assert client.delete(f"/api/v1/write-keys/{made['id']}", headers=admin).status_code == 404
    assert client.delete(f"/api/v1/api-keys/{made['id']}", headers=admin).status_code == 204
    assert client.get("/api/v1/me", headers=mine).status_code == 401
    assert client.delete(f"/api/v1/api-keys/{made['id']}", headers=admin).status_code == 404
    writer = {"Authorization": f"Bearer {write_key(db)}"}
    assert client.get("/api/v1/me", headers=writer).status_code == 401


def test_nobody_makes_a_key_above_their_own_role(db: Database, client: FlaskClient) -> None:
    """Nor may a reader make any."""
    for role, wanted, status in (
        (Role.READER, Role.READER, 403),
        (Role.EDITOR, Role.READER, 201),
        (Role.EDITOR, Role.EDITOR, 201),
        (Role.EDITOR, Role.ADMIN, 403),
        (Role.ADMIN, Role.ADMIN, 201),
    ):
        answer = client.post(
            "/api/v1/api-keys", json={"name": "x", "role": wanted}, headers=make_key(db, role)
        )
        assert answer.status_code == status, (role, wanted)


def test_an_editor_does_not_revoke_an_administrators_key(db: Database, client: FlaskClient) -> None:
    """Locking those out who could stop you is no editor's work."""
    made = client.post(
        "/api/v1/api-keys", json={"name": "x", "role": "admin"}, headers=make_key(db)
    ).json
    assert made is not None

    answer = client.delete(f"/api/v1/api-keys/{made['id']}", headers=make_key(db, Role.EDITOR))

    assert answer.status_code == 403


def test_a_key_bound_to_environments_stays_bound(db: Database, client: FlaskClient) -> None:
    """Keys it makes are bound too, it ends none that is free, and it sends for no other place."""
    bound = make_key(db, Role.EDITOR, environments=("staging",))

    child = client.post(
        "/api/v1/api-keys", json={"name": "x", "role": "editor"}, headers=bound
    ).json
    other = client.post(
        "/api/v1/write-keys", json={"name": "x", "environment": "production"}, headers=bound
    )
    own = client.post(
        "/api/v1/write-keys", json={"name": "x", "environment": "staging"}, headers=bound
    )

    assert child is not None
    assert child["environments"] == ["staging"]
    assert (other.status_code, own.status_code) == (403, 201)
    free = make_key(db, Role.EDITOR)["Authorization"].split("_")[2]
    assert client.delete(f"/api/v1/api-keys/{free}", headers=bound).status_code == 403
    actor = Actor(ActorKind.KEY, "k", "k", Role.EDITOR, frozenset({"staging"}))
    actor.check_environment("staging")
    with pytest.raises(NotAllowed):
        actor.check_environment("production")


def test_an_administrators_key_is_bound_to_nothing(db: Database) -> None:
    """Otherwise it could make itself a free one."""
    make_environments(db, "staging")

    with pytest.raises(Invalid):
        make_key(db, Role.ADMIN, environments=("staging",))


def test_bad_wishes_for_a_key_are_named(db: Database, client: FlaskClient) -> None:
    """Unknown fields, kinds and environments are refused with their place; NUL is no text."""
    admin = make_key(db)
    bad: list[Any] = [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": "x", "environment": "nowhere"},
        {"name": "x", "environment": "a\x00b"},
        {"name": "x", "kind": "api"},
        {"name": "x", "role": "admin"},
        {"name": 5},
        [],
    ]
    for body in bad:
        answer = client.post("/api/v1/write-keys", json=body, headers=admin)
        assert answer.status_code == 422, body
    for path in ("/api/v1/api-keys/%00", "/api/v1/api-keys/" + "x" * 17):
        assert client.delete(path, headers=admin).status_code in (404, 422)


def test_a_secret_key_that_arrives_from_a_page_is_reported_once(
    db: Database, client: FlaskClient
) -> None:
    """A page's Origin beside an API key means that visitors can read the key."""
    admin = make_key(db)
    for _ in range(3):
        answer = client.get("/api/v1/me", headers={**admin, "Origin": "https://shop.example"})
        assert answer.status_code == 200
    client.get("/api/v1/me", headers={**make_key(db), "Origin": "http://localhost"})

    entries = client.get("/api/v1/audit?action=key.leaked", headers=admin).json
    assert entries is not None
    assert [item["after"] for item in entries["items"]] == [{"origin": "https://shop.example"}]


BOOT = "a key from the environment, of any form!"


def put_boot(db: Database, key: str) -> None:
    with db.transaction() as session:
        put_bootstrap_key(session, key, actor=OPERATOR, now=START)


def test_the_key_of_the_settings_may_be_any_text(db: Database, client: FlaskClient) -> None:
    """Also one that looks like a key of ours, or is not ASCII and travels as UTF-8."""
    ours = key_text.make(KeyKind.API).text
    for key in (BOOT, "x" * 32, ours, "schlüssel-" * 4, "rlk_wk_" + "0" * 40):
        put_boot(db, key)
        found = KeyRing(db, run=in_order).find_api_key(key, now=START)
        assert found is not None, key
        assert found.role is Role.ADMIN
        on_the_wire = key.encode().decode("latin-1")
        headers = {"Authorization": f"Bearer {on_the_wire}"}
        client.application.extensions["rollouts"].keys.forget()
        assert client.get("/api/v1/me", headers=headers).status_code == 200


def test_the_settings_replace_their_key(db: Database) -> None:
    """The former one is dead, the same one changes nothing, a revoked one stays dead."""
    put_boot(db, BOOT)
    put_boot(db, BOOT)
    put_boot(db, BOOT + "2")
    ring = KeyRing(db, run=in_order)
    assert ring.find(BOOT, now=START) is None
    assert ring.find(BOOT + "2", now=START) is not None

    with db.transaction() as session:
        service.revoke_key(session, "bootstrap", tuple(KeyKind), actor=OPERATOR, now=START)
    put_boot(db, BOOT + "2")
    ring.forget()
    assert ring.find(BOOT + "2", now=START) is None

    put_boot(db, BOOT + "3")
    ring.forget()
    assert ring.find(BOOT + "3", now=START) is not None
    with db.reading() as session:
        actions = session.scalars(text("SELECT action FROM audit_entries ORDER BY id")).all()
    assert actions == ["key.created", "key.replaced", "key.revoked", "key.replaced"]
