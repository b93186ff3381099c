"""Every state a report can be in, as a page. One kind of store is enough: the pages do not differ."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from rollouts.db import Database
from tests.factories.states import STATES, make_hostile, make_unjudged
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import text_of

REPORT = "/rollouts/guided-returns/report"


@pytest.fixture
def store_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The embedded store."""
    shutil.copy(sqlite_template, tmp_path / "rollouts.db")
    return f"sqlite:///{tmp_path / 'rollouts.db'}"


@pytest.mark.parametrize("name", sorted(STATES))
def test_every_state_has_its_sentence(started: Database, name: str):
    """Each state renders whole, with its verdict and its own id."""
    body = STATES[name](id=f"S-{name}")
    shop.keep(started, "guided-returns", body)

    answer = shop.make_app(started).test_client().get(REPORT)

    page = text_of(answer)
    assert answer.status_code == 200
    assert f"S-{name}" in page
    if name != "hostile":
        assert body["verdict"]["lead"].replace("\u00a0", " ") in page


def test_broken_split_hides_every_effect(started: Database):
    """No effect is shown, plotted or sent while the groups are not alike."""
    body = make_unjudged()
    metric = body["arms"][0]["metrics"][0]
    metric["relative"] = {"estimate": 0.1234, "low": 0.0567, "high": 0.1891, "level": 0.95}
    shop.keep(started, "guided-returns", body)
    client = shop.make_app(started).test_client()

    page = text_of(client.get(REPORT))
    sent = client.get(f"{REPORT}/{body['id']}.json").get_data(as_text=True)
    rows = client.get(f"{REPORT}/{body['id']}.csv").get_data(as_text=True)

    assert "Cannot be judged" in page
    assert page.count('class="covered"') == 5
    assert "chart-wide" not in page
    for text in (page, sent, rows):
        assert not re.search(r"0\.1234|12 ?%|0\.0567", text)


def test_hostile_names_stay_text(started: Database):
    """Whatever people call things, the page has our elements only."""
    shop.keep(started, "guided-returns", make_hostile(id="S-hostile"))
    client = shop.make_app(started).test_client()

    for path in (REPORT, f"{REPORT}/S-hostile.html", "/rollouts/guided-returns/history", "/"):
        page = client.get(path).get_data(as_text=True)
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "alert(1)" in page or path.endswith("history")
