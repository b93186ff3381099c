"""Any order, any repetition and any split of the same events gives the same sums."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.summary import PairSummary
from rollouts import tables  # noqa: F401
from rollouts.db import Base, Database
from rollouts.ledger import service
from rollouts.ledger.model import Sums
from tests.rollouts.ingest.make import open_journal
from tests.rollouts.ledger.conftest import Books
from tests.rollouts.ledger.make import (
    ALL_METRICS,
    at,
    cut_allocation,
    exposure,
    lock_plan,
    outcome,
    start_rollout,
)
from tests.rollouts.ledger.reference import Expected, reckon

CUTS = (0.0, 40.0, 80.0)

units = st.sampled_from(["ann", "bob", "cyd", "dan", "eve"])
seconds = st.integers(0, 120)
exposures = st.builds(
    exposure,
    units,
    st.sampled_from(["treatment", "treatment", "treatment", "control"]),
    seconds,
    rollout=st.sampled_from(["new-checkout", "new-checkout", "unknown"]),
)
contacts = st.builds(
    outcome,
    units,
    st.just("Contact Opened"),
    seconds,
    message=st.uuids().map(str),
    channel=st.sampled_from(["phone", "chat"]),
    reason=st.sampled_from(["late", "praise"]),
)
orders = st.builds(
    outcome,
    units,
    st.just("Order Completed"),
    seconds,
    message=st.uuids().map(str),
    value=st.integers(-50, 400) | st.floats(0, 300),
)
histories = st.lists(exposures | contacts | orders, max_size=40)


@contextmanager
def fresh_books() -> Iterator[Books]:
    """Books on a store of their own, for one example."""
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{folder}/rollouts.db")
        Base.metadata.create_all(db.engine)
        journal = open_journal(db, Path(folder))
        yield Books(db, journal)
        journal.close()
        db.dispose()


def agree(sums: Sums, expected: Expected) -> None:
    """The same units, and the same sums but for rounding."""
    assert dict(sums.units) == expected.units
    assert sums.crossed == expected.crossed
    assert set(sums.by_metric) == set(expected.by_metric)
    for key, wanted in expected.by_metric.items():
        held = sums.by_metric[key]
        assert held.n == wanted.n
        for name in PairSummary.__slots__:
            assert getattr(held, name) == pytest.approx(getattr(wanted, name), rel=1e-9, abs=1e-6)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, st.randoms(use_true_random=False))
def test_order_repetition_and_split_change_nothing(
    history: list[dict[str, Any]], draw: random.Random
) -> None:
    """Shuffled, with repeats, cut into frames and folds anywhere: sums equal plain reckoning."""
    sent = [*history, *draw.sample(history, k=len(history) // 3)]
    draw.shuffle(sent)
    with fresh_books() as books:
        with books.db.transaction() as session:
            start_rollout(session, cuts=CUTS)
        while sent:
            n = draw.randint(1, 8)
            books.take(*sent[:n])
            sent = sent[n:]
            if draw.random() < 0.5:
                books.fold(limit_events=draw.randint(1, 10))
        agree(books.sums(), reckon(history, ALL_METRICS, map(at, CUTS)))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, st.integers(0, 40), st.integers(0, 40))
def test_a_plan_that_moves_on_counts_as_if_it_had_always_been_so(
    history: list[dict[str, Any]], n_before_ramp: int, n_before_metrics: int
) -> None:
    """A ramp and added metrics in the middle lead to the sums of the final plan."""
    first = dict(list(ALL_METRICS.items())[:2])
    with fresh_books() as books:
        with books.db.transaction() as session:
            rollout_id = start_rollout(session, metrics=first)
        for place, event in enumerate([*history, None]):
            with books.db.transaction() as session:
                if place == min(n_before_ramp, len(history)):
                    for cut in CUTS[1:]:
                        cut_allocation(session, rollout_id, cut)
                if place == min(n_before_metrics, len(history)):
                    lock_plan(session, rollout_id, ALL_METRICS, version=2)
            if event is not None:
                books.take(event)
                books.fold()
        agree(books.sums(), reckon(history, ALL_METRICS, map(at, CUTS)))


def test_a_long_history_on_both_stores(books: Books) -> None:
    """Some thousand events in large frames, the same on SQLite and PostgreSQL."""
    draw = random.Random(20260514)
    names = [f"u{number}" for number in range(400)]
    history = []
    for number in range(4_000):
        unit, second = draw.choice(names), draw.randrange(3_000)
        kind = draw.random()
        if kind < 0.3:
            arm = "treatment" if int(unit[1:]) % 2 or draw.random() < 0.01 else "control"
            history.append(exposure(unit, arm, second))
        elif kind < 0.7:
            told = {"channel": draw.choice(["phone", "chat"]), "reason": "late"}
            history.append(outcome(unit, "Contact Opened", second, message=str(number), **told))
        else:
            value = round(draw.uniform(1, 300), 2)
            history.append(
                outcome(unit, "Order Completed", second, message=str(number), value=value)
            )
    with books.db.transaction() as session:
        start_rollout(session, cuts=(0.0, 1_000.0, 2_000.0))
    for place in range(0, len(history), 250):
        books.take(*history[place : place + 250])
        if place % 1_000 == 0:
            books.fold(limit_events=700)

    expected = reckon(history, ALL_METRICS, map(at, (0.0, 1_000.0, 2_000.0)))

    agree(books.sums(), expected)
    assert expected.crossed > 0
    with books.db.reading() as session:
        assert service.offset(session) == 4_000
        assert service.recount(session, 1).by_metric.keys() == expected.by_metric.keys()
    assert books.fold().events == 0
