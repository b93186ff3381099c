"""What SDKs are handed: from memory, in good time, to each as it can take it, whatever happens."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import brotli
import pytest
import zstandard
from growthbook import GrowthBook
from growthbook import decrypt as sdk_decrypt
from sqlalchemy import event

from rollouts.app import create_app
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.flags import delivery_http, last_good, service
from rollouts.flags.bells import ThreadBell
from rollouts.flags.delivery import Delivery, TooManyStreams
from rollouts.flags.following import HEARTBEAT, OPENING, Follower, follow
from rollouts.flags.model import FlagKind, ForceRule, GroupForm, GroupTest, Mode, Options
from rollouts.flags.served import best_coding, is_same_tag
from rollouts.runtime import Runtime
from tests.rollouts.flags.calling import Caller
from tests.rollouts.flags.makers import (
    EDITOR,
    ENVIRONMENT,
    NOW,
    make_connection,
    make_flag,
    make_group,
)

SOON = 5.0  # seconds that anything here may take on a busy machine


Start = Callable[..., Delivery]


@pytest.fixture
def start(settings: Settings, db: Database) -> Iterator[Start]:
    """Makes deliveries on the store, as processes do, and stops them at the end."""
    made: list[Delivery] = []

    def start_one(store: Database | None = None, **limits: int) -> Delivery:
        wanted = replace(settings, watch_interval_ms=10, **limits)
        made.append(Delivery(store or db, wanted))
        return made[-1]

    yield start_one
    for delivery in made:
        delivery.stop()


class Noted:
    """A bell that remembers when it rang last, by the clock that all processes share."""

    rang_at = 0.0

    def ring(self, keys: Iterable[str] | None) -> None:
        """Remember."""
        self.rang_at = time.time()


def eventually(check: Callable[[], bool]) -> bool:
    """Whether something comes true soon."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.005)
    return check()


def connected(db: Database, mode: Mode = Mode.PLAIN, options: Options | None = None) -> str:
    """A new connection's client key."""
    with db.transaction() as session:
        return make_connection(session, mode, options=options).client_key


def switch(db: Database, enabled: bool) -> None:
    """Switch a flag, as some process does."""
    with db.transaction() as session:
        service.set_enabled(
            session, "new-checkout", ENVIRONMENT, enabled, reason="", actor=EDITOR, now=NOW
        )


def with_flag(db: Database, default: bool = True) -> None:
    """One flag in the store."""
    with db.transaction() as session:
        make_flag(session, default=default)


def value_of(delivery: Delivery, client_key: str) -> object:
    """What the flag's default is in the payload served now."""
    held = delivery.current(client_key)
    assert held is not None
    return json.loads(held.served.body)["features"]["new-checkout"]["defaultValue"]


def test_a_key_is_found_in_memory(start: Start, db: Database):
    """With its environment and mode; unknown and revoked keys are not."""
    key = connected(db, Mode.REMOTE)
    delivery = start()
    delivery.start()
    found = delivery.find(key)
    assert found is not None
    assert (found.environment_key, found.mode) == ("production", Mode.REMOTE)
    assert delivery.find("sdk-nothing") is None
    with db.transaction() as session:
        service.revoke_connection(session, key, actor=EDITOR, now=NOW)
    assert eventually(lambda: delivery.find(key) is None)


def test_a_change_by_another_connection_is_noticed(start: Start, db: Database):
    """Nobody tells this process; it sees that the store has changed."""
    with_flag(db)
    key = connected(db)
    delivery = start()
    delivery.start()
    assert value_of(delivery, key) is True
    other = Database(db.url)
    switch(other, False)
    other.dispose()
    assert eventually(lambda: value_of(delivery, key) is False)


def test_a_change_by_another_process_is_noticed_in_under_a_second(start: Start, db: Database):
    """From its commit to what this process serves."""
    with_flag(db)
    key = connected(db)
    code = (
        "import sys, time, rollouts.tables\n"
        "from tests.rollouts.flags.test_delivery import Database, switch\n"
        "db = Database(sys.argv[1]); switch(db, False); print(time.time()); db.dispose()"
    )
    delivery, noted = start(), Noted()
    delivery.start()
    delivery.add_bell(noted)
    done = subprocess.run(
        [sys.executable, "-c", code, db.url],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert eventually(lambda: value_of(delivery, key) is False)
    assert noted.rang_at - float(done.stdout) < 1.0


def test_whoever_refreshes_is_served_what_was_committed(start: Start, db: Database):
    """Without waiting for the watch."""
    with_flag(db)
    key = connected(db)
    delivery = start()
    for enabled in (False, True, False):
        switch(db, enabled)
        assert delivery.refresh()
        assert value_of(delivery, key) is enabled


def test_what_did_not_change_is_kept_as_it_is(start: Start, db: Database):
    """Bytes are made once per version, and shared by connections that are served the same."""
    with_flag(db)
    one, two, other = connected(db), connected(db), connected(db, Mode.ENCRYPTED)
    delivery = start()
    delivery.refresh()
    before = {key: delivery.current(key).served for key in (one, two, other)}  # type: ignore[union-attr]
    with db.transaction() as session:
        make_connection(session, environment="staging")
        service.edit_flag(session, "new-checkout", {"owner": "bob"}, actor=EDITOR, now=NOW)
    delivery.refresh()

    after = {key: delivery.current(key).served for key in (one, two, other)}  # type: ignore[union-attr]
    assert all(after[key] is before[key] for key in before)
    assert before[one] is before[two]
    assert before[one] is not before[other]


def test_a_payload_carries_status_and_moment(start: Start, db: Database):
    """As GrowthBook's own servers send it."""
    with_flag(db)
    delivery = start()
    key = connected(db)
    answer = delivery_http.features(delivery, key, "", "")

    body = json.loads(answer.body)
    assert body == {
        "status": 200,
        "features": {"new-checkout": {"defaultValue": True}},
        "dateUpdated": body["dateUpdated"],
    }
    assert len(body["dateUpdated"]) == len("2026-11-21T19:36:16.123Z")
    assert dict(answer.headers)["x-sse-support"] == "enabled"


def test_an_encrypted_payload_is_read_by_the_sdk(start: Start, db: Database):
    """Features and saved groups alike; the same bytes in every process, so that 304 works."""
    with db.transaction() as session:
        make_group(session, "beta", values=("secret-member",))
        test = GroupTest("any", ("beta",))
        make_flag(session, "f", ForceRule(value=True, saved_groups=(test,)))
        row = make_connection(session, Mode.ENCRYPTED, options=Options(GroupForm.REFERENCES))
        key, secret = row.client_key, row.encryption_key
    one, two = start(), start()
    answer = delivery_http.features(one, key, "", "")
    again = delivery_http.features(two, key, "", "")

    assert answer.body == again.body
    assert b"secret-member" not in answer.body
    body = json.loads(answer.body)
    assert body["features"] == {}
    assert secret is not None
    book = GrowthBook(
        attributes={"id": "secret-member"},
        features=json.loads(sdk_decrypt(body["encryptedFeatures"], secret)),
        saved_groups=json.loads(sdk_decrypt(body["encryptedSavedGroups"], secret)),
    )
    assert book.is_on("f")
    book.destroy()


@pytest.mark.parametrize(
    ("accepts", "coding", "unpack"),
    [
        ("gzip, deflate", "gzip", gzip.decompress),
        ("gzip, deflate, br", "br", brotli.decompress),
        ("zstd;q=0.8, br;q=0", "zstd", lambda data: zstandard.decompress(data)),
        ("*", "br", brotli.decompress),
        ("", None, bytes),
        ("identity", None, bytes),
        ("gzip;q=0, gizp, br;q=x", None, bytes),
    ],
)
def test_a_payload_is_packed_as_the_client_takes_it(
    start: Start, db: Database, accepts: str, coding: str | None, unpack: Callable[[bytes], bytes]
):
    """Packed once per version; all packings share the ETag, which is weak for that reason."""
    with db.transaction() as session:
        make_flag(session, "banner", kind=FlagKind.STRING, default="hello " * 200)
        key = make_connection(session).client_key
    delivery = start()
    plain = delivery_http.features(delivery, key, "", "")
    packed = delivery_http.features(delivery, key, "", accepts)

    assert dict(packed.headers).get("Content-Encoding") == coding
    assert unpack(packed.body) == plain.body
    assert dict(packed.headers)["ETag"] == dict(plain.headers)["ETag"]
    assert delivery_http.features(delivery, key, "", accepts) is packed


def test_the_next_version_is_packed_before_it_is_asked_for(start: Start, db: Database):
    """What clients took of the version before is ready with the new one."""
    with db.transaction() as session:
        make_flag(session, "banner", kind=FlagKind.STRING, default="hello " * 200)
        key = make_connection(session).client_key
    delivery = start()
    delivery_http.features(delivery, key, "", "gzip")
    before = delivery.current(key)
    with db.transaction() as session:
        service.edit_flag(session, "banner", {"default": "bye " * 300}, actor=EDITOR, now=NOW)
    delivery.refresh()
    held = delivery.current(key)

    assert held is not None
    assert held != before
    assert held.served._answers.keys() == {"gzip"}


def test_a_stream_does_not_wait_for_what_is_compiled(start: Start, db: Database):
    """Whoever is sent the version has it first; who comes to have it evaluated finds it ready."""
    with db.transaction() as session:
        make_flag(session, default=True)
        plain = make_connection(session).client_key
        remote = make_connection(session, mode=Mode.REMOTE).client_key
    delivery = start()
    before = {key: delivery.current(key) for key in (plain, remote)}
    for held in before.values():
        assert held is not None
        _ = held.served.program
    heard: list[tuple[list[str], bool, bool]] = []

    class Ear:
        def ring(self, keys: Iterable[str] | None) -> None:
            held = delivery.current(remote)
            assert held is not None
            if keys is not None:
                heard.append((list(keys), held == before[remote], bool(held.served._programs)))

    delivery.add_bell(Ear())
    switch(db, False)
    delivery.refresh()

    assert heard == [([plain], True, True), ([remote], False, True)]


@pytest.mark.parametrize("form", ["{tag}", '"{bare}"', '"x", {tag}', "*", 'W/"y",W/"{bare}"'])
def test_a_client_that_has_the_version_gets_304(start: Start, db: Database, form: str):
    """Compared weakly, in lists, and by a star; with the same ETag and no body."""
    with_flag(db)
    key = connected(db)
    delivery = start()
    tag = dict(delivery_http.features(delivery, key, "", "").headers)["ETag"]
    asked = form.format(tag=tag, bare=tag.removeprefix("W/").strip('"'))

    answer = delivery_http.features(delivery, key, asked, "gzip")

    assert (answer.status, answer.body) == (304, b"")
    assert dict(answer.headers)["ETag"] == tag
    switch(db, False)
    delivery.refresh()
    assert asked == "*" or delivery_http.features(delivery, key, asked, "").status == 200


def test_tags_and_codings_of_strangers_do_no_harm():
    """Whatever a header holds, it is compared or ignored."""
    for text in ("", ",", '"', "W/", "a" * 10_000, "\x00", '"a","b'):
        assert not is_same_tag(text, 'W/"abc"')
        assert best_coding(text) == "identity"


def test_refusals_are_growthbooks(start: Start, db: Database):
    """400 with its words for an unknown key; a remote key has no payload to hand out."""
    remote = connected(db, Mode.REMOTE)
    delivery = start()

    unknown = delivery_http.features(delivery, "sdk-nothing", "", "")
    refused = delivery_http.features(delivery, remote, "", "")

    assert (unknown.status, json.loads(unknown.body)) == (
        400,
        {"status": 400, "error": "Invalid API Key"},
    )
    assert json.loads(refused.body)["error"] == "Remote evaluation required for this connection"
    assert "x-sse-support" not in dict(refused.headers)


# Streams


def test_a_stream_opens_with_the_current_version(start: Start, db: Database):
    """So that a change between a client's fetch and its stream is not missed."""
    with_flag(db)
    key = connected(db)
    delivery = start()
    delivery.start()
    stream = follow(delivery, Follower(delivery, key, ""))
    assert next(stream) == OPENING
    first = next(stream).decode().split("\n")
    held = delivery.current(key)
    assert held is not None
    assert first == [
        f"id: {held.served.event_id}",
        "event: features",
        f"data: {held.served.body.decode()}",
        "",
        "",
    ]
    stream.close()


def test_a_client_that_has_the_version_is_not_sent_it_again(start: Start, db: Database):
    """Its Last-Event-ID says so; any other id is answered with what is current."""
    with_flag(db)
    key = connected(db)
    delivery = start()
    delivery.start()
    held = delivery.current(key)
    assert held is not None
    assert Follower(delivery, key, held.served.event_id).step() is None
    assert Follower(delivery, key, "1-gone").step() == held.served.frame


def test_a_slow_client_gets_only_the_newest_version(start: Start, db: Database):
    """It is never made to read what is out of date, and nothing piles up for it."""
    with_flag(db)
    key = connected(db)
    delivery = start()
    delivery.start()
    follower = Follower(delivery, key, "")
    follower.step()
    for enabled in (False, True, False):
        switch(db, enabled)
        delivery.refresh()
    frame = follower.step()
    assert frame is not None
    assert b'"defaultValue":false' in frame
    assert follower.step() is None


def test_a_remote_stream_says_only_that_there_is_something_new(start: Start, db: Database):
    """The rules of others do not leave the server."""
    with_flag(db)
    key = connected(db, Mode.REMOTE)
    delivery = start()
    delivery.start()
    frame = Follower(delivery, key, "").step()
    assert frame is not None
    assert frame.decode().split("\n")[1:] == ["event: features-updated", "data: ", "", ""]


def test_every_follower_is_woken(start: Start, db: Database):
    """Fifty threads on one key, all of them told of a change."""
    with_flag(db)
    key = connected(db)
    seen: list[bytes] = []

    delivery = start()
    delivery.start()

    def read() -> None:
        stream = follow(delivery, Follower(delivery, key, ""))
        next(stream), next(stream)
        seen.append(next(stream))

    threads = [threading.Thread(target=read) for _ in range(50)]
    for thread in threads:
        thread.start()
    switch(db, False)
    for thread in threads:
        thread.join(SOON)

    assert len(seen) == 50
    assert all(b'"defaultValue":false' in frame for frame in seen)


def test_a_silent_stream_has_a_heartbeat(
    start: Start, db: Database, monkeypatch: pytest.MonkeyPatch
):
    """So that no proxy takes it for dead."""
    with_flag(db)
    key = connected(db)
    monkeypatch.setattr("rollouts.flags.following.HEARTBEAT_SECONDS", 0.01)
    delivery = start()
    delivery.start()
    stream = follow(delivery, Follower(delivery, key, ""))
    assert [next(stream) for _ in range(4)][2:] == [HEARTBEAT, HEARTBEAT]
    stream.close()


def test_streams_end_in_good_order(start: Start, db: Database):
    """When the process stops, and when their key is revoked."""
    with_flag(db)
    stopping, revoked = connected(db), connected(db)
    delivery = start()
    delivery.start()
    ends = {key: threading.Event() for key in (stopping, revoked)}

    def read(key: str) -> None:
        for _ in follow(delivery, Follower(delivery, key, "")):
            pass
        ends[key].set()

    for key in ends:
        threading.Thread(target=read, args=(key,), daemon=True).start()
    with db.transaction() as session:
        service.revoke_connection(session, revoked, actor=EDITOR, now=NOW)
    assert ends[revoked].wait(SOON)
    assert not ends[stopping].is_set()
    delivery.drain()
    assert ends[stopping].wait(SOON)


def test_a_key_has_only_so_many_streams(start: Start, db: Database):
    """And a process too; a place given back can be taken again."""
    one, two = connected(db), connected(db)
    delivery = start(streams_per_key=2, streams_per_process=3)
    delivery.start()
    delivery.admit(one)
    delivery.admit(one)
    with pytest.raises(TooManyStreams):
        delivery.admit(one)
    delivery.admit(two)
    with pytest.raises(TooManyStreams):
        delivery.admit(two)
    delivery.leave(one)
    delivery.admit(two)
    assert (delivery.count_streams(one), delivery.count_streams()) == (1, 3)


def test_a_bell_that_rang_before_one_waits_is_heard():
    """Nothing is lost between looking and waiting."""
    bell = ThreadBell()
    seen = bell.count
    bell.ring(["key"])
    began = time.monotonic()
    bell.wait(seen, 10)

    assert time.monotonic() - began < 1


# The store is gone


@contextmanager
def lost(db: Database) -> Iterator[None]:
    """The store takes no connection for a while, and those it had are broken."""

    def refuse(*_: object) -> None:
        raise db.engine.dialect.dbapi.OperationalError("gone")

    event.listen(db.engine, "do_connect", refuse)
    db.engine.dispose()
    yield
    event.remove(db.engine, "do_connect", refuse)


def test_the_last_good_payload_is_served_without_a_store(
    start: Start, db: Database, settings: Settings
):
    """A process started with its store dead serves what was served last, and says so."""
    with_flag(db)
    key = connected(db)
    good = delivery_http.features(start(), key, "", "")
    assert eventually((settings.var_dir / last_good.NAME).exists)

    with lost(db):
        delivery = start()
        answer = delivery_http.features(delivery, key, "", "")
        unchanged = delivery_http.features(delivery, key, dict(good.headers)["ETag"], "")
        assert delivery.health()["ok"] is False
        assert "last good" in delivery.health()["detail"]

    assert (answer.status, answer.body) == (200, good.body)
    assert dict(answer.headers)["x-rollouts-store"] == "unreachable"
    assert unchanged.status == 304
    assert eventually(lambda: bool(delivery.health()["ok"]))


def test_a_damaged_file_is_not_served(start: Start, db: Database, settings: Settings):
    """Better nothing than something wrong: its checksum must hold."""
    with_flag(db)
    key = connected(db)
    first = start()
    first.start()
    path = settings.var_dir / last_good.NAME
    assert eventually(path.exists)
    first.stop()
    path.write_bytes(path.read_bytes().replace(b"new-checkout", b"old-checkout"))

    with lost(db):
        delivery = start()
        answer = delivery_http.features(delivery, key, "", "")
        assert (answer.status, answer.headers[-1]) == (503, ("Retry-After", "5"))
        assert Follower(delivery, key, "").step() is None  # it stays open: the store may come
        assert delivery.health()["ok"] is False


@pytest.mark.parametrize("text", ["", "{}", '{"form":2,"sha256":""}\n[]', "\xff\n"])
def test_files_of_other_forms_are_no_state(tmp_path: Path, text: str):
    """Nothing that is found there stops the process."""
    (tmp_path / last_good.NAME).write_text(text, encoding="latin-1")

    assert last_good.read(tmp_path) is None
    assert last_good.read(tmp_path / "nowhere") is None


def test_a_store_that_comes_back_is_taken_up_again(start: Start, db: Database):
    """While it is gone everybody is served as before; no restart is needed afterwards."""
    with_flag(db)
    key = connected(db)
    delivery = start()
    delivery.start()
    with lost(db):
        assert eventually(lambda: not delivery.is_store_reachable)
        assert value_of(delivery, key) is True
        assert not delivery.refresh()
    switch(db, False)

    assert eventually(lambda: value_of(delivery, key) is False)
    assert eventually(lambda: delivery.is_store_reachable)


# Behind Flask


def test_the_views_answer_as_delivery_does(parts: Runtime, api: Caller):
    """Status, headers and bytes; HEAD without a body, and a preflight for any page."""
    with_flag(parts.db)
    key = connected(parts.db)
    path = f"/api/features/{key}"

    answer = api.anyone(path)
    expected = delivery_http.features(parts.delivery, key, "", "")
    assert answer.data == expected.body
    assert [pair for pair in expected.headers if pair not in list(answer.headers)] == []
    assert api.anyone(path, **{"If-None-Match": answer.headers["ETag"]}).status_code == 304
    head = api.client.head(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(expected.body))
    for preflight in (api.client.options(path), api.client.options(f"/sub/{key}")):
        assert preflight.status_code == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert api.anyone("/api/features/sdk-nothing").status_code == 400
    assert api.anyone("/sub/sdk-nothing").json == {"status": 400, "error": "Invalid API Key"}
    assert api.client.post(path).status_code == 405


def test_a_stream_is_served_by_threads_too(parts: Runtime):
    """For servers without the asynchronous edge; its place is given back at the end."""
    with_flag(parts.db)
    key = connected(parts.db)
    client = create_app(parts=parts).test_client()

    answer = client.get(f"/sub/{key}", buffered=False)
    chunks = answer.iter_encoded()
    assert next(chunks) == OPENING
    assert next(chunks).endswith(b"\n\n")
    assert answer.content_type == "text/event-stream"
    assert parts.delivery.count_streams(key) == 1
    answer.close()
    assert parts.delivery.count_streams(key) == 0
