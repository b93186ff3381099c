"""What is read unit by unit when a look asks, at many customers. Run:
python -m tests.benchmarks.kinds_speed --units 300000

Prints seconds for each reading, and times a plain sum over the same rows, which is the least it
could cost. With SQLite, which works in this very process, seconds are the processor's, so that
what else the machine does is left out. A store of its own; nothing is left behind.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from rollouts import tables  # noqa: F401
from rollouts.config import Settings
from rollouts.db import Base, Database
from rollouts.ingest.model import to_us
from rollouts.ledger import service as ledger
from rollouts.ledger.bulk import chunks, is_sqlite, table_of
from rollouts.ledger.store import ExposureRow, OutcomeRow, TotalRow, UnitSegmentRow
from rollouts.lifecycle.measured import MeasuredMetric
from rollouts.metrics.model import (
    Aggregation,
    Definition,
    Direction,
    Filter,
    Per,
    Selector,
    Statistic,
    Survey,
)
from tests.rollouts.ledger.make import ENVIRONMENT, START, start_rollout

HANDLED = Definition(
    Selector("handled"),
    Aggregation.SUM,
    Direction.DOWN,
    window=timedelta(days=7),
    pre_period=timedelta(days=7),
)
ANSWERS = Definition(
    Selector("handled"),
    Aggregation.AVERAGE,
    Direction.DOWN,
    survey=Survey(0, 100, Selector("asked")),
)
FIRST = Definition(Selector("handled"), Aggregation.ANY, Direction.UP, statistic=Statistic.TIME)
EVENTS = Definition(
    Selector("handled"),
    Aggregation.AVERAGE,
    Direction.DOWN,
    statistic=Statistic.QUANTILE,
    quantile=0.9,
    per=Per.EVENT,
)
METRIC = 1
SECOND = 1_000_000


def fill(session: Session, rollout_id: int, n: int, per_unit: int) -> None:
    """Customers in two versions; each with events before and after, a total and a segment."""
    draw = random.Random(3)
    for units in chunks([draw.getrandbits(63) for _ in range(n)]):
        _add(session, ExposureRow, [_exposure(unit, rollout_id, draw) for unit in units])
        totals = [(u, [draw.expovariate(0.2) for _ in range(per_unit)]) for u in units]
        _add(session, TotalRow, [_total(u, rollout_id, held) for u, held in totals])
        _add(session, OutcomeRow, [row for u, held in totals for row in _outcomes(u, held, draw)])
        segments = [
            {"unit": u, "rollout_id": rollout_id, "attribute": "plan", "value": f"p{u % 5}"}
            for u in units
        ]
        _add(session, UnitSegmentRow, segments)


def _add(session: Session, row: Any, rows: list[dict[str, Any]]) -> None:
    session.execute(insert(table_of(row)), rows)


def _exposure(unit: int, rollout_id: int, draw: random.Random) -> dict[str, Any]:
    return {
        "unit": unit,
        "rollout_id": rollout_id,
        "variation": unit % 2,
        "stratum": 0,
        "first_us": to_us(START) + draw.randrange(14 * 86_400) * SECOND,
        "is_crossed": False,
        "is_trusted": True,
    }


def _total(unit: int, rollout_id: int, held: list[float]) -> dict[str, Any]:
    return {
        "unit": unit,
        "rollout_id": rollout_id,
        "metric_version_id": METRIC,
        "x": sum(held),
        "y": float(len(held)),
    }


def _outcomes(unit: int, held: list[float], draw: random.Random) -> Iterator[dict[str, Any]]:
    values = [("handled", value, 30) for value in held] + [("asked", None, 30)]
    for name, value, day in [*values, ("handled", 5.0, -3)]:
        yield {
            "unit": unit,
            "at_us": to_us(START) + int((day + draw.random()) * 86_400) * SECOND,
            "environment_id": ENVIRONMENT,
            "name": name,
            "value": value,
            "channel": "phone",
            "properties": json.dumps({"team": "a", "minutes": value}),
            "is_trusted": True,
        }


def readings(session: Session, rollout_id: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each reading by its name."""
    end = START + timedelta(days=60)
    filtered = replace(EVENTS, numerator=Selector("handled", filters=(Filter("team", value="a"),)))
    before = replace(HANDLED, window=None)
    yield "matured", lambda: ledger.matured_sums(session, rollout_id, METRIC, HANDLED, end)
    yield "histogram", lambda: ledger.histograms(session, rollout_id, METRIC, before)
    yield "segment", lambda: ledger.segment_sums(session, rollout_id, "plan", METRIC, before)
    measured = MeasuredMetric(METRIC, "handled", before)
    yield (
        "pre-period",
        lambda: ledger.before_and_after(session, rollout_id, ENVIRONMENT, measured),
    )
    yield "times", lambda: ledger.times(session, rollout_id, ENVIRONMENT, FIRST, end)
    yield "cut", lambda: ledger.whole_sums(session, rollout_id, METRIC, replace(before, cap=20.0))
    yield "cut's limit", lambda: ledger.cut_limit(session, rollout_id, METRIC, before, 0.99)
    yield "asked", lambda: ledger.asked(session, rollout_id, ENVIRONMENT, METRIC, ANSWERS)
    yield "events", lambda: ledger.events_of(session, rollout_id, ENVIRONMENT, EVENTS)
    yield (
        "events, filtered",
        lambda: ledger.events_of(session, rollout_id, ENVIRONMENT, filtered),
    )


def clock(session: Session) -> float:
    """Seconds of work."""
    return time.process_time() if is_sqlite(session) else time.perf_counter()


def floor(session: Session, rollout_id: int) -> float:
    """Seconds of a plain sum over exposures and totals: a group-by and nothing else."""
    seen, totals = table_of(ExposureRow), table_of(TotalRow)
    query = (
        select(seen.c.variation, func.count(), func.sum(totals.c.x))
        .select_from(
            seen.join(
                totals, (totals.c.unit == seen.c.unit) & (totals.c.rollout_id == seen.c.rollout_id)
            )
        )
        .group_by(seen.c.variation)
    )
    began = clock(session)
    session.execute(query.where(seen.c.rollout_id == rollout_id)).all()
    return clock(session) - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=300_000)
    parser.add_argument("--per-unit", type=int, default=3)
    parser.add_argument("--database", default="", help="an empty PostgreSQL; else SQLite")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = Database(given.database or Settings(var_dir=Path(folder)).store_url)
        Base.metadata.create_all(db.engine)
        with db.transaction() as session:
            mine = start_rollout(session, metrics={METRIC: HANDLED})
            other = start_rollout(session, "other", metrics={METRIC: HANDLED})
            fill(session, mine, given.units, given.per_unit)
            fill(session, other, given.units // 2, 1)  # a store holds more than one rollout
        measure(db, mine)
        db.dispose()


def measure(db: Database, rollout_id: int) -> None:
    """Every reading, each in a transaction of its own."""
    with db.reading() as session:
        least = min(floor(session, rollout_id) for _ in range(3))
    print(f"{'plain group-by':<18}{least:8.2f} s")
    names = []
    with db.reading() as session:
        names = [name for name, _ in readings(session, rollout_id)]
    for place, name in enumerate(names):
        with db.reading() as session:
            _, read = list(readings(session, rollout_id))[place]
            began = clock(session)
            read()
            took = clock(session) - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:<18}{took:8.2f} s  {took / least:6.1f} x  peak {peak:,.0f} MB")


if __name__ == "__main__":
    main()
