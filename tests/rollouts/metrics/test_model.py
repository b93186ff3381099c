from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.errors import Invalid
from rollouts.metrics.codec import from_dict, to_dict
from rollouts.metrics.model import (
    Aggregation,
    Definition,
    Direction,
    Filter,
    Operator,
    Outcome,
    Selector,
)
from rollouts.metrics.words import meaning

START = datetime(2026, 5, 1, tzinfo=UTC)


def contacts(**over):
    held = {"numerator": Selector("contact"), "aggregation": Aggregation.COUNT}
    return Definition(**{**held, "direction": Direction.DOWN, **over})


def outcome(name="contact", minutes=1.0, **over):
    return Outcome(name, START + timedelta(minutes=minutes), **over)


def test_outcomes_before_the_exposure_do_not_count():
    """What happened before somebody met the change cannot be its effect."""
    assert contacts().per_unit([outcome(minutes=-1), outcome(minutes=0)], START) == (1.0, 1.0)


def test_a_window_ends_just_before_its_last_moment():
    """Seven days are seven days: the first moment of the eighth is out."""
    week = contacts(window=timedelta(days=7))
    at_end = Outcome("contact", START + timedelta(days=7))
    inside = Outcome("contact", START + timedelta(days=7) - timedelta(microseconds=1))

    assert week.per_unit([at_end, inside], START) == (1.0, 1.0)


def test_any_is_one_however_many():
    """A share of customers counts each of them once."""
    assert contacts(aggregation=Aggregation.ANY).per_unit([outcome(), outcome()], START)[0] == 1.0


def test_a_sum_reads_its_property_and_skips_what_is_no_number():
    """A price sent as text is no price, and never read as zero or as an error."""
    spend = contacts(
        numerator=Selector("order", value_property="price"), aggregation=Aggregation.SUM
    )
    events = [outcome("order", properties={"price": value}) for value in (10, 2.5, "7", None, True)]

    assert spend.per_unit(events, START)[0] == 12.5


@pytest.mark.parametrize(("value", "total"), [(1e15, 1e15 + 2), (-1e15, 2 - 1e15), (2e15, 2.0)])
def test_numbers_too_large_to_be_measured_count_as_none(value: float, total: float):
    """One absurd amount must not make every look at a rollout fail."""
    net = contacts(numerator=Selector("order"), aggregation=Aggregation.SUM, allow_negative=True)

    assert net.per_unit([outcome("order", value=v) for v in (value, 2.0)], START)[0] == total


def test_negative_values_count_only_where_they_may():
    """A refund is a negative sale only for a metric that says so."""
    events = [outcome("order", value=10.0), outcome("order", value=-4.0)]
    plain = contacts(numerator=Selector("order"), aggregation=Aggregation.SUM)
    net = contacts(numerator=Selector("order"), aggregation=Aggregation.SUM, allow_negative=True)

    assert plain.per_unit(events, START)[0] == 10.0
    assert net.per_unit(events, START)[0] == 6.0


def test_a_ratio_gives_both_parts():
    """Complaints per contact: the customer is the cluster, both sums are kept."""
    ratio = contacts(
        numerator=Selector("complaint"),
        numerator_aggregation=Aggregation.COUNT,
        aggregation=Aggregation.RATIO,
        denominator=Selector("contact"),
    )
    events = [outcome("complaint"), outcome("contact"), outcome("contact")]

    assert ratio.per_unit(events, START) == (1.0, 2.0)


def test_a_cap_limits_what_one_customer_counts_for():
    """One customer with a thousand contacts must not decide for all."""
    assert contacts(cap=3).per_unit([outcome()] * 1000, START)[0] == 3.0


def test_untrusted_outcomes_count_only_where_the_definition_allows():
    """Anyone can send events with a key that lies in a page."""
    events = [outcome(is_trusted=False)]

    assert contacts().per_unit(events, START)[0] == 0.0
    assert contacts(allow_untrusted=True).per_unit(events, START)[0] == 1.0


def test_channels_and_filters_choose():
    """Only phone calls about returns."""
    chosen = contacts(
        numerator=Selector("contact", (Filter("topic", Operator.IS, "returns"),), ("phone",))
    )
    events = [
        outcome(channel="phone", properties={"topic": "returns"}),
        outcome(channel="chat", properties={"topic": "returns"}),
        outcome(channel="phone", properties={"topic": "delivery"}),
        outcome(channel="phone"),
    ]

    assert chosen.per_unit(events, START)[0] == 1.0


@pytest.mark.parametrize(
    ("operator", "value", "held", "passes"),
    [
        (Operator.IS, 1, 1, True),
        (Operator.IS_NOT, 1, 2, True),
        (Operator.IN, [1, 2], 2, True),
        (Operator.IN, "12", "1", False),
        (Operator.AT_LEAST, 4, 4, True),
        (Operator.AT_LEAST, 4, "5", False),
        (Operator.AT_MOST, 4, 3.5, True),
        (Operator.EXISTS, None, None, False),
        (Operator.EXISTS, None, 0, True),
    ],
)
def test_filters_compare_without_surprises(operator, value, held, passes):
    """A text is not a number, a list is not a text."""
    assert Filter("p", operator, value).holds({"p": held}) is passes


def test_a_missing_property_passes_only_is_not():
    """What was not sent is not equal to anything."""
    passing = [op for op in Operator if Filter("p", op, 1).holds({})]

    assert passing == [Operator.IS_NOT]


@pytest.mark.parametrize(
    ("over", "where"),
    [
        ({"numerator": Selector("")}, "numerator.event"),
        ({"aggregation": Aggregation.RATIO}, "denominator"),
        ({"denominator": Selector("x")}, "denominator"),
        ({"cap": 0.0}, "cap"),
        ({"cap": float("inf")}, "cap"),
        ({"window": timedelta(0)}, "window_seconds"),
    ],
)
def test_definitions_that_cannot_be_are_refused_by_name(over, where):
    """The refusal names the field, so that a form can show it there."""
    with pytest.raises(Invalid) as refused:
        contacts(**over)

    assert refused.value.faults[0].where == where


selectors = st.builds(
    Selector,
    st.text(min_size=1, max_size=5),
    st.lists(
        st.builds(Filter, st.text(max_size=3), st.sampled_from(Operator), st.integers()), max_size=2
    ).map(tuple),
    st.lists(st.text(max_size=3), max_size=2).map(tuple),
    st.text(max_size=3),
)
definitions = st.builds(
    Definition,
    numerator=selectors,
    aggregation=st.sampled_from([Aggregation.ANY, Aggregation.COUNT, Aggregation.SUM]),
    direction=st.sampled_from(Direction),
    window=st.none() | st.integers(1, 10**6).map(lambda s: timedelta(seconds=s)),
    cap=st.none() | st.floats(0.1, 1e6),
    allow_negative=st.booleans(),
    allow_untrusted=st.booleans(),
    harm_unit=st.text(min_size=1, max_size=5),
)


@given(definitions)
def test_a_definition_survives_the_store(definition):
    """What a plan locked is what is counted, bit for bit."""
    assert from_dict(to_dict(definition)) == definition


@given(definitions)
def test_every_definition_has_a_sentence(definition):
    """A product manager can check what is counted without reading JSON."""
    assert meaning(definition).endswith(".")


def test_integers_that_no_double_holds_count_for_nothing():
    """JSON may bring a number of 400 digits: it is no value and passes no comparison."""
    huge = 10**400
    amounts = Selector("contact", value_property="amount")
    at_least = Selector("contact", filters=(Filter("amount", Operator.AT_LEAST, 5),))
    event = outcome(properties={"amount": huge})

    assert amounts.number(event) is None
    assert not at_least.takes(event)
    summed = contacts(numerator=amounts, aggregation=Aggregation.SUM)
    assert summed.per_unit([event, outcome(properties={"amount": 2})], START) == (2.0, 1.0)
    assert contacts(numerator=at_least).per_unit([event], START) == (0.0, 1.0)
