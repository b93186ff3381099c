"""What is read of single events: by columns alone and by their properties, to the same counts."""

import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from analysis.quantile import Clustered
from analysis.rows import Events
from rollouts.ledger import service
from rollouts.metrics.model import (
    Aggregation,
    Definition,
    Direction,
    Filter,
    Operator,
    Per,
    Selector,
    Statistic,
    Survey,
)
from tests.rollouts.ledger.conftest import Books
from tests.rollouts.ledger.make import at, exposure, outcome, start_rollout

HANDLED = Definition(
    Selector("handled"),
    Aggregation.AVERAGE,
    Direction.DOWN,
    statistic=Statistic.QUANTILE,
    quantile=0.8,
    per=Per.EVENT,
    window=timedelta(seconds=100),
    survey=None,
)
ASKED = replace(
    HANDLED,
    statistic=Statistic.MEAN,
    per=Per.UNIT,
    survey=Survey(0, 1000, Selector("asked")),
)
FIRST = replace(HANDLED, aggregation=Aggregation.ANY, statistic=Statistic.TIME, per=Per.UNIT)
ANY_TEAM = Filter("team", Operator.EXISTS)


def by_properties(definition: Definition) -> Definition:
    """The same metric, spelt so that columns alone do not say what counts."""
    selector = Selector("handled", filters=(ANY_TEAM,), value_property="value")
    survey = definition.survey
    if survey is not None:
        survey = replace(survey, asked=Selector("asked", filters=(ANY_TEAM,)))
    return replace(definition, numerator=selector, survey=survey)


@pytest.fixture
def told(books: Books) -> dict[str, list[tuple[float, float]]]:
    """Forty customers with events before, within and after their window; by unit."""
    with books.db.transaction() as session:
        start_rollout(session, metrics={1: ASKED})
    draw = random.Random(2)
    sent, held = [], {}
    for place in range(40):
        unit, arm = f"u{place}", ("control", "treatment")[place % 2]
        sent.append(exposure(unit, arm, 50.0))
        held[unit] = [
            (draw.uniform(0, 200), draw.choice((-3.0, 2.5, 7.0, draw.uniform(0, 30))))
            for _ in range(place % 6)
        ]
        sent += [
            outcome(unit, "handled", when, value=value, team="a") for when, value in held[unit]
        ]
        if place % 3 == 0:
            sent.append(outcome(unit, "asked", 60.0, team="a"))
    sent += [exposure("both", "control", 50.0), exposure("both", "treatment", 51.0)]
    sent += [outcome("both", "handled", 60.0, value=9.0, team="a"), outcome("both", "asked", 60.0)]
    books.take(*sent)
    books.sums()
    return held


def counted(held: list[tuple[float, float]]) -> list[float]:
    """Values that count: within 100 s of the exposure, and not negative."""
    return [value for when, value in held if 50 <= when < 150 and value >= 0]


@pytest.mark.parametrize("spelt", [lambda d: d, by_properties], ids=["columns", "properties"])
def test_events_are_counted_by_value_and_by_unit(books: Books, told, spelt):
    """Every event once, its unit as cluster; the crossed customer and the window's outside not."""
    with books.db.reading() as session:
        found = service.events_of(session, 1, 1, spelt(HANDLED))

    for arm in (0, 1):
        pairs = sorted(
            (value, place) for place in range(arm, 40, 2) for value in counted(told[f"u{place}"])
        )
        events = Events(
            np.array([value for value, _ in pairs]), np.array([place for _, place in pairs])
        )
        wanted = Clustered.of(events, 0.8)
        assert found[arm].events.values.tolist() == wanted.events.values.tolist()
        assert found[arm].events.counts.tolist() == wanted.events.counts.tolist()
        assert found[arm].below == wanted.below


@pytest.mark.parametrize("spelt", [lambda d: d, by_properties], ids=["columns", "properties"])
def test_whoever_was_asked_or_answered_was_asked(books: Books, told, spelt):
    """An answer without a kept question is one more who was asked; nobody counts twice."""
    with books.db.reading() as session:
        found = service.asked(session, 1, 1, 1, spelt(ASKED))

    for arm in (0, 1):
        places = range(arm, 40, 2)
        assert found[arm] == sum(p % 3 == 0 or bool(counted(told[f"u{p}"])) for p in places)


@pytest.mark.parametrize("spelt", [lambda d: d, by_properties], ids=["columns", "properties"])
def test_times_are_those_of_the_first_event(books: Books, told, spelt):
    """From the exposure to the first event after it; the others watched until the window's end."""
    with books.db.reading() as session:
        found = service.times(session, 1, 1, spelt(FIRST), at(3600))

    for arm in (0, 1):
        waits = []
        for place in range(arm, 40, 2):
            after = [when - 50 for when, _ in told[f"u{place}"] if 50 <= when < 150]
            waits.append((min(after), True) if after else (100.0, False))
        order = np.argsort(found[arm].durations)
        waits.sort()
        assert found[arm].durations[order] == pytest.approx([wait for wait, _ in waits], abs=1e-5)
        assert found[arm].happened[order].tolist() == [is_seen for _, is_seen in waits]


def test_the_limit_of_a_cut_is_that_of_all_versions_together(books: Books, told):
    """The quantile of units with any value; below it nothing changes, above it all is equal."""
    total = replace(ASKED, aggregation=Aggregation.SUM, survey=None)
    with books.db.transaction() as session:
        start_rollout(session, "summed", metrics={2: total})
    books.take(
        *(
            exposure(f"u{p}", ("control", "treatment")[p % 2], 50.0, rollout="summed")
            for p in range(40)
        )
    )
    books.sums(2)
    with books.db.reading() as session:
        found = service.cut_limit(session, 2, 2, total, 0.75)
        sums = service.whole_sums(session, 2, 2, replace(total, cap=found[0]))

    values = {place: sum(counted(told[f"u{place}"])) for place in range(40)}
    some = sorted(value for value in values.values() if value > 0)
    assert found == (pytest.approx(some[int(np.ceil(0.75 * len(some))) - 1]), len(some))
    for arm in (0, 1):
        cut = [min(values[place], found[0]) for place in range(arm, 40, 2)]
        assert sums[arm, 0].n == 20
        assert sums[arm, 0].x_total == pytest.approx(sum(cut))
        assert sums[arm, 0].xx == pytest.approx(sum(v * v for v in cut))


def test_nobody_with_a_value_has_no_limit(books: Books):
    """No data cut nothing."""
    with books.db.transaction() as session:
        start_rollout(session, metrics={1: ASKED})
    books.sums()
    with books.db.reading() as session:
        assert service.cut_limit(session, 1, 1, ASKED, 0.9) is None
        assert service.events_of(session, 1, 1, HANDLED) == {}
        assert service.times(session, 1, 1, FIRST, at(3600)) == {}
