"""The growthbook Python SDK, both of its clients, against the running service, unchanged."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from growthbook import GrowthBook, feature_repo
from growthbook.common_types import Experiment, Options, Result, UserContext
from growthbook.growthbook import SSEClient
from growthbook.growthbook_client import (
    EnhancedFeatureRepository,
    FeatureRefreshStrategy,
    GrowthBookClient,
)

from tests.live import LiveService
from tests.sdk.shop import Shop, until

pytestmark = pytest.mark.filterwarnings(
    # The SDK drops its sessions without closing them; that is not ours to mend.
    "ignore:Unclosed",
    "ignore:unclosed",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

GERMAN = {"id": "u1", "country": "DE"}


@pytest.fixture
def shop(live: LiveService) -> Iterator[Shop]:
    """A shop whose SDKs remember nothing of other tests."""
    feature_repo.clear_cache()
    yield Shop(live)
    feature_repo.clear_cache()


def legacy(shop: Shop, connection: dict[str, Any], **more: Any) -> GrowthBook:
    """The legacy client, with its payload loaded."""
    book = GrowthBook(
        attributes=dict(GERMAN),
        api_host=shop.host,
        client_key=connection["client_key"],
        decryption_key=connection.get("encryption_key", ""),
        **more,
    )
    book.load_features()
    return book


@pytest.mark.parametrize("mode", ["plain", "encrypted", "remote"])
def test_the_legacy_client_reads_its_flags(shop: Shop, mode: str):
    """In each mode of a connection; a switch is seen when it asks again."""
    shop.make_flag()
    connection = shop.connect(mode)
    book = legacy(shop, connection, remote_eval=mode == "remote")
    assert book.is_on(shop.flag)

    shop.switch(False)
    feature_repo.clear_cache()
    book.load_features()

    assert not book.is_on(shop.flag)
    book.destroy()


def test_the_legacy_client_asks_for_changes_only(shop: Shop, caplog: pytest.LogCaptureFixture):
    """Its second request carries the ETag and is answered with 304; the payload stays."""
    caplog.set_level(logging.DEBUG, "urllib3")
    shop.make_flag()
    book = legacy(shop, shop.connect())
    feature_repo.clear_cache()
    book.load_features()

    answers = [text for text in caplog.messages if "GET /api/features" in text]
    assert [" 304 " in text for text in answers] == [False, True], answers
    assert book.is_on(shop.flag)
    book.destroy()


def test_the_legacy_client_follows_its_stream(shop: Shop):
    """A kill reaches it in under a second, without asking."""
    shop.make_flag()
    book = legacy(shop, shop.connect(), streaming=True)
    assert book.is_on(shop.flag)
    time.sleep(0.5)  # its stream opens in a thread that does not say when

    began = shop.switch(False)

    assert until(lambda: not book.is_on(shop.flag))
    assert time.monotonic() - began < 1.0
    book.stop_auto_refresh(timeout=0.1)
    book.destroy()


def test_the_legacy_client_tracks_remote_experiments(shop: Shop):
    """The exposure is reported when the app reads the flag, with the variation's key."""
    shop.make_experiment()
    seen: list[tuple[str, str]] = []

    def track(experiment: Any, result: Any, user_context: Any = None) -> None:
        seen.append((experiment.key, result.key))

    book = legacy(shop, shop.connect("remote"), remote_eval=True, on_experiment_viewed=track)
    value = book.get_feature_value(shop.flag, None)

    assert seen == [(f"{shop.flag}-test", str(int(value)))]
    book.destroy()


def test_remote_and_local_evaluation_agree(shop: Shop):
    """A unit is in the same arm whether the SDK evaluates or the service does."""
    shop.make_experiment()
    plain, remote = shop.connect(), shop.connect("remote")

    def arm(connection: dict[str, Any], unit: str, is_remote: bool) -> Any:
        book = GrowthBook(
            attributes={"id": unit},
            api_host=shop.host,
            client_key=connection["client_key"],
            remote_eval=is_remote,
        )
        book.load_features()
        value = book.get_feature_value(shop.flag, None)
        book.destroy()
        return value

    units = [f"unit-{n}" for n in range(30)]
    local = [arm(plain, unit, False) for unit in units]

    assert set(local) == {False, True}
    assert local == [arm(remote, unit, True) for unit in units]


async def client_of(
    shop: Shop, connection: dict[str, Any], strategy: FeatureRefreshStrategy | None, **more: Any
) -> GrowthBookClient:
    """The asynchronous client, ready."""
    EnhancedFeatureRepository._instances.clear()
    client = GrowthBookClient(
        Options(
            api_host=shop.host,
            client_key=connection["client_key"],
            decryption_key=connection.get("encryption_key"),
            refresh_strategy=strategy,
            **more,
        )
    )
    assert await client.initialize()
    return client


async def comes(check: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await check():
            return True
        await asyncio.sleep(0.01)
    return await check()


POLLING = FeatureRefreshStrategy.STALE_WHILE_REVALIDATE
STREAMING = FeatureRefreshStrategy.SERVER_SENT_EVENTS


@pytest.mark.parametrize("mode", ["plain", "encrypted", "remote"])
def test_the_client_reads_its_flags(shop: Shop, mode: str):
    """Without a stream, in each mode."""
    shop.make_flag()
    connection = shop.connect(mode)

    async def story() -> None:
        is_remote = mode == "remote"
        strategy = None if is_remote else POLLING  # it refuses to poll for one user's payload
        client = await client_of(shop, connection, strategy, remote_eval=is_remote)
        assert await client.is_on(shop.flag, UserContext(attributes=dict(GERMAN)))
        french = UserContext(attributes={"id": "u1", "country": "FR"})
        assert not await client.is_on(shop.flag, french)
        await client.close()

    asyncio.run(story())


@pytest.mark.parametrize("mode", ["plain", "encrypted", "remote"])
def test_the_client_follows_its_stream(shop: Shop, mode: str):
    """A kill reaches it in under a second; a remote one is told to come and fetch."""
    shop.make_flag()
    connection = shop.connect(mode)

    async def story() -> None:
        client = await client_of(shop, connection, STREAMING, remote_eval=mode == "remote")
        user = UserContext(attributes=dict(GERMAN))
        assert await client.is_on(shop.flag, user)
        await asyncio.sleep(0.7)  # its stream opens in a thread that does not say when

        async def is_off() -> bool:
            return not await client.is_on(shop.flag, user)

        began = await asyncio.to_thread(shop.switch, False)
        assert await comes(is_off)
        assert time.monotonic() - began < 1.0
        # It looks whether it is closed only when a line comes, so one is sent.
        await asyncio.gather(client.close(), asyncio.to_thread(shop.switch, True))

    asyncio.run(story())


def test_the_client_tracks_what_it_assigns(shop: Shop):
    """The rollout's own key and the variation's key, so that exposures find their rollout."""
    shop.make_experiment()
    connection = shop.connect()
    seen: list[tuple[str, str, int]] = []

    def track(experiment: Experiment, result: Result, user_context: UserContext) -> None:
        seen.append((experiment.key, result.key, result.variationId))

    async def story() -> None:
        client = await client_of(shop, connection, POLLING, on_experiment_viewed=track)
        for number in range(20):
            await client.is_on(shop.flag, UserContext(attributes={"id": f"u{number}"}))
        await client.close()

    asyncio.run(story())
    assert len(seen) == 20
    assert {(key, str(index)) for _, key, index in seen} == {("0", "0"), ("1", "1")}


def test_many_clients_follow_at_once(shop: Shop):
    """Thirty streams of the real SDK on one key, and one switch for them all."""
    shop.make_flag()
    connection = shop.connect()
    told = [threading.Event() for _ in range(30)]

    def listen(event: threading.Event) -> Callable[[dict[str, Any]], None]:
        def on_event(data: dict[str, Any]) -> None:
            if f'"{shop.flag}":{{"defaultValue":false}}' in str(data.get("data", "")):
                event.set()

        return on_event

    clients = [SSEClient(shop.host, connection["client_key"], listen(event)) for event in told]
    for client in clients:
        client.connect()
    path = f"/connections/{connection['client_key']}/propagation"

    def reached() -> int:
        versions = shop.live.api.get(path)["versions"]
        return int(versions[0]["reached"]) if versions else 0

    assert until(lambda: reached() == 30, 20)
    shop.switch(False)
    assert all(event.wait(5) for event in told)
    assert until(lambda: len(shop.live.api.get(path)["versions"]) == 2 and reached() == 30, 20)
    newest = shop.live.api.get(path)["versions"][0]
    assert newest["seconds"] < 1.0
    assert "reached 30 of 30 clients in" in newest["sentence"]
    for client in clients:
        client.disconnect(timeout=0.01)
