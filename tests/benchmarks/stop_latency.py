"""How long a customer still meets a change after the look that condemns it.

From the first look whose evidence passes the boundary to the running SDK client serving the old
version again, over the whole way: look, judgement, flag change, payload, stream, SDK.
Run by hand: python -m tests.benchmarks.stop_latency [--times 5]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from datetime import datetime
from pathlib import Path

import requests
from growthbook.common_types import FeatureRefreshStrategy, Options, UserContext
from growthbook.growthbook_client import GrowthBookClient

from tests.factories.story import contacts, did, plan, seen
from tests.live import LiveService

LIMIT_SECONDS = 2.0
UNITS = 1_500
PATIENCE_SECONDS = 60.0


def main() -> None:
    """Measure and print the ratio to the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    service = LiveService(Path(tempfile.mkdtemp(prefix="rollouts-bench-")))
    service.start()
    try:
        service.api.post("/metrics", contacts())
        waits = [asyncio.run(_measure(service, n)) for n in range(times)]
    finally:
        service.stop()
    worst = max(waits)
    shown = ", ".join(f"{wait:.2f}" for wait in sorted(waits))
    print(f"seconds from the condemning look to the SDK serving the old version: {shown}")
    print(f"worst {worst:.2f} s = {worst / LIMIT_SECONDS:.2f} of the limit of {LIMIT_SECONDS} s")


async def _measure(service: LiveService, n: int) -> float:
    key = f"guided-{n}"
    api = service.api
    write = api.post("/write-keys", {"name": key})["write_key"]
    connection = api.post("/connections", {"name": key, "environment": "production"})
    api.post("/flags", {"key": key})
    body = plan(key=key, flag=key, goals=[], look_every_seconds=1)
    api.post("/rollouts", body)
    api.post(f"/rollouts/{key}/start")
    client = GrowthBookClient(
        Options(
            api_host=service.url,
            client_key=connection["client_key"],
            refresh_strategy=FeatureRefreshStrategy.SERVER_SENT_EVENTS,
        )
    )
    await client.initialize()
    probe = await _somebody_treated(client, key)
    await asyncio.to_thread(_send_harm, service.url, write, key)
    until = time.time() + PATIENCE_SECONDS
    while time.time() < until:
        result = await client.eval_feature(key, UserContext(attributes={"id": probe}))
        if result.value is False:
            off_at = time.time()
            break
        await asyncio.sleep(0.01)
    else:
        raise SystemExit("the change was not withdrawn")
    await client.close()
    results = api.get(f"/rollouts/{key}/results")
    assert results["verdict"]["kind"] == "withdrawn"
    return off_at - datetime.fromisoformat(results["look"]["taken_at"]).timestamp()


async def _somebody_treated(client: GrowthBookClient, key: str) -> str:
    for number in range(1_000):
        unit = f"probe-{number}"
        result = await client.eval_feature(key, UserContext(attributes={"id": unit}))
        if result.value is True:
            return unit
    raise SystemExit("nobody gets the new version")


def _send_harm(url: str, write_key: str, rollout: str) -> None:
    events = []
    for arm, rate in (("control", 5), ("new", 2)):
        for number in range(UNITS):
            unit = f"{rollout}-{arm}-{number}"
            events.append(seen(unit, arm, rollout))
            if number % rate == 0:
                events.append(did(unit, "contact"))
    session = requests.Session()
    session.auth = (write_key, "")
    for at in range(0, len(events), 500):
        answer = session.post(f"{url}/v1/batch", json={"batch": events[at : at + 500]}, timeout=30)
        answer.raise_for_status()


if __name__ == "__main__":
    main()
