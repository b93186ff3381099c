"""Pages over rollouts: what they did to a metric, and what shipped changes did together."""

from __future__ import annotations

import csv
import io
import re

import pytest
from flask.testing import FlaskClient

from analysis.effect import Scale
from rollouts.db import Database
from rollouts.reports.past_words import axis_of, plot_of, span, told, worse
from tests.factories.past import make_past
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import text_of

PAGE = "/catalogue/contacts/past-effects"
RATIOS = [1.0, 0.9, 1.15, 0.97, 1.3, 0.85, 1.02, 0.93] * 4
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def store(db: Database) -> Database:
    """The story's metrics and a draft on them."""
    shop.make_catalogue(db)
    shop.make_rollout(db, shop.make_draft(), started=False)
    return db


@pytest.fixture
def reader(store: Database) -> FlaskClient:
    """A browser where 32 rollouts have ended, some shipped; two with wild names."""
    make_past(
        store, shop.make_draft(), RATIOS, ships_below=0.95, names=["ليلى حداد", HOSTILE + "N" * 170]
    )
    return shop.make_app(store).test_client()


def test_nothing_ended_is_said_and_no_figure_shown(store: Database):
    """No rollout: what this place is for, and why there is no number."""
    client = shop.make_app(store).test_client()
    page = text_of(client.get(PAGE))

    assert "No rollout has ended yet" in page
    assert "Not known: fewer than three rollouts" in page
    assert "chart-wide" not in page
    assert "Not known" in text_of(client.get("/impact"))
    assert client.get("/catalogue/none/past-effects").status_code == 404
    assert client.get("/catalogue/none/past-effects.csv").status_code == 404


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_show_what_was_seen(store: Database, n: int):
    """Each effect stands there; a sum waits for the third."""
    make_past(store, shop.make_draft(), RATIOS[:n], shipped=[True] * n)
    page = text_of(shop.make_app(store).test_client().get(PAGE))

    assert page.count('class="full name"') == n
    assert "No sum is shown until luck can be taken off it" in page
    assert ("it takes two" in page) == (n == 1)


def test_the_claim_stands_beside_what_is_left(reader: FlaskClient):
    """Both sums with their intervals, the check, the units, the average and the next one."""
    page = text_of(reader.get(PAGE))

    for said in (
        "Without luck",
        "As each was seen",
        "A second correction",
        "events per 1,000 customers",
        "On average",
        "its true effect is expected from",
        "True effects lie apart by",
        "more than chance explains",
    ):
        assert said in page
    for size in ("wide", "half", "phone"):
        assert page.count(f'class="chart chart-{size}"') == 1
    assert not re.search(r"<[^>]+ style=", page)
    assert "NaN" not in page


def test_the_list_is_paged_and_searched(reader: FlaskClient):
    """25 a page, the last to end first; a search finds by key and name."""
    first = text_of(reader.get(PAGE))
    following = re.search(r'href="([^"]+)" rel="next"', first)

    assert first.count('class="full name"') == 25
    assert following is not None
    second = text_of(reader.get(following[1].replace("&amp;", "&")))
    assert second.count('class="full name"') == 7
    assert "past-000" in second
    assert text_of(reader.get(f"{PAGE}?search=past-004")).count('class="full name"') == 1
    assert "Nothing found" in text_of(reader.get(f"{PAGE}?search=nothing-like-it"))


def test_a_period_and_an_environment_choose(reader: FlaskClient):
    """What is listed follows the days; days that do not exist choose nothing."""
    late = text_of(reader.get(f"{PAGE}?from=2026-07-01"))

    assert "past-000" not in late
    assert "The period chooses what is listed" in late
    assert 'value="2026-07-01"' in late
    assert "past-031" in text_of(reader.get(f"{PAGE}?from=tomorrow&to=2026-02-31"))
    assert "Nothing found" in text_of(reader.get(f"{PAGE}?environment=staging"))


def test_names_cannot_break_out(reader: FlaskClient):
    """Text is text, in the page, in the chart and in the file."""
    for path in (f"{PAGE}?search=script", PAGE, f"{PAGE}?search={HOSTILE}"):
        assert HOSTILE not in reader.get(path).get_data(as_text=True)


def test_files_hold_every_row(reader: FlaskClient):
    """All 32 with both effects; and every metric with its reason where there is no sum."""
    rows = _rows(reader, "/catalogue/contacts/past-effects.csv")
    assert len(rows) == len(RATIOS)
    for row in rows:
        assert float(row["seen_low"]) < float(row["seen_estimate"]) < float(row["seen_high"])
        assert float(row["shrunken_low"]) < float(row["shrunken_high"])
        assert 0 < float(row["kept"]) < 1
    metrics = {row["metric"]: row for row in _rows(reader, "/impact.csv")}
    assert float(metrics["contacts"]["total_high"]) < 0
    assert float(metrics["contacts"]["in_units_low"]) < 0
    assert metrics["returned"]["reason"].startswith("fewer than three")


def _rows(client: FlaskClient, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.content_type.startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))


def test_all_metrics_stand_together_and_are_linked(reader: FlaskClient):
    """From home, catalogue and metric to the sums, and from there to each metric's history."""
    page = text_of(reader.get("/impact"))

    assert f'href="{PAGE}"' in page
    assert "Nothing found" in text_of(reader.get("/impact?search=nothing-like-it"))
    assert 'href="/impact"' in text_of(reader.get("/"))
    assert 'href="/impact"' in text_of(reader.get("/catalogue"))
    assert f'href="{PAGE}"' in text_of(reader.get("/catalogue/contacts"))


def test_a_plan_shows_what_rollouts_did_so_far(reader: FlaskClient, store: Database):
    """History beside limits; without any rollout the section is not there."""
    page = text_of(reader.get("/rollouts/guided-returns/plan"))

    assert "What did rollouts do so far?" in page
    assert f'href="{PAGE}"' in page
    assert "limit 10 % worse" in page
    assert store is not None


def test_a_hope_beyond_all_history_is_doubted(db: Database):
    """A goal that no rollout may be expected to reach is marked, in words too."""
    from rollouts.tolerances.model import Goal, Guardrail

    shop.make_catalogue(db)
    draft = shop.make_draft(
        goals=(Goal("contacts", 0.6),), guardrails=(Guardrail("returned", 0.1),)
    )
    shop.make_rollout(db, draft, started=False)
    make_past(db, shop.make_draft(), RATIOS[:8])
    client = shop.make_app(db).test_client()
    path = "/rollouts/guided-returns/plan?mean.returned=0.3&mean.contacts=0.1"
    page = text_of(client.get(path))

    assert "further than expected of any rollout" in page
    assert "calls a change of −60 % the smallest that is worth it" in page


def test_places_turn_with_harm():
    """Right is worse, whichever way the measure runs; estimates and zero stay on the axis."""
    fall = plot_of((-0.2, -0.4, 0.1), -1)
    assert (fall.low, fall.estimate, fall.high) == (-0.1, 0.2, 0.4)
    axis = axis_of([fall, plot_of((0.0, -9.0, 9.0), 1)])
    assert axis.low < -0.1 < 0.2 < axis.high < 1
    assert axis_of([]).low < 0 < axis_of([]).high
    assert worse(Scale.ABSOLUTE, -3) == "3 better"
    assert told(Scale.ABSOLUTE, 2.5) == "+2.5"
    assert span(Scale.ABSOLUTE, -1, 2).replace("\u00a0", " ") == "(−1 to +2)"
