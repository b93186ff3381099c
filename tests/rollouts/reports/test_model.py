"""What a page shows follows from the snapshot alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.reports.axes import ticks, time_ticks
from rollouts.reports.bars import Gauge
from rollouts.reports.model import axis_of, plot_of, report_of, row_of, without_effects
from rollouts.reports.words import unit_words
from tests.factories.snapshots import make_budget, make_metric, make_snapshot
from tests.factories.states import (
    STATES,
    make_huge,
    make_no_data,
    make_three,
    make_unjudged,
)
from tests.rollouts.reports.shop import NOW

UNITS = ("customer", "customers")
small = st.floats(-5, 5, allow_nan=False)


@given(st.tuples(small, small).map(sorted), st.sampled_from([1, -1]))
def test_right_is_always_worse(interval: list[float], sign: int):
    """A rise of what is good lies left, a fall lies right, and the interval keeps its order."""
    metric = make_metric(sign=sign, interval=(interval[0], interval[1]))
    plot = plot_of(metric)

    assert plot is not None
    assert plot.low <= plot.high
    assert {plot.low, plot.high} == {sign * end for end in interval}


def test_worst_finding_decides_for_a_version():
    """Safe beside unknown is unknown, and harm beats all."""
    worst = [arm.worst for arm in report_of(make_three()).arms]

    assert worst == ["safe", "unknown", "harm"]


def test_no_data_is_never_counted_as_safe():
    """It has its own place in the tally and outranks what is merely open."""
    arm = report_of(make_no_data()).arms[0]

    assert arm.tally == "1 not yet known, 1 without data"
    assert arm.worst == "nodata"


def test_harm_stands_first():
    """Whoever reads one row reads the one that matters."""
    states = [row.state for row in report_of(make_snapshot()).arms[0].guardrails]

    assert states == ["harm"] + ["unknown"] * 4 + ["safe"] * 2


def test_spent_budget_is_not_called_harm_shown():
    """Withdrawn for its budget, with the limit itself still open: both are said as they are."""
    metric = make_metric(finding="unknown", budget=make_budget())
    report = report_of(
        make_snapshot(arms=[{"key": "new", "name": "New page", "metrics": [metric]}])
    )

    assert report.headline == "Harm budget spent: withdrawn by the stop-loss"
    assert report.leading is not None
    assert report.leading.key == "contacts"


def test_over_twelve_guardrails_the_safe_ones_are_folded():
    """What is not safe stays in sight."""
    arm = report_of(make_huge()).arms[0]

    assert [row.state for row in arm.shown] == ["harm"]
    assert {row.state for row in arm.folded} == {"safe"}


def test_broken_split_leaves_no_effect_in_the_body():
    """Nothing that could be mistaken for a result is handed on."""
    body = without_effects(make_unjudged())

    for metric in body["arms"][0]["metrics"]:
        assert metric["relative"] is metric["absolute"] is metric["evidence"] is None
        assert metric["control"]["mean"] is metric["treatment"]["total"] is None
        assert metric["control"]["n"] > 0


def test_taking_effects_out_changes_no_snapshot():
    """The stored body is never touched."""
    body = make_snapshot()
    without_effects(body)

    assert body == make_snapshot()


@pytest.mark.parametrize(
    ("given_", "old", "new", "note"),
    [
        ({"control": (1000, 75.0), "treatment": (1000, 98.2)}, "75", "98.2", "per 1,000 customers"),
        ({"control": (10, 32.0), "treatment": (10, 31.0)}, "3.2", "3.1", "per customer"),
        (
            {"aggregation": "any", "control": (1000, 413.0), "treatment": (1000, 422.0)},
            "41.3 %",
            "42.2 %",
            "of customers",
        ),
        (
            {"aggregation": "any", "control": (1000, 11.0), "treatment": (1000, 14.0)},
            "11",
            "14",
            "per 1,000 customers",
        ),
        (
            {"aggregation": "sum", "control": (100, 4620.0), "treatment": (100, 4651.0)},
            "46.2",
            "46.5",
            "per customer",
        ),
        ({"control": (0, 0.0), "treatment": (0, 0.0), "interval": None}, "–", "–", "per customer"),
    ],
)
def test_levels_are_told_as_people_count(given_: dict, old: str, new: str, note: str):
    """Rare things per thousand, common shares in per cent, amounts per customer."""
    row = row_of(make_metric(**given_), UNITS)
    shown = (row.old, row.new, row.note)

    assert tuple(text.replace("\u00a0", " ") for text in shown) == (old, new, note)


def test_absolute_limits_are_shown_in_their_own_scale():
    """Points for shares; on the axis they lie over control's level."""
    metric = make_metric(
        aggregation="any",
        control=(1000, 500.0),
        treatment=(1000, 520.0),
        interval=(0.0, 0.1),
        limit=0.01,
        limit_scale="absolute",
        absolute={"estimate": 0.02, "low": -0.004, "high": 0.044, "level": 0.95},
    )
    row = row_of(metric, UNITS)

    assert row.effect.replace("\u00a0", " ") == "+2 points"
    assert row.limit.replace("\u00a0", " ") == "+1 points"
    assert row.plot is not None
    assert row.plot.limit == pytest.approx(0.02)
    assert row.plot.estimate == pytest.approx(0.04)


@pytest.mark.parametrize("name", sorted(STATES))
def test_axis_holds_every_estimate_and_limit(name: str):
    """Wild intervals are cut, but what is read is always inside."""
    rows = [row for arm in report_of(STATES[name]()).arms for row in arm.rows]
    axis = axis_of(rows)

    for row in rows:
        if row.plot is not None:
            assert axis.low <= row.plot.estimate <= axis.high
            assert row.plot.limit is None or row.plot.limit < axis.high


@given(st.floats(0.1, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_gauge_stays_in_its_cell(amount: float, estimate: float, below: float, above: float):
    """However much is spent, bars end inside and the budget is in sight."""
    gauge = Gauge(
        amount, "contacts", amount * 0.6, estimate, estimate - below, estimate + above, "within", ""
    )

    for value in (gauge.hold, gauge.amount, gauge.estimate, gauge.high):
        assert 0 <= gauge.at(value) <= 100
    assert 0 < gauge.at(gauge.hold) < gauge.at(gauge.amount) <= 100 / 1.15 + 1e-9


@pytest.mark.parametrize(
    ("over", "words", "more"),
    [
        ({}, "212 of 200 contacts", "between 123 and 315"),
        (
            {"estimate": -11, "low": -62, "high": 47},
            "0 of 200 contacts",
            "between 62 fewer and 47 more",
        ),
        (
            {"estimate": -146, "low": -240, "high": -60},
            "0 of 200 contacts",
            "60 to 240 fewer than on the old version",
        ),
        (
            {"estimate": None, "low": None, "high": None, "reason": "too few events"},
            "not known, of 200 contacts",
            "too few events",
        ),
    ],
)
def test_budget_in_words(over: dict, words: str, more: str):
    """Fewer is said as fewer, and the unknown as unknown."""
    row = row_of(make_metric(budget=make_budget(**over)), UNITS)

    assert row.gauge is not None
    assert (row.gauge.words, row.gauge.more) == (words, more)


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("customer_id", ("customer", "customers")),
        ("id", ("customer", "customers")),
        ("userId", ("user", "users")),
        ("company", ("company", "companies")),
        ("deviceId", ("device", "devices")),
        ("account-key", ("account", "accounts")),
    ],
)
def test_who_is_counted(attribute: str, words: tuple[str, str]):
    """The attribute's name as a word for people."""
    assert unit_words(attribute) == words


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_round_inside_and_few(low: float, length: float, at_most: int):
    """Never more than asked for, never outside the axis."""
    high = low + length
    held = ticks(low, high, at_most)

    assert len(held) <= at_most + 1
    assert all(low - 1e-6 * length <= tick <= high + 1e-6 * length for tick in held)


@pytest.mark.parametrize("seconds", [5, 120, 3000, 86_400, 30 * 86_400, 3 * 366 * 86_400])
def test_time_ticks_suit_any_stretch(seconds: int):
    """Two minutes of a demo and a year of a rollout both get a few round moments."""
    from datetime import timedelta

    held = time_ticks(NOW, NOW + timedelta(seconds=seconds), 8)

    assert 1 <= len(held) <= 12
    assert all(NOW <= at <= NOW + timedelta(seconds=seconds) for at, _ in held)
    assert len({words for _, words in held}) == len(held)
