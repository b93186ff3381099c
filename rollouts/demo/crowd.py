"""Customers who arrive, meet a version through the GrowthBook SDK, and live with it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from growthbook.common_types import FeatureRefreshStrategy, Options, UserContext
from growthbook.growthbook_client import GrowthBookClient
from growthbook.plugins import growthbook_tracking_plugin

from rollouts.demo.client import Outcomes
from rollouts.demo.plan import FLAG
from rollouts.demo.population import Effects, Happening, attributes, life

PER_SECOND = 150
TICK_SECONDS = 0.1
WATCH_SECONDS = 0.5
BATCH = 200
LINGER_SECONDS = 6.0  # for what customers still do after the change was taken away

Watch = Callable[[], dict[str, Any]]
Show = Callable[[dict[str, Any], "Seen"], None]


@dataclass(slots=True)
class Seen:
    """What the clients saw, from outside."""

    customers: int = 0
    on_new: int = 0
    outcomes: int = 0
    withdrawn_at: float | None = None
    off_after: float | None = None  # seconds from the decision until the SDK served the old page

    @property
    def client_saw_it_off(self) -> bool:
        """Whether the running SDK client serves the old page again."""
        return self.off_after is not None


@dataclass(slots=True)
class Crowd:
    """The simulated shop: one SDK client for all customers, one sender for what they do."""

    base_url: str
    client_key: str
    outcomes: Outcomes
    effects: Effects
    seed: int
    seen: Seen = field(default_factory=Seen)
    _due: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _probe: dict[str, Any] | None = None

    async def live(self, *, watch: Watch, show: Show, until_seconds: float) -> Seen:
        """Let customers come until the change is withdrawn, or time is up."""
        # The SDK tells of its stream's end as an error; here it is the end of the story.
        logging.getLogger("growthbook").setLevel(logging.CRITICAL)
        client = self._client()
        if not await client.initialize():
            raise RuntimeError("the SDK could not fetch its payload from the service")
        began = time.monotonic()
        watcher = asyncio.create_task(self._keep_watch(watch, show))
        sender = asyncio.create_task(self._keep_sending())
        try:
            while time.monotonic() - began < until_seconds and self.seen.off_after is None:
                await self._arrivals(client, began)
                await self._look_for_off(client)
                await asyncio.sleep(TICK_SECONDS)
            await asyncio.sleep(LINGER_SECONDS if self.seen.off_after is None else 0.5)
        finally:
            for task in (watcher, sender):
                task.cancel()
            await asyncio.gather(watcher, sender, return_exceptions=True)
            await client.close()
        return self.seen

    def _client(self) -> GrowthBookClient:
        plugin = growthbook_tracking_plugin(
            ingestor_host=self.base_url,
            track_feature_evaluated=False,
            batch_size=50,
            batch_timeout=0.5,
        )
        return GrowthBookClient(
            Options(
                api_host=self.base_url,
                client_key=self.client_key,
                refresh_strategy=FeatureRefreshStrategy.SERVER_SENT_EVENTS,
                tracking_plugins=[plugin],
            )
        )

    async def _arrivals(self, client: GrowthBookClient, began: float) -> None:
        wanted = int((time.monotonic() - began) * PER_SECOND)
        for number in range(self.seen.customers, wanted):
            who = attributes(self.seed, number)
            result = await client.eval_feature(FLAG, UserContext(attributes=who))
            met = result.experimentResult is not None and result.experimentResult.inExperiment
            is_new = result.value is True
            self.seen.customers += 1
            self.seen.on_new += is_new
            if is_new and self._probe is None:
                self._probe = who
            if met:
                for happening in life(self.seed, number, is_new, self.effects):
                    self._schedule(str(who["id"]), happening)

    def _schedule(self, unit: str, happening: Happening) -> None:
        due = time.monotonic() + happening.after_seconds
        event = {
            "type": "track",
            "messageId": str(uuid.uuid4()),
            "userId": unit,
            "event": happening.event,
            "properties": {**happening.properties, "channel": happening.channel},
        }
        heapq.heappush(self._due, (due, next(self._order), event))

    async def _keep_sending(self) -> None:
        """Send what has happened, in batches, as a help desk and a shop would."""
        while True:
            batch: list[dict[str, Any]] = []
            while self._due and self._due[0][0] <= time.monotonic() and len(batch) < BATCH:
                event = heapq.heappop(self._due)[2]
                batch.append({**event, "timestamp": datetime.now(UTC).isoformat()})
            if batch:
                await asyncio.to_thread(self.outcomes.send, batch)
                self.seen.outcomes += len(batch)
            await asyncio.sleep(TICK_SECONDS)

    async def _keep_watch(self, watch: Watch, show: Show) -> None:
        while True:
            held = await asyncio.to_thread(watch)
            show(held, self.seen)
            if held["rollout"]["state"] == "withdrawn" and self.seen.withdrawn_at is None:
                ended = datetime.fromisoformat(held["rollout"]["ended_at"])
                self.seen.withdrawn_at = ended.timestamp()
            await asyncio.sleep(WATCH_SECONDS)

    async def _look_for_off(self, client: GrowthBookClient) -> None:
        """Ask the running client about somebody who had the new page."""
        if self._probe is None:
            return
        result = await client.eval_feature(FLAG, UserContext(attributes=dict(self._probe)))
        if result.value is False:
            now = time.time()
            for _ in range(20):  # the watcher learns of the decision a moment later
                if self.seen.withdrawn_at is not None:
                    break
                await asyncio.sleep(WATCH_SECONDS / 2)
            self.seen.off_after = max(now - (self.seen.withdrawn_at or now), 0.0)
