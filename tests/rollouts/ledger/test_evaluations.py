"""Exposures that name a flag: they count for the rollout that was live on it then and there."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.ingest.model import Source, to_us
from rollouts.ledger.model import Sums
from rollouts.lifecycle.model import State
from rollouts.lifecycle.store import RolloutRow
from tests.rollouts.ingest.logs import split
from tests.rollouts.ledger.conftest import Books
from tests.rollouts.ledger.make import at, exposure, outcome, start_rollout

CONTROL, TREATMENT = 0, 1
NOT_LIVE = "no rollout was live on this flag"


def start(
    books: Books,
    key: str,
    begin: float = 0,
    end: float | None = None,
    flag: str = "checkout-flag",
    **more: Any,
) -> int:
    """A rollout on a flag that ran from one moment to another."""
    with books.db.transaction() as session:
        number = start_rollout(session, key, cuts=(begin,), **more)
        row = session.get_one(RolloutRow, number)
        row.flag_key, row.started_at = flag, at(begin)
        if end is not None:
            row.ended_at, row.state = at(end), State.STOPPED
    return number


def evaluated(
    unit: str, variant: str = "treatment", seconds: float = 0, flag: str = "checkout-flag"
) -> Any:
    """A log record of a split at a time."""
    return split(unit, variant, flag, ns=to_us(at(seconds)) * 1_000)


def take(books: Books, *records: Any, **more: Any) -> None:
    """Put log records into the journal."""
    books.take(*records, source=Source.OTLP, **more)


def counts(sums: Sums) -> dict[int, int]:
    """Units by variation."""
    held: dict[int, int] = {}
    for (variation, _), n in sums.units.items():
        held[variation] = held.get(variation, 0) + n
    return held


def test_a_split_exposes_its_unit_once(books: Books) -> None:
    """However often the flag is evaluated, and whoever else reports it, from its first time on."""
    start(books, "new-checkout")
    for seconds in (30, 10, 20):
        take(books, *(evaluated(unit, seconds=seconds) for unit in ("ann", "ben", "ann")))
    take(books, evaluated("cat", "control", 15))
    books.take(exposure("ann", seconds=40), outcome("ann", seconds=5), outcome("ann", seconds=12))

    assert counts(books.sums()) == {CONTROL: 1, TREATMENT: 2}
    assert (books.sums().crossed, dict(books.sums().refused)) == (0, {})
    assert books.means(1)[TREATMENT] == (2, 1.0)


def test_it_counts_for_the_rollout_that_was_live_then(books: Books) -> None:
    """One flag has one rollout after another; times decide, not the order of arrival."""
    first, second = start(books, "first", 0, 1_000), start(books, "second", 1_030)
    take(books, evaluated("late", seconds=2_000), evaluated("early", seconds=500))
    take(books, evaluated("changing", seconds=999), evaluated("new", seconds=1_029))
    take(books, evaluated("between", seconds=1_000), evaluated("before", seconds=-61))

    assert counts(books.sums(first)) == {TREATMENT: 2}
    assert counts(books.sums(second)) == {TREATMENT: 3}
    assert dict(books.sums(0).refused) == {NOT_LIVE: 1}


def test_each_environment_has_its_own_rollout(books: Books) -> None:
    """The key's environment says which; a key for all of them only where there is one."""
    here = start(books, "here", environment_id=1)
    there = start(books, "there", environment_id=2)
    alone = start(books, "alone", flag="other-flag", environment_id=2)
    take(books, evaluated("ann"), environment_id=1)
    take(books, evaluated("ben"), evaluated("cat"), environment_id=2)
    take(books, evaluated("dan"), evaluated("eva", flag="other-flag"), environment_id=0)
    take(books, evaluated("fay"), environment_id=3)

    assert [counts(books.sums(number)) for number in (here, there, alone)] == [
        {TREATMENT: 1},
        {TREATMENT: 2},
        {TREATMENT: 1},
    ]
    assert dict(books.sums(0).refused) == {NOT_LIVE: 2}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (evaluated("ann", "third"), "unknown variation"),
        (evaluated("ann", flag="no-such-flag"), NOT_LIVE),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(books: Books, record: Any, reason: str) -> None:
    """As exposures of every other format are."""
    number = start(books, "new-checkout")
    take(books, record)

    assert counts(books.sums(number)) == {}
    assert {**books.sums(number).refused, **books.sums(0).refused} == {reason: 1}


def test_public_keys_move_no_unit(books: Books) -> None:
    """Without trust only our own assignment is believed, as everywhere."""
    number = start(books, "new-checkout")
    units = [f"customer-{n}" for n in range(30)]
    for variant in ("control", "treatment"):
        take(books, *(evaluated(unit, variant) for unit in units), is_trusted=False)

    sums = books.sums(number)
    assert (sum(counts(sums).values()), sums.crossed, sums.untrusted_units) == (30, 0, 30)
    assert dict(sums.refused) == {"variation differs from our own assignment": 30}


def test_a_rollout_by_another_unit_needs_it_by_its_name(books: Books) -> None:
    """Where companies are randomised, the log names the company beside whom it was asked for."""
    number = start(books, "by-company", unit="company")
    record = split("ann", "treatment", "checkout-flag", company="acme")
    take(books, record, received=10)
    books.take(outcome("bob", seconds=60, company="acme"))

    assert counts(books.sums(number)) == {TREATMENT: 1}
    assert books.means(1, number)[TREATMENT] == (1, 1.0)
