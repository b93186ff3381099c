"""What becomes of events once they are folded: each defined case, on both stores."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from analysis.summary import PairSummary
from rollouts.ingest.model import Source
from rollouts.ledger import apply, service
from rollouts.ledger.store import (
    ExposureRow,
    OutcomeRow,
    RecentExposureRow,
    RefusedRow,
    SeenMessageRow,
    SumRow,
)
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector
from tests.rollouts.ledger.conftest import Books
from tests.rollouts.ledger.make import (
    ALL_METRICS,
    CONTACTS,
    REVENUE,
    UNIT_KEY,
    at,
    cut_allocation,
    exposure,
    frame,
    lock_plan,
    outcome,
    start_rollout,
)

CONTROL, TREATMENT = 0, 1


def start(books: Books, **more: Any) -> int:
    """Start a rollout."""
    with books.db.transaction() as session:
        return start_rollout(session, **more)


def nowhere(books: Books) -> dict[str, int]:
    """Refusals that belong to no rollout."""
    with books.db.reading() as session:
        rows = session.scalars(select(RefusedRow).where(RefusedRow.rollout_id == 0))
        return {row.reason: row.n for row in rows}


def test_exposures_and_outcomes_become_sums(books: Books) -> None:
    """Every unit counts, also one without an outcome; every metric gets its own total."""
    start(books)
    books.take(
        exposure("ann", "treatment"),
        exposure("bob", "control"),
        exposure("cyd", "treatment"),
        outcome("ann", seconds=10, channel="phone"),
        outcome("ann", seconds=20, channel="chat"),
        outcome("bob", "Order Completed", 30, value=80),
        outcome("ann", "Order Completed", 40, value=300),
        outcome("eve", seconds=10),
    )

    sums = books.sums()

    assert sums.units == {(CONTROL, 0): 1, (TREATMENT, 0): 2}
    assert sums.by_metric[1, TREATMENT, 0] == PairSummary.of([2, 0], [1, 1])
    assert sums.by_metric[2, TREATMENT, 0] == PairSummary.of([1, 0], [1, 1])
    assert sums.by_metric[3, TREATMENT, 0] == PairSummary.of([250, 0], [1, 1])
    assert sums.by_metric[3, CONTROL, 0] == PairSummary.of([80], [1])
    assert sums.by_metric[4, TREATMENT, 0] == PairSummary.of([2, 0], [1, 0])
    assert sums.by_metric[4, CONTROL, 0] == PairSummary.of([0], [1])
    assert (sums.crossed, sums.untrusted_units, dict(sums.refused)) == (0, 0, {})
    assert sums.data_at == at(3600)
    assert sums.last_event_at[1] == at(20)
    assert sums.last_event_at[3] == at(40)


def test_a_rollout_without_traffic_has_empty_sums(books: Books) -> None:
    """No events is an answer, not an error."""
    start(books)

    sums = books.sums()

    assert (sums.units, sums.by_metric, sums.crossed, sums.data_at) == ({}, {}, 0, None)


def test_a_repeated_message_counts_once(books: Books) -> None:
    """In one frame, in the next one, and after another fold; and it is counted as a repeat."""
    start(books)
    contact = outcome("ann", message="m1")
    books.take(exposure("ann"), contact, contact)
    books.take(contact)
    books.fold()
    books.take(contact)

    assert books.means(1)[TREATMENT] == (1, 1.0)
    assert nowhere(books) == {"repeated message": 3}


def test_an_exposure_that_comes_late_counts_what_came_before_it(books: Books) -> None:
    """Outcomes folded before the exposure count from the exposure's own time on."""
    start(books)
    books.take(outcome("ann", seconds=5), outcome("ann", seconds=15))
    books.fold()
    books.take(exposure("ann", seconds=10))

    assert books.means(1)[TREATMENT] == (1, 1.0)


def test_an_earlier_exposure_moves_the_start_of_a_unit(books: Books) -> None:
    """The first exposure decides, whenever it arrives: from when, in which stratum."""
    start(books, cuts=(0.0, 100.0))
    books.take(
        exposure("ann", seconds=150), outcome("ann", seconds=50), outcome("ann", seconds=160)
    )
    assert books.sums().units == {(TREATMENT, 1): 1}
    assert books.means(1)[TREATMENT] == (1, 1.0)
    books.take(exposure("ann", seconds=20))

    assert books.sums().units == {(TREATMENT, 0): 1}
    assert books.means(1)[TREATMENT] == (1, 2.0)


def test_a_window_closes(books: Books) -> None:
    """Outcomes past the window do not count; an earlier exposure closes it earlier."""
    start(books)
    week = timedelta(days=7).total_seconds()
    books.take(exposure("ann", seconds=60))
    books.take(outcome("ann", seconds=week + 30), received=week + 60)
    assert books.means(1)[TREATMENT] == (1, 1.0)
    books.take(exposure("ann", seconds=10))

    assert books.means(1)[TREATMENT] == (1, 0.0)


def test_a_unit_in_two_variations_is_quarantined_and_counted(books: Books) -> None:
    """It leaves every sum at once, stays out, and is published as crossed."""
    start(books)
    books.take(exposure("ann", "treatment"), outcome("ann", seconds=1), exposure("bob", "control"))
    assert books.means(1)[TREATMENT] == (1, 1.0)
    books.take(exposure("ann", "control", 5))
    books.fold()
    books.take(outcome("ann", seconds=6), exposure("ann", "treatment", 1))

    sums = books.sums()

    assert sums.units == {(CONTROL, 0): 1}
    assert sums.crossed == 1
    assert set(sums.by_metric) == {(number, CONTROL, 0) for number in ALL_METRICS}


def test_exposures_of_unknown_rollouts_are_counted_and_shown(books: Books) -> None:
    """They are kept nowhere else: nobody can say what they would have counted for."""
    books.take(exposure("ann", rollout="other"))
    books.fold()

    assert nowhere(books) == {"unknown rollout": 1}
    with books.db.reading() as session:
        (shown,) = service.list_recent(session, unit_key=UNIT_KEY, rollout="other")
        assert (shown.reason, shown.variation) == ("unknown rollout", "treatment")


@pytest.mark.parametrize(
    ("event", "more", "reason"),
    [
        (exposure("ann", "blue"), {}, "unknown variation"),
        (exposure("ann", seconds=-61), {}, "before the rollout started"),
        (exposure("ann"), {"environment_id": 9}, "sent for another environment"),
        (
            exposure("ann", properties={
                "experiment_id": "new-checkout", "variation_id": "control",
                "hash_attribute": "company", "hash_value": "c",
            }),
            {},
            "hashed by another attribute than the rollout's unit",
        ),
        (
            exposure("ann", properties={
                "experiment_id": "new-checkout", "variation_id": "control", "hash_used": False,
            }),
            {},
            "forced or not in the experiment",
        ),
    ],
)  # fmt: skip
def test_exposures_that_cannot_count_say_why(
    books: Books, event: dict[str, Any], more: dict[str, Any], reason: str
) -> None:
    """Each refusal is counted for its rollout under a reason, and makes no unit."""
    start(books)
    books.take(event, **more)

    sums = books.sums()

    assert (dict(sums.refused), sums.units) == ({reason: 1}, {})


def test_a_clock_slightly_wrong_is_no_reason(books: Books) -> None:
    """An exposure up to a minute before the start counts, in the first stratum."""
    start(books)
    books.take(exposure("ann", seconds=-60))

    assert books.sums().units == {(TREATMENT, 0): 1}


@pytest.mark.parametrize("name", ["treatment", "1", "Treatment"])
def test_a_variation_is_known_by_key_place_or_name(books: Books, name: str) -> None:
    """Senders use one of the three; the key wins where they collide."""
    start(books)
    books.take(exposure("ann", name))

    assert books.sums().units == {(TREATMENT, 0): 1}


def seen_by_page(unit: str, variation: str) -> dict[str, Any]:
    """An exposure as the tracking plugin of a page posts it."""
    return {
        "event_name": "Experiment Viewed",
        "device_id": unit,
        "properties_json": {
            "experimentId": "new-checkout",
            "variationId": variation,
            "hashAttribute": "id",
            "hashValue": unit,
        },
    }


def test_public_keys_move_no_unit_to_another_variation(books: Books) -> None:
    """A forged variation is refused and counted; one that our own hash gives is taken."""
    start(books)
    page = {"source": Source.GROWTHBOOK, "is_trusted": False}
    units = [f"customer-{number}" for number in range(40)]
    books.take(*(seen_by_page(unit, "treatment") for unit in units), **page)
    books.take(*(seen_by_page(unit, "control") for unit in units), **page)

    sums = books.sums()

    assert sum(sums.units.values()) == 40
    assert (sums.crossed, sums.untrusted_units) == (0, 40)
    assert dict(sums.refused) == {"variation differs from our own assignment": 40}


def test_a_trusted_exposure_confirms_an_untrusted_one(books: Books) -> None:
    """One trusted sighting is enough; in which order they come does not matter."""
    start(books)
    page = {"source": Source.GROWTHBOOK, "is_trusted": False}
    for variation in ("treatment", "control"):
        books.take(seen_by_page("ann", variation), **page)
    variation = {0: "control", 1: "treatment"}[next(iter(books.sums().units))[0]]
    assert books.sums().untrusted_units == 1
    books.take(exposure("ann", variation, 60))

    assert (books.sums().untrusted_units, books.sums().crossed) == (0, 0)


def test_untrusted_outcomes_count_only_where_a_metric_allows(books: Books) -> None:
    """They are kept, and enter the metrics that say so in the locked plan."""
    start(books, metrics={1: CONTACTS, 2: replace(CONTACTS, allow_untrusted=True)})
    books.take(exposure("ann"))
    books.take(outcome("ann", seconds=5), is_trusted=False)

    assert books.means(1)[TREATMENT] == (1, 0.0)
    assert books.means(2)[TREATMENT] == (1, 1.0)


def test_negative_values_are_refused_where_they_cannot_be(books: Books) -> None:
    """They add nothing to a sum that does not allow them, and are counted as refused."""
    start(books, metrics={1: REVENUE, 2: replace(REVENUE, allow_negative=True, cap=None)})
    books.take(
        exposure("ann"),
        outcome("ann", "Order Completed", 1, value=-30),
        outcome("ann", "Order Completed", 2, value=50),
    )

    assert books.means(1)[TREATMENT] == (1, 50.0)
    assert books.means(2)[TREATMENT] == (1, 20.0)
    assert dict(books.sums().refused) == {"negative value": 1}


def test_events_of_another_environment_do_not_count(books: Books) -> None:
    """Each environment's outcomes are its own; a key for all environments counts in each."""
    start(books)
    books.take(exposure("ann"))
    books.take(outcome("ann", seconds=1), environment_id=9)
    books.take(outcome("ann", seconds=2), environment_id=0)

    assert books.means(1)[TREATMENT] == (1, 1.0)


def test_each_rollout_counts_by_its_own_unit(books: Books) -> None:
    """One contact counts for the person in one rollout and for the company in another."""
    start(books)
    start(books, key="by-company", unit="company")
    shown = {"experiment_id": "by-company", "variation_id": "control", "hash_attribute": "company"}
    books.take(
        exposure("ann"),
        exposure("ann", properties={**shown, "hash_value": "acme"}),
        outcome("ann", seconds=5, company="acme"),
        outcome("bob", seconds=6, company="acme"),
    )

    assert books.means(1)[TREATMENT] == (1, 1.0)
    assert books.means(1, rollout_id=2)[CONTROL] == (1, 2.0)


def test_events_that_no_metric_wants_are_kept_for_later(books: Books) -> None:
    """A metric that a new version of the plan adds is counted from what came before."""
    rollout_id = start(books, metrics={1: CONTACTS})
    books.take(exposure("ann"), exposure("bob", "control"), outcome("ann", "Refund Asked", 5))
    assert set(books.sums().by_metric) == {(1, 0, 0), (1, 1, 0)}
    refunds = Definition(Selector("Refund Asked"), Aggregation.COUNT, Direction.DOWN)
    with books.db.transaction() as session:
        lock_plan(session, rollout_id, {1: CONTACTS, 9: refunds}, version=2)

    assert books.means(9) == {CONTROL: (1, 0.0), TREATMENT: (1, 1.0)}


def test_a_ramp_cuts_a_new_stratum(books: Books) -> None:
    """Units first exposed since the cut move to its stratum, even if they were folded before."""
    rollout_id = start(books)
    books.take(
        exposure("ann", seconds=5), exposure("bob", seconds=120), outcome("bob", seconds=121)
    )
    assert books.sums().units == {(TREATMENT, 0): 2}
    with books.db.transaction() as session:
        cut_allocation(session, rollout_id, 100.0)

    sums = books.sums()

    assert sums.units == {(TREATMENT, 0): 1, (TREATMENT, 1): 1}
    assert sums.by_metric[1, TREATMENT, 0].x_total == 0.0
    assert sums.by_metric[1, TREATMENT, 1].x_total == 1.0


def test_crossed_units_stay_counted_when_the_plan_moves_on(books: Books) -> None:
    """Counting anew counts each crossed unit once."""
    rollout_id = start(books, metrics={1: CONTACTS})
    books.take(exposure("ann", "control"), exposure("ann", "treatment", 1), exposure("bob"))
    assert books.sums().crossed == 1
    with books.db.transaction() as session:
        lock_plan(session, rollout_id, {1: CONTACTS, 3: REVENUE}, version=2)

    assert (books.sums().crossed, books.sums().units) == (1, {(TREATMENT, 0): 1})


def test_one_unit_cannot_fill_the_store(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its cap a unit's outcomes are refused and counted; others are not affected."""
    monkeypatch.setattr(apply, "UNIT_OUTCOMES_MAX", 5)
    start(books)
    books.take(exposure("ann"), exposure("bob"))
    books.take(*(outcome("ann", seconds=n) for n in range(4)))
    books.fold()
    books.take(*(outcome("ann", seconds=n) for n in range(10, 14)), outcome("bob", seconds=3))

    assert books.means(1)[TREATMENT] == (2, 6.0)
    assert nowhere(books) == {apply.TOO_MANY: 3}


def test_an_event_without_any_unit_is_counted_as_such(books: Books) -> None:
    """A page's event without ids belongs to nobody."""
    start(books)
    books.take({"event_name": "Searched"}, source=Source.GROWTHBOOK, is_trusted=False)
    books.fold()

    assert nowhere(books) == {"names no unit": 1}


def test_damaged_frames_are_published_and_stop_nothing(books: Books) -> None:
    """What cannot be read is logged and counted as lost; the events after it count."""
    start(books)
    books.take(exposure("ann"))
    books.journal.append(replace(frame([outcome("ann")]), events=b'[{"type": 7}]'))
    books.take(outcome("ann", seconds=2))

    sums = books.sums()

    assert sums.damaged == 1
    assert sums.by_metric[1, TREATMENT, 0].x_total == 1.0


def test_folding_goes_on_where_it_stopped(books: Books) -> None:
    """In bites of any size, to the end as of the call; then there is nothing to do."""
    start(books)
    for number in range(10):
        books.take(exposure(f"u{number}"), outcome(f"u{number}", seconds=1))

    first = books.fold(limit_events=5)
    n = service.catch_up(books.db, books.journal, unit_key=UNIT_KEY, now=at(3600))

    assert (first.events, first.offset, first.is_caught_up) == (6, 6, False)
    assert n == 14
    assert books.fold() == service.Folded(0, 20, True)
    assert books.means(1)[TREATMENT] == (10, 10.0)


def test_two_folders_at_once_count_each_event_once(books: Books) -> None:
    """A look folds while the worker does: whoever comes second starts where the first ended."""
    start(books)
    for number in range(60):
        books.take(exposure(f"u{number}"), outcome(f"u{number}", seconds=1))
    counted: list[int] = []

    def work() -> None:
        while True:
            folded = books.fold(limit_events=4)
            counted.append(folded.events)
            if folded.is_caught_up:
                return

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counted) == 120
    assert books.means(1)[TREATMENT] == (60, 60.0)


def test_pruning_forgets_only_what_is_not_needed(books: Books) -> None:
    """Old messages and outcomes of nobody's units go; exposed units keep all of theirs."""
    start(books)
    books.take(exposure("ann"), outcome("ann", message="m1"), outcome("eve", message="m2"))
    before = books.sums()

    assert service.prune(books.db, before=at(-10)) == 0
    assert service.prune(books.db, before=at(timedelta(days=5).total_seconds())) == 3

    assert books.sums() == before
    with books.db.reading() as session:
        kept = [session.scalar(select(func.count()).select_from(row)) for row in (
            SeenMessageRow, OutcomeRow, ExposureRow,
        )]  # fmt: skip
    assert kept == [0, 1, 1]


def test_only_the_last_exposures_are_kept_for_debugging(books: Books) -> None:
    """A thousand per environment, newest first, found by unit or rollout."""
    start(books)
    for start_number in range(0, 2_000, 500):
        books.take(*(exposure(f"u{n}") for n in range(start_number, start_number + 500)))
    books.fold(limit_events=600)
    books.fold()
    books.take(exposure("ann", "blue"))
    books.fold()

    with books.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(RecentExposureRow)) == 1_000
        newest = service.list_recent(session, unit_key=UNIT_KEY, limit=2)
        assert [row.reason for row in newest] == ["unknown variation", ""]
        found = service.list_recent(session, unit_key=UNIT_KEY, unit="u1999")
        assert [(row.variation, row.is_trusted, row.reason) for row in found] == [
            ("treatment", True, "")
        ]
        older = service.list_recent(session, unit_key=UNIT_KEY, limit=5, before_id=newest[1].id)
        assert [row.id for row in older] == sorted((row.id for row in older), reverse=True)
        assert service.list_recent(session, unit_key=UNIT_KEY, unit="u1") == []


def test_the_self_check_finds_a_sum_that_drifted(books: Books) -> None:
    """`verify` names what differs."""
    start(books)
    books.take(exposure("ann"), outcome("ann", seconds=1))
    books.sums()
    with books.db.transaction() as session:
        row = session.scalars(select(SumRow).where(SumRow.metric_version_id == 1)).one()
        row.x += 1

    with books.db.reading() as session:
        (found,) = service.verify(session)
    assert "new-checkout" in found
    assert "(1, 1, 0)" in found
