"""Files for spreadsheets, which believe any cell that begins with a sign."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.reports.tables import COLUMNS, safe_cell, to_csv
from tests.factories.snapshots import make_metric, make_snapshot
from tests.factories.states import STATES, make_hostile


def rows_of(text: str) -> list[dict[str, str]]:
    """A CSV read back."""
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\0"])
def test_text_that_a_spreadsheet_would_run_is_quoted(sign: str):
    """It gets an apostrophe in front and is shown as it was written."""
    metric = make_metric(name=f"{sign}cmd|' /C calc'!A0")
    body = make_snapshot(arms=[{"key": "new", "name": "n", "metrics": [metric]}])

    assert rows_of(to_csv(body))[0]["name"].startswith("'" + sign)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.none())
def test_numbers_stay_numbers(value: float | None):
    """A negative effect is no formula."""
    assert safe_cell(value) is value


@given(st.text())
def test_no_text_begins_with_a_sign(text: str):
    """Whatever it is."""
    assert not str(safe_cell(text)).startswith(("=", "+", "-", "@", "\t", "\r", "\0"))


def test_hostile_names_keep_to_their_cell():
    """Quotes and line breaks do not move what follows."""
    rows = rows_of(to_csv(make_hostile()))

    assert [row["metric"] for row in rows] == ["contacts", "returned"]
    assert rows[1]["name"].startswith("'=HYPERLINK")


@pytest.mark.parametrize("name", sorted(STATES))
def test_each_state_has_all_its_rows(name: str):
    """One for each metric of each version, every column there."""
    body = STATES[name]()
    rows = rows_of(to_csv(body))

    assert len(rows) == sum(len(arm["metrics"]) for arm in body["arms"])
    assert all(tuple(row) == COLUMNS for row in rows)
    if body["srm"]["state"] == "broken":
        assert {row["relative_estimate"] for row in rows} == {""}
        assert {row["control_mean"] for row in rows} == {""}
