"""Whatever stands in a file: an answer in plain words or a refusal, on every way out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rollouts.errors import Invalid
from rollouts.reports.one_off import page, text
from rollouts.reports.one_off.answer import answer_file
from tests.rollouts.reports.one_off.tables import RANDOMISED, write

KINDS = (
    "x",
    "x:proportion",
    "x:count",
    "x:sum,cap=p90",
    "x:p90",
    "x:p99.9,events",
    "x:ordinal",
    "x:top4",
    "x:nps",
    "x:spread",
    "x:variance",
    "x:ratio/one",
    "x:time/flag",
    "x:time/flag,by=3",
    "*",
)
VALUES: dict[str, Callable[[int], Any]] = {
    "all the same": lambda i: 1,
    "nothing at all": lambda i: "",
    "only zeros": lambda i: 0,
    "zero in control": lambda i: i % 2,
    "infinite": lambda i: "inf" if i == 3 else i % 5,
    "negative": lambda i: i % 7 - 3,
    "huge": lambda i: 1e300 * (i % 3),
    "tiny": lambda i: 1e-300 * (i % 3),
}


def shown(path: Path, metric: str, **given: Any) -> dict[str, Any]:
    """The report, having gone out every way: JSON, terminal, page."""
    options = {**RANDOMISED, "metrics": [metric], **given}
    report = answer_file(options, file=path, name=path.name)
    json.dumps(report, allow_nan=False)
    out = io.StringIO()
    text.show(Console(file=out, width=150), report)
    for said in (out.getvalue(), page.to_html(report)):
        assert "nan" not in said.lower().split()
        assert "None" not in said
    return report


@pytest.mark.parametrize("metric", KINDS)
def test_odd_values_give_reasons(tmp_path: Path, metric: str):
    """Each kind on each odd column, with a constant covariate, segments and a limit."""
    for name, value in VALUES.items():
        rows = [
            [i, ("old", "new")[i % 2], value(i), 1, int(i % 3 == 0), "ab"[i % 2 and i % 3 > 0]]
            for i in range(40)
        ]
        file = write(tmp_path / "t.csv", ("who", "arm", "x", "one", "flag", "city"), rows)
        limit = f"{'rows' if metric == '*' else 'x'}=+5%"
        report = shown(
            file,
            metric,
            covariates=["one"] if "one" not in metric else [],
            before_exposure=True,
            segments=["city"],
            limits=[limit],
        )
        for effect in report["metrics"][0]["effects"]:
            known = effect["absolute"] or effect["relative"]
            assert known or effect["undecided"]["reason"], name
            assert effect["finding"]["state"] in ("harm", "safe", "unknown")


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("metric", ["x:mean", "x:proportion", "x:p90", "x:ordinal", "x:time/x"])
def test_a_handful_of_customers(tmp_path: Path, n: int, metric: str):
    """Not known, with a reason."""
    rows = [[i, ("old", "new")[i % 2], i % 2] for i in range(n)]
    report = shown(write(tmp_path / "t.csv", ("who", "arm", "x"), rows), metric)

    assert report["grade"]["grade"] != "strong"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "t.csv"),
        (b"who,arm,x\n", "t.csv"),
        (bytes(range(256)) * 20, "t.csv"),
        (b"no", "t.parquet"),
        (b"no", "t.xlsx"),
        (b'who,arm,x\n1,old,2\n2,new,3,4\n"x', "t.csv"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, name: str):
    """One sentence, whatever the bytes."""
    file = tmp_path / name
    file.write_bytes(content)

    with pytest.raises(Invalid) as refusal:
        shown(file, "x:mean")
    assert "Traceback" not in refusal.value.detail


def test_late_text_in_a_column_of_numbers_is_named(tmp_path: Path):
    """Beyond the rows that types are guessed from: the column and an example, not a crash."""
    rows = [[i, ("old", "new")[i % 2], i % 5] for i in range(30_000)] + [[1e6, "old", "n.b."]]
    file = write(tmp_path / "t.csv", ("who", "arm", "x"), rows)

    with pytest.raises(Invalid, match=r"'x' does not hold numbers but text such as 'n\.b\.'"):
        shown(file, "x:mean")


def test_many_metrics_at_once(tmp_path: Path):
    """Sixty columns in one go, each corrected for the others."""
    names = [f"m{j}" for j in range(60)]
    rows = [
        [i, ("old", "new")[i % 2], *[(i * 31 + j * 17) % 101 for j in range(60)]]
        for i in range(200)
    ]
    file = write(tmp_path / "t.csv", ("who", "arm", *names), rows)
    report = answer_file(
        {**RANDOMISED, "metrics": [f"{name}:mean" for name in names]}, file=file, name="t"
    )

    corrected = [m["effects"][0]["p_value_corrected"] for m in report["metrics"]]
    assert len(corrected) == 60
    assert all(p is not None for p in corrected)
