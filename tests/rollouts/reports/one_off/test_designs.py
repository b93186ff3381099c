"""Designs of groups and of time: the effect, its grade, what was checked, and the picture."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from rollouts.errors import Invalid
from rollouts.reports.one_off import page
from tests.rollouts.reports.one_off.tables import ask, days, first, shops, write


def checks(report: dict) -> dict[str, str]:
    """What each check found."""
    return {check["name"]: check["state"] for check in report["checks"]}


def interrupted(path: Path, **more: object) -> dict:
    given = {
        "design": "interrupted",
        "time": "day",
        "start": "2026-03-02",
        "metrics": ["calls:sum"],
    }
    return ask(path, **{**given, **more})


def test_one_series_is_least_squares_and_never_more_than_weak(tmp_path: Path):
    """The gap is that of statsmodels' regression; the grade says what the design is worth."""
    rows = days()
    report = interrupted(write(tmp_path / "t.csv", ("day", "calls"), rows))
    y = np.array([row[1] for row in rows])
    time = np.arange(len(y))
    since = (time >= 60).astype(float)
    week = [(time % 7 == i).astype(float) for i in range(1, 7)]
    design = np.column_stack([np.ones(len(y)), time, *week, since, since * (time - 60)])
    fitted = sm.OLS(y, design).fit()
    gap = fitted.params[-2] + fitted.params[-1] * (time[60:] - 60).mean()

    assert first(report)["absolute"]["estimate"] == pytest.approx(gap, rel=1e-8)
    assert first(report)["absolute"]["low"] < -20 < first(report)["absolute"]["high"]
    assert report["grade"]["grade"] == "weak"
    assert not report["design"]["is_randomised"]
    assert "not randomised" in report["design"]["says"]
    assert set(checks(report)) == {"memory", "pretended change", "season"}
    assert checks(report)["season"] == "fine"


def test_a_missing_day_is_refused_by_name_unless_it_means_zero(tmp_path: Path):
    """No rows is not zero, until somebody says so."""
    rows = days()
    del rows[30]
    file = write(tmp_path / "t.csv", ("day", "calls"), rows)

    with pytest.raises(Invalid, match="2026-01-31"):
        interrupted(file)
    assert first(interrupted(file, empty_is_zero=True))["absolute"]


def test_rows_are_counted_into_periods(tmp_path: Path):
    """A row per event with its time: as many as there are each day."""
    start = date(2026, 1, 1)
    rng = np.random.default_rng(3)
    per_day = [int(rng.poisson(60 if i < 40 else 20)) for i in range(60)]
    rows = [
        [f"{start + timedelta(days=i)} {rng.integers(24):02d}:15:00"]
        for i, n in enumerate(per_day)
        for _ in range(n)
    ]
    report = interrupted(
        write(tmp_path / "t.csv", ("day",), rows), metrics=["*"], start="2026-02-10"
    )

    assert report["metrics"][0]["series"]["values"] == per_day
    assert first(report)["absolute"]["high"] < 0


def differences(path: Path, **more: object) -> dict:
    given = {
        "design": "differences",
        "time": "week",
        "group": "shop",
        "variation": "new",
        "control": "no",
        "start": "10",
        "metrics": ["orders:mean"],
    }
    return ask(path, **{**given, **more})


def test_two_sides_are_the_regression_with_both_fixed_effects(tmp_path: Path):
    """The coefficient of treated x since with effects of shop and week, and its cluster errors."""
    columns = ("week", "shop", "new", "orders")
    rows = shops()
    report = differences(write(tmp_path / "t.csv", columns, rows))
    frame = pd.DataFrame(rows, columns=list(columns))
    frame["on"] = ((frame["new"] == "yes") & (frame["week"] >= 10)).astype(float)
    fitted = smf.ols("orders ~ on + C(shop) + C(week)", frame).fit(
        cov_type="cluster", cov_kwds={"groups": frame["shop"].astype("category").cat.codes}
    )
    held = first(report)["absolute"]

    assert held["estimate"] == pytest.approx(fitted.params["on"], rel=1e-8)
    half = (held["high"] - held["low"]) / 2
    assert half == pytest.approx(fitted.bse["on"] * 2.07, rel=0.12)
    assert checks(report) == {"groups": "fine", "parallel trends": "fine"}
    assert report["grade"]["grade"] in ("fair", "weak")


def test_sides_may_be_named_instead(tmp_path: Path):
    """--treated and a column that says so give the same answer."""
    file = write(tmp_path / "t.csv", ("week", "shop", "new", "orders"), shops())
    named = differences(
        file, variation=None, control=None, treated=[f"s{g:02d}" for g in range(12)]
    )

    assert first(named)["absolute"] == first(differences(file))["absolute"]
    with pytest.raises(Invalid, match="not among the groups"):
        differences(file, treated=["elsewhere"])


def test_a_drift_before_the_start_leaves_no_grade(tmp_path: Path):
    """Sides that did not run alike: the effect may be the drift, and is not to be used."""
    rows = [[w, s, n, v + (2.0 * w if n == "yes" else 0)] for w, s, n, v in shops()]
    report = differences(write(tmp_path / "t.csv", ("week", "shop", "new", "orders"), rows))

    assert checks(report)["parallel trends"] == "broken"
    assert report["grade"]["grade"] == "none"


def test_a_blend_shows_every_placebo(tmp_path: Path):
    """One shop with 25 more: found, ranked first, and each other shop's pretended gap is there."""
    rng = np.random.default_rng(8)
    waves = np.cumsum(rng.normal(size=(3, 30)), axis=1)
    rows = []
    for g in range(24):
        own = rng.dirichlet([1, 1, 1]) @ waves + rng.normal(0, 0.2, 30) + 50
        own += 6.0 * (np.arange(30) >= 20) * (g == 5)
        rows += [[t, f"s{g:02d}", value] for t, value in enumerate(own)]
    report = ask(
        write(tmp_path / "t.csv", ("week", "shop", "orders"), rows),
        design="synthetic",
        time="week",
        group="shop",
        treated=["s05"],
        start="20",
        metrics=["orders:mean"],
        level=0.9,
    )
    series = report["metrics"][0]["series"]

    assert first(report)["absolute"]["low"] < 6 < first(report)["absolute"]["high"]
    assert first(report)["absolute"]["p_value"] == pytest.approx(1 / 24)
    assert len(series["placebos"]) == 23
    assert all(len(placebo["gaps"]) == 30 for placebo in series["placebos"])
    assert sum(series["weights"].values()) == pytest.approx(1, abs=1e-4)
    html = page.to_html(report)
    assert html.count("<svg") > 6
    assert "every placebo" in html


def grouped(path: Path, **more: object) -> dict:
    given = {"variation": "arm", "control": "old", "metrics": ["minutes:mean"]}
    return ask(path, **{**given, **more})


def teams() -> list[list[object]]:
    rng = np.random.default_rng(6)
    rows = []
    for g in range(26):
        base = rng.normal(10, 1)
        rows += [
            [f"t{g:02d}", g, ("old", "new")[g % 2], round(base + rng.normal(0, 3) - 2 * (g % 2), 4)]
            for _ in range(int(rng.integers(15, 40)))
        ]
    return rows


def test_teams_are_clusters(tmp_path: Path):
    """The regression's coefficient with errors by team, not by customer."""
    columns = ("team", "hour", "arm", "minutes")
    rows = teams()
    report = grouped(write(tmp_path / "t.csv", columns, rows), design="cluster", group="team")
    frame = pd.DataFrame(rows, columns=list(columns))
    frame["new"] = (frame["arm"] == "new").astype(float)
    fitted = smf.ols("minutes ~ new", frame).fit(
        cov_type="cluster", cov_kwds={"groups": frame["team"].astype("category").cat.codes}
    )
    held = first(report)["absolute"]

    assert held["estimate"] == pytest.approx(fitted.params["new"], rel=1e-8)
    assert (held["n_control"], held["n_treatment"]) == (13, 13)
    assert (held["high"] - held["low"]) / 2 == pytest.approx(fitted.bse["new"] * 2.08, rel=0.1)
    assert checks(report)["groups"] == "fine"


def test_turns_in_time_are_periods(tmp_path: Path):
    """A switchback rests on its periods; carry-over is looked for."""
    file = write(tmp_path / "t.csv", ("team", "hour", "arm", "minutes"), teams())
    report = grouped(file, design="switchback", time="hour", inference="wild")
    held = first(report)["absolute"]

    assert held["n_control"] + held["n_treatment"] == 26
    assert "wild" in held["method"]
    assert held["low"] < -2 < held["high"]
    assert "carry-over" in checks(report)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"design": "interrupted"}, "--time"),
        ({"design": "differences", "time": "week", "start": "10"}, "--group"),
        ({"design": "synthetic", "time": "week", "start": "10", "group": "shop"}, "--treated"),
        ({"design": "interrupted", "time": "shop", "start": "10"}, "neither times nor whole"),
        ({"design": "interrupted", "time": "week", "start": "soon"}, "not a whole number"),
        ({"design": "interrupted", "time": "week", "start": "99"}, "not after the last"),
        ({"design": "cluster", "group": "shop"}, "--variation"),
        ({"design": "cluster", "group": "shop", "variation": "new", "control": "x"}, "'x'"),
        (
            {"design": "interrupted", "time": "week", "start": "9", "covariates": ["shop"]},
            "takes no",
        ),
    ],
)
def test_a_design_says_what_it_needs(tmp_path: Path, given: dict, said: str):
    """One line that names the option or the column."""
    file = write(tmp_path / "t.csv", ("week", "shop", "new", "orders"), shops(4, 12, 8))

    with pytest.raises(Invalid, match=said):
        ask(file, **{"metrics": ["orders:mean"], **given})


def test_a_service_desks_log_is_counted_by_week(shared: Path):
    """A hundred and forty thousand updates: each week's number is that of pandas, and gaps show."""
    path = shared / "data" / "incident_event_log.csv.gz"
    given = {"time": "opened_at", "every": "week", "start": "2016-04-18", "metrics": ["*"]}
    report = ask(path, design="interrupted", empty_is_zero=True, **given)
    frame = pd.read_csv(path, usecols=["opened_at"], parse_dates=["opened_at"])
    by_week = frame["opened_at"].dt.to_period("W-SUN").value_counts().sort_index()
    weeks = pd.period_range(by_week.index[0], by_week.index[-1], freq="W-SUN")
    series = report["metrics"][0]["series"]

    assert series["values"] == by_week.reindex(weeks, fill_value=0).tolist()
    assert series["periods"] == [str(week.start_time.date()) for week in weeks]
    assert report["grade"]["grade"] in ("weak", "none")
    with pytest.raises(Invalid, match="2016-06-13"):
        ask(path, design="interrupted", **given)
