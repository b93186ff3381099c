"""Rows with a time to series: every cell as pandas has it, every hole named."""

from __future__ import annotations

from datetime import date, datetime

import ibis
import numpy as np
import pandas as pd
import pytest

from analysis.panels import panel, periods
from analysis.rows import Kind, MetricColumn

CALLS = MetricColumn("calls", Kind.SUM, "calls")


def table(**columns: list) -> object:
    return ibis.memtable(columns)


@pytest.mark.parametrize("kind", [Kind.SUM, Kind.MEAN])
def test_cells_are_those_of_a_pivot_table(kind: Kind):
    """Groups down, periods across, with what cannot be used counted."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "day": rng.integers(1, 8, 400),
            "shop": rng.choice(["a", "b", "c"], 400),
            "calls": rng.normal(5, 2, 400),
        }
    )
    frame.loc[:9, "calls"] = np.nan
    found = panel(
        ibis.memtable(frame), MetricColumn("calls", kind, "calls"), time="day", group="shop"
    )
    name = "sum" if kind is Kind.SUM else "mean"

    expected = frame.pivot_table("calls", "shop", "day", aggfunc=name)
    assert found.values == pytest.approx(expected.to_numpy(), rel=1e-12)
    assert found.groups == ("a", "b", "c")
    assert found.left_out == 10


def test_a_ratio_is_a_sum_over_a_sum():
    """Not a mean of ratios."""
    held = table(day=[1, 1, 2], won=[1, 0, 3], asked=[1, 3, 4])
    found = panel(held, MetricColumn("won", Kind.RATIO, "won", other="asked"), time="day")

    assert found.values.tolist() == [[0.25, 0.75]]


def test_times_are_put_into_what_was_asked():
    """Hours, days, weeks that start on a Monday, and months of any length."""
    texts = ("2026-01-31 23:00", "2026-02-01 00:00", "2026-03-01 05:00")
    moments = [datetime.fromisoformat(text) for text in texts]
    held = table(at=moments, calls=[1.0, 2.0, 4.0])
    months = panel(held, CALLS, time="at", every="month")

    assert months.periods == ("2026-01-01", "2026-02-01", "2026-03-01")
    assert months.values.tolist() == [[1.0, 2.0, 4.0]]
    weeks = panel(held, CALLS, time="at", every="week", empty_is_zero=True)
    assert weeks.periods[0] == "2026-01-26"
    assert weeks.values.sum() == 7
    hours = panel(held.filter(held["calls"] < 4), CALLS, time="at", every="hour")
    assert hours.periods == ("2026-01-31 23:00", "2026-02-01 00:00")


def test_weekly_dates_are_taken_as_they_are():
    """The step is the commonest gap, so a missing week is seen."""
    held = table(on=[date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 26)], calls=[1, 2, 3])

    with pytest.raises(ValueError, match="2026-01-19"):
        panel(held, CALLS, time="on")
    assert panel(held, CALLS, time="on", empty_is_zero=True).values.tolist() == [[1, 2, 0, 3]]


@pytest.mark.parametrize(
    ("columns", "given", "said"),
    [
        ({"day": [1, 2], "shop": ["a", "b"], "calls": [1, 2]}, {"group": "shop"}, "'a'"),
        ({"day": ["soon", "late"], "calls": [1, 2]}, {}, "neither times nor whole numbers"),
        ({"day": [1.5, 2.5], "calls": [1, 2]}, {}, "neither times nor whole numbers"),
        ({"day": [1, 2], "calls": [1, 2]}, {"every": "day"}, "have no day"),
        ({"day": [1, 2], "calls": [1, 2]}, {"every": "fortnight"}, "every must be"),
        ({"day": [1, 2], "calls": [None, None]}, {}, "no row has a time and a usable value"),
    ],
)
def test_what_does_not_fit_is_named(columns: dict, given: dict, said: str):
    """The cell, the column or the option."""
    with pytest.raises(ValueError, match=said):
        panel(table(**columns), CALLS, time="day", **given)


def test_the_start_is_the_first_period_with_the_change():
    """In the words of the column: a date for dates, a number for numbers."""
    found = panel(
        table(on=[date(2026, 1, d) for d in (1, 2, 3)], calls=[1, 2, 3]), CALLS, time="on"
    )

    assert found.since("2026-01-02") == 1
    for wrong in ("2026-01-01", "2026-02-01", "2"):
        with pytest.raises(ValueError, match="start"):
            found.since(wrong)


def test_stretches_that_saw_both_variations_are_left_out():
    """They belong to neither."""
    held = table(hour=[1, 1, 2, 2, 3], arm=["a", "a", "a", "b", "b"], calls=[1.0, 3, 5, 7, 9])
    found, mixed = periods(held, CALLS, time="hour", variation="arm", control="a")

    assert [(p.treated, p.outcome.n, p.outcome.total) for p in found] == [
        (False, 2, 4),
        (True, 1, 9),
    ]
    assert mixed == 1
