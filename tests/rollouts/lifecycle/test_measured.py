"""What is counted for is asked for several times a second: right each time, and nearly for free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from rollouts.db import Database
from rollouts.ledger.current import current_catalogue
from rollouts.lifecycle.measured import Measured, list_measured
from rollouts.lifecycle.store import RolloutRow
from tests.rollouts.ledger.make import (
    CONTACTED,
    CONTACTS,
    REVENUE,
    at,
    cut_allocation,
    lock_plan,
    start_rollout,
)


def listed(db: Database) -> dict[str, Measured]:
    """What is measured now, by key."""
    with db.reading() as session:
        return {item.key: item for item in list_measured(session)}


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """The statements that a store is asked meanwhile."""
    held: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        held.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield held
    event.remove(db.engine, "before_cursor_execute", note)


def test_what_is_unchanged_is_not_read_again(db: Database) -> None:
    """Fifty rollouts cost three questions, no plan is read, and the very same objects come back."""
    with db.transaction() as session:
        for number in range(50):
            start_rollout(session, f"r{number}", metrics={number: CONTACTS})
    before = listed(db)

    with statements(db) as asked:
        after = listed(db)

    assert sum(text.startswith("SELECT") for text in asked) == 3
    assert not any("body" in text for text in asked)
    assert all(after[key] is before[key] for key in before)
    with db.reading() as session:
        assert current_catalogue(session) is current_catalogue(session)


@pytest.mark.parametrize("change", ["plan", "cut", "end"])
def test_a_change_is_seen_at_once(db: Database, change: str) -> None:
    """A new version of the plan, a step of the ramp or the end; the neighbour stays as it was."""
    with db.transaction() as session:
        number = start_rollout(session, "moving", metrics={1: CONTACTS})
        start_rollout(session, "resting", metrics={1: CONTACTS})
    before = listed(db)
    with db.reading() as session:
        held = current_catalogue(session)

    with db.transaction() as session:
        if change == "plan":
            lock_plan(session, number, {1: CONTACTS, 2: REVENUE}, version=2)
        elif change == "cut":
            cut_allocation(session, number, 60)
        else:
            session.get_one(RolloutRow, number).ended_at = at(60)
    after = listed(db)["moving"]

    assert len(after.metrics) == (2 if change == "plan" else 1)
    assert after.cuts == ((at(0), at(60)) if change == "cut" else (at(0),))
    assert after.ended_at == (at(60) if change == "end" else None)
    assert (after.fingerprint == before["moving"].fingerprint) == (change == "end")
    assert listed(db)["resting"] is before["resting"]
    with db.reading() as session:
        assert current_catalogue(session) is not held


def test_a_plan_that_was_undone_is_not_remembered(db: Database) -> None:
    """Its number may be another plan's tomorrow; the hash tells them apart."""
    with db.transaction() as session:
        number = start_rollout(session, "moving", metrics={1: CONTACTS})
    with db.reading() as session:  # a session that never commits
        lock_plan(session, number, {1: CONTACTS, 2: REVENUE}, version=2)
        cut_allocation(session, number, 60)
        assert [metric.metric_version_id for metric in list_measured(session)[0].metrics] == [1, 2]
    assert [metric.metric_version_id for metric in listed(db)["moving"].metrics] == [1]
    with db.transaction() as session:
        lock_plan(session, number, {1: CONTACTS, 3: CONTACTED}, version=2)
        cut_allocation(session, number, 90)

    held = listed(db)["moving"]
    assert [metric.metric_version_id for metric in held.metrics] == [1, 3]
    assert held.cuts[-1] - held.cuts[0] == timedelta(seconds=90)
