"""From the deed to a receiver that believes it: over real HTTP, at least once."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from rollouts.accounts.model import OPERATOR
from rollouts.clock import utcnow
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.notify import delivering, service
from rollouts.notify.model import DeliveryState, DestinationKind, Outcome
from rollouts.notify.sealing import Seal
from rollouts.notify.store import DeliveryRow

from ..accounts.dump import dump
from .receiver import Arrived, Receiver

WHSEC = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


def tell(db: Database, now: datetime, kind: str = "rollout.withdrawn") -> str:
    """What the stop-loss does when it withdraws."""
    with db.transaction() as session:
        return service.enqueue(
            session,
            kind=kind,
            subject="Withdrawn: Guided returns",
            happened="Contacts rose 31 %, more than the 10 % we said we would tolerate.",
            done="All customers are back on the old page.",
            links={"report": "https://rollouts.example/rollouts/guided-returns/report"},
            data={"rollout": "guided-returns", "snapshot": "S-20260514-0942-c81f"},
            now=now,
        )


def add(
    db: Database,
    seal: Seal,
    settings: Settings,
    url: str,
    *,
    secret: str = WHSEC,
    kinds: tuple[str, ...] = (),
) -> str:
    with db.transaction() as session:
        row, _ = service.create_destination(
            session,
            seal,
            settings,
            name="on call",
            kind=DestinationKind.WEBHOOK,
            url=url,
            secret=secret,
            kinds=kinds,
            actor=OPERATOR,
            now=utcnow(),
        )
        return row.id


def deliveries(db: Database) -> list[DeliveryRow]:
    with db.reading() as session:
        return [row for row, _ in service.list_deliveries(session, limit=100)]


def verified(arrived: Arrived, secret: str = WHSEC) -> dict[str, object]:
    """The body, if the library takes the signature."""
    return dict(Webhook(secret).verify(arrived.body, arrived.headers))


@pytest.fixture
def deliver(db: Database, seal: Seal, settings: Settings) -> Callable[[datetime], int]:
    return lambda now: service.deliver_due(db, seal, settings, now=now)


def test_a_signed_message_arrives(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
) -> None:
    """The receiver verifies it with the standard's library and reads what happened."""
    add(db, seal, settings, receiver.url)
    now = utcnow()
    message_id = tell(db, now)

    assert deliver(now) == 1

    (arrived,) = receiver.arrived
    body = verified(arrived)
    assert arrived.headers["webhook-id"] == message_id
    assert arrived.headers["content-type"] == "application/json"
    assert body == {
        "type": "rollout.withdrawn",
        "timestamp": now.isoformat().replace("+00:00", "Z"),
        "data": {
            "rollout": "guided-returns",
            "snapshot": "S-20260514-0942-c81f",
            "subject": "Withdrawn: Guided returns",
            "happened": "Contacts rose 31 %, more than the 10 % we said we would tolerate.",
            "done": "All customers are back on the old page.",
            "links": {"report": "https://rollouts.example/rollouts/guided-returns/report"},
        },
    }
    assert deliver(now + timedelta(hours=1)) == 0
    assert len(receiver.arrived) == 1


def test_a_changed_body_or_another_secret_does_not_verify(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
) -> None:
    """The signature covers what it should."""
    add(db, seal, settings, receiver.url)
    tell(db, utcnow())
    deliver(utcnow())
    (arrived,) = receiver.arrived

    with pytest.raises(WebhookVerificationError):
        verified(replace(arrived, body=arrived.body.replace(b"31", b"13")))
    with pytest.raises(WebhookVerificationError):
        verified(arrived, secret="whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVlda")


def test_what_was_not_done_is_not_told(
    db: Database, seal: Seal, settings: Settings, receiver: Receiver
) -> None:
    """The outbox falls with the transaction of the deed."""
    add(db, seal, settings, receiver.url)

    def fail() -> None:
        with db.transaction() as session:
            service.enqueue(
                session, kind="x", subject="", happened="", done="", links={}, data={}, now=utcnow()
            )
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert service.deliver_due(db, seal, settings, now=utcnow()) == 0
    assert deliveries(db) == []


def test_failures_are_tried_again_under_the_same_id(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
) -> None:
    """500, 302, then 200: three tries with growing pauses, one id, delivered in the end."""
    receiver.answers = [500, 302, 200]
    receiver.headers = {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    add(db, seal, settings, receiver.url)
    now = utcnow()
    tell(db, now)

    assert deliver(now) == 0
    assert deliver(now + timedelta(seconds=0.5)) == 0, "too early"
    assert deliver(now + timedelta(seconds=2)) == 0
    assert deliver(now + timedelta(seconds=4)) == 0, "too early"
    assert deliver(now + timedelta(seconds=10)) == 1

    assert [item.path for item in receiver.arrived] == ["/hook/s3cret-path"] * 3
    assert len({item.headers["webhook-id"] for item in receiver.arrived}) == 1
    for item in receiver.arrived:
        verified(item)
    (row,) = deliveries(db)
    assert (row.state, row.attempts) == (DeliveryState.DELIVERED, 3)


def test_after_a_day_it_is_given_up_and_seen(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
) -> None:
    """Dead deliveries stay on the list with their reason, and can be tried again by hand."""
    receiver.answers = [503]
    add(db, seal, settings, receiver.url)
    start = now = utcnow()
    tell(db, now)
    while deliveries(db)[0].state == DeliveryState.PENDING:
        now = max(now, deliveries(db)[0].next_at)
        deliver(now)

    (row,) = deliveries(db)
    assert row.state == DeliveryState.DEAD
    assert row.problem == "The receiver answered 503."
    assert timedelta(hours=20) < now - start < timedelta(hours=24)
    assert 15 <= len(receiver.arrived) <= 30

    receiver.answers = [200]
    with db.transaction() as session:
        service.retry_delivery(session, row.id, actor=OPERATOR, now=now)
    assert deliver(now) == 1


def test_a_receiver_that_is_gone_is_not_asked_again(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
) -> None:
    """410 says so, by the specification."""
    receiver.answers = [410]
    add(db, seal, settings, receiver.url)
    tell(db, utcnow())

    deliver(utcnow())

    assert deliveries(db)[0].state == DeliveryState.DEAD


def test_whoever_dies_between_sending_and_writing_down_sends_again(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At least once: the lease ends, another worker repeats it, the id tells the receiver."""
    add(db, seal, settings, receiver.url)
    now = utcnow()
    tell(db, now)
    with monkeypatch.context() as patch:
        patch.setattr(delivering, "_settle", _die)
        with pytest.raises(SystemExit):
            deliver(now)
    assert len(receiver.arrived) == 1

    assert deliver(now + timedelta(seconds=30)) == 0, "the lease still holds"
    assert deliver(now + timedelta(seconds=61)) == 1

    assert len(receiver.arrived) == 2
    assert len({item.headers["webhook-id"] for item in receiver.arrived}) == 1
    assert deliveries(db)[0].state == DeliveryState.DELIVERED


def _die(*_: object) -> None:
    raise SystemExit(9)


def _deliver(url: str, secret: str, now: datetime) -> None:
    settings = Settings(secret_key=secret, outbound_allow="127.0.0.0/8")
    service.deliver_due(Database(url), Seal(secret), settings, now=now)


def test_a_worker_killed_while_it_waits_for_the_answer_loses_nothing(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
) -> None:
    """kill -9 after the message arrived and before anything is written down."""
    receiver.delay = threading.Event()
    add(db, seal, settings, receiver.url)
    now = utcnow()
    tell(db, now)
    worker = multiprocessing.get_context("spawn").Process(
        target=_deliver, args=(db.url, settings.secret_key, now)
    )
    worker.start()
    for _ in range(600):
        if receiver.arrived:
            break
        time.sleep(0.05)
    worker.kill()
    worker.join()
    receiver.delay.set()
    assert [row.state for row in deliveries(db)] == [DeliveryState.PENDING]

    assert deliver(now + timedelta(seconds=61)) == 1

    assert len(receiver.arrived) == 2
    assert len({item.headers["webhook-id"] for item in receiver.arrived}) == 1


def test_workers_at_once_send_each_message_once(
    db: Database, seal: Seal, settings: Settings, receiver: Receiver
) -> None:
    """Eight workers share thirty messages without a repeat."""
    add(db, seal, settings, receiver.url)
    now = utcnow()
    told = {tell(db, now) for _ in range(30)}

    def work() -> None:
        while service.deliver_due(db, seal, settings, now=now):
            pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    arrived = [item.headers["webhook-id"] for item in receiver.arrived]
    assert len(arrived) == 30
    assert set(arrived) == told


def test_one_slow_receiver_delays_no_other(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What takes too long counts as failed; the others are delivered in the same round."""
    monkeypatch.setattr(delivering, "PATIENCE_SECONDS", 0.5)
    receiver.delay = threading.Event()
    from .receiver import receiving

    with receiving() as quick:
        add(db, seal, settings, receiver.url)
        add(db, seal, settings, quick.url)
        tell(db, utcnow())

        assert deliver(utcnow()) == 1

        assert len(quick.arrived) == 1
    receiver.delay.set()
    problems = {row.state: row.problem for row in deliveries(db)}
    assert problems == {"delivered": "", "pending": "The receiver took too long."}


def test_a_late_word_from_a_lost_lease_changes_nothing(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that was frozen past its lease does not overwrite what came after."""
    receiver.answers = [500, 200]
    add(db, seal, settings, receiver.url)
    now = utcnow()
    tell(db, now)
    frozen: list[tuple[object, ...]] = []
    settle = delivering._settle
    with monkeypatch.context() as patch:
        patch.setattr(delivering, "_settle", lambda *given: frozen.append(given))
        deliver(now)
    assert deliver(now + timedelta(seconds=61)) == 1

    settle(*frozen[0])  # type: ignore[arg-type]

    assert deliveries(db)[0].state == DeliveryState.DELIVERED


def test_destinations_get_what_they_asked_for(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
) -> None:
    """Kinds choose; a removed destination gets nothing, not even what was on its way."""
    add(db, seal, settings, receiver.url, kinds=("rollout.shipped",))
    removed = add(db, seal, settings, receiver.url)
    now = utcnow()
    tell(db, now, "rollout.withdrawn")
    tell(db, now, "rollout.shipped")
    with db.transaction() as session:
        service.remove_destination(session, removed, actor=OPERATOR, now=now)
    tell(db, now, "rollout.shipped")

    assert deliver(now) == 2

    assert [json.loads(item.body)["type"] for item in receiver.arrived] == ["rollout.shipped"] * 2
    assert sorted(row.state for row in deliveries(db)) == ["dead", "dead", "delivered", "delivered"]


def test_without_permission_no_private_address_is_reached(
    db: Database, seal: Seal, settings: Settings, receiver: Receiver
) -> None:
    """The permission counts at each delivery, not only when the destination was added."""
    add(db, seal, settings, receiver.url)
    tell(db, utcnow())

    closed = replace(settings, outbound_allow="")
    assert service.deliver_due(db, seal, closed, now=utcnow()) == 0

    assert receiver.arrived == []
    (row,) = deliveries(db)
    assert row.state == DeliveryState.PENDING
    assert "ROLLOUTS_OUTBOUND_ALLOW" in row.problem


def test_another_secret_key_is_named_and_nothing_is_sent(
    db: Database, seal: Seal, settings: Settings, receiver: Receiver
) -> None:
    """A restored backup without its key fails visibly, and works again with it."""
    add(db, seal, settings, receiver.url)
    now = utcnow()
    tell(db, now)

    assert service.deliver_due(db, Seal("z" * 40), settings, now=now) == 0

    assert "ROLLOUTS_SECRET_KEY" in deliveries(db)[0].problem
    assert service.deliver_due(db, seal, settings, now=now + timedelta(minutes=1)) == 1


def test_a_rotated_secret_key_keeps_destinations(
    db: Database, seal: Seal, settings: Settings, receiver: Receiver
) -> None:
    """Resealing moves every destination under the new key."""
    add(db, seal, settings, receiver.url)
    renewed = Seal("z" * 40)
    with db.transaction() as session:
        assert service.reseal(session, seal, renewed) == 1
        assert service.reseal(session, seal, renewed) == 0
    tell(db, utcnow())

    assert service.deliver_due(db, renewed, settings, now=utcnow()) == 1
    verified(receiver.arrived[0])


def test_a_huge_answer_is_not_read(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
) -> None:
    """A receiver cannot fill our memory: the status is enough."""
    receiver.answers, receiver.body = [200], b"x" * 50_000_000
    add(db, seal, settings, receiver.url)
    tell(db, utcnow())

    assert deliver(utcnow()) == 1


def test_odd_text_does_not_keep_a_withdrawal_from_being_told(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
) -> None:
    """Line breaks, NUL, lone surrogates and strange links are tamed, never refused."""
    add(db, seal, settings, receiver.url)
    with db.transaction() as session:
        service.enqueue(
            session,
            kind="rollout.withdrawn",
            subject="Withdrawn\r\nBcc: everyone@example.com\x00\ud800",
            happened="a\nb" + "x" * 5000,
            done="",
            links={"bad": "javascript:alert(1)", "good": "https://rollouts.example/"},
            data={"big": 2**70, "nan": float("nan"), "nul": "\x00"},
            now=utcnow(),
        )

    assert deliver(utcnow()) == 1

    data = verified(receiver.arrived[0])["data"]
    assert isinstance(data, dict)
    assert data["subject"] == "Withdrawn Bcc: everyone@example.com\ufffd?"
    assert data["happened"].startswith("a bxxx")
    assert data["links"] == {"good": "https://rollouts.example/"}
    assert data["big"] == str(2**70)


def test_no_secret_is_readable_in_the_store_or_the_log(
    db: Database,
    seal: Seal,
    settings: Settings,
    receiver: Receiver,
    deliver: Callable[[datetime], int],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Address and secret are sealed; failures are logged without them."""
    caplog.set_level("DEBUG")
    receiver.answers = [500]
    add(db, seal, settings, receiver.url)
    tell(db, utcnow())
    deliver(utcnow())

    written = caplog.text + "".join(capsys.readouterr()) + dump(db)
    assert "table destinations" in written
    assert "delivery_failed" in written
    for secret in ("s3cret-path", WHSEC, "QUJDREVGR0hJSktM"):
        assert secret not in written


def test_a_test_message_is_sent_at_once_and_says_so(
    db: Database, seal: Seal, settings: Settings, receiver: Receiver
) -> None:
    """Delivered, failed or refused, in our own words; nothing of what the receiver wrote."""
    destination = add(db, seal, settings, receiver.url)
    receiver.answers, receiver.body = [200, 500], b"internal details"

    def ended(given: Settings) -> tuple[Outcome, str]:
        held = service.send_test(
            db, seal, given, destination, actor=OPERATOR, now=datetime.now(UTC)
        )
        return held.outcome, held.problem

    assert ended(settings) == (Outcome.DELIVERED, "")
    assert verified(receiver.arrived[0])["type"] == "test"
    assert ended(settings) == (Outcome.FAILED, "The receiver answered 500.")
    assert ended(replace(settings, outbound_allow=""))[0] is Outcome.REFUSED
    assert deliveries(db) == []
