"""Effects by segment: whether they differ stands first, and nobody is ranked."""

from __future__ import annotations

import csv
import io

import pytest

from rollouts.db import Database
from rollouts.reports.model import report_of
from rollouts.reports.segments import LISTED, segments_of
from rollouts.reports.tables import COLUMNS, to_csv
from tests.factories.segments import ALIKE, APART, FEW, make_segment, with_segments
from tests.factories.snapshots import Body, make_snapshot
from tests.factories.states import STATES
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import text_of

HERE = "/rollouts/guided-returns/report"
HOSTILE = '</td><script>alert(1)</script>=cmd|"'


def body_of(values: dict[str, tuple[tuple[int, int], tuple[int, int]]], **over: str) -> Body:
    """The story's snapshot with one segment."""
    return with_segments(make_snapshot(), make_segment(values, **over))


def page_of(db: Database, body: Body) -> str:
    """The report's page of that snapshot."""
    shop.keep(db, "guided-returns", body)
    return text_of(shop.make_app(db).test_client().get(HERE))


def test_values_stand_by_name_with_both_estimates():
    """Order says nothing; the estimate as a part of all is nearer the whole than the raw one."""
    [segment] = segments_of(body_of(APART), "new")
    [table] = segment.tables

    assert [cell.value for cell in table.cells] == ["chat", "e-mail", "phone"]
    assert table.differs
    for cell in table.cells:
        assert cell.effect.startswith(("+", "−"))
        assert cell.shrunken.startswith(("+", "−"))
        assert cell.plot is not None


def test_estimate_beside_the_raw_one_is_pulled_towards_the_others():
    """Where segments are alike, what differs by chance is drawn together."""
    [metric] = make_segment(ALIKE)["metrics"]
    raw = {item["value"]: item["absolute"]["estimate"] for item in metric["values"]}
    pulled = metric["interaction"]["shrunken"]

    spread = [max(held.values()) - min(held.values()) for held in (raw, pulled)]
    assert spread[1] < spread[0] / 2
    [[table]] = [segment.tables for segment in segments_of(body_of(ALIKE), "new")]
    assert not table.differs


def test_page_says_first_whether_segments_differ(started: Database):
    """The reading stands before the values, and the guess for the whole is named as such."""
    page = page_of(started, body_of(ALIKE))

    assert "no evidence that segments differ" in page
    assert page.index("no evidence that segments differ") < page.index(">chat<")
    assert "As a part of all" in page
    assert page.index("What changed for") < page.index("Who was hurt, by segment")


def test_too_few_customers_is_said_and_never_zero(started: Database):
    """A value nobody can judge has no bar and no number."""
    [[table]] = [segment.tables for segment in segments_of(body_of(FEW), "new")]
    [letter] = [cell for cell in table.cells if cell.value == "letter"]

    assert (letter.effect, letter.plot, letter.shrunken) == ("", None, "")
    assert letter.why_not
    assert letter.why_not in page_of(started, body_of(FEW))


def test_of_very_many_values_only_the_worst_are_listed_and_all_exported(started: Database):
    """Over 30: ten, by name; the file has every one."""
    many = {f"shop {i:02}": ((2000, 150), (2000, 150 + 6 * i)) for i in range(40)}
    body = body_of(many, attribute="shop")
    [[table]] = [segment.tables for segment in segments_of(body, "new")]

    assert [cell.value for cell in table.cells] == [f"shop {i}" for i in range(30, 40)]
    page = page_of(started, body)
    assert f"{LISTED} of 40 values" in page
    assert "shop 12" not in page
    assert sum(row["segment"] == "shop" for row in rows_of(body)) == 40


def rows_of(body: Body) -> list[dict[str, str]]:
    """The snapshot's CSV read back."""
    return list(csv.DictReader(io.StringIO(to_csv(body))))


def test_csv_has_a_row_for_each_value():
    """Raw and shrunken beside one another, no limit and no finding, every column there."""
    body = body_of(APART)
    rows = [row for row in rows_of(body) if row["segment"]]

    assert [row["segment_value"] for row in rows] == sorted(APART)
    assert {(row["limit"], row["finding"], row["budget"]) for row in rows} == {("", "", "")}
    assert all(tuple(row) == COLUMNS for row in rows)
    phone = rows[2]
    assert float(phone["absolute_estimate"]) == pytest.approx(800 / 9000)
    assert 0 < float(phone["shrunken"]) < 800 / 9000
    assert float(phone["p_value_corrected"]) < 0.001


def test_broken_split_hides_segments_everywhere(started: Database):
    """Neither page, CSV nor JSON shows what cannot be compared."""
    broken = with_segments(STATES["unjudged"](), make_segment(APART))

    assert segments_of(broken, broken["arms"][0]["key"]) == ()
    assert report_of(broken).body["arms"][0]["segments"] == []
    assert not any(row["segment"] for row in rows_of(broken))
    assert "by segment" not in page_of(started, broken)


def test_snapshots_without_segments_show_none(story: Database):
    """Plans that name no segment, and snapshots older than segments."""
    assert "by segment" not in text_of(shop.make_app(story).test_client().get(HERE))


def test_hostile_names_stay_text(started: Database):
    """A value from outside is escaped in the page and harmless in the file."""
    values = {HOSTILE: ALIKE["phone"], "=1+1": ALIKE["chat"]}
    body = body_of(values, attribute=HOSTILE)
    page = page_of(started, body)

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert {row["segment_value"] for row in rows_of(body)} == {"", HOSTILE, "'=1+1"}
