"""A metric that is added later is counted slice by slice, while folding goes on."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollouts.ledger import folding, service
from rollouts.ledger.current import current_catalogue
from rollouts.ledger.filling import fill_slice, list_unfilled
from tests.rollouts.ledger.conftest import Books
from tests.rollouts.ledger.make import (
    ALL_METRICS,
    CONTACTED,
    CONTACTS,
    at,
    cut_allocation,
    exposure,
    lock_plan,
    outcome,
    start_rollout,
)
from tests.rollouts.ledger.reference import reckon
from tests.rollouts.ledger.test_laws import CUTS, agree, fresh_books, histories

TREATMENT = 1


def fill(books: Books, size: int) -> bool:
    """One slice of so many units, if there is anything to fill."""
    with books.db.transaction() as session:
        unfilled = list_unfilled(session)
        if unfilled:
            counting = current_catalogue(session).countings[min(unfilled)]
            fill_slice(session, counting, size)
        return bool(unfilled)


def known(books: Books) -> set[int]:
    """Metrics whose sums are known now; the self-check has nothing to say meanwhile."""
    with books.db.reading() as session:
        assert service.verify(session) == []
        return {metric for metric, _, _ in service.sums(session, 1).by_metric}


def test_a_metric_is_not_known_until_it_is_filled(books: Books) -> None:
    """The others stay known; new outcomes and new units count at once, whichever slice is due."""
    with books.db.transaction() as session:
        start_rollout(session, metrics={1: CONTACTS})
    units = [f"u{number}" for number in range(30)]
    books.take(*(event for unit in units for event in (exposure(unit), outcome(unit, seconds=5))))
    books.fold()
    with books.db.transaction() as session:
        lock_plan(session, 1, {1: CONTACTS, 2: CONTACTS}, version=2)

    n_slices = 0
    books.take(outcome("u0", seconds=6))
    books.fold()
    while fill(books, 10):
        n_slices += 1
        with books.db.reading() as session:
            is_done = not list_unfilled(session)
        assert known(books) == ({1, 2} if is_done else {1})
        books.take(exposure(f"new-{n_slices}"), outcome("u1", seconds=10 + n_slices))
        books.take(outcome(f"new-{n_slices}", seconds=20))
        books.fold()

    # Three slices of thirty units, units that came meanwhile, and one that finds no more.
    assert n_slices in (4, 5)
    expected = (30 + n_slices, 30.0 + 1 + 2 * n_slices)
    assert books.means(1)[TREATMENT] == books.means(2)[TREATMENT] == expected


def test_a_look_waits_for_no_half_counted_metric(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catching up fills to the end, in transactions of one slice, so that others get a turn."""
    with books.db.transaction() as session:
        start_rollout(session, metrics={1: CONTACTS})
        start_rollout(session, "second", metrics={1: CONTACTS})
    seen = [exposure(f"u{n}", rollout=key) for n in range(5) for key in ("new-checkout", "second")]
    books.take(*seen, *(outcome(f"u{n}", seconds=5, channel="phone") for n in range(5)))
    books.fold()
    with books.db.transaction() as session:
        for rollout_id in (1, 2):
            lock_plan(session, rollout_id, {1: CONTACTS, 2: CONTACTED}, version=2)
    monkeypatch.setattr(folding, "SLICE", 2)
    slices = []
    monkeypatch.setattr(
        folding, "fill", lambda db, whole=folding.fill: slices.append(whole(db)) or slices[-1]
    )

    assert [books.means(2, number)[TREATMENT] for number in (1, 2)] == [(5, 5.0), (5, 5.0)]
    assert slices[:9] == [True] * 8 + [False]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, st.randoms(use_true_random=False))
def test_slices_between_folds_lead_to_the_sums_of_the_final_plan(
    history: list[dict[str, Any]], draw: random.Random
) -> None:
    """Whatever comes between two slices: events, late exposures, a ramp, yet another metric."""
    plans = [dict(list(ALL_METRICS.items())[:n]) for n in (1, 2, 4)]
    moments = sorted(draw.randint(0, len(history)) for _ in range(4))
    with fresh_books() as books:
        with books.db.transaction() as session:
            rollout_id = start_rollout(session, metrics=plans[0])
        for place, event in enumerate([*history, None]):
            with books.db.transaction() as session:
                for version in (2, 3):
                    if place == moments[version - 2]:
                        lock_plan(session, rollout_id, plans[version - 1], version=version)
                for cut, moment in zip(CUTS[1:], moments[2:], strict=True):
                    if place == moment:
                        cut_allocation(session, rollout_id, cut)
            if event is not None:
                books.take(event)
                books.fold()
            for _ in range(draw.randint(0, 2)):
                fill(books, draw.randint(1, 2))
        agree(books.sums(), reckon(history, ALL_METRICS, map(at, CUTS)))
