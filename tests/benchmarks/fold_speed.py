"""How fast the journal becomes statistics. Run: python -m tests.benchmarks.fold_speed

Prints events per second of folding alone, and the time from an event's answer to its statistic
while events arrive at 5,000 a second, beside the limit of 1 s.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from rollouts import tables  # noqa: F401
from rollouts.clock import utcnow
from rollouts.config import Settings
from rollouts.db import Base, Database
from rollouts.ingest.journal import Journal
from rollouts.ledger import service
from tests.rollouts.ledger.make import START, UNIT_KEY, frame, start_rollout

RATE_WANTED = 5_000  # events/s that must be folded ...
SECONDS_WANTED = 1.0  # ... within this time after their answer
BATCH = 100
TICK_SECONDS = 0.2


def events(n: int, n_units: int, seed: int) -> Iterator[dict[str, Any]]:
    """A fifth exposures, the others contacts and orders."""
    draw = random.Random(seed)
    now = utcnow()
    for number in range(n):
        unit = draw.randrange(n_units)
        happened = (now - timedelta(seconds=draw.random())).isoformat()
        base = {
            "type": "track",
            "userId": f"customer-{unit}",
            "messageId": f"{seed}-{number}",
            "timestamp": happened,
            "context": {"library": {"name": "bench", "version": "1.0"}, "channel": "server"},
        }
        kind = draw.random()
        if kind < 0.2:
            arm = "treatment" if unit % 2 else "control"
            shown = {"experiment_id": "new-checkout", "variation_id": arm}
            yield {**base, "event": "Experiment Viewed", "properties": shown}
        elif kind < 0.7:
            told = {"channel": draw.choice(["phone", "chat", "web"]), "reason": "late"}
            yield {**base, "event": "Contact Opened", "properties": told}
        else:
            bought = {"value": round(draw.random() * 90, 2), "currency": "EUR", "order_id": number}
            yield {**base, "event": "Order Completed", "properties": bought}


def append(journal: Journal, n: int, n_units: int, seed: int) -> None:
    """Put events into the journal."""
    held: list[dict[str, Any]] = []
    waiting = []
    received = since_start()
    for event in events(n, n_units, seed):
        held.append(event)
        if len(held) == BATCH:
            waiting.append(journal.append_future(frame(held, received=received)))
            held = []
    for future in waiting:
        future.result()


def fold_all(db: Database, journal: Journal, limit: int) -> tuple[int, float]:
    """Fold to the end: events and seconds."""
    began, n = time.perf_counter(), 0
    while True:
        folded = service.fold_once(db, journal, unit_key=UNIT_KEY, limit_events=limit, now=utcnow())
        n += folded.events
        if folded.is_caught_up:
            return n, time.perf_counter() - began


def send(folder: Path, seconds: float, n_units: int) -> None:
    """The sender's process: batches at the wanted rate; prints each offset and its time."""
    settings = Settings(var_dir=folder)
    journal = Journal.open(settings, Database(settings.store_url))
    held = list(events(int(RATE_WANTED * seconds), n_units, seed=7))
    began = time.monotonic()
    for place in range(0, len(held), BATCH):
        time.sleep(max(began + place / RATE_WANTED - time.monotonic(), 0))
        end = journal.append(frame(held[place : place + BATCH], received=since_start()))
        print(end, time.monotonic(), flush=True)
    journal.close()


def lag(folder: Path, db: Database, journal: Journal, seconds: float, n_units: int) -> list[float]:
    """Seconds from a batch's answer to the commit that counts it, at the wanted rate."""
    command = [sys.executable, "-m", "tests.benchmarks.fold_speed", "--send", str(folder)]
    command += ["--seconds", str(seconds), "--units", str(n_units)]
    sender = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    counted: list[tuple[int, float]] = []
    while True:
        is_last = sender.poll() is not None
        tick = time.monotonic()
        folded = service.fold_once(
            db, journal, unit_key=UNIT_KEY, limit_events=20_000, now=utcnow()
        )
        counted.append((folded.offset, time.monotonic()))
        if is_last and folded.is_caught_up:
            break
        time.sleep(max(TICK_SECONDS - (time.monotonic() - tick), 0))
    assert sender.stdout is not None
    answered = [line.split() for line in sender.stdout]
    return [
        next(at for offset, at in counted if offset >= int(end)) - float(at_answer)
        for end, at_answer in answered
    ]


def since_start() -> float:
    """Seconds since the benchmark's rollout started, for the arrival of frames."""
    return (utcnow() - START).total_seconds()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--units", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--limit", type=int, default=20_000)
    parser.add_argument("--send", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.send:
        send(given.send, given.seconds, given.units)
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var_dir=Path(folder))
        db = Database(settings.store_url)
        Base.metadata.create_all(db.engine)
        with db.transaction() as session:
            start_rollout(session)
        journal = Journal.open(settings, db)
        append(journal, given.events, given.units, seed=1)
        n, took = fold_all(db, journal, given.limit)
        rate = n / took
        print(f"fold: {rate:,.0f} events/s, {rate / RATE_WANTED:.1f} times the wanted rate")
        lags = lag(Path(folder), db, journal, given.seconds, given.units)
        worst = statistics.quantiles(lags, n=100)[98]
        print(
            f"event to statistic at {RATE_WANTED:,}/s: median {statistics.median(lags):.3f} s, "
            f"p99 {worst:.3f} s, {SECONDS_WANTED / worst:.1f} times faster than wanted"
        )
        with db.reading() as session:
            wrong = service.verify(session)
        print("kept sums equal a recount" if not wrong else f"DIFFER: {wrong}")
        journal.close()
        db.dispose()


if __name__ == "__main__":
    main()
