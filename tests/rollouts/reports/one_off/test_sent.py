"""The same report over HTTP and from a form: equal numbers, bounded, nothing kept."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.rollouts.reports.one_off.tables import ALL, RANDOMISED, ask, customers, days, write
from tests.rollouts.reports.shop import text_of

OPTIONS: dict[str, Any] = {
    **RANDOMISED,
    "metrics": ["spent:sum,cap=p99", "won", "days:time/left"],
    "covariates": ["before"],
    "before_exposure": True,
    "limits": ["won=-20%"],
    "goals": ["spent=up"],
    "segments": ["city"],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "sent.csv", ALL, customers())


def test_the_api_gives_what_the_command_prints(api: FlaskClient, file: Path):
    """Number by number, from CSV text and from rows."""
    expected = ask(file, **OPTIONS)
    body = {**OPTIONS, "csv": file.read_text(), "name": "sent.csv"}
    rows = [dict(zip(ALL, row, strict=True)) for row in customers()]

    answer = api.post("/api/v1/analyses", json=body)
    assert answer.status_code == 200
    assert answer.get_json() == expected
    body = {**OPTIONS, "rows": rows, "name": "sent.csv"}
    assert api.post("/api/v1/analyses", json=body).get_json() == expected


def test_nothing_of_it_is_kept(api: FlaskClient, file: Path):
    """The folder it was read from is gone, also after a refusal."""
    before = set(Path(gettempdir()).glob("rollouts-*"))
    api.post("/api/v1/analyses", json={**OPTIONS, "csv": file.read_text()})
    api.post("/api/v1/analyses", json={**OPTIONS, "csv": "who\n1\n"})

    assert set(Path(gettempdir()).glob("rollouts-*")) <= before


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"csv": None}, "csv"),
        ({"rows": [{"who": 1}]}, "csv"),
        ({"limits": ["won=5%"]}, "limits"),
        ({"goals": ["lost=up"]}, "goals"),
        ({"control": "older"}, "control"),
        ({"before_exposure": False}, "before_exposure"),
        ({"metrics": ["spent:colour"]}, "metrics"),
        ({"metrics": []}, "metrics"),
        ({"design": "guess"}, "design"),
        ({"level": 95}, "level"),
        ({"mistake": 1}, "mistake"),
    ],
)
def test_a_refusal_names_the_field(
    api: FlaskClient, file: Path, change: dict[str, Any], where: str
):
    """Problem+json with the request's own names, never the command line's."""
    answer = api.post("/api/v1/analyses", json={**OPTIONS, "csv": file.read_text(), **change})

    assert answer.status_code == 422
    assert where in {fault["where"] for fault in answer.get_json()["errors"]}


@pytest.mark.parametrize(
    "csv",
    ["", "\n", "who,arm,spent\n", "\x00\x01", 'who,arm,spent\n"', "who,arm,spent\n1,old,1e400\n"],
)
def test_a_table_that_is_none_is_refused(api: FlaskClient, csv: str):
    """Empty, cut off, binary or extreme: an answer or a refusal, never a failure."""
    answer = api.post("/api/v1/analyses", json={**RANDOMISED, "metrics": ["spent"], "csv": csv})

    assert answer.status_code in (200, 422)
    assert "Traceback" not in answer.get_data(as_text=True)


def test_it_needs_somebody_who_may_read(app: Any):
    """Without a key: 401."""
    body = {"metrics": ["spent"], "csv": "a\n1\n"}
    assert app.test_client().post("/api/v1/analyses", json=body).status_code == 401


def send(api: FlaskClient, content: bytes, **fields: str) -> Any:
    data = {**fields, "file": (io.BytesIO(content), "my <results>.csv")}
    return api.post("/analyze", data=data, content_type="multipart/form-data")


def test_a_form_takes_a_file_and_gives_the_page(api: FlaskClient, tmp_path: Path):
    """The report with its chart, under a policy that allows its styles and no script."""
    content = write(tmp_path / "d.csv", ("day", "calls"), days()).read_bytes()
    answer = send(
        api, content, metrics="calls:sum", design="interrupted", time="day", start="2026-03-02"
    )
    page = text_of(answer)

    assert answer.status_code == 200
    assert "my &lt;results&gt;.csv" in page
    assert "Not randomised" in page
    assert "<svg" in page
    assert "<script" not in page
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_refused_form_keeps_what_was_typed(api: FlaskClient):
    """The reason on top and all fields as they were; a file must be chosen again."""
    answer = send(
        api, b"who,arm,spent\n1,old,2\n", metrics="spent:sum", unit="who", limits="spent=5%"
    )
    page = text_of(answer)

    assert answer.status_code == 422
    assert "is no limit" in page
    assert "spent:sum</textarea>" in page
    assert 'value="who"' in page
    assert send(api, b"\xff\xfe\x00", metrics="spent").status_code == 422
    assert text_of(api.get("/analyze")).count("<textarea") == 6
