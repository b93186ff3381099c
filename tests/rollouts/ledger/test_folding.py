"""The stop-loss does not stand still over one bad frame, nor lose good ones over our own fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from rollouts.config import Settings
from rollouts.ingest.model import Frame, Source
from rollouts.ledger import folding
from rollouts.ledger.resolve import Resolver
from tests.rollouts.ingest.make import BROWSER_KEY, Parts, basic, growthbook, segment
from tests.rollouts.ledger.conftest import Books
from tests.rollouts.ledger.make import at, exposure, outcome, start_rollout
from tests.rollouts.ledger.test_laws import fresh_books

TREATMENT = 1
BAD_KEY = "bad"
TEST_SETTINGS = Settings()


def break_on(monkeypatch: pytest.MonkeyPatch, keys: set[str], wrong: Exception) -> None:
    """From now on folding fails on frames of these keys, as if we had a fault there."""
    whole = Resolver.add

    def add(self: Resolver, frame: Frame, events: Any) -> None:
        if frame.key_id in keys:
            raise wrong
        whole(self, frame, events)

    monkeypatch.setattr(Resolver, "add", add)


def take_six(books: Books) -> None:
    """A frame for an exposure and one for each of five contacts; the third frame is bad."""
    with books.db.transaction() as session:
        start_rollout(session)
    books.take(exposure("ann"))
    books.take(outcome("ann", seconds=1))
    books.take(outcome("ann", seconds=2), key_id=BAD_KEY)
    for second in (3, 4, 5):
        books.take(outcome("ann", seconds=second))


def fold_many(books: Books) -> None:
    """Fold as the worker does, tick by tick."""
    for _ in range(20):
        books.fold()


def test_a_frame_that_cannot_be_counted_is_given_up_alone(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames around it count; it is published as lost."""
    take_six(books)
    break_on(monkeypatch, {BAD_KEY}, ValueError("out of range"))

    sums = books.sums()

    assert sums.by_metric[1, TREATMENT, 0].x_total == 4.0
    assert sums.damaged == 1


def test_a_bad_frame_at_the_end_waits_for_a_good_one(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then nobody knows whose fault it is, so nothing is given up."""
    take_six(books)
    books.take(outcome("ann", seconds=6), key_id=BAD_KEY)
    break_on(monkeypatch, {BAD_KEY}, ValueError("out of range"))
    with pytest.raises(ValueError, match="out of range"):
        fold_many(books)
    with books.db.reading() as session:
        assert folding.find_offset(session) == 6
    books.take(outcome("ann", seconds=7))

    sums = books.sums()

    assert sums.by_metric[1, TREATMENT, 0].x_total == 5.0
    assert sums.damaged == 2


def test_a_fault_of_ours_loses_nothing(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no frame can be counted, folding stops and goes on where it was once that is mended."""
    take_six(books)
    with monkeypatch.context() as broken:
        break_on(broken, {"key", BAD_KEY}, KeyError("segments"))
        with pytest.raises(KeyError):
            books.fold()

    sums = books.sums()

    assert sums.by_metric[1, TREATMENT, 0].x_total == 5.0
    assert sums.damaged == 0


def test_a_store_that_does_not_answer_loses_nothing(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store's failure is no frame's fault, and is for the caller to try again."""
    take_six(books)
    with monkeypatch.context() as broken:
        break_on(broken, {BAD_KEY}, OperationalError("", None, Exception("gone")))
        with pytest.raises(OperationalError):
            books.fold()
        with books.db.reading() as session:
            assert folding.find_offset(session) == 0

    assert books.sums().damaged == 0


texts = st.text(max_size=5) | st.just("new-checkout") | st.just("treatment") | st.just("id")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
told = st.dictionaries(
    st.sampled_from(
        [
            "experiment_id",
            "variationId",
            "variation_key",
            "hash_value",
            "hashAttribute",
            "in_experiment",
            "channel",
            "value",
            "revenue",
            "reason",
        ]
    ),
    values,
)
names = st.sampled_from(
    ["Experiment Viewed", "Contact Opened", "Order Completed", "\u00e9\U0001f600"]
)
segment_events = st.fixed_dictionaries(
    {"type": st.just("track"), "event": names, "userId": texts | st.integers()},
    optional={
        "properties": told,
        "context": told,
        "messageId": texts,
        "timestamp": st.sampled_from([at(0).isoformat(), at(60).isoformat()]),
    },
)
growthbook_events = st.fixed_dictionaries(
    {"event_name": names}, optional={"properties_json": told, "device_id": texts, "user_id": texts}
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(segment_events, max_size=8), st.lists(growthbook_events, max_size=8))
def test_whatever_is_accepted_can_be_counted(
    calls: list[dict[str, Any]], posts: list[dict[str, Any]]
) -> None:
    """Any event that was answered with 200 is folded: counted or refused with a reason."""
    with fresh_books() as books:
        with books.db.transaction() as session:
            start_rollout(session)
        parts = Parts(TEST_SETTINGS, books.journal)
        for _ in range(2):
            segment(parts, {"batch": calls}, now=at(60))
            segment(parts, {"batch": calls}, now=at(60), authorization=basic(BROWSER_KEY))
            growthbook(parts, posts, now=at(60))

        assert books.sums().damaged == 0


NASTY = [
    {
        "type": "track",
        "event": "e" * 200,
        "userId": "u" * 200,
        "properties": {"channel": "c" * 300},
    },
    {
        "type": "track",
        "event": "Order Completed",
        "userId": "ann",
        "properties": {"value": 10**400},
    },
    {"type": "track", "event": "Order Completed", "userId": "ann", "properties": {"value": 1e308}},
    {"type": "track", "event": "Order Completed", "userId": "ann", "properties": {"value": 1e308}},
    {"type": "track", "event": "Order Completed", "userId": "ann", "properties": {"a": 2**63}},
    {"type": "track", "event": "\U0001f600", "userId": 2**62, "properties": {"\u00df" * 300: "x"}},
    exposure("\U0001f600", "v" * 250, rollout="r" * 250),
    exposure("ann", "treatment", 1e-6),
    {"type": "page", "anonymousId": -1, "name": None, "properties": {"path": "\x7f\u2028"}},
]


def test_the_nastiest_accepted_events_on_both_stores(books: Books) -> None:
    """Long names, huge numbers and odd characters fit the columns of either store."""
    with books.db.transaction() as session:
        start_rollout(session)
    parts = Parts(TEST_SETTINGS, books.journal)
    answer = segment(parts, {"batch": NASTY}, now=at(60))
    books.take(
        {"event_name": "e" * 200, "device_id": "d", "properties_json": {"\u00e9": ["x"]}},
        source=Source.GROWTHBOOK,
        is_trusted=False,
    )

    assert answer.status == 200, answer.body
    assert books.sums().damaged == 0
