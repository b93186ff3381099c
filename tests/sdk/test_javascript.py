"""The SDKs of JavaScript against the running service, unchanged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live import LiveService
from tests.sdk.node import NodeProcess
from tests.sdk.shop import Shop

pytestmark = pytest.mark.node

GERMAN = {"id": "u1", "country": "DE"}
FRENCH = {"id": "u1", "country": "FR"}


@pytest.fixture
def shop(live: LiveService) -> Shop:
    """A shop with a flag that is true for Germans."""
    made = Shop(live)
    made.make_flag()
    return made


class Started:
    """Processes that are ended with the test."""

    def __init__(self) -> None:
        self.all: list[NodeProcess] = []

    def __call__(self, script: str, **given: Any) -> NodeProcess:
        self.all.append(NodeProcess(script, **given))
        return self.all[-1]


@pytest.fixture
def node() -> Iterator[Started]:
    """Starts scripts."""
    started = Started()
    yield started
    for process in started.all:
        process.end()


def growthbook(
    node: Started, shop: Shop, mode: str, *, streaming: bool, attributes: dict[str, Any] = GERMAN
) -> NodeProcess:
    """The GrowthBook SDK on a new connection of that mode."""
    connection = shop.connect(mode)
    return node(
        "growthbook.mjs",
        host=shop.host,
        client_key=connection["client_key"],
        decryption_key=connection.get("encryption_key"),
        remote=mode == "remote",
        attributes=attributes,
        flag=shop.flag,
        streaming=streaming,
    )


@pytest.mark.parametrize("mode", ["plain", "encrypted", "remote"])
def test_growthbook_reads_its_flags(node: Started, shop: Shop, mode: str):
    """In each mode of a connection; a switch is seen when it asks again."""
    book = growthbook(node, shop, mode, streaming=False)
    first = book.hear()
    assert (first["success"], first["source"], first["value"]) == (True, "network", True)

    shop.switch(False)
    book.tell("refresh")

    assert book.hear()["value"] is False


@pytest.mark.parametrize("mode", ["plain", "encrypted", "remote"])
def test_growthbook_follows_its_stream(node: Started, shop: Shop, mode: str):
    """A switch reaches it in under a second, there and back."""
    book = growthbook(node, shop, mode, streaming=True)
    assert book.hear()["value"] is True
    time.sleep(0.5)  # its stream opens without a word

    for enabled in (False, True):
        began = shop.switch(enabled)
        while book.hear()["value"] is not enabled:
            assert time.monotonic() - began < 10
        assert time.monotonic() - began < 1.0


def test_growthbook_tracks_remote_experiments(node: Started, live: LiveService):
    """The exposure is reported by the client that was told its variation."""
    shop = Shop(live)
    shop.make_experiment()
    seen = {}
    for mode in ("plain", "remote"):
        book = growthbook(node, shop, mode, streaming=False, attributes={"id": "u7"})
        seen[mode] = book.hear()

    assert seen["remote"]["value"] is seen["plain"]["value"]
    assert seen["remote"]["tracked"] == seen["plain"]["tracked"]
    assert seen["plain"]["tracked"] == [[f"{shop.flag}-test", str(int(seen["plain"]["value"]))]]


def test_growthbook_asks_again_for_other_attributes(node: Started, shop: Shop):
    """A remote client that learns more about its user gets that user's flags."""
    book = growthbook(node, shop, "remote", streaming=False, attributes=FRENCH)
    assert book.hear()["value"] is False

    book.tell("attributes", GERMAN)

    assert book.hear()["value"] is True


def test_the_server_provider_evaluates_each_type(node: Started, live: LiveService):
    """Values arrive in their type, with reason and variant; unknown flags give the default."""
    values = {"string": "blue", "number": 3, "object": {"a": [1, None]}, "boolean": True}
    keys = {kind: f"of-{kind}-{time.monotonic_ns()}" for kind in values}
    for kind, value in values.items():
        own = "json" if kind == "object" else kind
        live.api.post("/flags", {"key": keys[kind], "kind": own, "default": value})
    shop = Shop(live)
    shop.make_flag()
    key = shop.connect()["client_key"]
    client = node("openfeature_server.mjs", host=shop.host, client_key=key)
    fallback = {"string": "", "number": 0, "object": {}, "boolean": False}

    for kind, value in values.items():
        found = client.ask(kind, [keys[kind], fallback[kind], {"targetingKey": "u1"}])
        assert (found["value"], found["reason"]) == (value, "STATIC"), found
        assert found["flagMetadata"]["flagSetId"] == "production"
    german = client.ask("boolean", [shop.flag, False, {"targetingKey": "u1", "country": "DE"}])
    assert (german["value"], german["reason"]) == (True, "TARGETING_MATCH")
    unknown = client.ask("boolean", ["nothing", False, {"targetingKey": "u1"}])
    assert (unknown["value"], unknown["errorCode"]) == (False, "FLAG_NOT_FOUND")
    wrong = client.ask("number", [keys["string"], 7, {"targetingKey": "u1"}])
    assert (wrong["value"], wrong["errorCode"]) == (7, "TYPE_MISMATCH")


def test_the_server_provider_is_told_of_a_wrong_key(node: Started, shop: Shop):
    """It gives the default and says why."""
    client = node("openfeature_server.mjs", host=shop.host, client_key="sdk-nothing")

    found = client.ask("boolean", [shop.flag, False, {"targetingKey": "u1"}])

    assert found["value"] is False
    assert found["errorCode"] == "GENERAL"


def test_the_web_provider_follows_its_stream(node: Started, shop: Shop):
    """It evaluates all flags at once, and again when it hears of a change."""
    key = shop.connect()["client_key"]
    context = {"targetingKey": "u1", "country": "DE"}
    page = node(
        "openfeature_web.mjs", host=shop.host, client_key=key, flag=shop.flag, context=context
    )
    assert page.hear()["value"] is True
    time.sleep(0.7)  # its stream opens without a word

    began = shop.switch(False)
    told = page.hear()

    assert time.monotonic() - began < 1.0
    assert told["value"] is False
    assert shop.flag in told["changed"]
    assert page.ask("context", {**context, "country": "FR"})["value"] is False
