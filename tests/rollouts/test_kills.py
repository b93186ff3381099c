"""Web and worker are killed under load, again and again; no acknowledged event is lost or doubled."""

import itertools
import random
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests.live import LiveService

KILLS = 20
SENDERS = 3
BATCH = 40


@pytest.fixture
def live(tmp_path) -> Iterator[LiveService]:
    service = LiveService(tmp_path)
    service.start()
    yield service
    service.stop()


class Sender(threading.Thread):
    """Sends batches until told to stop; a batch without a 2xx is sent again, as SDKs do."""

    def __init__(self, url: str, key: str, number: int) -> None:
        super().__init__(daemon=True)
        self.url, self.key, self.number = f"{url}/v1/batch", key, number
        self.stopping = threading.Event()
        self.acknowledged = 0
        self.retries = 0

    def run(self) -> None:
        session = requests.Session()
        session.auth = (self.key, "")
        for batch in itertools.count():
            if self.stopping.is_set():
                return
            events = [self._event(batch, place) for place in range(BATCH)]
            while not self._is_sent(session, events):
                self.retries += 1
                time.sleep(0.05)
            self.acknowledged += BATCH
            time.sleep(0.005)

    def _event(self, batch: int, place: int) -> dict:
        return {
            "type": "track",
            "event": "contact",
            "userId": f"u{place}",
            "messageId": f"{self.number}-{batch}-{place}",
            "properties": {"channel": "phone"},
        }

    def _is_sent(self, session: requests.Session, events: list[dict]) -> bool:
        try:
            answer = session.post(self.url, json={"batch": events}, timeout=10)
        except requests.RequestException:
            return False
        return answer.status_code == 200


def launch(live: LiveService) -> str:
    key = live.api.post("/write-keys", {"name": "load"})["write_key"]
    live.api.post("/flags", {"key": "guided"})
    live.api.post(
        "/metrics",
        {
            "key": "contacts",
            "name": "Contacts",
            "event": "contact",
            "aggregation": "count",
            "good": "down",
        },
    )
    live.api.post(
        "/rollouts",
        {
            "key": "guided",
            "name": "Guided",
            "flag": "guided",
            "variations": [
                {"key": "control", "value": False, "share": 0.5},
                {"key": "new", "value": True, "share": 0.5},
            ],
            "guardrails": [{"metric": "contacts", "margin": 0.5, "action": "observe"}],
            "look_every_seconds": 3600,
        },
    )
    live.api.post("/rollouts/guided/start")
    seen = [
        {
            "type": "track",
            "event": "Experiment Viewed",
            "userId": f"u{place}",
            "properties": {
                "experiment_id": "guided",
                "variation_id": ("control", "new")[place % 2],
            },
        }
        for place in range(BATCH)
    ]
    answer = requests.post(f"{live.url}/v1/batch", json={"batch": seen}, auth=(key, ""), timeout=10)
    assert answer.status_code == 200
    return str(key)


def test_twenty_kills_under_load_lose_nothing_and_double_nothing(live: LiveService):
    """Whatever was answered with 2xx is counted once, and only once."""
    key = launch(live)
    senders = [Sender(live.url, key, number) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    rng = random.Random(5)

    for kill in range(KILLS):
        time.sleep(rng.uniform(0.05, 0.6))
        part = ("serve", "worker")[kill % 2]
        live.kill(part)
        live.start(part)

    for sender in senders:
        sender.stopping.set()
    for sender in senders:
        sender.join(60)
        assert not sender.is_alive()
    sent = sum(sender.acknowledged for sender in senders)
    assert sum(sender.retries for sender in senders) > 0  # the kills did hit requests
    body = live.api.post("/rollouts/guided/looks")
    contacts = body["arms"][0]["metrics"][0]
    assert contacts["control"]["total"] + contacts["treatment"]["total"] == sent
    assert (contacts["control"]["n"], contacts["treatment"]["n"]) == (BATCH // 2, BATCH // 2)
