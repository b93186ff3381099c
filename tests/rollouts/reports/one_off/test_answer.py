"""`rollouts analyze`: real files and bad ones, against independent computations."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from rollouts.cli import cli
from rollouts.errors import Invalid


def analyze(*words: object):
    return CliRunner().invoke(cli, ["analyze", *map(str, words)], catch_exceptions=False)


def report(*words: object) -> dict:
    return json.loads(analyze(*words, "--json").output)


def write(path: Path, rows: list[dict]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def read(path: Path) -> list[dict]:
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def hillstrom(shared: Path) -> tuple[list[object], list[dict]]:
    path = shared / "data" / "hillstrom.csv.gz"
    words = [path, "--unit", "customer_id", "--variation", "segment", "--control", "No E-Mail"]
    words += ["--metric", "visit:proportion", "--metric", "spend:sum", "--segment", "channel"]
    return words, read(path)


def test_hillstrom_agrees_with_scipy_and_statsmodels(shared: Path):
    """Three versions, two kinds, one segment: every number against another computation."""
    words, rows = hillstrom(shared)
    found = report(*words)

    visits, spend = found["metrics"]
    arms = {
        name: np.array([float(r["spend"]) for r in rows if r["segment"] == name])
        for name in ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
    }
    counts = [len(arms[name]) for name in sorted(arms)]
    assert found["split"]["p_value"] == pytest.approx(stats.chisquare(counts).pvalue, rel=1e-9)
    for effect in spend["effects"]:
        compared = CompareMeans(
            DescrStatsW(arms[effect["variation"]]), DescrStatsW(arms["No E-Mail"])
        )
        low, high = compared.tconfint_diff(usevar="unequal")
        welch = stats.ttest_ind(arms[effect["variation"]], arms["No E-Mail"], equal_var=False)
        held = effect["absolute"]
        assert (held["low"], held["high"]) == pytest.approx((low, high), rel=1e-8)
        assert held["p_value"] == pytest.approx(welch.pvalue, rel=1e-6)
    for effect in visits["effects"]:
        x = [
            sum(int(r["visit"]) for r in rows if r["segment"] == name)
            for name in (effect["variation"], "No E-Mail")
        ]
        n = [len(arms[name]) for name in (effect["variation"], "No E-Mail")]
        assert effect["absolute"]["estimate"] == pytest.approx(x[0] / n[0] - x[1] / n[1], rel=1e-12)
        newcombe = confint_proportions_2indep(x[0], n[0], x[1], n[1], method="newcomb")
        assert (effect["absolute"]["low"], effect["absolute"]["high"]) == pytest.approx(
            newcombe, abs=2e-5
        )


def test_hillstrom_segments_agree_too(shared: Path):
    """Within each preferred channel."""
    words, rows = hillstrom(shared)
    spend = report(*words)["metrics"][1]

    for item in spend["segments"][0]["values"]:
        pair = [
            [float(r["spend"]) for r in rows if r["channel"] == item["value"] and r["segment"] == s]
            for s in (item["variation"], "No E-Mail")
        ]
        welch = stats.ttest_ind(*pair, equal_var=False)
        interval = welch.confidence_interval()
        assert item["n"] == len(pair[0]) + len(pair[1])
        assert (item["absolute"]["low"], item["absolute"]["high"]) == pytest.approx(
            (interval.low, interval.high), rel=1e-8
        )
        assert item["p_value_corrected"] >= item["absolute"]["p_value"]


def test_cookie_cats_agrees(shared: Path):
    """Ninety thousand players, kept a day and a week later."""
    path = shared / "data" / "cookie_cats.csv.gz"
    found = report(
        path,
        "--unit",
        "userid",
        "--variation",
        "version",
        "--control",
        "gate_30",
        "--metric",
        "retention_7",
        "--metric",
        "sum_gamerounds:count",
    )
    rows = read(path)
    kept = {
        v: [int(r["retention_7"]) for r in rows if r["version"] == v]
        for v in ("gate_30", "gate_40")
    }
    effect = found["metrics"][0]["effects"][0]["absolute"]

    assert effect["estimate"] == pytest.approx(np.mean(kept["gate_40"]) - np.mean(kept["gate_30"]))
    assert effect["high"] < 0


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path):
    """It can be sent on: no script, nothing loaded, names escaped."""
    hostile = "<script>alert(1)</script>"
    rows = [{"who": i, "arm": ("old", hostile)[i % 2], "won": i % 3 == 0} for i in range(400)]
    file = write(tmp_path / "t.csv", [{**r, "won": int(r["won"])} for r in rows])
    out = tmp_path / "t.html"
    analyze(
        file,
        "--unit",
        "who",
        "--variation",
        "arm",
        "--control",
        "old",
        "--metric",
        "won",
        "--html",
        out,
    )
    page = out.read_text()

    assert hostile not in page
    assert "&lt;script&gt;" in page
    for word in ("<script", "src=", 'href="http', 'style="'):
        assert word not in page


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        ([{"u": 1, "a": "x", "m": 1}], ["--metric", "m"], "variation"),
        ([{"u": 1, "a": "old", "m": 1}], ["--metric", "nothing"], "nothing"),
        ([{"u": 1, "a": "old", "m": 1}], ["--metric", "m:colour"], "colour"),
        ([{"u": 1, "a": "old", "m": 1}], ["--metric", "m:ratio"], "second column"),
        ([{"u": 1, "a": "old", "m": 1}], ["--metric", "m", "--shares", "x"], "shares"),
        ([{"u": 1, "a": "old", "m": 1}], ["--metric", "m", "--level", "2"], "level"),
        ([{"u": 1, "a": "old", "m": 1}], ["--metric", "m", "--segment", "gone"], "gone"),
    ],
)
def test_a_question_that_does_not_fit_is_refused_by_name(tmp_path, rows, words, said):
    """One line that says what to change."""
    file = write(tmp_path / "t.csv", rows)

    with pytest.raises(Invalid, match=said):
        analyze(file, "--unit", "u", "--variation", "a", "--control", "old", *words)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_little_is_an_answer(tmp_path, n):
    """One, two or three customers: not known, with a reason, and no crash."""
    rows = [{"u": i, "a": ("old", "new")[i % 2], "m": 1} for i in range(n)]
    found = report(
        write(tmp_path / "t.csv", rows),
        "--unit",
        "u",
        "--variation",
        "a",
        "--control",
        "old",
        "--metric",
        "m:sum",
    )

    for effect in found["metrics"][0]["effects"]:
        assert effect["undecided"]["reason"]
    assert "NaN" not in json.dumps(found)
